"""What only reads leaves every byte of a SQLite file as it is, and the mode of a file is its owner's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config

from tests.databases import ROOT
from tests.people import Clock, challenged, enroll, plain_settings
from twofold import MFA, DatabaseUnavailable
from twofold.database import create_engine, prefer_readers
from twofold.schema import commands

if TYPE_CHECKING:
    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Enrolment

pytestmark = pytest.mark.backends("sqlite")
READING = [
    ["db", "verify"],
    ["db", "current"],
    ["db", "adopt"],
    ["events", "verify"],
    ["events", "verify", "1"],
    ["events", "list", "1"],
    ["events", "export"],
    ["keys", "status"],
    ["users", "status", "1"],
    ["doctor"],
]


def mode(path: Path, wanted: str | None = None) -> str:
    """The journal mode of a file, set to another one first where one is wanted."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute(f"PRAGMA journal_mode{f'={wanted}' if wanted else ''}").fetchone()[0])


@pytest.fixture
def file(migrated: Database, enrolled: Enrolment) -> Path:
    """A host's file in SQLite's own default mode, with Ada enrolled; nobody has it open."""
    assert enrolled.user_id == 1
    migrated.dispose()
    path = Path(migrated.url.removeprefix("sqlite:///"))
    assert mode(path, "DELETE") == "delete"
    return path


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_that_reads_leaves_the_file_as_it_is(twofold: Shell, file: Path, words: list[str]) -> None:
    before = file.read_bytes()
    usual = twofold(*words)
    assert file.read_bytes() == before
    assert mode(file) == "delete"
    file.chmod(0o400)
    read_only = twofold(*words, database_url=f"sqlite:///file:{file}?mode=ro&uri=true")
    file.chmod(0o600)
    assert read_only.code == usual.code, read_only.err
    if words != ["doctor"]:
        assert (usual.code, read_only.out) == (0, usual.out)
    assert sorted(path.name for path in file.parent.iterdir() if path.name.startswith(file.name)) == [file.name]


def test_alembic_current_leaves_the_file_as_it_is_and_reads_one_that_takes_no_writes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    for path, url in (
        (file, f"sqlite:///{file}"),
        (file, f"sqlite:///file:{file}?mode=ro&uri=true"),
        (empty, f"sqlite:///{empty}"),
    ):
        monkeypatch.setenv("TWOFOLD_DATABASE_URL", url)
        before = path.read_bytes()
        command.current(Config(ROOT / "alembic.ini"))
        assert path.read_bytes() == before


def test_a_file_keeps_its_mode_where_twofold_writes_and_gets_one_for_readers_where_twofold_makes_it(
    shell: Shell, keys: str, tmp_path: Path
) -> None:
    hosts, ours = tmp_path / "hosts.db", tmp_path / "ours.db"
    with closing(sqlite3.connect(hosts)) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO users VALUES (1)")
        connection.commit()
    for path, expected in ((hosts, "delete"), (ours, "wal")):
        assert shell("db", "upgrade", database_url=f"sqlite:///{path}").code == 0
        assert mode(path) == expected
    engine = create_engine(f"sqlite:///{hosts}")
    clock = Clock()
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    ada = enroll(mfa, 1, clock)
    with engine.connect() as reading:
        assert reading.exec_driver_sql("SELECT count(*) FROM users").scalar_one() == 1
        assert mfa.verify(challenged(mfa, 1), ada.phone.code()).user_id == 1
    engine.dispose()
    assert mode(hosts) == "delete"


def test_a_mode_that_is_refused_is_no_outage(tmp_path: Path) -> None:
    path = tmp_path / "held.db"
    engine = create_engine(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other, engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        connection.rollback()
        other.execute("BEGIN IMMEDIATE")
        prefer_readers(connection)
        other.execute("ROLLBACK")
    assert mode(path) == "delete"
    commands.upgrade(engine, plain_settings())
    engine.dispose()
    assert mode(path) == "wal"


def test_what_reads_waits_for_no_writer_and_what_writes_says_so(
    twofold: Shell, migrated: Database, keys: str, ada: int
) -> None:
    with migrated.engine().connect() as host:
        host.exec_driver_sql("BEGIN IMMEDIATE")
        assert twofold("users", "status", str(ada)).code == 0
        engine = migrated.engine()
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        with pytest.raises(DatabaseUnavailable):
            MFA(engine, plain_settings(keys=keys, deadline=0.1)).challenge(ada)
        host.rollback()
