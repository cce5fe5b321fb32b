"""The verifier sees what an application's own tables have of their own, and nothing that is not there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.databases import BACKENDS, Database, Sources
from tests.length import IS_WHOLE
from tests.schema.drifts import DRIFTS, Drift
from tests.schema.snapshot import snapshot
from twofold.errors import SchemaDrift
from twofold.schema import commands, spec
from twofold.schema.conformity.findings import Verdict
from twofold.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = Settings()
# In the suite one half is verified, and the other half written down: test_script. Each is adopted.
HERE = [drift for drift in DRIFTS if drift.backend in BACKENDS][:: 1 if IS_WHOLE else 2]


@pytest.fixture(params=HERE, ids=lambda drift: f"{drift.backend}-{drift.name}".replace(" ", "-"))
def drifted(request: pytest.FixtureRequest, databases: Sources) -> Iterator[tuple[Drift, Database]]:
    """A database whose tables were right, then changed, and whose history was never recorded."""
    drift: Drift = request.param
    with databases.database(drift.backend, migrated=True) as database:
        with database.engine().connect() as connection:
            connection.exec_driver_sql(f"DROP TABLE {spec.VERSION_TABLE}")
            drift.make(connection)
        database.dispose()
        yield drift, database


def test_a_difference_is_seen_judged_and_never_recorded_nor_touched(drifted: tuple[Drift, Database]) -> None:
    drift, database = drifted
    engine = database.engine()
    report = commands.verify(engine, SETTINGS)
    seen = {(finding.table, finding.aspect, finding.subject, finding.verdict) for finding in report.findings}
    assert (drift.table, *drift.sees) in seen, "\n".join(map(str, report.findings))
    if drift.sees[2] is Verdict.TOLERATED:
        assert report.conforms, "\n".join(map(str, report.drift))
        commands.upgrade(engine, SETTINGS)
        assert commands.current(engine) == spec.REVISION
        return
    before = snapshot(database)
    for refused in (commands.upgrade, commands.stamp):
        with pytest.raises(SchemaDrift) as caught:
            refused(engine, SETTINGS)
        assert "twofold db adopt" in str(caught.value)
        assert any(drift.table in difference for difference in caught.value.differences)
        assert snapshot(database) == before


def test_a_fresh_database_has_no_differences_at_all(migrated: Database) -> None:
    report = commands.verify(migrated.engine(), SETTINGS)
    assert report.findings == ()
    assert report.conforms
    assert not report.nothing_there
    assert report.verdict("mfa_events") is Verdict.SAME
    report.raise_if_drifted()


def test_an_empty_database_is_told_apart_from_a_wrong_one(database: Database) -> None:
    report = commands.verify(database.engine(), SETTINGS)
    assert report.nothing_there
    assert not report.conforms
    with pytest.raises(SchemaDrift, match="twofold db upgrade"):
        report.raise_if_drifted()


def test_other_names_for_the_same_indexes_and_keys_are_the_same_promise(migrated: Database) -> None:
    renamed = {
        "postgresql": ["ALTER INDEX ix_mfa_backup_codes_code_hash RENAME TO host_1"],
        "mariadb": ["ALTER TABLE mfa_backup_codes RENAME INDEX ix_mfa_backup_codes_code_hash TO host_1"],
        "sqlite": [
            "DROP INDEX ix_mfa_backup_codes_code_hash",
            "CREATE INDEX host_1 ON mfa_backup_codes (code_hash)",
        ],
    }
    engine = migrated.engine()
    with engine.begin() as connection:
        for statement in renamed[migrated.backend]:
            connection.exec_driver_sql(statement)
    assert commands.verify(engine, SETTINGS).findings == ()


def test_only_missing_tables_are_made_again_beside_the_ones_that_conform(
    migrated: Database, caplog: pytest.LogCaptureFixture
) -> None:
    engine = migrated.engine()
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO users (subject) VALUES ('ada@example.com')")
        connection.exec_driver_sql(
            "INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES (1, 'x', '2026-01-01')"
        )
        connection.exec_driver_sql("DROP TABLE mfa_events")
        connection.exec_driver_sql(f"DROP TABLE {spec.VERSION_TABLE}")
    report = commands.verify(engine, SETTINGS)
    assert report.only_missing_tables
    assert report.missing == ("mfa_events",)
    with caplog.at_level(logging.WARNING):
        commands.upgrade(engine, SETTINGS)
    assert commands.verify(engine, SETTINGS).findings == ()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM mfa_backup_codes").scalar_one() == 1
