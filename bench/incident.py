"""Tables as `create_all()` leaves them, with as many people in them as somebody asks for, made by the server alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tests.schema.incident import models, stamp
from twofold.schema import spec

if TYPE_CHECKING:
    from collections.abc import Callable

_STATEMENTS = Path(__file__).with_suffix(".sql")
_TABLES = ("users", *spec.NAMES)


def secret(user_id: int) -> str:
    """The base32 secret that `happen` gives to a user."""
    return _md5(f"secret{user_id}").upper().translate(str.maketrans("0189", "WXYZ"))


def cookie(user_id: int) -> str:
    """What the browser of a user shows, if the user trusts one."""
    return _md5(f"cookie{user_id}")


def code_hash(user_id: int) -> str:
    """The hash of the first backup code of a user."""
    return hashlib.sha256(f"1-{user_id}".encode()).hexdigest()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def happen(engine: sa.Engine, told: Callable[[str], None], **numbers: int) -> None:
    """`create_all()`, a blind stamp, and rows for so many `people`, with so many `codes` and `events` each.

    Every row belongs to a user who exists, which the server is not asked to prove row by row.
    """
    with engine.begin() as connection:
        models().create_all(connection)
        stamp(connection)
    statements = _STATEMENTS.read_text(encoding="utf-8").strip().split(";\n\n")
    for table, statement in zip(_TABLES, statements, strict=True):
        told(table)
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.execute(sa.text(statement.rstrip(";")), numbers)


def rows(engine: sa.Engine) -> dict[str, int]:
    """How many rows each table has."""
    with engine.connect() as connection:
        counts = {name: sa.select(sa.func.count()).select_from(sa.table(name)) for name in _TABLES}
        return {name: int(connection.execute(count).scalar_one()) for name, count in counts.items()}
