"""Statements that are written in Core and sent over the driver's own cursor.

Executing a statement through Core takes more time than the driver, the network and everything of ours together. What
Core adds is worked out once here: the text in the words of the database, and the conversion of values. Core still
executes it where somebody listens to the statements of the engine or logs them, so that nothing goes by unseen.
"""

from __future__ import annotations

from functools import lru_cache, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError

from twofold.account.connections import Kept
from twofold.account.lock_wait import bounded, execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

C = TypeVar("C", bound="sa.Executable")

# The drivers that the tests hold to the same results as Core.
_DRIVERS = frozenset({"aiosqlite", "asyncmy", "asyncpg", "psycopg", "pymysql", "pysqlite"})
# For so many engines the words of a statement are kept.
_MANY_ENGINES = 64


class Statement(Generic[C]):
    """One statement; its values are given in the order of `names`."""

    def __init__(self, core: C, names: Iterable[str]) -> None:
        self.core = core
        self.names = tuple(names)
        # Each engine has a dialect of its own, and there may be one for each tenant.
        self._text = lru_cache(_MANY_ENGINES)(partial(_Text, core, self.names))

    def first(self, connection: sa.Connection, values: tuple[Any, ...]) -> Sequence[Any] | None:
        """Execute; the first row, or None."""
        if _has_listeners(connection):
            return execute(connection, self.core, self.named(values)).first()
        text = self._text(connection.dialect)
        cursor = _sent(connection, text, values)
        try:
            # SQLite reads rows while they are fetched, so an error of reading comes here and not from execute.
            row = cursor.fetchone()
        except BaseException as error:  # noqa: BLE001 -- It is raised again.
            cursor.close()
            _raise_as_core(connection, error)
        _put_back(connection, text, cursor)
        return None if row is None else text.read(row)

    def all(self, connection: sa.Connection, values: tuple[Any, ...]) -> Sequence[Sequence[Any]]:
        """Execute; every row."""
        if _has_listeners(connection):
            return execute(connection, self.core, self.named(values)).all()
        text = self._text(connection.dialect)
        cursor = _sent(connection, text, values)
        try:
            rows = cursor.fetchall()
        except BaseException as error:  # noqa: BLE001 -- It is raised again.
            cursor.close()
            _raise_as_core(connection, error)
        _put_back(connection, text, cursor)
        return [text.read(row) for row in rows]

    def count(self, connection: sa.Connection, values: tuple[Any, ...]) -> int:
        """Execute; how many rows were written."""
        if _has_listeners(connection):
            return execute(connection, self.core, self.named(values)).rowcount
        text = self._text(connection.dialect)
        cursor = _sent(connection, text, values)
        count = cursor.rowcount
        _put_back(connection, text, cursor)
        return count

    def named(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """The values as Core takes them."""
        return dict(zip(self.names, values, strict=True))


class _Text:
    """A statement in the words of one database, and what its driver gives and takes."""

    def __init__(self, core: Any, names: tuple[str, ...], dialect: sa.Dialect) -> None:
        compiled: Any = bounded(core, dialect).compile(dialect=dialect)
        self.words = str(compiled)
        # Each parameter gets its place: the values of the caller in the order of `names`, then those that the statement
        # itself holds.
        places: dict[str, int] = compiled.construct_params({name: place for place, name in enumerate(names)})
        fixed = [name for name in places if name not in names]
        self._fixed = tuple(places[name] for name in fixed)
        places |= {name: place for place, name in enumerate(fixed, start=len(names))}
        keys: list[str] = compiled.positiontup if compiled.positional else list(places)
        self._keys = None if compiled.positional else tuple(keys)
        self.places = [places[key] for key in keys]
        self._take = _taking(self.places)
        self._in = _converted(dialect, [compiled.binds[key].type for key in keys], "bind_processor")
        columns = getattr(core, "selected_columns", ())
        self._out = _converted(dialect, [column.type for column in columns], "result_processor", None)

    def bound(self, values: tuple[Any, ...]) -> Any:
        """The values as the driver takes them."""
        taken = self._take(values + self._fixed)
        if not self._in and self._keys is None:
            return taken
        bound = list(taken)
        try:
            for place, convert in self._in:
                if (value := bound[place]) is not None:
                    bound[place] = convert(value)
        except (TypeError, ValueError) as error:
            # A value that its type cannot convert is an error of the caller, and no sign of an altered row.
            raise StatementError(str(error), self.words, None, error, hide_parameters=True) from error
        return tuple(bound) if self._keys is None else dict(zip(self._keys, bound, strict=True))

    def read(self, row: Sequence[Any]) -> Sequence[Any]:
        """A row as Core gives it."""
        read = list(row)
        for place, convert in self._out:
            # NULL is None in every type, and most columns of most rows are NULL.
            if (value := read[place]) is not None:
                read[place] = convert(value)
        return read


def _taking(places: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Take the values at these places, as many as they are."""
    match places:
        case []:
            return lambda _: ()
        case [place]:
            return lambda values: (values[place],)
        case _:
            return itemgetter(*places)


def _converted(
    dialect: sa.Dialect, types: Sequence[Any], what: str, *more: Any
) -> list[tuple[int, Callable[[Any], Any]]]:
    converters = (getattr(type_.dialect_impl(dialect), what)(dialect, *more) for type_ in types)
    return [(place, convert) for place, convert in enumerate(converters) if convert is not None]


def _has_listeners(connection: sa.Connection) -> bool:
    """Whether Core has to execute: for listeners, a logger, a schema_translate_map, or a driver that is not tested."""
    dialect = connection.dialect
    return (
        connection._has_events  # noqa: SLF001
        or connection.engine._has_events  # noqa: SLF001
        or dialect._has_events  # noqa: SLF001
        or connection._echo  # noqa: SLF001 -- Whether the engine logs, as it was when the connection was checked out.
        or "schema_translate_map" in connection._execution_options  # noqa: SLF001
        or dialect.driver not in _DRIVERS
    )


# The events of Core at which a host sets the tenant or the role, often by SET LOCAL, which holds for one transaction.
_HEARD = (
    "begin",
    "commit",
    "rollback",
    "engine_connect",
    "set_connection_execution_options",
    "before_execute",
    "before_cursor_execute",
)
# The events of a dialect at which the same can be set. At do_connect, its other common one, hosts give passwords.
_CALLED = ("do_execute", "do_execute_no_params")


def needs_transaction(engine: sa.Engine) -> bool:
    """Whether the host has a listener that may set something for one transaction, so that autocommit will not do.

    In autocommit, where each statement is a transaction, a `SET LOCAL` ends with its own statement.
    """
    pool: Any = engine.pool.dispatch
    if pool.checkout or pool.checkin or pool.reset:
        return True
    dialect: Any = engine.dialect
    if dialect._has_events and any(getattr(dialect.dispatch, name) for name in _CALLED):  # noqa: SLF001
        return True
    # What listens to all connections there are is not looked at: hardly anybody does that.
    # SQLAlchemy 2.0 sets the name on the class with its first listener, and not before.
    are_all_heard: bool = getattr(sa.Connection, "_has_events", False)
    return are_all_heard or (engine._has_events and _listens(_HEARD, engine.dispatch))  # noqa: SLF001


def says_whose(connection: sa.Connection) -> bool:
    """Whether the host listens at begin or engine_connect, where tenants are set. Tracing and metrics use others."""
    return _listens(("begin", "engine_connect"), connection.engine.dispatch, connection.dispatch)


def _listens(names: Iterable[str], *dispatches: Any) -> bool:
    listeners = (one for name in names for dispatch in dispatches for one in getattr(dispatch, name))
    return any(getattr(one, "__module__", None) != _CORE_ITSELF for one in listeners)


# Core itself listens at engine_connect, to set the isolation level of an engine: such a listener does not count.
_CORE_ITSELF = "sqlalchemy.engine.default"


def is_told_of_a_pooler(connection: sa.Connection) -> bool:
    """Whether the cache of asyncpg is off, or its prepared statements get unique names: what a pooler calls for.

    asyncpg prepares a statement and executes it in two steps. Without a transaction around both, the pooler may give
    the second step another connection, on which the statement is not there or is another one.
    """
    if connection.dialect.driver != "asyncpg":
        return False
    adapter: Any = connection.connection.dbapi_connection
    return (
        adapter._prepared_statement_cache is None  # noqa: SLF001
        or adapter._prepared_statement_name_func is not adapter._default_name_func  # noqa: SLF001
        or not adapter.driver_connection._stmt_cache_enabled  # noqa: SLF001
    )


def _sent(connection: sa.Connection, text: _Text, values: tuple[Any, ...]) -> DBAPICursor:
    """Execute on the driver; raise what Core would raise."""
    bound = text.bound(values)
    try:
        used = connection.cursors.pop(text, None) if isinstance(connection, Kept) and connection.cursors else None
        if used is None:
            driver: Any = connection.connection.dbapi_connection
            used = driver.cursor()
        cursor: DBAPICursor = used
        cursor.execute(text.words, bound)
    except BaseException as error:  # noqa: BLE001 -- It is raised again.
        _raise_as_core(connection, error, text.words)
    return cursor


def _put_back(connection: sa.Connection, text: _Text, cursor: DBAPICursor) -> None:
    """Leave a cursor for the next time that its connection sends this statement, or close it."""
    if isinstance(connection, Kept) and connection.cursors is not None:
        connection.cursors[text] = cursor
    else:
        cursor.close()


class Translated:
    """A context manager around calls of the driver, which raises its errors as the exceptions of SQLAlchemy."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None:
            _raise_as_core(self._connection, error)


def _raise_as_core(connection: sa.Connection, error: BaseException, words: str = "") -> NoReturn:
    """Raise an error of the driver as the exception of SQLAlchemy, and every other one as it is."""
    if isinstance(error, connection.dialect.loaded_dbapi.Error):
        _raise(connection, words, error)
    if not isinstance(error, Exception):
        # After CancelledError or KeyboardInterrupt an answer may still be unread: the connection is of no more use.
        connection.invalidate(error)
    raise error


def _raise(connection: sa.Connection, words: str, error: Any) -> NoReturn:
    dialect = connection.dialect
    if dialect.is_disconnect(error, connection.connection, None):
        # Executing through Core meets the same disconnect, and Core then invalidates the whole pool.
        connection.exec_driver_sql("SELECT 1")
    raise DBAPIError.instance(
        words, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
    ) from error
