"""Databases that answer badly, for real: one that waits for somebody else's lock, and one that takes no writes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy import event

from tests.people import Blocked, plain_settings
from twofold import MFA, AsyncMFA
from twofold.database import create_async_engine, create_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import Database
    from tests.people import Clock

# The patience of a host, in seconds.
_PATIENCE = 0.2
_IMPATIENT = {
    "sqlite": "",
    "postgresql": f"?options=-c%20statement_timeout%3D{_PATIENCE * 1000:.0f}",
    "mariadb": f"?init_command=SET%20max_statement_time%3D{_PATIENCE}",
}


@contextlib.contextmanager
def slow(database: Database) -> Iterator[str]:
    """Somebody else holds every row for as long as the block lasts; the address is that of a host with a timeout."""
    with database.engine().connect() as other:
        if database.backend == "sqlite":
            other.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            other.exec_driver_sql("UPDATE user_mfa_secrets SET updated_at = updated_at")
        yield database.url + _IMPATIENT[database.backend]
        other.rollback()


@contextlib.contextmanager
def read_only(database: Database) -> Iterator[str]:
    """The address is that of a database that takes no writes, as a replica does."""
    if database.backend == "sqlite":
        path = database.url.removeprefix("sqlite:///")
        yield f"sqlite:///file:{path}?mode=ro&uri=true"
    elif database.backend == "postgresql":
        yield f"{database.url}?options=-c%20default_transaction_read_only%3Don"
    else:
        url = sa.make_url(database.url)
        host = f"reader_{url.database}@'127.0.0.1'"
        with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as operator:
            operator.exec_driver_sql(f"CREATE USER {host} IDENTIFIED BY 'reader'")
            operator.exec_driver_sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {url.database}.* TO {host}")
            operator.exec_driver_sql("SET GLOBAL read_only = 1")
            try:
                yield url.set(username=f"reader_{url.database}", password="reader").render_as_string(
                    hide_password=False
                )
            finally:
                operator.exec_driver_sql("SET GLOBAL read_only = 0")
                operator.exec_driver_sql(f"DROP USER {host}")


OUTAGES: dict[str, Callable[[Database], contextlib.AbstractContextManager[str]]] = {
    "slow": slow,
    "read only": read_only,
}


@contextlib.contextmanager
def hosted(url: str, face: str, keys: str, clock: Clock, *pragmas: str, deadline: float = 1) -> Iterator[MFA]:
    """The library as a host has it that waits for nothing long, on one of its faces."""
    settings = plain_settings(keys=keys, deadline=timedelta(seconds=deadline))
    with asyncio.Runner() as runner:
        if face == "blocking":
            engine = create_engine(url)
            _impatient(engine, pragmas)
            yield MFA(engine, settings, clock=clock)
            engine.dispose()
        else:
            awaited = create_async_engine(url)
            _impatient(awaited.sync_engine, pragmas)
            yield cast("MFA", Blocked(AsyncMFA(awaited, settings, clock=clock), runner))
            runner.run(awaited.dispose())


def _impatient(engine: sa.Engine, pragmas: tuple[str, ...]) -> None:
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("busy_timeout = 20", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


_WAITS = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


def wait_until_somebody_waits(database: Database) -> None:
    """Wait until the server says that somebody waits for a lock."""
    engine = database.engine()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.exec_driver_sql(_WAITS[database.backend]).scalar_one():
                return
        # MariaDB shows the same as before to whoever asks again within a tenth of a second.
        time.sleep(0.2)
    raise AssertionError("Nobody waits.")
