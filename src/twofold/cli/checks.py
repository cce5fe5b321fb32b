"""What `twofold doctor` looks at, each a plain function that gives checks and raises MFAError where it cannot."""

from __future__ import annotations

import re
import stat
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from twofold.account.runtime import read_keys
from twofold.budget import Budget
from twofold.cli import keys
from twofold.errors import DatabaseUnavailable
from twofold.metadata import UsersColumn
from twofold.schema import commands
from twofold.schema.catalog import read
from twofold.schema.sentences import as_mfa_errors
from twofold.schema.users import as_spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from twofold.cli.terminal import Terminal
    from twofold.settings import Settings

State = Literal["ok", "note", "wrong"]

_CLOCK_LIMIT = timedelta(seconds=5)
_OLDEST = {"PostgreSQL": (13,), "MariaDB": (10, 6), "SQLite": (3, 35)}
# A guesser's chance until the suspension, and in a year, that is worth a second thought.
_LAX_ODDS = 0.001
_LAX_ODDS_IN_A_YEAR = 0.01


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor: what was looked at, how it stands, and what to do next."""

    about: str
    state: State
    message: str
    next_step: str | None = None


def key_settings(terminal: Terminal) -> Iterator[Check]:
    """Keys are there, strong, and for the owner's eyes alone."""
    settings = terminal.settings
    keyring = read_keys(settings)
    where = "TWOFOLD_KEYS" if settings.keys is not None else str(settings.keys_file)
    yield Check("keys", "ok", f"{keys.counted(len(keyring.kids), 'key')} from {where}; {keyring.active} is active.")
    if settings.keys is None and settings.keys_file is not None:
        mode = stat.S_IMODE(settings.keys_file.stat().st_mode)
        if mode & 0o077:
            message = f"{settings.keys_file} can be read or written by others (mode {mode:04o})."
            yield Check("keys file", "wrong", message, f"chmod 600 {settings.keys_file}")
        else:
            yield Check("keys file", "ok", f"{settings.keys_file} is for its owner alone (mode {mode:04o}).")


def database(terminal: Terminal) -> Iterator[Check]:
    """The database answers, is new enough, keeps foreign keys, and has the right time."""
    shown = address(terminal.engine.url)
    try:
        with as_mfa_errors(), terminal.engine.connect() as connection:
            yield Check("database", "ok", f"{shown} answers.")
            yield from _server(connection)
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
    oldest = _OLDEST[product]
    shown, wanted = (".".join(map(str, one)) for one in (version, oldest))
    if version >= oldest:
        yield Check("version", "ok", f"{product} {shown}.")
    else:
        yield Check("version", "wrong", f"{product} {shown} is too old.", f"Twofold needs {product} {wanted}.")


_NOW = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
}
_NOW_MARIADB = "SELECT timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) / 1000000"


def _clock(connection: sa.Connection) -> Iterator[Check]:
    before = time.time()
    theirs = float(connection.exec_driver_sql(_NOW.get(connection.dialect.name, _NOW_MARIADB)).scalar_one())
    ours = (before + time.time()) / 2
    apart = abs(theirs - ours)
    if apart > _CLOCK_LIMIT.total_seconds():
        message = f"The database's clock and this machine's are {apart:.0f} s apart; codes depend on the time."
        yield Check("clock", "wrong", message, "Synchronise both with NTP; `timedatectl` shows whether that works.")
    else:
        yield Check("clock", "ok", f"The database and this machine agree on the time, to {max(apart, 0.1):.1f} s.")


