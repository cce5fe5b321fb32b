"""The database answers, is the one to write to, new enough, and has the right time."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.account.standby import IsStandby
from twofold.cli.doctor.check import Check
from twofold.errors import DatabaseUnavailable
from twofold.schema.failures import as_mfa_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.terminal import Terminal

_CLOCK_LIMIT = timedelta(seconds=5)
OLDEST = {"PostgreSQL": (13,), "MariaDB": (10, 6), "SQLite": (3, 35)}


def database(terminal: Terminal) -> Iterator[Check]:
    """The database answers, is new enough, keeps foreign keys, and has the right time."""
    shown = address(terminal.engine.url)
    try:
        with as_mfa_errors(), terminal.engine.connect() as connection:
            yield Check("database", "ok", f"{shown} answers.")
            yield from _server(connection)
            yield from _standby(connection)
            yield from _clock(connection)
    except DatabaseUnavailable as error:
        yield Check("database", "wrong", f"{shown}: {error}", "Start the server, or correct TWOFOLD_DATABASE_URL.")


def address(url: sa.URL) -> str:
    """A database without its user, its password and its options."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database}"
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or 'localhost'}{port}/{url.database or ''}"


def _server(connection: sa.Connection) -> Iterator[Check]:
    if connection.dialect.name == "sqlite":
        product, text = "SQLite", str(connection.exec_driver_sql("SELECT sqlite_version()").scalar_one())
        keeps = connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one()
        yield Check(
            "foreign keys",
            "ok" if keeps else "wrong",
            "are enforced on Twofold's own connections." if keeps else "are not enforced.",
            "On SQLite every connection asks for them: PRAGMA foreign_keys = ON, on your application's engine too.",
        )
    else:
        text = str(connection.exec_driver_sql("SELECT version()").scalar_one())
        product = "PostgreSQL" if connection.dialect.name == "postgresql" else "MariaDB"
        if product == "MariaDB" and "mariadb" not in text.lower():
            yield Check("version", "note", "This is not MariaDB; Twofold is not tested on MySQL.")
            return
    version = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    oldest = OLDEST[product]
    shown, wanted = (".".join(map(str, one)) for one in (version, oldest))
    if version >= oldest:
        yield Check("version", "ok", f"{product} {shown}.")
    else:
        yield Check("version", "wrong", f"{product} {shown} is too old.", f"Twofold needs {product} {wanted}.")


def _standby(connection: sa.Connection) -> Iterator[Check]:
    if connection.scalar(sa.select(IsStandby())):
        message = "This is a standby, or a server that takes no writes: nobody can log in over it."
        yield Check("primary", "wrong", message, "Name the primary in TWOFOLD_DATABASE_URL, and in your application.")
    else:
        yield Check("primary", "ok", "The server takes writes.")


_NOW = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
}
_NOW_MARIADB = "SELECT timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) / 1000000"


def _clock(connection: sa.Connection) -> Iterator[Check]:
    before = time.time()
    theirs = float(connection.exec_driver_sql(_NOW.get(connection.dialect.name, _NOW_MARIADB)).scalar_one())
    ours = (before + time.time()) / 2
    gap = abs(theirs - ours)
    if gap > _CLOCK_LIMIT.total_seconds():
        message = f"The database's clock and this machine's are {gap:.0f} s apart; codes depend on the time."
        yield Check("clock", "wrong", message, "Synchronise both with NTP; `timedatectl` shows whether that works.")
    else:
        yield Check("clock", "ok", f"The database and this machine agree on the time, to {max(gap, 0.1):.1f} s.")
