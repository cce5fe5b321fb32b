"""What `twofold db adopt --sql` writes, run by psql, mariadb and sqlite3 on another copy of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import Shell
from tests.length import IS_WHOLE
from tests.schema.clients import HERE, run
from tests.schema.drifts import DRIFTS, Drift
from tests.schema.incident import happen, models, older, stamp
from tests.schema.rows import contents, fill, unchanged
from tests.schema.snapshot import snapshot
from twofold.schema import adoption, commands, spec
from twofold.schema.conformity.findings import Verdict
from twofold.schema.history import FOUR, HOSTS
from twofold.settings import Settings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tests.databases import Database, Sources
    from tests.people import Clock

SETTINGS = Settings()
pytestmark = pytest.mark.backends(*HERE)


@pytest.fixture
def copies(
    databases: Sources, backend: str
) -> Iterator[Callable[[Callable[[Database], None]], tuple[Database, Database]]]:
    """Two databases that are made alike."""
    with databases.database(backend, migrated=False) as one, databases.database(backend, migrated=False) as other:

        def made(make: Callable[[Database], None]) -> tuple[Database, Database]:
            for database in (one, other):
                make(database)
                database.dispose()
            return one, other

        yield made


def conforms(
    database: Database, before: dict[str, list[dict[str, Any]]], done: subprocess.CompletedProcess[str]
) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert commands.verify(database.engine(), SETTINGS).conforms
    assert commands.current(database.engine()) == spec.REVISION
    assert unchanged(before, contents(database))
    assert adoption.plan(database.engine(), SETTINGS).is_done


def test_the_script_of_the_incident_leads_another_copy_to_the_revision(
    copies: Callable[[Callable[[Database], None]], tuple[Database, Database]],
) -> None:
    asked, other = copies(lambda database: happen(database, rows=50, stamped=HOSTS))
    untouched = snapshot(asked)
    written = Shell({"database_url": asked.url})("db", "adopt", "--sql")
    assert written.code == 0
    assert snapshot(asked) == untouched
    for step in adoption.plan(asked.engine(), SETTINGS).steps:
        assert f". {step}." in written.out
        assert all(f"-- lock: {lock}" in written.out for lock in step.locks)
    assert "-- Then the rows of before, of 50 users" in written.out
    before = contents(other)
    conforms(other, before, run(written.out, other))
    with other.engine().connect() as connection:
        assert FOUR.elsewhere(connection) == ()


def test_people_come_along_after_the_script_with_rights_on_rows_alone(
    copies: Callable[[Callable[[Database], None]], tuple[Database, Database]], clock: Clock, keys: str
) -> None:
    def make(database: Database) -> None:
        with database.engine().begin() as connection:
            models().create_all(connection)
            stamp(connection)
        older(database, 40, clock)

    asked, other = copies(make)
    script = Shell({"database_url": asked.url})("db", "adopt", "--sql").out
    assert run(script, other).returncode == 0
    rows = Shell({"database_url": other.url, "keys": keys})("db", "adopt", "--apply", "--yes", "--json")
    assert (rows.code, rows.data["done"], rows.data["rows"]["adopted"]) == (0, [], 40)


# In the suite one half is written down, and the other half verified: test_verifier. Each is adopted.
_REPAIRABLE = [one for one in DRIFTS if one.backend in HERE and one.sees[2] in {Verdict.ADDITIVE, Verdict.HEAVY}]


@pytest.mark.parametrize(
    "drift",
    _REPAIRABLE if IS_WHOLE else _REPAIRABLE[1::2],
    ids=lambda one: f"{one.backend}-{one.name}".replace(" ", "-"),
)
def test_every_difference_that_can_be_repaired_can_be_written_down(drift: Drift, databases: Sources) -> None:
    with (
        databases.database(drift.backend, migrated=True) as asked,
        databases.database(drift.backend, migrated=True) as other,
    ):
        for database in (asked, other):
            with database.engine().connect() as connection:
                drift.make(connection)
            fill(database)
            database.dispose()
        _, script = adoption.script(asked.engine(), SETTINGS)
        conforms(other, contents(other), run(script, other))


def test_what_somebody_has_to_decide_has_no_script(migrated: Database) -> None:
    fill(migrated)
    with migrated.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE mfa_events ADD COLUMN tenant INTEGER NOT NULL DEFAULT 1")
        if migrated.backend == "sqlite":
            connection.exec_driver_sql("ALTER TABLE mfa_events RENAME TO theirs")
            connection.exec_driver_sql("CREATE VIEW mfa_events AS SELECT * FROM theirs")
        else:
            connection.exec_driver_sql("ALTER TABLE mfa_events ALTER COLUMN tenant DROP DEFAULT")
    shell = Shell({"database_url": migrated.url})
    refused = shell("db", "adopt", "--sql")
    assert refused.code == 3
    assert "you decide: mfa_events" in refused.out
    assert shell("db", "adopt", "--sql", "--apply").code == 64


def test_an_empty_database_has_another_script_and_a_finished_one_has_nothing_to_do(
    database: Database, migrated: Database
) -> None:
    database.engine().connect().close()  # On SQLite, this is what makes a file.
    empty = Shell({"database_url": database.url})("db", "adopt", "--sql")
    assert empty.code == 78
    assert "alembic upgrade head --sql" in empty.err
    script = Shell({"database_url": migrated.url})("db", "adopt", "--sql", "--json").data["script"]
    assert [line for line in script.splitlines() if line.startswith(("ALTER", "CREATE TABLE", "INSERT"))] == []
    before = snapshot(migrated)
    assert run(script, migrated).returncode == 0
    assert snapshot(migrated) == before


def test_tables_beside_users_of_another_name_have_a_script(databases: Sources, backend: str) -> None:
    settings = Settings(users="accounts.number")
    with databases.database(backend, migrated=False) as database:
        with database.engine().begin() as connection:
            connection.exec_driver_sql("CREATE TABLE accounts (number INTEGER PRIMARY KEY)")
        _, script = adoption.script(database.engine(), settings)
        done = run(script, database)
        assert done.returncode == 0, done.stderr
        assert commands.verify(database.engine(), settings).findings == ()
        assert commands.current(database.engine()) == spec.REVISION


_REBUILT = [one for one in _REPAIRABLE if (one.backend, one.name) == ("sqlite", "rows that outlive their user")]


@pytest.mark.parametrize("drift", _REBUILT, ids=lambda one: str(one.name))
def test_a_rebuild_that_would_keep_orphans_undoes_itself(drift: Drift, databases: Sources) -> None:
    """Rows whose user does not exist, that came after the plan."""
    with databases.database("sqlite", migrated=True) as database:
        with database.engine().connect() as connection:
            drift.make(connection)
        fill(database)
        _, script = adoption.script(database.engine(), SETTINGS)
        with database.engine().connect() as connection:
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("UPDATE mfa_backup_codes SET user_id = 99 WHERE id = 2")
            connection.commit()
        before = snapshot(database)
        done = run(script, database)
        assert done.returncode != 0
        assert "CHECK constraint failed" in done.stderr
        assert snapshot(database) == before