def users(terminal: Terminal) -> Iterator[Check]:
    """`user_id` can reference the users."""
    column = UsersColumn.parse(terminal.settings.users)
    with as_mfa_errors(), terminal.engine.connect() as connection:
        found = read(connection, column.table, column.schema)
        column = as_spelled(column, found)
    step = "Set TWOFOLD_USERS to the key of your users' table, as table.column."
    if found is None:
        message = f"There is no table {column.table_key}."
        yield Check("users", "wrong", message, f"{step} With none at all, `twofold db upgrade` makes one.")
    elif column.column not in found.columns:
        yield Check("users", "wrong", f"{column.table_key} has no column {column.column}.", step)
    elif (column.column,) not in {
        found.primary_key,
        *(one.columns for one in found.indexes if one.unique and not one.flaw),
    }:
        yield Check("users", "wrong", f"{column} is neither the primary key nor unique.", step)
    else:
        kind = "the primary key" if found.primary_key == (column.column,) else "unique"
        yield Check("users", "ok", f"{column} is {kind} ({found.columns[column.column].type}).")


def schema(terminal: Terminal) -> Iterator[Check]:
    """The tables are as the revision makes them."""
    report = commands.verify(terminal.engine, terminal.settings)
    if report.conforms:
        yield Check("schema", "ok", "The four tables conform to the revision.")
    elif report.nothing_there:
        yield Check("schema", "wrong", "The four tables are not there.", "twofold db upgrade")
    else:
        number = keys.counted(len(report.drift), "difference")
        yield Check("schema", "wrong", f"The tables differ from the revision: {number}.", "twofold db verify")


def needed_keys(terminal: Terminal) -> Iterator[Check]:
    """Every key that a row needs is configured."""
    missing = [use for use in terminal.mfa.keys.status() if keys.is_missing(use)]
    for use in missing:
        yield Check("needed keys", "wrong", keys.verdict(use), "twofold keys status")
    if not missing:
        yield Check("needed keys", "ok", "Every key that a row needs is configured.")


def policy(settings: Settings) -> Iterator[Check]:
    """What the settings leave to a guesser, and where they are laxer than the defaults."""
    budget = Budget.of(settings)
    odds = budget.odds(digits=settings.digits, window=settings.window)
    in_a_year = budget.odds_in_a_year(digits=settings.digits, window=settings.window)
    days = budget.time_to_spend() / timedelta(days=1)
    message = (
        f"Whoever has the password guesses a code with a chance of at most {percent(odds)} ever while the owner stays "
        f"away, and needs {days:.1f} days for all {budget.cap} attempts; of at most {percent(in_a_year)} in a year "
        "while the owner signs in between."
    )
    steps = [
        step
        for is_lax, step in (
            (odds > _LAX_ODDS, "More TWOFOLD_DIGITS, a smaller TWOFOLD_WINDOW or TWOFOLD_SUSPEND_AFTER lower it."),
            (
                in_a_year > _LAX_ODDS_IN_A_YEAR,
                "A smaller TWOFOLD_FAILURE_LIMIT or a longer TWOFOLD_FAILURE_MEMORY lower the year's.",
            ),
        )
        if is_lax
    ]
    yield Check("guess odds", "note" if steps else "ok", message, " ".join(steps) or None)
    notes = [
        text
        for is_so, text in (
            (settings.window > 1, f"TWOFOLD_WINDOW is {settings.window}: a code lives {_life(settings)} s."),
            (
                settings.device_idle > settings.device_lifetime,
                "TWOFOLD_DEVICE_IDLE is longer than TWOFOLD_DEVICE_LIFETIME.",
            ),
            (
                settings.device_lifetime > timedelta(days=90),
                "A trusted device skips the second factor for over 90 days.",
            ),
            (
                settings.proof_max_age > timedelta(minutes=15),
                "A proven factor allows its own management for over 15 minutes.",
            ),
        )
        if is_so
    ]
    for text in notes:
        yield Check("policy", "note", text)
    if not notes:
        yield Check(
            "policy", "ok", f"A code lives {_life(settings)} s, a challenge {_seconds(settings.challenge_lifetime)} s."
        )


def percent(probability: float) -> str:
    """`0.03 %`, with two digits that say something."""
    return f"{float(f'{probability * 100:.6g}'):.2g} %"


def _life(settings: Settings) -> int:
    return (2 * settings.window + 1) * settings.period


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
