"""One migration at a time, in one transaction, that never makes a login wait long.

Creating a table that references `users` locks `users` against writers, and dropping one locks it against readers too.
So a statement waits for its lock for a second at most, everything is undone, and the turn is taken again.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from twofold.errors import DatabaseUnavailable
from twofold.schema import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE = 60.0
# MariaDB counts in seconds.
_LOCK_WAIT = {"postgresql": "500ms", "mariadb": 1}
_POSTGRESQL_KEY = int.from_bytes(b"twofold", "big")
# PostgreSQL: lock_not_available, deadlock_detected. MariaDB: lock wait timeout, deadlock. SQLite: busy.
_BUSY = {"55P03", "40P01", 1205, 1213, "SQLITE_BUSY"}


def take(connection: sa.Connection, work: Callable[[], None], version_table: str | None = None) -> None:
    """Do the work alone, all of it or nothing. Raises LockTimeout when the turn does not come within a minute.

    MariaDB commits at every DDL statement, so what was done there before a failure stays; what is done is whole tables,
    and the next run goes on from them; a `version_table` that the work has made goes again. A connection that is in a
    transaction already keeps its own rules.
    """
    if connection.in_transaction():
        return work()
    turns = {"postgresql": _postgresql, "sqlite": _sqlite}
    turn = turns.get(connection.dialect.name, partial(_mariadb, version_table=version_table))
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with turn(connection):
                return work()
        except _NotYet:
            reason = "Another migration is at work"
        except DBAPIError as error:
            if not is_busy(error):
                raise
            reason = "Other transactions hold a table that the migration needs"
        if time.monotonic() > deadline:
            raise LockTimeout(f"{reason}; nothing was changed. Try again later.")
        pause()


class LockTimeout(DatabaseUnavailable):
    """The turn, or a lock, did not come in time; nothing was changed."""


@contextmanager
def hold(connection: sa.Connection) -> Iterator[None]:
    """Keep the turn for a run of many transactions, as far as the database has locks that outlive one.

    Raises LockTimeout when it does not come within a minute. On SQLite every transaction takes the turn by itself.
    """
    match connection.dialect.name:
        case "sqlite":
            yield
            return
        case "postgresql":
            get: sa.ColumnElement[Any] = sa.func.pg_try_advisory_lock(_POSTGRESQL_KEY)
            release: sa.ColumnElement[Any] = sa.func.pg_advisory_unlock(_POSTGRESQL_KEY)
        case _:
            get, release = sa.func.get_lock(_mariadb_lock(), 0), sa.func.release_lock(_mariadb_lock())
    deadline = time.monotonic() + _PATIENCE
    while not _ask(connection, get):
        if time.monotonic() > deadline:
            raise LockTimeout("Another migration is at work; nothing was changed. Try again later.")
        pause()
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:
            connection.rollback()
            _ask(connection, release)


def _ask(connection: sa.Connection, function: sa.ColumnElement[Any]) -> Any:
    with connection.begin():
        return connection.scalar(sa.select(function))


def pause() -> None:
    """Wait a little, and never as long as the one who waits for the same."""
    time.sleep(random.uniform(0.1, 0.4))  # noqa: S311 - the pause only keeps two runs out of step.


class _NotYet(Exception):
    """Somebody else has the turn."""


def is_busy(error: DBAPIError) -> bool:
    """Whether somebody else's lock was the reason."""
    original = error.orig
    codes = {getattr(original, "sqlstate", None), getattr(original, "sqlite_errorname", None), *_first(original)}
    return bool(codes & _BUSY)


def _first(original: BaseException | None) -> tuple[object, ...]:
    return () if original is None else original.args[:1]


@contextmanager
def _postgresql(connection: sa.Connection) -> Iterator[None]:
    with connection.begin():
        # Polled rather than waited for: a waiting statement would hold back CREATE INDEX CONCURRENTLY elsewhere.
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_POSTGRESQL_KEY))):
            raise _NotYet
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT['postgresql']}'")
        yield


@contextmanager
def _sqlite(connection: sa.Connection) -> Iterator[None]:
    """The driver's own transactions end before DDL; one that SQLite itself begins does not."""
    usual = connection.default_isolation_level
    connection.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
    finally:
        connection.execution_options(isolation_level=usual or "SERIALIZABLE")


def _mariadb_lock() -> sa.ColumnElement[Any]:
    """Locks are the server's, and so their names have to tell databases apart."""
    return sa.func.concat("twofold:", sa.func.left(sa.func.sha2(sa.func.database(), 256), 40))


@contextmanager
def _mariadb(connection: sa.Connection, version_table: str | None) -> Iterator[None]:
    lock = _mariadb_lock()
    with connection.begin():
        usual = connection.scalar(sa.text("SELECT @@SESSION.lock_wait_timeout"))
        if not connection.scalar(sa.select(sa.func.get_lock(lock, 0))):
            raise _NotYet
        made = None
        if version_table is not None:
            versions = sa.Table(version_table, sa.MetaData(), schema=place.ours(connection))
            made = None if sa.inspect(connection).has_table(versions.name, versions.schema) else versions
    try:
        with connection.begin():
            connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_LOCK_WAIT['mariadb']}")
            yield
    except BaseException:
        if made is not None and connection.closed is False and not connection.invalidated:
            with connection.begin():
                connection.execute(sa.schema.DropTable(made, if_exists=True))
        raise
    finally:
        if not connection.invalidated:
            with connection.begin():
                connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {usual}")
                connection.scalar(sa.select(sa.func.release_lock(lock)))
