"""A host that says which tenant holds, in a listener or on_connection: our statements run where its own do."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from tests.hosts.at_once import at_once, face_of
from tests.people import Blocked, Clock, Enrolment, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, Rejected, WrongKey
from twofold.database import create_engine
from twofold.metadata import NAMES
from twofold.schema.commands import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import Database
    from tests.hosts.at_once import Made

DRIVERS = {
    "postgresql": ("postgresql+psycopg", "postgresql+psycopg_async", "postgresql+asyncpg"),
    "mariadb": ("mysql+pymysql", "mysql+asyncmy"),
}
AWAITED = frozenset({"postgresql+psycopg_async", "postgresql+asyncpg", "mysql+asyncmy"})


How = dict[str, Any]


def execute(raw: Any, statement: str) -> None:
    cursor = raw.cursor()
    cursor.execute(statement)
    cursor.close()


def at_begin(engine: sa.Engine, statement: str) -> How:
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(statement))
    return {}


def at_checkout(engine: sa.Engine, statement: str) -> How:
    event.listen(engine, "checkout", lambda raw, _record, _proxy: execute(raw, statement))
    return {}


def before_each_statement(engine: sa.Engine, statement: str) -> How:
    event.listen(engine, "before_cursor_execute", lambda _connection, cursor, *_: cursor.execute(statement))
    return {}


def as_connection_is_made(engine: sa.Engine, statement: str) -> How:
    event.listen(engine, "engine_connect", lambda connection: connection.exec_driver_sql(statement))
    return {}


def as_the_driver_is_called(engine: sa.Engine, statement: str) -> How:
    def say(cursor: Any, *_: Any) -> None:
        cursor.execute(statement)

    event.listen(engine, "do_execute", say)
    event.listen(engine, "do_execute_no_params", say)
    return {}


def on_connection(_engine: sa.Engine, statement: str) -> How:
    return {"on_connection": lambda connection: connection.exec_driver_sql(statement)}


WAYS: dict[str, Callable[[sa.Engine, str], How]] = {
    "begin": at_begin,
    "checkout": at_checkout,
    "checkout, for one transaction": at_checkout,
    "each statement": before_each_statement,
    "do_execute": as_the_driver_is_called,
    "engine_connect": as_connection_is_made,
    "on_connection": on_connection,
}


@contextlib.contextmanager
def opened(url: sa.URL, driver: str, keys: str, clock: Clock, prepare: Callable[[sa.Engine], How]) -> Iterator[MFA]:
    """The library on an engine of the host's, which the host has prepared."""
    url, settings = url.set(drivername=driver), plain_settings(keys=keys)
    with asyncio.Runner() as runner:
        if driver not in AWAITED:
            engine = sa.create_engine(url)
            yield MFA(engine, settings, clock=clock, **prepare(engine))
            engine.dispose()
        else:
            awaited = create_async_engine(url)
            how = prepare(awaited.sync_engine)
            yield cast("MFA", Blocked(AsyncMFA(awaited, settings, clock=clock, **how), runner))
            runner.run(awaited.dispose())


class Tenants:
    """Two tenants, each with a user of the same id and an app of its own. The host's connections begin in `a`."""

    def __init__(self, database: Database, keys: str, clock: Clock) -> None:
        self.database, self.backend = database, database.backend
        url = sa.make_url(database.url)
        with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            names = {tenant: f"{url.database}_{tenant}" for tenant in ("a", "b")}
            for name in names.values():
                connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        self.names = names
        urls = {tenant: self.at(name) for tenant, name in names.items()}
        self.url, self.people = urls["a"], dict[str, Enrolment]()
        for tenant, at in urls.items():
            engine = create_engine(at.render_as_string(hide_password=False))
            upgrade(engine, plain_settings(keys=keys))
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    "INSERT INTO users (id, subject, created_at) VALUES (7, 'ada', '2026-01-01')"
                )
            self.people[tenant] = enroll(MFA(engine, plain_settings(keys=keys), clock=clock), 7, clock)
            engine.dispose()
        # Of both codes none is of a step that the other tenant has spent.
        clock.forward(minutes=2)

    def at(self, name: str) -> sa.URL:
        """The address of whoever is in a schema from the first."""
        url = sa.make_url(self.database.url)
        if self.backend == "mariadb":
            return url.set(database=name)
        return url.update_query_dict({"options": f"-csearch_path={name}"})

    def plain(self, driver: str) -> sa.URL:
        """The address of the host's engine, which knows of `a` alone."""
        if driver != "postgresql+asyncpg":
            return self.url
        # The role itself begins there: asyncpg reads no options out of an address.
        with self.database.engine().begin() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {self.url.database} SET search_path TO {self.names['a']}")
        return self.url.difference_update_query(["options"])

    def switch(self, way: str, tenant: str = "b") -> str:
        """What the host says to be in `b`, or in another one."""
        if self.backend == "mariadb":
            return f"USE {self.names[tenant]}"
        is_for_one = way != "checkout"
        return f"SET {'LOCAL ' if is_for_one else ''}search_path TO {self.names[tenant]}"

    def lines(self, tenant: str) -> int:
        """How many lines stand in the log of a tenant."""
        with self.database.engine().connect() as connection:
            return int(connection.exec_driver_sql(f"SELECT count(*) FROM {self.names[tenant]}.mfa_events").scalar_one())

    def drop(self) -> None:
        """Drop what stands beside the database of the test."""
        if self.backend == "mariadb":
            with self.database.engine().begin() as connection:
                for name in self.names.values():
                    connection.exec_driver_sql(f"DROP SCHEMA {name}")


