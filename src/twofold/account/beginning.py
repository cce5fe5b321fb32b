"""How a transaction begins on each database: as a writer, with bounded waits, and beside what the host has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.account import hiding
from twofold.account.driver import Statement, Translated, needs_transaction, says_whose
from twofold.account.lock_wait import LOCK_WAIT
from twofold.alone import is_for_all
from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from twofold.account.runtime import Runtime

_BEGIN = Statement(sa.text("BEGIN"), ())
_BEGIN_IMMEDIATE = Statement(sa.text("BEGIN IMMEDIATE"), ())
_MARK = Statement(sa.text("SAVEPOINT twofold"), ())
# For this transaction alone: behind a pooler, a session is not ours.
_WAIT_A_WHILE = Statement(sa.text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}s'"), ())
_WRITE_NOTHING = Statement(sa.delete(sa.table("user_mfa_secrets")).where(sa.false()), ())
# PQTRANS_IDLE: the driver's own name for it would need the driver.
_IDLE = 0


def begin(runtime: Runtime, connection: sa.Connection, *, is_reading: bool = False) -> None:
    """Begin, or go on in what a listener of the host has begun: what it has set may hold for that alone.

    Then the host may say on the connection what else holds.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":
        if not (needs_transaction(connection.engine) and _has_begun(connection)):
            with Translated(connection):
                end_what_has_begun(connection)
                connection.execution_options(isolation_level="READ COMMITTED")
    elif dialect != "sqlite" and is_autocommit(connection):
        with Translated(connection):
            connection.execution_options(isolation_level="READ COMMITTED")
    if not connection.in_transaction():
        connection.begin()
    if dialect == "sqlite":
        _begin_on_sqlite(connection, is_reading=is_reading)
    runtime.hear(connection)
    if dialect == "postgresql":
        if runtime.on_connection is not None and not _has_begun_in_driver(connection):
            _refuse_what_nobody_has_told(connection)
        _WAIT_A_WHILE.count(connection, ())


def _refuse_what_nobody_has_told(connection: sa.Connection) -> None:
    """Refuse to ask where row security hides rows and nothing holds that says whose: they would look not enrolled."""
    if not says_whose(connection) and hiding.bound(connection):
        raise ConfigurationError(
            "on_connection has said nothing in this transaction, or has ended it, and row security binds this role: "
            "say whose rows are asked for, and leave the transaction open. Nothing was decided."
        )


def _has_begun(connection: sa.Connection) -> bool:
    """Whether a transaction of PostgreSQL is under way on this connection, in Core or in the driver."""
    return connection.in_transaction() or _has_begun_in_driver(connection)


def _has_begun_in_driver(connection: sa.Connection) -> bool:
    pooled: Any = connection.connection
    driver = pooled.driver_connection
    # psycopg knows what the server has begun, and libpq beneath it says so at once; the adapter of asyncpg begins it.
    known = getattr(driver, "pgconn", None) or getattr(driver, "info", None)
    has_driver = known.transaction_status != _IDLE if known else getattr(pooled.dbapi_connection, "_transaction", None)
    return bool(has_driver)


def end_what_has_begun(connection: sa.Connection) -> None:
    """Commit what the host did with a fresh connection: it may have begun a transaction, which nobody would commit."""
    if _has_begun(connection):
        driver: Any = connection.connection.dbapi_connection
        driver.commit()


def _begin_on_sqlite(connection: sa.Connection, *, is_reading: bool) -> None:
    """Begin as a writer, since a reader that becomes one fails at once when another was faster; as a reader to read.

    A listener of the host's engine may have begun already, as a reader: a write of nothing takes the lock then.
    """
    if not _has_begun_on_sqlite(connection):
        (_BEGIN if is_reading else _BEGIN_IMMEDIATE).count(connection, ())
    elif not is_reading:
        _WRITE_NOTHING.count(connection, ())
    if is_for_all(connection.engine):
        _MARK.count(connection, ())


def begin_for_savepoint(connection: sa.Connection) -> None:
    """Begin on SQLite, where the caller has not: outside a transaction, the release of a savepoint would commit."""
    if not _has_begun_on_sqlite(connection):
        _BEGIN_IMMEDIATE.count(connection, ())


def _has_begun_on_sqlite(connection: sa.Connection) -> bool:
    return bool(getattr(connection.connection.driver_connection, "in_transaction", False))


def is_autocommit(connection: sa.Connection) -> bool:
    """Whether the driver commits each statement, because the host's engine told it to."""
    pooled: Any = connection.connection
    getter = getattr(pooled.driver_connection, "get_autocommit", None)
    # asyncpg begins no transaction by itself; the adapter of SQLAlchemy does.
    return bool(getter() if getter else getattr(pooled.dbapi_connection, "autocommit", False))
