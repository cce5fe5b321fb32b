"""PostgreSQL's catalog: `pg_class` and what hangs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema.catalog.relation import Column, Family, ForeignKey, Index, Relation, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLASS = sa.text(
    "SELECT c.oid, c.oid::regclass::text AS identity, c.relkind::text AS kind, c.relpersistence::text AS persistence, "
    "c.relrowsecurity AS guarded, c.relispartition AS partition FROM pg_class c WHERE c.oid = to_regclass("
    "concat(quote_ident(CAST(:schema AS text)) || '.', quote_ident(CAST(:name AS text))))"
)
# Since version 18 a NOT NULL can be declared and not validated, and a foreign key can be declared and not enforced.
_COLUMNS = sa.text(
    "SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, t.typtype = 'd' AS is_domain, "
    "base.typname AS base, base.modifier AS modifier, "
    "a.attnotnull AND NOT EXISTS (SELECT 1 FROM pg_constraint n WHERE n.conrelid = a.attrelid "
    "AND n.contype = 'n' AND NOT n.convalidated AND a.attnum = ANY (n.conkey)) AS required, "
    "pg_get_expr(d.adbin, d.adrelid) AS default_text, a.attidentity::text AS identity, "
    "a.attgenerated::text AS generated "
    "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
    # A domain may stand for a domain; the last of them is what is kept.
    "CROSS JOIN LATERAL (WITH RECURSIVE under AS ("
    "SELECT t.typname, t.typtype, t.typbasetype, t.typtypmod, a.atttypmod AS modifier "
    "UNION ALL SELECT b.typname, b.typtype, b.typbasetype, b.typtypmod, under.typtypmod "
    "FROM under JOIN pg_type b ON b.oid = under.typbasetype WHERE under.typtype = 'd') "
    "SELECT typname, modifier FROM under WHERE typtype <> 'd') AS base "
    "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE a.attrelid = :oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)
_INDEXES = sa.text(
    "SELECT c.relname AS name, m.amname AS method, i.indisunique AS unique, i.indisprimary AS primary, "
    "i.indisvalid AND i.indisready AND i.indislive AS valid, i.indimmediate AS immediate, "
    "i.indpred IS NOT NULL AS partial, i.indexprs IS NOT NULL AS expression, "
    "array(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, position) "
    "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
    "WHERE k.position <= i.indnkeyatts ORDER BY k.position) AS columns "
    "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam "
    "WHERE i.indrelid = :oid ORDER BY c.relname"
)
_FOREIGN_KEYS = sa.text(
    "SELECT c.conname AS name, c.confrelid::regclass::text AS target, "
    "array(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(number, position) "
    "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.position) AS columns, "
    "array(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k(number, position) "
    "JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number ORDER BY k.position) AS target_columns, "
    "c.confdeltype::text AS on_delete, c.convalidated AS validated, "
    "coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true) AS enforced, "
    "EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled IN ('D', 'R')) AS disabled "
    "FROM pg_constraint c WHERE c.conrelid = :oid AND c.contype = 'f' AND c.conparentid = 0 ORDER BY c.conname"
)
_LISTED = sa.text(
    "SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = :oid AND NOT tgisinternal "
    "UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = :oid "
    "UNION ALL SELECT 'check ' || conname FROM pg_constraint WHERE conrelid = :oid AND contype = 'c' "
    "UNION ALL SELECT 'exclusion ' || conname FROM pg_constraint WHERE conrelid = :oid AND contype = 'x' "
    "ORDER BY 1"
)
_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "i": "index",
    "S": "sequence",
    "c": "composite type",
}
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_FAMILIES: dict[str, tuple[Family, int | None]] = {
    "int2": ("integer", 16),
    "int4": ("integer", 32),
    "int8": ("integer", 64),
    "bool": ("boolean", None),
    "text": ("string", None),
    "varchar": ("string", None),
    "timestamp": ("moment", 6),
    "timestamptz": ("moment", 6),
    "uuid": ("uuid", None),
    "bpchar": ("char", None),
    "bytea": ("binary", None),
    "numeric": ("decimal", None),
}


def read(connection: sa.Connection, name: str, schema: str | None) -> Relation | None:
    """Read what the search path finds under a name, or what a schema has there."""
    found = connection.execute(_CLASS, {"name": name, "schema": schema}).one_or_none()
    if found is None:
        return None
    kind = "partition" if found.partition else _KINDS.get(found.kind, "unknown relation")
    if kind not in {"table", "partitioned table"}:
        return Relation(name, str(found.identity), kind)
    oid = {"oid": found.oid}
    columns = [_column(row) for row in connection.execute(_COLUMNS, oid).mappings()]
    rows = connection.execute(_INDEXES, oid).all()
    flaws: list[str] = []
    if found.guarded:
        flaws.append("row level security")
    if found.persistence != "p":
        flaws.append("unlogged" if found.persistence == "u" else "temporary")
    return Relation(
        name,
        str(found.identity),
        kind,
        {column.name: column for column in columns},
        next((tuple(row.columns) for row in rows if row.primary), ()),
        tuple(_index(row) for row in rows),
        tuple(_foreign_key(row) for row in connection.execute(_FOREIGN_KEYS, oid)),
        tuple(flaws),
        tuple(str(one) for one in connection.execute(_LISTED, oid).scalars()),
    )


def _column(row: Mapping[Any, Any]) -> Column:
    default = None if row["default_text"] is None else str(row["default_text"])
    numbered = bool(row["identity"]) or (default or "").startswith("nextval(")
    return Column(
        str(row["name"]),
        _type(row),
        nullable=not row["required"],
        default=None if default is None or default.upper().startswith("NULL::") else default,
        numbers_itself=numbered,
        generated=bool(row["generated"]),
    )


def _type(row: Mapping[Any, Any]) -> Type:
    base, modifier = str(row["base"]), int(row["modifier"])
    family, size = _FAMILIES.get(base, ("other", None))
    if modifier >= 0 and base in {"varchar", "bpchar"}:
        size = modifier - 4  # PostgreSQL counts its own header of four bytes.
    elif modifier >= 0 and base == "numeric":
        # Digits in the upper half, those behind the point in the lower.
        family, size = ("decimal" if not (modifier - 4) & 0x7FF else "other"), (modifier - 4) >> 16
    elif modifier >= 0 and family == "moment":
        size = modifier
    return Type(family, str(row["type"]), size, zoned=base == "timestamptz", is_domain=bool(row["is_domain"]))


def _index(row: sa.Row[Any]) -> Index:
    flaws = {
        "INVALID": not row.valid,
        "partial": row.partial,
        "over an expression": row.expression,
        "deferrable": not row.immediate,
    }
    flaw = next((word for word, applies in flaws.items() if applies), None)
    return Index(str(row.name), tuple(row.columns), bool(row.unique), str(row.method), flaw)


def _foreign_key(row: sa.Row[Any]) -> ForeignKey:
    flaws = {"NOT ENFORCED": not row.enforced, "NOT VALID": not row.validated, "its triggers disabled": row.disabled}
    flaw = next((word for word, applies in flaws.items() if applies), None)
    action = _ACTIONS.get(str(row.on_delete), str(row.on_delete))
    return ForeignKey(str(row.name), tuple(row.columns), str(row.target), tuple(row.target_columns), action, flaw)
