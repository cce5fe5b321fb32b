"""Engines as Twofold's own programs use them. A host gives the library the engine that it already has."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

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
_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql", "mysql": "pymysql"}
_ASYNC_DRIVERS = {"sqlite": "aiosqlite", "postgresql": "psycopg", "mariadb": "asyncmy", "mysql": "asyncmy"}


def _url(text: str, drivers: dict[str, str]) -> sa.URL:
    try:
        url = sa.make_url(text)
    except ArgumentError:
        raise ConfigurationError("TWOFOLD_DATABASE_URL is not a URL; see docs/settings.md for examples.") from None
    except ValueError:
        raise ConfigurationError("TWOFOLD_DATABASE_URL has a port that is not a number.") from None
    if "@" in (url.host or ""):
        # What comes before the last @ is a piece of the password, and drivers repeat the host in their messages.
        raise ConfigurationError("The user and password in TWOFOLD_DATABASE_URL write @ as %40 and / as %2F.")
    backend = url.get_backend_name()
    if backend not in drivers:
        known = "sqlite:///file.db, postgresql://..., or mariadb://..."
        raise ConfigurationError(f"Twofold does not know the database {backend!r}; use {known}.")
    if backend == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ConfigurationError("SQLite needs a file: every connection to :memory: is another database.")
    # An application's URL may name either face's driver; each face takes its own.
    return url.set(drivername=f"{'mariadb' if backend == 'mysql' else backend}+{drivers[backend]}")


def _options(url: sa.URL, answer_within: float | None) -> tuple[sa.URL, dict[str, Any], float | None]:
    """The URL as the driver takes it, what goes beside it, and the seconds of silence after which to give up."""
    # Parameters are sealed or hashed before they are bound, and are kept out of messages all the same.
    options: dict[str, Any] = {"hide_parameters": True}
    backend = url.get_backend_name()
    if backend == "sqlite":
        return url, options, None
    given = url.query
    if "read_timeout" in given:
        answer_within = float(str(given["read_timeout"]))
        if not 0 < answer_within < math.inf:
            raise ValueError("read_timeout")
    ours: dict[str, Any] = {"connect_timeout": _CONNECT_WITHIN}
    if backend == "postgresql":
        ours |= _KEPT_ALIVE
        # libpq knows no such parameter: twofold.patience is what keeps it.
        url = url.difference_update_query(["read_timeout"])
    else:
        # The handshake is read under the same limit, so there is one even where answers may take all the time.
        ours["read_timeout"] = answer_within or ANSWER_WITHIN
        # asyncmy writes without waiting.
        ours |= {"write_timeout": ours["read_timeout"]} if url.get_driver_name() == "pymysql" else {}
    arguments = {name: value for name, value in ours.items() if name not in given}
    return url, options | {"pool_pre_ping": True, "connect_args": arguments}, answer_within


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


def create_engine(url: str, *, answer_within: float | None = ANSWER_WITHIN) -> sa.Engine:
    """Make a blocking engine. Raises ConfigurationError where the URL or its driver is wrong; it does not connect.

    A call gives up where the server is silent for `answer_within` seconds. None is for what is no login: a migration
    may take one statement for hours. A `read_timeout` in the URL wins over both.
    """
    parsed = _url(url, _DRIVERS)
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
    except (ImportError, NoSuchModuleError) as error:
        raise _driver_missing(parsed) from error
    except (ArgumentError, TypeError, ValueError):
        raise _no_address(parsed) from None
    if parsed.get_backend_name() == "sqlite":
        _ask_sqlite(engine, *_ON_SQLITE)
    elif parsed.get_driver_name() == "pymysql" and seconds is None:
        _wait_for_answers(engine)
    return engine


def create_async_engine(url: str, *, answer_within: float = ANSWER_WITHIN) -> AsyncEngine:
    """Make an awaited engine. Raises ConfigurationError where the URL or its driver is wrong; it does not connect.

    A call gives up where the server is silent for `answer_within` seconds; a `read_timeout` in the URL wins.
    """
    parsed = _url(url, _ASYNC_DRIVERS)
    try:
        from sqlalchemy.ext.asyncio import create_async_engine as create

        parsed, options, seconds = _options(parsed, answer_within)
        if parsed.get_backend_name() == "postgresql" and seconds is not None:
            from twofold import patience

            options["connect_args"]["async_creator_fn"] = patience.awaited(seconds)
        engine = create(parsed, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise _driver_missing(parsed) from error
    except (ArgumentError, TypeError, ValueError):
        raise _no_address(parsed) from None
    if parsed.get_backend_name() == "sqlite":
        _ask_sqlite(engine.sync_engine, *_ON_SQLITE)
    return engine


def _driver_missing(url: sa.URL) -> ConfigurationError:
    extra = {"sqlite": "async", "postgresql": "postgresql"}.get(url.get_backend_name(), "mariadb")
    return ConfigurationError(f"The driver {url.get_driver_name()} is not installed: pip install 'twofold[{extra}]'.")


def _no_address(url: sa.URL) -> ConfigurationError:
    name = url.get_backend_name()
    return ConfigurationError(f"TWOFOLD_DATABASE_URL is no address of a {name} database; see docs/settings.md.")
