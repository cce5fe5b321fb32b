"""How one plain function becomes an operation of both faces, `MFA` and `AsyncMFA`.

An operation is a function whose first parameter is its `Work`. `Operation` binds it: called on the blocking face it
runs, called on the awaited face it is awaited and runs in a greenlet, as SQLAlchemy itself runs on asyncio. Both run it
in a short transaction of its own, so that a caller who rolls back after a wrong code takes neither the failure count
nor the event with him.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import greenlet_spawn

from twofold.account import Conflict, Work
from twofold.driver import Statement, Translated
from twofold.errors import ConfigurationError, DatabaseUnavailable, MFAError, SchemaDrift
from twofold.keyring import Keyring
from twofold.settings import read_key_file
from twofold.statements import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from twofold.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

_BEGIN_IMMEDIATE = Statement(sa.text("BEGIN IMMEDIATE"), ())
# The second try locks the row, so only a database that aborts transactions by itself needs more.
_TRIES = 10
# PQTRANS_IDLE: the driver's own name for it would need the driver.
_IDLE = 0


@dataclass(slots=True)
class Core:
    """What both faces share: settings, keys, the clock, and the live schema once it has been read."""

    settings: Settings
    keyring: Keyring
    clock: Callable[[], datetime]
    schema: Schema | None = None
    may_guess_within: bool = False

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], datetime] | None) -> Core:
        """Make the core. Raises ConfigurationError where keys are missing or weak."""
        return cls(settings, read_keys(settings), clock or (lambda: datetime.now(UTC)))

    def work(
        self, connection: sa.Connection, *, is_locking: bool, in_transaction: bool, may_guess: bool = True
    ) -> Work:
        """Begin one attempt on a connection."""
        if self.schema is None:
            self.schema = Schema.of(connection, self.settings.users)
        now = self.clock()
        if now.tzinfo is None:
            raise ConfigurationError("The clock gives a moment without a time zone.")
        return Work(
            connection,
            self.schema,
            self.keyring,
            self.settings,
            now,
            is_locking,
            in_transaction=in_transaction,
            may_guess=may_guess,
        )


def read_keys(settings: Settings) -> Keyring:
    """Read the keys that the settings name, TWOFOLD_KEYS before TWOFOLD_KEYS_FILE. Raises ConfigurationError."""
    if settings.keys is not None:
        return Keyring.parse(settings.keys.get_secret_value())
    if settings.keys_file is None:
        raise ConfigurationError("There are no keys; make one with `twofold keys generate` and set TWOFOLD_KEYS.")
    return Keyring.parse(",".join(read_key_file(settings.keys_file)))


class Blocking:
    """The face of an `Engine`, or of a `Connection` whose transaction the caller owns."""

    def __init__(self, core: Core, source: sa.Engine | sa.Connection) -> None:
        if not isinstance(source, sa.Connection | sa.Engine):
            raise TypeError(f"MFA takes an Engine, not {type(source).__name__}; AsyncMFA takes an AsyncEngine.")
        _refuse_one_for_all(source)
        self._core = core
        self._source = source

    def _perform(self, function: Callable[Concatenate[Work, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        call: Callable[[Work], R] = lambda work: function(work, *args, **kwargs)  # noqa: E731
        try:
            with _TRANSLATED:
                if isinstance(self._source, sa.Connection):
                    return _within(self._core, self._source, call)
                return _alone(self._core, self._source, call)
        except MFAError as error:
            del args, kwargs
            raise _bare(error)  # noqa: B904


class Awaited:
    """The face of an `AsyncEngine`, or of an `AsyncConnection` whose transaction the caller owns. For asyncio."""

    def __init__(self, core: Core, source: AsyncEngine | AsyncConnection) -> None:
        from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

        if not isinstance(source, AsyncConnection | AsyncEngine):
            raise TypeError(f"AsyncMFA takes an AsyncEngine, not {type(source).__name__}.")
        self._core = core
        self._joined = source if isinstance(source, AsyncConnection) else None
        self._engine = source.sync_engine
        _refuse_one_for_all(None if self._joined else self._engine)

    async def _perform(self, function: Callable[Concatenate[Work, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        call: Callable[[Work], R] = lambda work: function(work, *args, **kwargs)  # noqa: E731
        try:
            with _TRANSLATED:
                if self._joined is not None:
                    return await self._joined.run_sync(lambda connection: _within(self._core, connection, call))
                # A request that goes away must not leave a transaction half done, nor take back a guess that was made:
                # what has begun is finished, whoever still waits for it.
                task = asyncio.ensure_future(greenlet_spawn(_alone, self._core, self._engine, call))
                _UNDER_WAY.add(task)
                task.add_done_callback(_done)
                return await asyncio.shield(task)
        except MFAError as error:
            del args, kwargs
            raise _bare(error)  # noqa: B904


# The loop itself keeps only a weak hold of its tasks.
_UNDER_WAY: set[asyncio.Future[Any]] = set()


def _done(task: asyncio.Future[Any]) -> None:
    _UNDER_WAY.discard(task)
    if not task.cancelled():
        # An error that nobody waits for any more was still written where it is to be written.
        task.exception()


class Operation(Generic[P, R]):
    """An operation as an attribute of a face."""

    def __init__(self, function: Callable[Concatenate[Work, P], R]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, face: None, owner: type) -> Self: ...
    @overload
    def __get__(self, face: Blocking, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, face: Awaited, owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, face: Blocking | Awaited | None, owner: type) -> Any:
        """Bind the operation to a face, which keeps it."""
        if face is None:
            return self
        bound = functools.update_wrapper(functools.partial(face._perform, self._function), self._function)  # noqa: SLF001
        if getattr(type(face), self._name, None) is not self:
            # Kept on the face, it would stand before the method of the host's own class that calls it by super().
            return bound
        return face.__dict__.setdefault(self._name, bound)


def _refuse_one_for_all(source: object) -> None:
    """Refuse an engine that gives everybody the same connection: one operation would end the transaction of another.

    On SQLite a file has one writer at a time, and tests keep a database in memory that way.
    """
    if isinstance(source, sa.Engine) and isinstance(source.pool, StaticPool) and source.dialect.name != "sqlite":
        raise ConfigurationError("A StaticPool shares one connection; give Twofold an engine with a pool of several.")


def _alone(core: Core, engine: sa.Engine, call: Callable[[Work], R]) -> R:
    """Run an operation in a transaction of its own, again on the fresh row where somebody else was faster."""
    with engine.connect() as connection:
        dialect = connection.dialect.name
        for attempt in range(_TRIES):
            # One statement needs no transaction around it, and a verification on PostgreSQL is one statement.
            in_transaction = dialect != "postgresql" or attempt > 0
            if in_transaction and (dialect == "postgresql" or (dialect != "sqlite" and _is_autocommit(connection))):
                with Translated(connection):
                    connection.execution_options(isolation_level="READ COMMITTED")
            try:
                with connection.begin() if in_transaction else _EachAlone(connection) as transaction:
                    if dialect == "sqlite":
                        _take_write_lock(connection)
                    work = core.work(connection, is_locking=attempt > 0, in_transaction=in_transaction)
                    with work.kept(transaction):
                        return call(work)
            except Conflict:
                continue
            except DBAPIError as error:
                if not _is_worth_retrying(error, attempt):
                    raise
    raise DatabaseUnavailable("The database is too busy to decide; nothing was spent, try again.")


class _EachAlone:
    """In the block the driver commits every statement by itself, without the round trips of a transaction.

    The driver is told and not SQLAlchemy, which would take longer to switch than the database takes to verify.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        driver: Any = connection.connection.dbapi_connection
        self._driver = driver
        self._is_ours = not driver.autocommit
        # psycopg knows what the server has begun, and nothing is the rule.
        told: Any = getattr(connection.connection.driver_connection, "info", None)
        self._is_idle = getattr(told, "transaction_status", None) == _IDLE

    def __enter__(self) -> Self:
        with Translated(self._connection):
            # Whatever the host does with a fresh connection may have begun a transaction, which nobody would commit.
            if not self._is_idle:
                self._driver.commit()
            if self._is_ours:
                self._driver.autocommit = True
        return self

    def commit(self) -> None:
        """Nothing is left to commit."""

    def __exit__(self, *_: object) -> None:
        if self._connection.invalidated:
            return
        try:
            if self._connection.in_transaction():
                # Core begins one by itself, of which the driver knows nothing.
                self._connection.rollback()
            if self._is_ours:
                self._driver.autocommit = False
        except Exception as broken:  # noqa: BLE001
            # What was decided stands; a connection that cannot go back as it came goes to nobody.
            self._connection.invalidate(broken)


