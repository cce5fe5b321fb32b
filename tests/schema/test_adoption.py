"""Tables of other origins come to the revision with every row, or stay exactly as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tests.databases import BACKENDS, Database, Sources
from tests.schema.drifts import DRIFTS, Drift, in_company
from tests.schema.rows import contents, fill, unchanged
from tests.schema.snapshot import snapshot
from twofold.schema import adoption, commands, spec
from twofold.schema.conformity.findings import Verdict
from twofold.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = Settings()
HERE = [drift for drift in DRIFTS if drift.backend in BACKENDS]


@pytest.fixture(params=HERE, ids=lambda drift: f"{drift.backend}-{drift.name}".replace(" ", "-"))
def drifted(request: pytest.FixtureRequest, databases: Sources) -> Iterator[tuple[Drift, Database]]:
    """A database whose tables were right, then changed, then used, and whose revision was stamped blindly."""
    drift: Drift = request.param
    with databases.database(drift.backend, migrated=True) as database:
        with database.engine().connect() as connection:
            drift.make(connection)
        fill(database)
        yield drift, database


def refused(database: Database, *allow: str) -> None:
    before = snapshot(database)
    with pytest.raises(adoption.Refused, match="nothing was changed"):
        adoption.apply(database.engine(), SETTINGS, allow=allow)
    assert snapshot(database) == before


def adopted(database: Database, *allow: str) -> None:
    engine, before = database.engine(), contents(database)
    adoption.apply(engine, SETTINGS, allow=allow)
    assert unchanged(before, contents(database))
    assert commands.verify(engine, SETTINGS).conforms
    assert commands.current(engine) == spec.REVISION
    assert adoption.plan(engine, SETTINGS).is_done


def test_every_difference_is_repaired_with_all_rows_or_refused_with_nothing_changed(
    drifted: tuple[Drift, Database],
) -> None:
    drift, database = drifted
    verdict = drift.sees[2]
    plan = adoption.plan(database.engine(), SETTINGS)
    match verdict:
        case Verdict.BLOCKED:
            assert plan.verdict == "blocked"
            assert any(one.table == drift.table for one in plan.blocked)
            refused(database, "heavy")
            return
        case Verdict.HEAVY:
            assert {step.table for step in plan.refused} == {drift.table}
            refused(database)
        case Verdict.ADDITIVE:
            assert {step.verdict for step in plan.steps} == {Verdict.ADDITIVE}
            assert {step.table for step in plan.steps} == {drift.table}
        case _:
            assert plan.is_done
    adopted(database, *{kind for step in plan.refused for kind in step.kinds})


_COUNTERS = ("version", "proofs_after", "failure_level", "setup_tries", "lines_today")
_SEALS = (
    "codes_digest",
    "devices_digest",
    "passkeys_digest",
    "cases_digest",
    "told_refusal",
    "epoch",
    "shown_codes",
    "last_answer",
)
_MOMENTS = ("failure_level_at", "lines_day", "changes_suspended_at")
# Another number for a table that was made anew.
_STORED = {
    "sqlite": "SELECT rootpage FROM sqlite_master WHERE name = 'user_mfa_secrets'",
    "postgresql": "SELECT relfilenode FROM pg_class WHERE oid = 'user_mfa_secrets'::regclass",
    "mariadb": "SELECT table_id FROM information_schema.innodb_sys_tables "
    "WHERE name = concat(database(), '/user_mfa_secrets')",
}


def test_columns_that_are_missing_are_added_to_the_table_as_it_lies_with_a_value_for_every_row(
    migrated: Database,
) -> None:
    with migrated.engine().begin() as connection:
        for name in (*_COUNTERS, *_SEALS, *_MOMENTS):
            connection.exec_driver_sql(f"ALTER TABLE user_mfa_secrets DROP COLUMN {name}")
    fill(migrated)
    with migrated.engine().connect() as connection:
        stored = connection.exec_driver_sql(_STORED[migrated.backend]).scalar_one()
    assert [step.verdict for step in adoption.plan(migrated.engine(), SETTINGS).steps] == [Verdict.ADDITIVE]
    adopted(migrated)
    with migrated.engine().connect() as connection:
        assert connection.exec_driver_sql(_STORED[migrated.backend]).scalar_one() == stored
        rows = connection.exec_driver_sql(f"SELECT {', '.join(_COUNTERS)} FROM user_mfa_secrets").all()
    assert rows == [(0,) * len(_COUNTERS)] * 3


def test_a_row_that_names_no_column_of_ours_gets_their_defaults(migrated: Database) -> None:
    names = (*_COUNTERS, *_SEALS, *_MOMENTS)
    with migrated.engine().begin() as connection:
        connection.exec_driver_sql("INSERT INTO users (id, subject) VALUES (1, 'ada')")
        connection.exec_driver_sql(
            "INSERT INTO user_mfa_secrets (user_id, secret, created_at, updated_at) "
            "VALUES (1, 'x', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        )
        row = connection.exec_driver_sql(f"SELECT {', '.join(names)} FROM user_mfa_secrets").one()
    assert tuple(row) == (0,) * len(_COUNTERS) + (None,) * len(_SEALS + _MOMENTS)


@pytest.mark.backends("sqlite", "postgresql")
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_differences_in_any_company_are_repaired_all_the_same(
    databases: Sources, backend: str, data: st.DataObject
) -> None:
    drifts = data.draw(in_company(backend))
    with databases.database(backend, migrated=True) as database:
        with database.engine().connect() as connection:
            for drift in drifts:
                drift.make(connection)
        fill(database)
        adopted(database, "heavy")


@pytest.mark.backends("sqlite")
def test_a_rebuild_keeps_what_the_host_has_built_on_the_table(migrated: Database) -> None:
    engine = migrated.engine()
    hosts = """
        CREATE TABLE mfa_backup_codes (
            id INTEGER PRIMARY KEY AUTOINCREMENT, -- ours, they said
            user_id INTEGER NOT NULL REFERENCES users (id),
            code_hash VARCHAR(128) CHECK (length(code_hash) > 1),
            is_used BOOLEAN DEFAULT 0 NOT NULL, used_at DATETIME, created_at DATETIME NOT NULL, expires_at DATETIME,
            "Colour of (it)" TEXT DEFAULT 'a, b' COLLATE NOCASE,
            longer INTEGER GENERATED ALWAYS AS (length(code_hash)) VIRTUAL,
            CONSTRAINT uq UNIQUE (user_id, code_hash), CHECK (id > 0) /* , */
        )"""
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE mfa_backup_codes",
            hosts,
            "CREATE TABLE log (note TEXT, code INTEGER REFERENCES mfa_backup_codes (id) ON DELETE CASCADE)",
            "CREATE VIEW unused AS SELECT * FROM mfa_backup_codes WHERE NOT is_used",
            "CREATE TRIGGER told AFTER UPDATE ON mfa_backup_codes BEGIN INSERT INTO log VALUES ('used', new.id); END",
            "CREATE INDEX lowered ON mfa_backup_codes (lower(code_hash) DESC) WHERE NOT is_used",
            "CREATE INDEX found ON mfa_backup_codes (code_hash)",
        ):
            connection.exec_driver_sql(statement)
    fill(migrated)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO log VALUES ('kept', 2)")
        connection.exec_driver_sql("UPDATE sqlite_sequence SET seq = 41")
    adopted(migrated, "rebuild")
    with migrated.engine().begin() as connection:
        assert connection.exec_driver_sql("SELECT code FROM log").scalars().all() == [2]
        assert len(connection.exec_driver_sql("SELECT longer, id FROM unused").all()) == 3
        connection.exec_driver_sql("UPDATE mfa_backup_codes SET is_used = 1 WHERE id = 3")
        assert connection.exec_driver_sql("SELECT note FROM log WHERE code = 3").scalar_one() == "used"
        sql = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'mfa_backup_codes'").scalar_one()
        for kept in ("CHECK ( length ( code_hash ) > 1 )", "CHECK (id > 0)", "COLLATE NOCASE", "AUTOINCREMENT"):
            assert kept in sql
        assert connection.exec_driver_sql("SELECT seq FROM sqlite_sequence").scalar_one() == 41
        names = set(connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars())
        assert {"lowered", "found", "told", "unused"} <= names
