"""MariaDB's catalog: `information_schema`, whose names are written out so that every version spells them alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema.catalog.relation import Column, ForeignKey, Index, Relation, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE = sa.text(
    "SELECT table_schema AS `schema`, table_type AS kind, engine AS engine, create_options AS options, "
    "table_schema = database() AS here "
    "FROM information_schema.tables WHERE table_schema = :schema AND table_name = :name"
)
_COLUMNS = sa.text(
    "SELECT column_name AS name, data_type AS data_type, column_type AS column_type, is_nullable AS nullable, "
    "column_default AS default_text, extra AS extra, character_maximum_length AS length, "
    "datetime_precision AS fraction, character_set_name AS charset, collation_name AS collation, "
    "generation_expression AS generation "
    "FROM information_schema.columns WHERE table_schema = :schema AND table_name = :name "
    "ORDER BY ordinal_position"
)
_INDEXES = sa.text(
    "SELECT index_name AS name, non_unique AS non_unique, column_name AS `column`, sub_part AS prefix, "
    "index_type AS method, ignored AS ignored "
    "FROM information_schema.statistics WHERE table_schema = :schema AND table_name = :name "
    "ORDER BY index_name, seq_in_index"
)
_FOREIGN_KEYS = sa.text(
    "SELECT constraint_name AS name, column_name AS `column`, referenced_table_schema AS target_schema, "
    "referenced_table_name AS target, referenced_column_name AS target_column "
    "FROM information_schema.key_column_usage WHERE table_schema = :schema AND table_name = :name "
    "AND referenced_table_name IS NOT NULL ORDER BY constraint_name, ordinal_position"
)
# A join of the two would make the server open every table of every database to find the rules.
_RULES = sa.text(
    "SELECT constraint_name, delete_rule FROM information_schema.referential_constraints "
    "WHERE constraint_schema = :schema AND table_name = :name"
)
_LISTED = sa.text(
    "SELECT concat('trigger ', trigger_name) FROM information_schema.triggers "
    "WHERE event_object_schema = :schema AND event_object_table = :name "
    "UNION ALL SELECT concat('check ', constraint_name) FROM information_schema.check_constraints "
    "WHERE constraint_schema = :schema AND table_name = :name ORDER BY 1"
)
_TOLD = re.compile(r"CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY .* ON DELETE (CASCADE|SET NULL|NO ACTION|SET DEFAULT)")
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_UNLIMITED = {"text": 65_535, "mediumtext": 16_777_215, "longtext": 4_294_967_295}


def read(connection: sa.Connection, name: str, schema: str | None) -> Relation | None:
    """Read what stands under a name in the current database, or in another one."""
    # With a constant the server opens this one table; with a function it would open every table of every database.
    named: dict[str, str | None] = {
        "name": name,
        "schema": schema or connection.execute(sa.text("SELECT database()")).scalar_one(),
    }
    found = connection.execute(_TABLE, named).one_or_none()
    if found is None:
        return None
    identity = name.casefold() if found.here else f"{found.schema}.{name}".casefold()
    if found.kind not in {"BASE TABLE", "SYSTEM VERSIONED"}:
        return Relation(name, identity, str(found.kind).lower())
    columns = [_column(row) for row in connection.execute(_COLUMNS, named).mappings()]
    indexes = _indexes(connection, named)
    primary = next((index.columns for index in indexes if index.name == "PRIMARY"), ())
    flaws = [] if str(found.engine).upper() == "INNODB" else [f"engine {found.engine}"]
    if "partitioned" in str(found.options).lower():
        flaws.append("partitioned")
    return Relation(
        name,
        identity,
        "table",
        {column.name: column for column in columns},
        primary,
        indexes,
        _foreign_keys(connection, named),
        tuple(flaws),
        tuple(str(one) for one in connection.execute(_LISTED, named).scalars()),
    )


def _column(row: Mapping[Any, Any]) -> Column:
    extra, default = str(row["extra"]).lower(), row["default_text"]
    return Column(
        str(row["name"]).casefold(),
        _type(row),
        nullable=row["nullable"] == "YES",
        default=None if default is None or str(default).upper() == "NULL" else str(default),
        numbers_itself="auto_increment" in extra,
        generated=bool(row["generation"]),
    )


def _type(row: Mapping[Any, Any]) -> Type:
    data, text = str(row["data_type"]).lower(), str(row["column_type"]).lower()
    # The display width of an integer says nothing about what it holds.
    plain = re.sub(r"^(\w*int)\(\d+\)", r"\1", text)
    charset = None if row["charset"] is None else str(row["charset"])
    if charset is not None:
        plain = f"{plain} character set {charset} collate {row['collation']}"
    if text.startswith("tinyint(1)"):
        # Here the width tells: a foreign key of the same words is read as a boolean, too.
        return Type("boolean", text, 8)
    if data in _BITS:
        # An unsigned number reaches further up, never less far than its signed sibling of half the size.
        return Type("integer", plain, _BITS[data])
    if data == "varchar":
        return Type("string", plain, int(row["length"]), charset=charset)
    if data in _UNLIMITED:
        return Type("string", plain, _UNLIMITED[data], charset=charset)
    if data == "datetime":
        return Type("moment", plain, int(row["fraction"]))
    return _rare_type(data, plain, row["length"], charset)


def _rare_type(data: str, text: str, length: int | None, charset: str | None) -> Type:
    """A type that no column of ours has, but the users' key may."""
    if data == "uuid":
        return Type("uuid", text)
    if data == "char":
        return Type("char", text, length, charset=charset)
    if data in {"binary", "varbinary"}:
        return Type("binary", text, length)
    if whole := re.match(r"decimal\((\d+),0\)", text):
        return Type("decimal", text, int(whole[1]))
    return Type("other", text, charset=charset)


