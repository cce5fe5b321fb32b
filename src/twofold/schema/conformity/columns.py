"""Columns compared: presence, type, whether NULL is allowed, default, and how the id is numbered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema.catalog.relation import Type
from twofold.schema.conformity.findings import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.schema.catalog.relation import Column, Relation

_UTF8 = "utf8mb4"


def compare(expected: sa.Table, found: Relation, referenced: Column | None, dialect: str) -> Iterator[Finding]:
    """Compare the columns of one table. `referenced` is the live column that `user_id` has to match."""
    for column in expected.columns:
        live = found.columns.get(column.name)
        if live is None:
            yield _missing(expected.name, column)
        elif column.name == "user_id":
            yield from _user_id(expected.name, live, referenced, dialect)
            yield from _nullability(expected.name, column, live, dialect)
        else:
            yield from _type(expected.name, column, live, dialect)
            yield from _nullability(expected.name, column, live, dialect)
            yield from _default(expected.name, column, live, dialect)
    if "id" in found.columns and not found.columns["id"].numbers_itself:
        yield Finding(expected.name, "numbering", "id", "none", "the database numbers new rows", Verdict.BLOCKED)
    for name, live in found.columns.items():
        if name in expected.columns:
            continue
        if live.fills_itself:
            yield Finding(expected.name, "column", name, "extra", "left alone", Verdict.TOLERATED)
        else:
            wanted = "a default, since new rows do not name it"
            yield Finding(expected.name, "column", name, "extra, NOT NULL, without a default", wanted, Verdict.BLOCKED)


def _missing(table: str, column: sa.Column[object]) -> Finding:
    # A value for the rows that exist cannot be made up.
    can_be_added = column.nullable or column.server_default is not None
    verdict = Verdict.ADDITIVE if can_be_added else Verdict.BLOCKED
    return Finding(table, "column", column.name, "missing", _spelled(column), verdict)


def _spelled(column: sa.Column[object]) -> str:
    required = "" if column.nullable else " NOT NULL"
    return f"{str(column.type).lower()}{required}"


def _type(table: str, column: sa.Column[object], live: Column, dialect: str) -> Iterator[Finding]:
    if live.generated:
        yield Finding(table, "column", column.name, "generated", "a plain column", Verdict.BLOCKED)
        return
    wanted = _wanted(column.type, dialect)
    verdict = _type_verdict(wanted, live.type, dialect)
    if verdict is not Verdict.SAME:
        yield Finding(table, "type", column.name, live.type.text, wanted.text, verdict)


def _wanted(type_: sa.types.TypeEngine[object], dialect: str) -> Type:
    """What the revision asks of a column, in the catalog's words."""
    if isinstance(type_, sa.Boolean):
        return Type("boolean", "boolean")
    if isinstance(type_, sa.BigInteger):
        return Type("integer", "bigint", 64)
    if isinstance(type_, sa.Integer):
        return Type("integer", "integer", 32)
    if isinstance(type_, sa.DateTime):
        spelled = {"postgresql": "timestamp with time zone", "sqlite": "DATETIME"}.get(dialect, "datetime(6)")
        return Type("moment", spelled, 6, zoned=dialect == "postgresql")
    if isinstance(type_, sa.Text):
        return Type("string", "text", 65_535 if dialect not in {"postgresql", "sqlite"} else None)
    length: int | None = getattr(type_, "length", None)
    return Type("string", f"varchar({length})", length)


def _type_verdict(wanted: Type, live: Type, dialect: str) -> Verdict:
    if dialect == "sqlite":
        # SQLite keeps what it is given, whatever the declared length; a boolean is a number there.
        alike = {wanted.family, live.family} <= {"boolean", "integer"} or wanted.family == live.family
        return Verdict.SAME if alike else Verdict.BLOCKED
    if live.is_domain:
        # What it checks is the host's, and may refuse what the library writes.
        return Verdict.BLOCKED
    if wanted.family != live.family:
        number_for_boolean = wanted.family == "boolean" and live.family == "integer" and dialect != "postgresql"
        return Verdict.TOLERATED if number_for_boolean else Verdict.BLOCKED
    if wanted.family == "moment":
        # Less than microseconds would break the chain of events, whose lines are sealed with their time.
        return Verdict.SAME if (live.zoned, live.size) == (wanted.zoned, wanted.size) else Verdict.HEAVY
    if wanted.family == "boolean":
        return Verdict.SAME
    if live.charset not in {None, _UTF8}:
        return Verdict.HEAVY
    if live.size == wanted.size and "unsigned" not in live.text:
        return Verdict.SAME
    if live.size is None or (wanted.size is not None and live.size >= wanted.size):
        return Verdict.TOLERATED
    return Verdict.ADDITIVE if wanted.family == "string" else Verdict.HEAVY


def _user_id(table: str, live: Column, referenced: Column | None, dialect: str) -> Iterator[Finding]:
    """`user_id` has to hold exactly what the referenced column holds."""
    if referenced is None:
        return
    same = live.type.family == referenced.type.family if dialect == "sqlite" else live.type == referenced.type
    if not same:
        longer = (
            live.type.family == referenced.type.family == "string"
            and live.type.charset == referenced.type.charset
            and live.type.text.partition(" collate ")[2] == referenced.type.text.partition(" collate ")[2]
            and (live.type.size or 1 << 32) >= (referenced.type.size or 1 << 32)
        )
        wider = Verdict.HEAVY if _can_be_widened(live.type, referenced.type) else Verdict.BLOCKED
        verdict = Verdict.TOLERATED if longer else wider
        yield Finding(table, "type", "user_id", live.type.text, f"{referenced.type.text}, as in users", verdict)


def _can_be_widened(live: Type, wanted: Type) -> bool:
    """Whether the wanted integer is a wider one, which holds every id that is there."""
    if live.is_domain or wanted.is_domain or not live.family == wanted.family == "integer":
        return False
    return (live.size or 0) < (wanted.size or 0)


def _nullability(table: str, column: sa.Column[object], live: Column, dialect: str) -> Iterator[Finding]:
    if live.nullable and not column.nullable:
        yield Finding(table, "nullability", column.name, "NULL is allowed", "NOT NULL", Verdict.HEAVY)
    if not live.nullable and column.nullable:
        verdict = Verdict.HEAVY if dialect == "sqlite" else Verdict.ADDITIVE
        yield Finding(table, "nullability", column.name, "NOT NULL", "NULL is allowed", verdict)


def _default(table: str, column: sa.Column[object], live: Column, dialect: str) -> Iterator[Finding]:
    if live.numbers_itself:
        return
    wanted = _plain(_default_text(column))
    found = _plain(live.default)
    if wanted == found:
        return
    # A default where the revision has none is never used, as the library names every such column.
    needed = Verdict.HEAVY if dialect == "sqlite" else Verdict.ADDITIVE
    verdict = Verdict.TOLERATED if wanted is None else needed
    yield Finding(table, "default", column.name, live.default or "none", wanted or "none", verdict)


def _default_text(column: sa.Column[object]) -> str | None:
    if not isinstance(column.server_default, sa.DefaultClause):
        return None
    return str(column.server_default.arg)


def _plain(default: str | None) -> str | None:
    """A default without the quotes, casts and brackets that databases put around it."""
    if default is None:
        return None
    text = re.sub(r"::[\w ]+(\(\d+\))?$", "", default.strip()).strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    text = re.sub(r"^b?'(.*)'$", r"\1", text)
    return {"false": "0", "true": "1"}.get(text.lower(), text)
