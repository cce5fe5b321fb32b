"""What `TWOFOLD_DATABASE_URL` says, as the drivers of Twofold's own programs take it. Pure, as far as a URL is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = {"postgres": "postgresql", "mysql": "mariadb"}
"""What a backend is called, too: by whoever sells it, and by what it speaks."""

_KINDS = {
    "a whole number": re.compile("[0-9]{1,9}"),
    "a whole number above zero": re.compile("[1-9][0-9]{0,6}"),
    "a number": re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?"),
    "a whole number, or none": re.compile("[0-9]{1,9}|none", re.IGNORECASE),
    "true or false": re.compile("true|false|yes|no|on|off|y|n|t|f|1|0", re.IGNORECASE),
}
_TAKEN_AS: Mapping[str, Mapping[str, str]] = {
    "sqlite": {
        "timeout": "a number",
        "detect_types": "a whole number",
        "cached_statements": "a whole number",
        "uri": "true or false",
        "check_same_thread": "true or false",
    },
    "postgresql": {
        "prepare_threshold": "a whole number, or none",
        "connect_timeout": "a whole number",
        "keepalives": "a whole number",
        "keepalives_idle": "a whole number",
        "keepalives_interval": "a whole number",
        "keepalives_count": "a whole number",
        "tcp_user_timeout": "a whole number",
    },
    "mariadb": {
        "connect_timeout": "a whole number above zero",
        "read_timeout": "a whole number above zero",
        "write_timeout": "a whole number above zero",
        "client_flag": "a whole number",
        "max_allowed_packet": "a whole number",
        "compress": "true or false",
        "local_infile": "true or false",
        "use_unicode": "true or false",
        "ssl_check_hostname": "true or false",
    },
}
# A driver takes these as what no URL can say, or decides with them what Twofold decides.
_REFUSED = frozenset({"autocommit", "context", "cursor_factory", "row_factory", "cursorclass", "conv", "defer_connect"})
# SQLAlchemy converts what it knows of MariaDB's and SQLite's drivers, and libpq reads text.
_CONVERTED = frozenset({"prepare_threshold", "max_allowed_packet"})


def backend_of(url: sa.URL) -> str:
    """Which database a URL names: `sqlite`, `postgresql`, `mariadb`, or whatever else stands there."""
    name = url.get_backend_name()
    return _NAMES.get(name, name)


def parse(text: str, drivers: Mapping[str, str]) -> sa.URL:
    """Read a URL, for one of these drivers. Raises ConfigurationError, which never repeats a value."""
    try:
        url = sa.make_url(text)
    except ArgumentError:
        raise ConfigurationError("TWOFOLD_DATABASE_URL is not a URL; see docs/settings.md for examples.") from None
    except ValueError:
        raise ConfigurationError("TWOFOLD_DATABASE_URL has a port that is not a number.") from None
    if "@" in (url.host or ""):
        # What comes before the last @ is a piece of the password, and drivers repeat the host in their messages.
        raise ConfigurationError("The user and password in TWOFOLD_DATABASE_URL write @ as %40 and / as %2F.")
    backend = backend_of(url)
    if backend not in drivers:
        known = "sqlite:///file.db, postgresql://..., or mariadb://..."
        raise ConfigurationError(f"Twofold does not know the database {backend!r}; use {known}.")
    if backend == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ConfigurationError("SQLite needs a file: every connection to :memory: is another database.")
    # SQLAlchemy forgets a name that has no value, and whoever wrote it meant something. A password may hold a ?.
    query = text.rpartition("@")[2].partition("?")[2]
    written = dict.fromkeys(name for name, value in parse_qsl(query, keep_blank_values=True) if not value)
    for name, value in {**url.query, **written}.items():
        _check(backend, name, value)
    # An application's URL may name either face's driver; each face takes its own.
    return url.set(drivername=f"{backend}+{drivers[backend]}")


def _check(backend: str, name: str, value: object) -> None:
    if backend != "sqlite" and name in _REFUSED:
        raise ConfigurationError(f"{name} has no place in TWOFOLD_DATABASE_URL; leave it out.")
    kind = _TAKEN_AS[backend].get(name)
    if kind is None and value is None:
        raise ConfigurationError(f"{name} in TWOFOLD_DATABASE_URL has no value; give it one, or leave it out.")
    if kind is not None and not (isinstance(value, str) and _KINDS[kind].fullmatch(value)):
        raise ConfigurationError(f"{name} in TWOFOLD_DATABASE_URL is {kind}, given once.")


def without_numbers(url: sa.URL) -> tuple[sa.URL, dict[str, Any]]:
    """A URL that was parsed, without what a driver takes as a number and SQLAlchemy hands on as text; and that."""
    texts = {
        name: str(value) for name, value in url.query.items() if name in _CONVERTED & set(_TAKEN_AS[backend_of(url)])
    }
    numbers = {name: None if value.lower() == "none" else int(value) for name, value in texts.items()}
    return url.difference_update_query(list(texts)), numbers
