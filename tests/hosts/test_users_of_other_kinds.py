"""Users that are no ordinary table: served where the database allows a foreign key, else called what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.databases import BACKENDS
from tests.people import Clock, enroll, log_in, plain_settings
from twofold import MFA, ConfigurationError
from twofold.schema import adoption, commands, spec
from twofold.schema.adoption import Refused

if TYPE_CHECKING:
    from tests.databases import Database, Sources

PARTITIONED = (
    "CREATE TABLE users (id BIGINT PRIMARY KEY) PARTITION BY HASH (id)",
    "CREATE TABLE users_0 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
    "CREATE TABLE users_1 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "INSERT INTO users VALUES (7), (8)",
)
PEOPLE = "CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY)"
VIEW = (PEOPLE, "CREATE VIEW users AS SELECT id FROM people")
COMPOSITE = ("CREATE TABLE users (tenant INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (tenant, id))",)
UNIQUE_TOGETHER = (
    (
        "CREATE TABLE users (number INTEGER NOT NULL PRIMARY KEY, id INTEGER NOT NULL, tenant INTEGER, "
        "UNIQUE (tenant, id))"
    ),
)
NOT_UNIQUE = ("CREATE TABLE users (number INTEGER NOT NULL PRIMARY KEY, id INTEGER NOT NULL)",)
PLAIN = NOT_UNIQUE[0]
PARTIAL = (PLAIN, "CREATE UNIQUE INDEX one_each ON users (id) WHERE number > 0")

REFUSED: list[tuple[str, str, tuple[str, ...], str]] = [
    *((backend, "a view", VIEW, "table behind it") for backend in ("sqlite", "postgresql", "mariadb")),
    *(
        (backend, "only part of the primary key (tenant, id)", COMPOSITE, "unique key of its own")
        for backend in ("sqlite", "postgresql", "mariadb")
    ),
    *(
        (backend, "only part of a unique key", UNIQUE_TOGETHER, "unique key of its own")
        for backend in ("sqlite", "postgresql", "mariadb")
    ),
    *(
        (backend, "neither the primary key nor unique", NOT_UNIQUE, "unique key of its own")
        for backend in ("sqlite", "postgresql", "mariadb")
    ),
    *((backend, "one_each is partial", PARTIAL, "unique key of its own") for backend in ("sqlite", "postgresql")),
    ("sqlite", "a virtual table", ("CREATE VIRTUAL TABLE users USING fts5(id)",), "table behind it"),
    (
        "postgresql",
        "a materialized view",
        (PEOPLE, "CREATE MATERIALIZED VIEW users AS SELECT id FROM people"),
        "behind",
    ),
    (
        "postgresql",
        "a partition",
        (
            "CREATE TABLE people (id BIGINT PRIMARY KEY) PARTITION BY HASH (id)",
            "CREATE TABLE users PARTITION OF people FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        ),
        "whole table",
    ),
    (
        "postgresql",
        "only part of the primary key (id, made)",
        ("CREATE TABLE users (id BIGINT, made DATE, PRIMARY KEY (id, made)) PARTITION BY RANGE (made)",),
        "unique key of its own",
    ),
    ("postgresql", "unlogged", ("CREATE UNLOGGED TABLE users (id BIGINT PRIMARY KEY)",), "SET LOGGED"),
    (
        "postgresql",
        "is deferrable",
        ("CREATE TABLE users (id BIGINT NOT NULL UNIQUE DEFERRABLE)",),
        "unique key of its own",
    ),
    ("mariadb", "engine MyISAM", ("CREATE TABLE users (id BIGINT PRIMARY KEY) ENGINE=MyISAM",), "ENGINE = InnoDB"),
    ("mariadb", "engine Aria", ("CREATE TABLE users (id BIGINT PRIMARY KEY) ENGINE=Aria",), "ENGINE = InnoDB"),
    (
        "mariadb",
        "partitioned",
        ("CREATE TABLE users (id BIGINT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2",),
        "REMOVE PARTITIONING",
    ),
    ("mariadb", "over a prefix", ("CREATE TABLE users (id VARCHAR(64) NOT NULL, UNIQUE (id(8)))",), "unique key"),
    ("mariadb", "over a hash", ("CREATE TABLE users (id TEXT NOT NULL, UNIQUE (id))",), "unique key"),
]


def execute(database: Database, *statements: str) -> None:
    with database.engine().begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def tables(database: Database) -> set[str]:
    with database.engine().connect() as connection:
        return set(sa.inspect(connection).get_table_names())


@pytest.mark.backends("postgresql")
def test_a_whole_life_works_where_the_users_are_partitioned(database: Database, keys: str) -> None:
    execute(database, *PARTITIONED)
    clock, engine, settings = Clock(), database.engine(), plain_settings(keys=keys)
    commands.upgrade(engine, settings)
    assert commands.verify(engine, settings).findings == ()
    mfa = MFA(engine, settings, clock=clock)
    enrolments = {user_id: enroll(mfa, user_id, clock) for user_id in (7, 8)}
    clock.forward(seconds=60)
    for user_id, enrolment in enrolments.items():
        assert log_in(mfa, user_id, enrolment.phone.code()).user_id == user_id
    execute(database, "DELETE FROM users WHERE id = 7")
    with engine.connect() as connection:
        left = [set(connection.exec_driver_sql(f"SELECT user_id FROM {name}").scalars()) for name in spec.NAMES]
    assert set().union(*left) == {8}
    commands.downgrade(engine, settings)
    assert not tables(database) & set(spec.NAMES)
    assert {"users", "users_0", "users_1"} <= tables(database)


@pytest.mark.backends("postgresql")
def test_tables_beside_partitioned_users_are_adopted(database: Database) -> None:
    execute(database, *PARTITIONED)
    engine, settings = database.engine(), plain_settings()
    commands.upgrade(engine, settings)
    execute(database, "ALTER TABLE mfa_events DROP CONSTRAINT mfa_events_user_id_fkey")
    assert not commands.verify(engine, settings).conforms
    adoption.apply(engine, settings)
    assert commands.verify(engine, settings).findings == ()


@pytest.mark.parametrize(("on", "said", "statements", "step"), [one for one in REFUSED if one[0] in BACKENDS])
def test_users_that_nothing_can_reference_are_called_what_they_are(
    databases: Sources, on: str, said: str, statements: tuple[str, ...], step: str
) -> None:
    with databases.database(on, migrated=False) as database:
        execute(database, *statements)
        every_door_refuses(database, said, step)


def every_door_refuses(database: Database, said: str, step: str) -> None:
    engine, settings, before = database.engine(), plain_settings(), tables(database)
    with pytest.raises(ConfigurationError) as refused:
        commands.upgrade(engine, settings)
    assert said in str(refused.value)
    assert step in str(refused.value)
    assert tables(database) <= before | {spec.VERSION_TABLE}

    (finding,) = (one for one in commands.verify(engine, settings).drift if one.table == "users")
    assert finding.found in str(refused.value) or finding.found == "missing"
    blocked = adoption.plan(engine, settings).blocked
    assert [step in one.remedy for one in blocked if one.table == "users"] == [True]
    with pytest.raises(Refused):
        adoption.apply(engine, settings)
    assert tables(database) <= before | {spec.VERSION_TABLE}