def _within(core: Core, connection: sa.Connection, call: Callable[[Work], R]) -> R:
    """Run an operation in the caller's transaction, each try in a savepoint.

    Every read locks, since the caller may have taken a snapshot long ago.
    """
    if connection.dialect.name == "sqlite":
        # Released outside a transaction, SQLite's savepoint would commit, and the caller could not roll back.
        _take_write_lock(connection, is_ours=False)
    elif connection.dialect.name in {"mysql", "mariadb"} and _is_autocommit(connection):
        raise ConfigurationError("This connection commits by itself; give within() one that has a transaction.")
    for _ in range(_TRIES):
        try:
            with connection.begin_nested() as savepoint:
                work = core.work(connection, is_locking=True, in_transaction=True, may_guess=core.may_guess_within)
                with work.kept(savepoint):
                    return call(work)
        except Conflict:
            continue
    raise DatabaseUnavailable("The row is written by somebody else; end this transaction and try again.")


def _take_write_lock(connection: sa.Connection, *, is_ours: bool = True) -> None:
    """Begin SQLite's transaction as a writer, since a reader that becomes one fails at once when another was faster."""
    driver = connection.connection.driver_connection
    has_begun = getattr(driver, "in_transaction", False)
    if has_begun and is_ours:
        # The host's engine begins transactions by itself, and as a reader; nothing has happened in this one.
        connection.exec_driver_sql("ROLLBACK")
    if is_ours or not has_begun:
        _BEGIN_IMMEDIATE.count(connection, ())


