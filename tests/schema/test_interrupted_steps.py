"""An adoption is killed while the database is at work for it, and the next one finishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.databases import ROOT
from tests.schema.incident import happen_in_part
from tests.schema.killed import ARGUMENTS, TWOFOLD, environment
from twofold.schema import adoption, commands
from twofold.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database

SETTINGS = Settings()
COLUMNS = "user_id, event_type, event_status, event_details, created_at"


def much_happened(database: Database, doublings: int) -> None:
    """One table of the incident, with many lines in it."""
    happen_in_part(database, "mfa_events")
    more = f"SELECT id + (SELECT max(id) FROM mfa_events), {COLUMNS} FROM mfa_events"
    with database.engine().begin() as connection:
        for _ in range(doublings):
            connection.exec_driver_sql(f"INSERT INTO mfa_events (id, {COLUMNS}) {more}")
    database.dispose()


def standing(database: Database) -> list[str]:
    """How many lines there are, and what they add up to."""
    with database.engine().connect() as connection:
        query = "SELECT count(*), sum(id), sum(user_id) FROM mfa_events"
        return [str(value) for value in connection.exec_driver_sql(query).one()]


def killed_when(database: Database, folder: Path, query: str) -> None:
    """Run the command until the query finds something, and kill it there."""
    watching = database.engine().connect().execution_options(isolation_level="AUTOCOMMIT")
    process = subprocess.Popen([TWOFOLD, *ARGUMENTS], cwd=folder, env=environment(database), stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not watching.execute(sa.text(query)).scalar_one():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    watching.close()


def finished(database: Database, before: list[str]) -> None:
    adoption.apply(database.engine(), SETTINGS, allow=["heavy"])
    assert adoption.plan(database.engine(), SETTINGS).is_done
    assert commands.verify(database.engine(), SETTINGS).conforms
    assert standing(database) == before


@pytest.mark.backends("postgresql")
def test_a_kill_behind_a_batch_of_a_wider_id_and_inside_of_the_next_one_loses_nothing(
    database: Database, tmp_path: Path
) -> None:
    """A check of the host on a row of the second batch waits for what somebody else holds."""
    much_happened(database, doublings=11)
    before = standing(database)
    watching = database.engine().connect().execution_options(isolation_level="AUTOCOMMIT")
    waiting = "BEGIN IF status = 'slow' THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN true; END"
    for statement in (
        "UPDATE mfa_events SET event_status = 'slow' WHERE id = 3000",
        f"CREATE FUNCTION passes(status text) RETURNS boolean LANGUAGE plpgsql AS $$ {waiting} $$",
        "ALTER TABLE mfa_events ADD CHECK (passes(event_status))",
        "SELECT pg_advisory_lock(1)",
    ):
        watching.exec_driver_sql(statement)
    waits = "query LIKE 'UPDATE mfa_events SET id_bigint%' AND wait_event = 'advisory'"
    killed_when(database, tmp_path, f"SELECT count(*) FROM pg_stat_activity WHERE {waits}")
    filled = "SELECT count(*) FILTER (WHERE id_bigint = id), count(*) FROM mfa_events"
    assert tuple(watching.exec_driver_sql(filled).one()) == (2000, 6144)
    watching.exec_driver_sql("SELECT pg_advisory_unlock(1)")
    watching.close()
    finished(database, before)


@pytest.mark.backends("mariadb")
def test_a_kill_while_a_table_is_copied_loses_nothing(database: Database, tmp_path: Path) -> None:
    much_happened(database, doublings=15)
    before = standing(database)
    copies = "state = 'copy to tmp table' AND info LIKE 'ALTER TABLE mfa_events%'"
    killed_when(database, tmp_path, f"SELECT count(*) FROM information_schema.processlist WHERE {copies}")
    finished(database, before)


@pytest.mark.backends("sqlite")
def test_a_kill_in_the_midst_of_any_long_statement_loses_nothing(database: Database) -> None:
    much_happened(database, doublings=10)
    before = standing(database)
    database.dispose()
    command = [sys.executable, "-m", "tests.schema.killed", "midst"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(database), capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # While the rows are copied, and while two indexes are built.
    assert int(done.stdout.splitlines()[-1]) >= 3
    finished(database, before)
