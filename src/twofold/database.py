"""Engines as Twofold's own programs use them. A host gives the library the engine that it already has.

Tests: `tests/test_driver.py`, `tests/attacks/test_faults_of_databases.py`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import math
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from twofold import address
from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

ANSWER_WITHIN = 10.0
"""The seconds of silence in the middle of a login after which a server is taken for gone."""

_CONNECT_WITHIN = 5
# A machine that is gone says so in no packet: it has to be asked, and no answer is one.
_KEPT_ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_ON_SQLITE = ("foreign_keys = ON", "busy_timeout = 10000")
_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql"}
_ASYNC_DRIVERS = {"sqlite": "aiosqlite", "postgresql": "psycopg", "mariadb": "asyncmy"}


def _options(url: sa.URL, answer_within: float | None) -> tuple[sa.URL, dict[str, Any], float | None]:
    """The URL as the driver takes it, what goes beside it, and the seconds of silence after which to give up."""
    # Parameters are sealed or hashed before they are bound, and are kept out of messages all the same.
    options: dict[str, Any] = {"hide_parameters": True}
    backend = url.get_backend_name()
    if backend == "sqlite":
        return url, options, None
    url, numbers = address.without_numbers(url)
    given = url.query
    if "read_timeout" in given:
        answer_within = _seconds(given["read_timeout"])
    ours: dict[str, Any] = {"connect_timeout": _CONNECT_WITHIN}
    if backend == "postgresql":
        ours |= _KEPT_ALIVE
        # libpq knows no such parameter: twofold.patience is what keeps it.
        url = url.difference_update_query(["read_timeout"])
    else:
        # The handshake is read under the same limit, so there is one even where answers may take all the time.
        ours["read_timeout"] = answer_within or ANSWER_WITHIN
        if url.get_driver_name() == "pymysql":
            ours["write_timeout"] = ours["read_timeout"]
        else:
            # asyncmy writes without waiting.
            url = url.difference_update_query(["write_timeout"])
    arguments = {name: value for name, value in ours.items() if name not in given}
    return url, options | {"pool_pre_ping": True, "connect_args": arguments | numbers}, answer_within


def _seconds(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0
    if not 0 < seconds < math.inf:
        raise ConfigurationError("read_timeout in TWOFOLD_DATABASE_URL is a number of seconds above zero, given once.")
    return seconds


def enforce_foreign_keys(engine: sa.Engine | AsyncEngine) -> None:
    """Have every connection that this engine makes from now on enforce foreign keys, which SQLite does only when asked.

    Call it on your application's engine, where you make it. Elsewhere than on SQLite it does nothing.
    """
    _ask_sqlite(engine if isinstance(engine, sa.Engine) else engine.sync_engine, "foreign_keys = ON")


def _ask_sqlite(engine: sa.Engine, *pragmas: str) -> None:
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def ask(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def prefer_readers(connection: sa.Connection) -> None:
    """Let readers go on beside a writer, in a SQLite file that holds nothing yet; another's mode is its owner's.

    The mode is part of the file. Where a file system or a driver refuses it, SQLite goes on as it is.
    """
    if connection.dialect.name != "sqlite" or connection.in_transaction():
        return
    # On the driver: a listener of the host might begin a transaction, in which the mode cannot change.
    cursor = connection.connection.cursor()
    try:
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone() or (None,)
        if pages == 0:
            with contextlib.suppress(connection.dialect.loaded_dbapi.OperationalError):
                cursor.execute("PRAGMA journal_mode = WAL")
    finally:
        cursor.close()


def _wait_for_answers(engine: sa.Engine) -> None:
    """Let PyMySQL wait as long as it takes, once it is connected: the driver has one limit for both."""

    @event.listens_for(engine, "connect")
    def patient(connection: Any, _record: Any) -> None:
        connection._read_timeout = None  # noqa: SLF001


def _prepare_nothing_behind_a_pooler(engine: sa.Engine) -> None:
    """Let psycopg prepare nothing where the server's greeting names another process than the one that answers.

    A pooler has written that greeting, and may give each transaction another connection, on which a statement that was
    prepared is missing or is another one.
    """

    @event.listens_for(engine, "connect")
    def look(connection: Any, _record: Any) -> None:
        driver = getattr(connection, "driver_connection", connection)
        cursor = connection.cursor()
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
        cursor.close()
        connection.rollback()
        if process != driver.info.backend_pid:
            driver.prepare_threshold = None


def create_engine(url: str, *, answer_within: float | None = ANSWER_WITHIN) -> sa.Engine:
    """Make a blocking engine. Raises ConfigurationError where the URL or its driver is wrong; it does not connect.

    A call gives up where the server is silent for `answer_within` seconds. None is for what is no login: a migration
    may take one statement for hours. A `read_timeout` in the URL wins over both.
    """
    parsed = address.parse(url, _DRIVERS)
    try:
        parsed, options, seconds = _options(parsed, answer_within)
        if parsed.get_backend_name() == "postgresql" and seconds is not None:
            from twofold import patience

            connect = patience.blocking(seconds)

            def creator() -> Any:
                arguments, named = engine.dialect.create_connect_args(engine.url)
                return connect(*arguments, **named, **options["connect_args"])

            engine = sa.create_engine(parsed, creator=creator, **options)
        else:
            engine = sa.create_engine(parsed, **options)
        _refuse_unknown(engine)
    except (ImportError, NoSuchModuleError) as error:
        raise _driver_missing(parsed) from error
    except (ArgumentError, TypeError, ValueError):
        raise _no_address(parsed) from None
    if parsed.get_backend_name() == "sqlite":
        _ask_sqlite(engine, *_ON_SQLITE)
    elif parsed.get_backend_name() == "postgresql" and "prepare_threshold" not in options["connect_args"]:
        _prepare_nothing_behind_a_pooler(engine)
    elif parsed.get_driver_name() == "pymysql" and seconds is None:
        _wait_for_answers(engine)
    return engine


def create_async_engine(url: str, *, answer_within: float = ANSWER_WITHIN) -> AsyncEngine:
    """Make an awaited engine. Raises ConfigurationError where the URL or its driver is wrong; it does not connect.

    A call gives up where the server is silent for `answer_within` seconds; a `read_timeout` in the URL wins.
    """
    parsed = address.parse(url, _ASYNC_DRIVERS)
    try:
        from sqlalchemy.ext.asyncio import create_async_engine as create

        parsed, options, seconds = _options(parsed, answer_within)
        if parsed.get_backend_name() == "postgresql" and seconds is not None:
            from twofold import patience

            options["connect_args"]["async_creator_fn"] = patience.awaited(seconds)
        engine = create(parsed, **options)
        _refuse_unknown(engine.sync_engine)
    except (ImportError, NoSuchModuleError) as error:
        raise _driver_missing(parsed) from error
    except (ArgumentError, TypeError, ValueError):
        raise _no_address(parsed) from None
    if parsed.get_backend_name() == "sqlite":
        _ask_sqlite(engine.sync_engine, *_ON_SQLITE)
    elif parsed.get_backend_name() == "postgresql" and "prepare_threshold" not in options["connect_args"]:
        _prepare_nothing_behind_a_pooler(engine.sync_engine)
    return engine


def _refuse_unknown(engine: sa.Engine) -> None:
    """Refuse what a driver would refuse at the first connection, in words of its own or with a TypeError."""
    url = engine.url
    match url.get_backend_name():
        case "postgresql":
            import psycopg

            known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
        case "mariadb":
            known = set(inspect.signature(importlib.import_module(url.get_driver_name()).connect).parameters)
        case _:
            return
    _, named = engine.dialect.create_connect_args(url)
    if unknown := sorted((named.keys() & url.query.keys()) - known):
        raise ConfigurationError(f"TWOFOLD_DATABASE_URL says what its driver does not know: {', '.join(unknown)}.")


def _driver_missing(url: sa.URL) -> ConfigurationError:
    extra = {"sqlite": "async", "postgresql": "postgresql"}.get(url.get_backend_name(), "mariadb")
    return ConfigurationError(f"The driver {url.get_driver_name()} is not installed: pip install 'twofold[{extra}]'.")


def _no_address(url: sa.URL) -> ConfigurationError:
    name = url.get_backend_name()
    return ConfigurationError(f"TWOFOLD_DATABASE_URL is no address of a {name} database; see docs/settings.md.")