def _indexes(connection: sa.Connection, named: dict[str, str | None]) -> tuple[Index, ...]:
    grouped: dict[str, list[sa.Row[Any]]] = {}
    for row in connection.execute(_INDEXES, named).all():
        grouped.setdefault(str(row.name), []).append(row)
    found: list[Index] = []
    for name, rows in grouped.items():
        prefixed = any(row.prefix is not None for row in rows)
        # What is too long for a B-tree is made unique by its hash, which no foreign key takes.
        hashed = str(rows[0].method).upper() == "HASH"
        flaw = (
            "over a prefix"
            if prefixed
            else "over a hash"
            if hashed
            else "ignored"
            if rows[0].ignored == "YES"
            else None
        )
        columns = tuple(str(row.column).casefold() for row in rows)
        found.append(Index(name, columns, not rows[0].non_unique, str(rows[0].method).lower(), flaw))
    return tuple(found)


def _foreign_keys(connection: sa.Connection, named: dict[str, str | None]) -> tuple[ForeignKey, ...]:
    here = connection.execute(sa.text("SELECT database()")).scalar_one()
    grouped: dict[str, list[sa.Row[Any]]] = {}
    rules = {str(name): str(rule).upper() for name, rule in connection.execute(_RULES, named)}
    keys = connection.execute(_FOREIGN_KEYS, named).all()
    if any(row.name not in rules for row in keys):
        rules = _told_rules(connection, named)
    for row in keys:
        grouped.setdefault(str(row.name), []).append(row)
    found: list[ForeignKey] = []
    for name, rows in grouped.items():
        target = str(rows[0].target) if rows[0].target_schema == here else f"{rows[0].target_schema}.{rows[0].target}"
        columns = tuple(str(row.column).casefold() for row in rows)
        target_columns = tuple(str(row.target_column).casefold() for row in rows)
        found.append(ForeignKey(name, columns, target.casefold(), target_columns, rules.get(name, "RESTRICT")))
    return tuple(found)


def _told_rules(connection: sa.Connection, named: dict[str, str | None]) -> dict[str, str]:
    """The rules out of the table's own DDL, which a role that may only read is shown, and leaves RESTRICT unsaid."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    table = f"{quote(str(named['schema']))}.{quote(str(named['name']))}"
    made = str(connection.exec_driver_sql(f"SHOW CREATE TABLE {table}").one()[1])
    return {str(name): str(rule) for name, rule in _TOLD.findall(made)}
