"""Servers that are there and say nothing: every call ends, on every driver, and a server that is back serves again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests import servers
from tests.attacks.outages import hosted
from tests.databases import MariaDBServer, PostgreSQLServer
from tests.people import add_user, enroll
from twofold import DatabaseUnavailable
from twofold.database import ANSWER_WITHIN, create_async_engine, create_engine
from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.people import Clock

pytestmark = pytest.mark.every_driver

BACKENDS = pytest.mark.backends("postgresql", "mariadb")
# psycopg takes no less than two seconds for a connection.
_BRIEF = "?connect_timeout=2&read_timeout=1"
# A ping, and a connection in its place; the rest is for a machine that has other things to do.
_BOUND = 10.0


@contextlib.contextmanager
def ends_soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < _BOUND


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on which somebody accepts, and reads and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield int(listener.getsockname()[1])


@BACKENDS
def test_nobody_waits_long_for_a_listener_that_never_answers(
    backend: str, face: str, silent_port: int, keys: str, clock: Clock
) -> None:
    url = f"{backend}://ada:secret@127.0.0.1:{silent_port}/app{_BRIEF}"
    with hosted(url, face, keys, clock) as client, ends_soon(), pytest.raises(DatabaseUnavailable):
        client.status(1)


@BACKENDS
def test_a_connection_is_made_in_time_or_not_even_where_answers_may_take_as_long_as_they_like(
    backend: str, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.database.ANSWER_WITHIN", 1.0)
    url = f"{backend}://ada:secret@127.0.0.1:{silent_port}/app?connect_timeout=2"
    engine = create_engine(url, answer_within=None)
    with ends_soon(), pytest.raises(DBAPIError), engine.connect():
        pass


@pytest.fixture
def server(backend: str) -> Iterator[servers.Server]:
    """A server of this test alone."""
    make = servers.installed_postgresql if backend == "postgresql" else servers.installed_mariadb
    with make() as installed:
        yield installed


@contextlib.contextmanager
def stopped(*processes: int) -> Iterator[None]:
    """Stop processes in the middle of what they do; their machine goes on acknowledging what is sent to them."""

    def tell(number: signal.Signals) -> None:
        for process in processes:
            # PostgreSQL's for a connection that was closed a moment ago may have ended since.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    tell(signal.SIGSTOP)
    try:
        yield
    finally:
        tell(signal.SIGCONT)


@BACKENDS
def test_nobody_waits_long_for_a_server_that_stands_still_and_it_serves_again_afterwards(
    server: servers.Server, backend: str, face: str, keys: str, clock: Clock
) -> None:
    sources: dict[str, Any] = {"postgresql": PostgreSQLServer, "mariadb": MariaDBServer}
    with server.running() as process:
        with contextlib.closing(sources[backend](server.url)) as source:
            database: Database = source.create(migrated=True)
        with hosted(database.url + _BRIEF, face, keys, clock, deadline=60) as client:
            ada = enroll(client, add_user(database, "ada@example.com"), clock)
            everybody = (process.pid, *_serving(database))
            with stopped(*everybody), ends_soon(), pytest.raises(DatabaseUnavailable):
                client.challenge(ada.user_id)
            assert client.challenge(ada.user_id)
        database.dispose()


def _serving(database: Database) -> list[int]:
    """PostgreSQL serves every connection with a process of its own."""
    if database.backend == "mariadb":
        return []
    with database.engine().connect() as connection:
        told = connection.exec_driver_sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return [int(one) for one in told.scalars()]


@pytest.mark.backends("postgresql")
def test_a_statement_that_nobody_waits_for_any_longer_is_taken_back(
    migrated: Database, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.patience._CANCELLED_WITHIN", 30.0)
    add_user(migrated, "ada@example.com")
    asked = sa.text("SELECT * FROM users FOR UPDATE")
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with migrated.engine().connect() as holder, migrated.engine().connect() as watcher:
        holder.execute(asked)
        with pytest.raises(DBAPIError, match="did not answer within 1 seconds") as caught, ends_soon():
            _execute(migrated.url + "?read_timeout=1", face, asked)
        assert caught.value.connection_invalidated
        deadline = time.monotonic() + 60
        while watcher.execute(waiting).scalar_one():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@BACKENDS
def test_what_takes_long_is_let_be_where_that_is_asked_for(migrated: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twofold.database.ANSWER_WITHIN", 0.5)
    asked = sa.text("SELECT pg_sleep(1.5)" if migrated.backend == "postgresql" else "SELECT sleep(1.5)")
    engine = create_engine(migrated.url, answer_within=None)
    with engine.connect() as connection:
        connection.execute(asked)
    engine.dispose()
    with pytest.raises(DBAPIError):
        _execute(migrated.url + "?read_timeout=1", "blocking", asked)


def _execute(url: str, face: str, statement: sa.TextClause) -> None:
    async def awaited() -> None:
        engine = create_async_engine(url)
        try:
            async with engine.connect() as connection:
                await connection.execute(statement)
        finally:
            await engine.dispose()

    if face == "awaited":
        asyncio.run(awaited())
        return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(statement)
    finally:
        engine.dispose()


@pytest.mark.parametrize("make", [create_engine, create_async_engine])
@pytest.mark.parametrize("backend_of_the_url", ["postgresql", "mariadb"])
@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused_at_start(make: Any, backend_of_the_url: str, value: str) -> None:
    with pytest.raises(ConfigurationError):
        make(f"{backend_of_the_url}://ada@db/app?read_timeout={value}")


@pytest.mark.backends("postgresql")
def test_libpq_asks_whether_the_machine_is_there_and_what_the_address_says_wins(database: Database) -> None:
    engine = create_engine(f"{database.url}?keepalives_idle=99")
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        told = driver.info.get_parameters()
    engine.dispose()
    assert (told["tcp_user_timeout"], told["keepalives_interval"], told["keepalives_count"]) == ("10000", "5", "3")
    assert (told["keepalives_idle"], told["connect_timeout"]) == ("99", "5")
    assert driver.seconds == ANSWER_WITHIN