@pytest.fixture
def tenants(database: Database, keys: str, clock: Clock) -> Iterator[Tenants]:
    tenants = Tenants(database, keys, clock)
    yield tenants
    tenants.drop()


def a_life(mfa: MFA, here: Enrolment, elsewhere: Enrolment, clock: Clock) -> Enrolment:
    """Ada of `b` is at home, and the codes of her namesake in `a` open nothing; at the end she has a new app."""
    for code in (elsewhere.phone.code(), elsewhere.backup_codes[0]):
        with pytest.raises(Rejected):
            log_in(mfa, 7, code)
    verified = log_in(mfa, 7, here.phone.code())
    device = mfa.trusted_devices.trust(verified)
    assert not mfa.challenge(7, device_token=device.token)
    assert log_in(mfa, 7, here.backup_codes[0])
    assert mfa.status(7).backup_codes_remaining == 9
    assert len(mfa.backup_codes.regenerate(verified)) == 10
    assert mfa.events.verify(7).is_intact
    mfa.reset(7, by="grace@example.com", reason="a lost phone")
    return enroll(mfa, 7, clock)


@pytest.mark.backends("postgresql", "mariadb")
@pytest.mark.parametrize("way", WAYS)
def test_the_tenant_that_a_listener_sets_is_the_one_that_is_asked(
    tenants: Tenants, keys: str, clock: Clock, way: str
) -> None:
    here, statement = tenants.people["b"], tenants.switch(way)
    before = tenants.lines("a")
    for driver in DRIVERS[tenants.backend]:
        url = tenants.plain(driver)
        with opened(url, driver, keys, clock, lambda engine: WAYS[way](engine, statement)) as mfa:
            here = a_life(mfa, here, tenants.people["a"], clock)
    assert tenants.lines("a") == before


@pytest.mark.backends("postgresql", "mariadb")
def test_what_is_said_for_one_tenant_is_there_for_no_other(tenants: Tenants, keys: str, clock: Clock) -> None:
    settings, left = plain_settings(keys=keys), {"a": 10, "b": 9}
    said: contextvars.ContextVar[str] = contextvars.ContextVar("said")
    of_b = create_engine(tenants.at(tenants.names["b"]).render_as_string(hide_password=False))
    log_in(MFA(of_b, settings, clock=clock), 7, tenants.people["b"].backup_codes[0])
    of_b.dispose()

    def for_good(connection: sa.Connection) -> None:
        # It holds for the session, and so it stays on the connection.
        connection.exec_driver_sql(tenants.switch("checkout"))

    def each_time(connection: sa.Connection) -> None:
        connection.exec_driver_sql(tenants.switch("begin", said.get()))

    def is_there(mfa: MFA, tenant: str) -> bool:
        said.set(tenant)
        return mfa.status(7).backup_codes_remaining == left[tenant]

    for driver in DRIVERS[tenants.backend]:
        url = tenants.plain(driver).set(drivername=driver)
        engine: Made = create_async_engine(url) if driver in AWAITED else sa.create_engine(url)
        silent, loud, polite = (face_of(engine, settings, clock, how) for how in (None, for_good, each_time))
        asked = ((silent, "a"), (loud, "b"), (polite, "a"), (polite, "b"))
        jobs = [functools.partial(is_there, *one) for one in asked * 20]
        for workers in (1, 12):
            assert at_once([engine], jobs, workers) == [True] * len(jobs)


@pytest.mark.backends("postgresql", "mariadb")
@pytest.mark.parametrize("is_named", [False, True])
def test_all_rows_of_a_user_that_are_copied_to_a_namesake_open_unless_each_tenant_is_a_deployment(
    tenants: Tenants, keys: str, clock: Clock, *, is_named: bool
) -> None:
    with contextlib.ExitStack() as opened:
        faces, phones = dict[str, MFA](), dict[str, Enrolment]()
        for tenant, name in tenants.names.items():
            engine = create_engine(tenants.at(name).render_as_string(hide_password=False))
            opened.callback(engine.dispose)
            with engine.begin() as connection:
                for table in NAMES:
                    connection.exec_driver_sql(f"DELETE FROM {table}")
            settings = plain_settings(keys=keys, deployment=tenant if is_named else "")
            faces[tenant] = MFA(engine, settings, clock=clock)
            phones[tenant] = enroll(faces[tenant], 7, clock)
        a, b = tenants.names.values()
        with tenants.database.engine().begin() as writer:
            for table in NAMES:
                writer.exec_driver_sql(f"DELETE FROM {b}.{table}")
                writer.exec_driver_sql(f"INSERT INTO {b}.{table} SELECT * FROM {a}.{table}")
        if is_named:
            with pytest.raises(WrongKey):
                faces["b"].challenge(7)
        else:
            assert log_in(faces["b"], 7, phones["a"].phone.code())
