"""Engines as Twofold's own programs use them. A host gives the library the engine that it already has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

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


def _options(url: sa.URL) -> dict[str, Any]:
    # Parameters are sealed or hashed before they are bound, and are kept out of messages all the same.
    options: dict[str, Any] = {"hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        return options
    return options | {"pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Enforce foreign keys, which SQLite does only when asked, and let readers go on beside a writer."""

    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.close()


def create_engine(url: str) -> sa.Engine:
    """Make a blocking engine. Raises ConfigurationError where the URL or its driver is wrong; it does not connect."""
    parsed = _url(url, _DRIVERS)
    try:
        engine = sa.create_engine(parsed, **_options(parsed))
    except (ImportError, NoSuchModuleError) as error:
        raise _driver_missing(parsed) from error
    except (ArgumentError, TypeError, ValueError):
        raise _no_address(parsed) from None
    if parsed.get_backend_name() == "sqlite":
        _prepare_sqlite(engine)
    return engine


def create_async_engine(url: str) -> AsyncEngine:
    """Make an awaited engine. Raises ConfigurationError where the URL or its driver is wrong; it does not connect."""
    parsed = _url(url, _ASYNC_DRIVERS)
    try:
        from sqlalchemy.ext.asyncio import create_async_engine as create

        engine = create(parsed, **_options(parsed))
    except (ImportError, NoSuchModuleError) as error:
        raise _driver_missing(parsed) from error
    except (ArgumentError, TypeError, ValueError):
        raise _no_address(parsed) from None
    if parsed.get_backend_name() == "sqlite":
        _prepare_sqlite(engine.sync_engine)
    return engine


def _driver_missing(url: sa.URL) -> ConfigurationError:
    extra = {"sqlite": "async", "postgresql": "postgresql"}.get(url.get_backend_name(), "mariadb")
    return ConfigurationError(f"The driver {url.get_driver_name()} is not installed: pip install 'twofold[{extra}]'.")


def _no_address(url: sa.URL) -> ConfigurationError:
    name = url.get_backend_name()
    return ConfigurationError(f"TWOFOLD_DATABASE_URL is no address of a {name} database; see docs/settings.md.")
