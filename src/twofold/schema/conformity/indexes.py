"""Keys and indexes compared, by what they promise: uniqueness, a fast lookup, the reference to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema import spec
from twofold.schema.conformity.findings import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.schema.catalog.relation import ForeignKey, Index, Relation

ID_TWIN = "id_bigint"
"""What a narrow id is copied into before the two change places; after a crash it may still be there."""

# No two of these are ever alike, so a host may declare them unique.
_UNIQUE_BY_NATURE = {"code_hash", "trust_token", ID_TWIN}


def compare(
    expected: sa.Table, found: Relation, parent: Relation | None, users_column: str, dialect: str
) -> Iterator[Finding]:
    """Compare the keys and indexes of one table. `parent` is the live users table."""
    if found.primary_key != ("id",):
        key = f"({', '.join(found.primary_key)})" if found.primary_key else "none"
        yield Finding(expected.name, "primary key", "", key, "(id)", Verdict.BLOCKED)
    uniques = [
        tuple(column.name for column in constraint.columns)
        for constraint in sorted(expected.constraints, key=lambda one: str(one.name))
        if isinstance(constraint, sa.UniqueConstraint)
    ]
    wanted = [(tuple(column.name for column in one.columns), _method(one)) for one in spec.indexes(expected, dialect)]
    for columns in uniques:
        unique = list(_unique(expected.name, columns, found))
        # An index that is unique over the same columns in another order keeps the one promise and not the other.
        yield from unique or _index(expected.name, columns, "btree", found)
    for columns, method in wanted:
        yield from _index(expected.name, columns, method, found)
    yield from _extra(expected.name, uniques, [columns for columns, _ in wanted], found)
    yield from _foreign_key(expected.name, found, parent, users_column, dialect)


def _method(index: sa.Index) -> str:
    return str(index.dialect_options["postgresql"].get("using") or "btree")


def _named(columns: tuple[str, ...]) -> str:
    return f"({', '.join(columns)})"


def _unique(table: str, columns: tuple[str, ...], found: Relation) -> Iterator[Finding]:
    candidates = [index for index in found.indexes if index.unique and set(index.columns) == set(columns)]
    if not any(index.flaw is None for index in candidates):
        yield Finding(table, "unique", _named(columns), _what_is_there(candidates), "unique", Verdict.ADDITIVE)


def _index(table: str, columns: tuple[str, ...], method: str, found: Relation) -> Iterator[Finding]:
    """Any whole index whose leading columns are the wanted ones serves; a B-tree serves where BRIN is wanted."""
    candidates = [
        index
        for index in found.indexes
        if index.columns[: len(columns)] == columns and index.method in {method, "btree"}
    ]
    if any(index.flaw is None for index in candidates):
        return
    yield Finding(table, "index", _named(columns), _what_is_there(candidates), f"an index ({method})", Verdict.ADDITIVE)


def _what_is_there(candidates: list[Index]) -> str:
    flawed = [f"{index.name} is {index.flaw}" for index in candidates if index.flaw is not None]
    return ", ".join(flawed) or "missing"


def _extra(
    table: str, uniques: list[tuple[str, ...]], indexes: list[tuple[str, ...]], found: Relation
) -> Iterator[Finding]:
    wanted = {*uniques, *indexes, ("id",)}
    implied = [{"id"}, *(set(columns) for columns in uniques)]
    for index in found.indexes:
        harmless = any(columns <= set(index.columns) for columns in implied) or _UNIQUE_BY_NATURE & set(index.columns)
        if index.unique and not harmless:
            found_text = f"{index.name}, unique{f', {index.flaw}' if index.flaw else ''}"
            yield Finding(
                table, "unique", _named(index.columns), found_text, "not unique, since rows repeat it", Verdict.BLOCKED
            )
        elif index.flaw is not None or index.columns not in wanted:
            text = f"{index.name}, {index.flaw or 'extra'}"
            yield Finding(table, "index", _named(index.columns), text, "left alone", Verdict.TOLERATED)


def _foreign_key(
    table: str, found: Relation, parent: Relation | None, users_column: str, dialect: str
) -> Iterator[Finding]:
    """Rows go with their user. PostgreSQL can swap a key online; the others copy the table for it."""
    if parent is None:
        return
    expected = f"{parent.identity} ({users_column}) ON DELETE CASCADE"
    fixable = Verdict.ADDITIVE if dialect == "postgresql" else Verdict.HEAVY
    ours = [key for key in found.foreign_keys if key.columns == ("user_id",)]
    right = [key for key in ours if (key.target, key.target_columns) == (parent.identity, (users_column,))]
    cascading = [key for key in right if key.on_delete == "CASCADE"]
    for key in ours:
        if key not in right:
            yield Finding(table, "foreign key", "(user_id)", f"also {_key(key)}", f"only {expected}", Verdict.BLOCKED)
    if not any(key.flaw is None for key in cascading):
        verdict = Verdict.BLOCKED if any(key.flaw == "its triggers disabled" for key in cascading) else fixable
        yield Finding(table, "foreign key", "(user_id)", _keys_there(right), expected, verdict)
        return
    for key in right:
        # Where two keys disagree the stricter one wins, and the user cannot be deleted.
        if key not in cascading:
            yield Finding(table, "foreign key", "(user_id)", f"also {_key(key)}", f"only {expected}", fixable)


def _keys_there(keys: list[ForeignKey]) -> str:
    return "; ".join(_key(key) for key in keys) or "missing"


def _key(key: ForeignKey) -> str:
    flaw = f", {key.flaw}" if key.flaw else ""
    return f"{key.name}: {key.target} {_named(key.target_columns)} ON DELETE {key.on_delete}{flaw}"
