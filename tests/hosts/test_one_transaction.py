"""Where the host hangs anything on its transactions, every operation runs in one real transaction, from its first try.

The driver or the server is asked after each statement whether a transaction is under way, and PostgreSQL when that one
began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from tests.people import Blocked, Clock, add_user
from tests.test_costs import TABLE, Counted, named
from twofold import MFA, AsyncMFA
from twofold.database import enforce_foreign_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.databases import Database
    from tests.test_costs import Told
    from twofold import Settings

DRIVERS = {
    "sqlite": ("sqlite+pysqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql+psycopg", "postgresql+psycopg_async", "postgresql+asyncpg"),
    "mariadb": ("mariadb+pymysql", "mariadb+asyncmy"),
}
AWAITED = frozenset({"sqlite+aiosqlite", "postgresql+psycopg_async", "postgresql+asyncpg", "mariadb+asyncmy"})
HEARD = (
    "begin",
    "commit",
    "rollback",
    "engine_connect",
    "set_connection_execution_options",
    "before_execute",
    "before_cursor_execute",
    "checkout",
    "checkin",
    "reset",
    "do_execute",
    "do_execute_no_params",
)


SOME = tuple(
    told
    for told in TABLE
    if told.make
    in {
        Counted.challenge,
        Counted.trusted_device,
        Counted.right,
        Counted.backup_code,
        Counted.status,
        Counted.begin,
        Counted.trust,
        Counted.recent,
    }
)
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT")
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    **{
        f"isolation_level, {level}": {
            "sqlite": {"isolation_level": level if level == "AUTOCOMMIT" else "SERIALIZABLE"},
            "postgresql": {"isolation_level": level},
            "mariadb": {"isolation_level": level},
        }
        for level in LEVELS
    },
    "schema_translate_map": {
        "sqlite": {"schema_translate_map": {"unused": "other"}},
        "postgresql": {"schema_translate_map": {None: "public"}},
        "mariadb": {"schema_translate_map": {"unused": "other"}},
    },
}
# What writes much begins with a lock in any case.
IN_TRANSACTION = {Counted.begin, Counted.trust}
Watch = Callable[..., Iterator["Watched"]]


def nothing(*_: Any) -> None:
    """What is hung there matters to nobody but the host."""


class Watched(Counted):
    """The operations on an engine of the host's, and where its statements run."""

    def __init__(self, database: Database, driver: str, keys: str, clock: Clock, first: int, **how: Any) -> None:
        url = sa.make_url(database.url)
        options = how.pop("options", {})
        self._how, self._runner = how, asyncio.Runner()
        made = url.set(drivername=driver)
        create: Any = create_async_engine if driver in AWAITED else sa.create_engine
        self.hosts = create(made)
        enforce_foreign_keys(self.hosts)
        if options:
            self.hosts = self.hosts.execution_options(**options)
        self.listened: Any = getattr(self.hosts, "sync_engine", self.hosts)
        self.seen: list[Any] = []
        super().__init__(url, keys, clock, add_user(database, driver))
        self._last = first
        event.listen(self.listened, "after_cursor_execute", self._look)

    def face(self, settings: Settings) -> MFA:
        if isinstance(self.hosts, sa.Engine):
            return MFA(self.hosts, settings, clock=self._clock, **self._how)
        awaited = AsyncMFA(self.hosts, settings, clock=self._clock, **self._how)
        return cast("MFA", Blocked(awaited, self._runner))

    def _look(self, connection: sa.Connection, *_: Any) -> None:
        pooled: Any = connection.connection
        driver = pooled.driver_connection
        match connection.dialect.driver:
            case "psycopg" | "psycopg_async":
                self.seen.append(driver.info.transaction_status.name == "INTRANS")
            case "asyncpg":
                self.seen.append(driver.is_in_transaction())
            case "pymysql" | "asyncmy":
                # A statement that reads no row of a table has not begun the transaction that goes on from it.
                self.seen.append(self._asked(pooled, "SELECT @@in_transaction OR @@autocommit = 0") == 1)
            case _:
                self.seen.append(driver.in_transaction)
        if connection.dialect.name == "postgresql":
            self.seen.append(self._asked(pooled, "SELECT transaction_timestamp()"))

    def _asked(self, pooled: Any, question: str) -> Any:
        """What the server says; nobody hears that it is asked."""
        cursor = pooled.cursor()
        cursor.execute(question)
        (answer,) = cursor.fetchone()
        cursor.close()
        return answer

    def close(self) -> None:
        disposed = self.hosts.dispose()
        if disposed is not None:
            self._runner.run(disposed)
        self._runner.close()
        self.engine.dispose()


def apart(watched: Watched, operations: Iterable[Told]) -> list[str]:
    """The operations that did not run in one transaction."""
    found: list[str] = []
    for told in operations:
        perform = told.make(watched)
        watched.seen.clear()
        perform()
        began = {one for one in watched.seen if not isinstance(one, bool)}
        if not watched.seen or False in watched.seen or len(began) > 1:
            found.append(named(told))
    return found


@pytest.fixture
def watch(migrated: Database, keys: str, clock: Clock) -> Iterator[Watch]:
    """Watch a host with each driver of the database, one after the other."""
    opened: list[Watched] = []

    def each(**how: Any) -> Iterator[Watched]:
        for number, driver in enumerate(DRIVERS[migrated.backend], start=1):
            watched = Watched(migrated, driver, keys, clock, 1000 * number, **how)
            opened.append(watched)
            yield watched

    yield each
    for watched in opened:
        watched.close()


@pytest.mark.parametrize("heard", HEARD)
def test_a_listener_of_any_kind_has_operations_in_one_transaction(watch: Watch, heard: str) -> None:
    for watched in watch():
        event.listen(watched.listened, heard, nothing)
        assert apart(watched, SOME) == []


def test_every_operation_is_in_one_transaction_where_a_listener_is_told_of_its_begin(watch: Watch) -> None:
    for watched in watch():
        event.listen(watched.listened, "begin", nothing)
        assert apart(watched, TABLE) == []


def test_every_operation_is_in_one_transaction_where_the_host_speaks_on_each_connection(watch: Watch) -> None:
    for watched in watch(on_connection=nothing):
        assert apart(watched, TABLE) == []


def test_a_listener_of_all_engines_counts_too(watch: Watch) -> None:
    event.listen(sa.Engine, "begin", nothing)
    try:
        for watched in watch():
            assert apart(watched, SOME) == []
    finally:
        event.remove(sa.Engine, "begin", nothing)


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_the_engine_change_nothing_of_it(watch: Watch, backend: str, option: str) -> None:
    for watched in watch(options=OPTIONS[option][backend]):
        event.listen(watched.listened, "begin", nothing)
        assert apart(watched, SOME) == []


@pytest.mark.backends("postgresql")
def test_where_nobody_listens_each_statement_of_a_login_commits_by_itself(watch: Watch) -> None:
    for watched in watch():
        assert apart(watched, SOME) == [named(told) for told in SOME if told.make not in IN_TRANSACTION]