def _is_autocommit(connection: sa.Connection) -> bool:
    """Whether the driver commits each statement, because the host's engine told it to."""
    driver = connection.connection.driver_connection
    told = getattr(driver, "get_autocommit", None)
    return bool(told() if told else getattr(driver, "autocommit", False))


def _codes(error: DBAPIError) -> set[str]:
    """What the driver calls the error: an SQLSTATE, the number of MariaDB, or the first words of SQLite."""
    original = error.orig
    named = {getattr(original, "sqlstate", None), getattr(original, "pgcode", None)}
    if original is not None and original.args:
        named.add(str(original.args[0]).partition(":")[0])
    return {name for name in named if name}


# Division by zero, which a device's rotation is written to meet where its row has changed; serialization failure,
# deadlock; on MariaDB lock wait timeout, deadlock, a row or a table changed since the snapshot.
_RETRIED = frozenset({"22012", "40001", "40P01", "1205", "1213", "1020", "1412"})
# Undefined table and column, in the words of the three databases.
_DRIFTED = frozenset({"42P01", "42703", "1146", "1054", "no such table", "no such column"})


def _is_worth_retrying(error: DBAPIError, attempt: int) -> bool:
    # SQLite has already waited for its lock when it says so, unless the host's own transactions begin as readers.
    codes = _codes(error)
    return bool(codes & _RETRIED) or (attempt < 2 and "database is locked" in codes)


class _Translated:
    """Turns what the database raises into the library's own errors, without the parameters of any statement."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        match error:
            case DBAPIError() if _codes(error) & _DRIFTED:
                raise SchemaDrift from error.orig
            case DBAPIError():
                cause = type(error.orig).__name__
                raise DatabaseUnavailable(f"The database does not answer ({cause}); nothing was spent.") from error.orig
            case SQLAlchemyError() | OSError():
                raise DatabaseUnavailable from error
            case _:
                return


_TRANSLATED = _Translated()


def _bare(error: MFAError) -> MFAError:
    """The error without the frames of the library: their variables hold codes, tokens and opened secrets.

    What is left is the frames of the caller, and the driver's error as the cause.
    """
    error.__traceback__ = error.__context__ = None
    if error.__cause__ is not None:
        error.__cause__.__traceback__ = error.__cause__.__context__ = None
    return error
