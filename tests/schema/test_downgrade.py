"""A downgrade looks at everything that hangs on the tables before its first DROP, and drops all of them or none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.cli.conftest import Shell
from tests.schema.built import BUILT, Built
from tests.schema.snapshot import snapshot
from twofold.errors import SchemaDrift
from twofold.schema import commands, locking, spec
from twofold.settings import Settings

if TYPE_CHECKING:
    from tests.databases import Database

SETTINGS = Settings()


def here(database: Database) -> list[Built]:
    return [one for one in BUILT if one.backend == database.backend and one.drop is not None]


def names(database: Database) -> set[str]:
    with database.engine().connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_what_is_in_the_way_is_named_and_nothing_is_dropped(migrated: Database) -> None:
    shell = Shell({"database_url": migrated.url})
    in_the_way = [built for built in here(migrated) if built.drop in {"refuses", "breaks"}]
    assert in_the_way
    for built in in_the_way:
        with migrated.engine().connect() as connection:
            built.make(connection)
            called = built.called(connection)
        assert names(migrated) >= set(spec.NAMES)
        before = snapshot(migrated) if built.drop == "refuses" else names(migrated)
        with pytest.raises(SchemaDrift, match="nothing was changed") as caught:
            commands.downgrade(migrated.engine(), SETTINGS)
        assert [one for one in caught.value.differences if called in one], built.name
        after = snapshot(migrated) if built.drop == "refuses" else names(migrated)
        assert after == before, built.name
        with migrated.engine().connect() as connection:
            built.take_away(connection)
    with migrated.engine().connect() as connection:
        in_the_way[0].make(connection)
        refused = shell("db", "downgrade", typed="y\n")
        assert refused.code == 1
        assert in_the_way[0].called(connection) in refused.err
        assert "Go on?" not in refused.err
        assert set(spec.NAMES) <= names(migrated)
        in_the_way[0].take_away(connection)


def test_what_goes_along_or_stays_and_only_names_a_table_is_said_before_it_goes(
    migrated: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shell = Shell({"database_url": migrated.url})
    along = [built for built in here(migrated) if built.drop in {"goes along", "may break"}]
    assert along
    told: list[str] = []
    with migrated.engine().connect() as connection:
        for built in along:
            built.make(connection)
            called = built.called(connection)
            told.append(f"goes {called}." if built.drop == "goes along" else f"{called} stays, and its text names ")
    asked = shell("db", "downgrade", typed="n\n")
    assert asked.code == 1
    for sentence in told:
        assert sentence in asked.err
    with caplog.at_level(logging.WARNING):
        commands.downgrade(migrated.engine(), SETTINGS)
    for sentence in told:
        assert any(sentence in message for message in caplog.messages)
    assert not set(spec.NAMES) & names(migrated)


def test_users_of_ours_stay_where_anything_hangs_on_them(migrated: Database, caplog: pytest.LogCaptureFixture) -> None:
    if migrated.backend == "postgresql":
        statements = ["CREATE SCHEMA elsewhere", "CREATE TABLE elsewhere.orders (user_id BIGINT REFERENCES users (id))"]
    else:
        statements = ["CREATE VIEW everybody AS SELECT id FROM users"]
    with migrated.engine().begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    with caplog.at_level(logging.WARNING):
        commands.downgrade(migrated.engine(), SETTINGS, "base")
    assert any(message.startswith("The table users stays. ") for message in caplog.messages)
    assert "users" in names(migrated)
    assert not set(spec.NAMES) & names(migrated)


@pytest.mark.backends("mariadb")
def test_nothing_is_dropped_while_somebody_reads_one_of_the_tables(
    migrated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "_PATIENCE", 1)
    for name in spec.NAMES:
        with migrated.engine().connect() as reader:
            reader.exec_driver_sql(f"SELECT count(*) FROM {name}")
            with pytest.raises(locking.LockTimeout, match="nothing was changed"):
                commands.downgrade(migrated.engine(), SETTINGS)
        assert set(spec.NAMES) <= names(migrated)
    commands.downgrade(migrated.engine(), SETTINGS)
    assert not set(spec.NAMES) & names(migrated)


@pytest.mark.backends("mariadb")
def test_what_is_gone_is_said_where_a_role_cannot_see_what_is_in_the_way(migrated: Database) -> None:
    url = sa.make_url(migrated.url)
    here, role = url.database, f"{url.database}_role"
    with migrated.engine().connect() as admin:
        admin.exec_driver_sql(f"CREATE DATABASE {here}_hidden")
        refers = f"FOREIGN KEY (id) REFERENCES {here}.user_mfa_secrets (id)"
        admin.exec_driver_sql(f"CREATE TABLE {here}_hidden.notes (id BIGINT, {refers})")
        admin.exec_driver_sql(f"CREATE USER {role}@localhost IDENTIFIED BY 'of the test'")
        admin.exec_driver_sql(f"CREATE USER {role}@'127.0.0.1' IDENTIFIED BY 'of the test'")
        for host in ("localhost", "'127.0.0.1'"):
            rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES"
            admin.exec_driver_sql(f"GRANT {rights} ON {here}.* TO {role}@{host}")
        engine = sa.create_engine(url.set(drivername="mariadb+pymysql", username=role, password="of the test"))
        try:
            with pytest.raises(SchemaDrift, match=r"user_mfa_secrets .*1451.* mfa_events had gone before"):
                commands.downgrade(engine, SETTINGS)
            admin.exec_driver_sql(f"DROP DATABASE {here}_hidden")
            commands.downgrade(engine, SETTINGS)
        finally:
            engine.dispose()
            for host in ("localhost", "'127.0.0.1'"):
                admin.exec_driver_sql(f"DROP USER {role}@{host}")
    assert not set(spec.NAMES) & names(migrated)


@pytest.mark.backends("mariadb")
def test_what_hangs_on_tables_in_another_database_is_found_where_they_are(database: Database) -> None:
    here = sa.make_url(database.url).database
    there = f"{here}_there"
    engine = database.engine().execution_options(schema_translate_map={None: there})
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {there}")
        try:
            commands.upgrade(engine, SETTINGS)
            connection.exec_driver_sql(f"CREATE VIEW recent AS SELECT id FROM {there}.mfa_events")
            refers = f"FOREIGN KEY (id) REFERENCES {there}.user_mfa_secrets (id)"
            connection.exec_driver_sql(f"CREATE TABLE {there}.notes (id BIGINT, {refers})")
            with pytest.raises(SchemaDrift, match="nothing was changed") as caught:
                commands.downgrade(engine, SETTINGS)
            assert {one.partition(":")[0] for one in caught.value.differences} == {"mfa_events", "user_mfa_secrets"}
            connection.exec_driver_sql(f"DROP TABLE {there}.notes")
            connection.exec_driver_sql("DROP VIEW recent")
            commands.downgrade(engine, SETTINGS)
        finally:
            connection.rollback()
            connection.exec_driver_sql(f"DROP DATABASE {there}")
