"""An adoption that is killed loses no row and is finished by the next one; one that has to wait lets logins pass."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.cli.conftest import Shell
from tests.databases import ROOT
from tests.schema.built import BUILT, build, hanging
from tests.schema.incident import happen, happen_in_part
from tests.schema.killed import ARGUMENTS, TWOFOLD, environment
from tests.schema.rows import contents, unchanged
from twofold.schema import adoption, commands, locking
from twofold.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database

SETTINGS = Settings()


# For their sake PostgreSQL's narrow ids are rewritten, and there would be fewer steps to die in.
_REWRITTEN = {"heir", "never", "kept", "all_of_it", "notes_id_fkey"}


@pytest.mark.begun_first
@pytest.mark.by_turns
def test_a_kill_behind_every_step_and_inside_of_it_loses_nothing(database: Database) -> None:
    """Neither of the rows, nor of what the host has built on them."""
    # Of all tables this one needs the most kinds of steps.
    happen_in_part(database, "mfa_backup_codes")
    with database.engine().connect() as connection:
        carried = (one for one in BUILT if one.backend == database.backend and not one.refuses)
        at_length = (one for one in carried if not _REWRITTEN & set(re.split(r"\W", one.told)))
        build(connection, (one.at("mfa_backup_codes", "created_at") for one in at_length))
    hangs = hanging(database)
    assert len(hangs) > 1
    before = contents(database)
    database.dispose()
    command = [sys.executable, "-m", "tests.schema.killed", "structure"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(database), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.splitlines()[-1]) > 8
    assert unchanged(before, contents(database))
    assert hanging(database) >= hangs
    assert adoption.plan(database.engine(), SETTINGS).is_done


_WAITS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE%INDEX CONCURRENTLY%' "
    "AND wait_event_type = 'Lock'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata%' "
    "AND info LIKE 'ALTER%'",
}


@pytest.mark.backends("postgresql", "mariadb")
def test_a_kill_in_the_middle_of_a_long_step_loses_nothing(database: Database, tmp_path: Path) -> None:
    """An old transaction makes CREATE INDEX CONCURRENTLY wait, or any ALTER of MariaDB, for as long as it is open."""
    happen_in_part(database, "user_mfa_secrets", "mfa_events")
    before = contents(database)
    old, watching = database.engine().connect(), database.engine().connect()
    watching.execution_options(isolation_level="AUTOCOMMIT")
    table = "pg_class" if database.backend == "postgresql" else "mfa_events"
    old.execution_options(isolation_level="REPEATABLE READ")
    old.exec_driver_sql(f"SELECT count(*) FROM {table}")
    process = subprocess.Popen([TWOFOLD, *ARGUMENTS], cwd=tmp_path, env=environment(database), stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not watching.execute(sa.text(_WAITS[database.backend])).scalar_one():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    old.close()
    watching.close()
    assert unchanged(before, contents(database))
    adoption.apply(database.engine(), SETTINGS, allow=["heavy"])
    assert unchanged(before, contents(database))
    assert adoption.plan(database.engine(), SETTINGS).is_done


def test_a_lock_that_does_not_come_ends_with_a_code_of_its_own(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "_PATIENCE", 0.5)
    happen_in_part(database, "user_mfa_secrets", "mfa_events")
    engine = database.engine()
    if database.backend == "sqlite":
        # Whoever makes the connection tells it to wait for ten seconds, so it is told otherwise when it is taken.
        event.listen(sa.Engine, "checkout", _impatient)
    with engine.connect() as writer:
        if database.backend == "sqlite":
            writer.execution_options(isolation_level="AUTOCOMMIT")
            writer.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            writer.exec_driver_sql("UPDATE user_mfa_secrets SET failed_attempts = 1 WHERE id = 1")
        began = time.monotonic()
        answer = Shell({"database_url": database.url})(*ARGUMENTS)
        assert (answer.code, answer.data["error"]) == (4, "LockTimeout")
        assert time.monotonic() - began < 30
        writer.rollback()
    if database.backend == "sqlite":
        event.remove(sa.Engine, "checkout", _impatient)
    assert Shell({"database_url": database.url})(*ARGUMENTS).code == 0


def _impatient(connection: object, _record: object, _proxy: object) -> None:
    connection.cursor().execute("PRAGMA busy_timeout = 100")  # type: ignore[attr-defined]


@pytest.mark.backends("postgresql", "mariadb")
def test_logins_go_on_while_tables_are_adopted(database: Database) -> None:
    happen(database, rows=50)
    over, waits = threading.Event(), list[float]()
    engine = database.engine()

    def log_in() -> None:
        while not over.is_set():
            began = time.monotonic()
            with contextlib.suppress(OperationalError), engine.begin() as login:
                # MariaDB tells a transaction that is older than a change of the table to begin again.
                login.exec_driver_sql("SELECT id FROM users WHERE id = 7")
                login.exec_driver_sql("UPDATE user_mfa_secrets SET failed_attempts = 0 WHERE user_id = 7")
            waits.append(time.monotonic() - began)

    thread = threading.Thread(target=log_in)
    thread.start()
    try:
        adoption.apply(database.engine(), SETTINGS, allow=["heavy"])
    finally:
        over.set()
        thread.join()
    assert len(waits) > 20
    assert max(waits) < 9
    assert commands.verify(engine, SETTINGS).conforms
