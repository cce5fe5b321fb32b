"""SQLite's catalog: `sqlite_master` and the pragmas as tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema.catalog.relation import Column, Family, ForeignKey, Index, Relation, Type

if TYPE_CHECKING:
    from collections.abc import Sequence

_MASTER = sa.text("SELECT type, sql FROM sqlite_master WHERE lower(name) = lower(:name) AND type IN ('table', 'view')")
_COLUMNS = sa.text('SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(:name)')
_INDEXES = sa.text('SELECT name, "unique", origin, partial FROM pragma_index_list(:name) ORDER BY name')
_INDEX_COLUMNS = sa.text("SELECT name FROM pragma_index_xinfo(:name) WHERE key = 1 ORDER BY seqno")
_FOREIGN_KEYS = sa.text(
    'SELECT id, "table" AS target, "from" AS source, "to" AS referenced, on_delete '
    "FROM pragma_foreign_key_list(:name) ORDER BY id, seq"
)
_TRIGGERS = sa.text(
    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:name) ORDER BY 1"
)


def read(connection: sa.Connection, name: str) -> Relation | None:
    """Read what stands under a name; SQLite's names know no case."""
    found = connection.execute(_MASTER, {"name": name}).one_or_none()
    if found is None:
        return None
    if found.type == "view":
        return Relation(name, name.casefold(), "view")
    if re.match(r"\s*create\s+virtual\b", str(found.sql), re.IGNORECASE):
        return Relation(name, name.casefold(), "virtual table")
    rows = connection.execute(_COLUMNS, {"name": name}).all()
    keyed = sorted((row for row in rows if row.pk), key=lambda row: int(row.pk))
    primary_key = tuple(str(row.name).casefold() for row in keyed)
    indexes, key_has_index = _indexes(connection, name)
    # The one key without an index of its own is the row number, and only that one numbers itself.
    row_number = primary_key[0] if len(primary_key) == 1 and not key_has_index else None
    columns = [_column(row, row_number) for row in rows]
    return Relation(
        name,
        name.casefold(),
        "table",
        {column.name: column for column in columns},
        primary_key,
        indexes,
        _foreign_keys(connection, name),
        listed=tuple(f"trigger {trigger}" for trigger in connection.execute(_TRIGGERS, {"name": name}).scalars()),
    )


def _column(row: sa.Row[Any], row_number: str | None) -> Column:
    name = str(row.name).casefold()
    return Column(
        name,
        read_type(str(row.type)),
        nullable=not row.notnull and not row.pk,
        default=None if row.dflt_value is None or str(row.dflt_value).upper() == "NULL" else str(row.dflt_value),
        numbers_itself=name == row_number,
        generated=row.hidden in {2, 3},
    )


def read_type(declared: str) -> Type:
    """A declared type. SQLite enforces neither length nor precision, so neither has a size."""
    upper = declared.upper()
    families: Sequence[tuple[Family, tuple[str, ...]]] = (
        ("boolean", ("BOOL",)),
        ("moment", ("DATETIME", "TIMESTAMP")),
        ("uuid", ("UUID", "GUID")),
        ("integer", ("INT",)),
        ("string", ("CHAR", "CLOB", "TEXT", "JSON", "ENUM")),
    )
    for family, words in families:
        if any(word in upper for word in words):
            return Type(family, declared)
    if "BLOB" in upper or "BINARY" in upper:
        return Type("binary", declared)
    if re.fullmatch(r"(NUMERIC|DECIMAL)\s*(\(\s*\d+\s*(,\s*0\s*)?\))?", upper.strip()):
        return Type("decimal", declared)
    return Type("other", declared or "no type")


def _indexes(connection: sa.Connection, name: str) -> tuple[tuple[Index, ...], bool]:
    found, key_has_index = list[Index](), False
    for row in connection.execute(_INDEXES, {"name": name}).all():
        names = connection.execute(_INDEX_COLUMNS, {"name": row.name}).scalars().all()
        columns = tuple(str(column).casefold() for column in names if column is not None)
        flaw = "over an expression" if None in names else "partial" if row.partial else None
        found.append(Index(str(row.name), columns, unique=bool(row.unique), flaw=flaw))
        key_has_index = key_has_index or row.origin == "pk"
    return tuple(found), key_has_index


def _foreign_keys(connection: sa.Connection, name: str) -> tuple[ForeignKey, ...]:
    grouped: dict[int, list[sa.Row[Any]]] = {}
    for row in connection.execute(_FOREIGN_KEYS, {"name": name}).all():
        grouped.setdefault(int(row.id), []).append(row)
    found: list[ForeignKey] = []
    for number, rows in grouped.items():
        target = str(rows[0].target)
        # A reference without columns means the target's primary key.
        named = [row.referenced for row in rows if row.referenced is not None] or _primary_key(connection, target)
        columns = tuple(str(row.source).casefold() for row in rows)
        target_columns = tuple(str(one).casefold() for one in named)
        found.append(
            ForeignKey(f"#{number}", columns, target.casefold(), target_columns, str(rows[0].on_delete).upper())
        )
    return tuple(found)


def _primary_key(connection: sa.Connection, name: str) -> list[str]:
    rows = connection.execute(_COLUMNS, {"name": name}).all()
    return [str(row.name) for row in sorted((row for row in rows if row.pk), key=lambda row: int(row.pk))]
