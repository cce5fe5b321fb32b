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
from twofold.schema import commands, spec
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
    in_the_way = [built for built in here(migrated) if built.drop != "goes along"]
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


def test_what_goes_along_is_said_before_it_goes(migrated: Database, caplog: pytest.LogCaptureFixture) -> None:
    shell = Shell({"database_url": migrated.url})
    along = [built for built in here(migrated) if built.drop == "goes along"]
    assert along
    called: list[str] = []
    with migrated.engine().connect() as connection:
        for built in along:
            built.make(connection)
            called.append(built.called(connection))
    asked = shell("db", "downgrade", typed="n\n")
    assert asked.code == 1
    for name in called:
        assert f"goes {name}." in asked.err
    with caplog.at_level(logging.WARNING):
        commands.downgrade(migrated.engine(), SETTINGS)
    for name in called:
        assert any(f"goes {name}." in message for message in caplog.messages)
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
