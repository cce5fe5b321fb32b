"""What a table of PostgreSQL is tied to by what it is: its type, its parents and heirs, its identity, its names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema import place
from twofold.schema.dependants.dependant import Dependant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twofold.schema.plan.plan import Change, Step

_TYPED = sa.text(
    "SELECT c.oid::regclass::text AS owner, c.reloftype::regtype::text AS of FROM pg_class c "
    "WHERE c.oid = to_regclass(:table) AND c.reloftype <> 0"
)
_INHERITED = sa.text(
    "SELECT i.inhrelid::regclass::text AS owner, i.inhparent::regclass::text AS parent, a.attname AS name "
    "FROM pg_inherits i JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attname = ANY (:columns) "
    "AND NOT a.attisdropped WHERE i.inhrelid = to_regclass(:table) ORDER BY 2, 3"
)
_HEIRS = sa.text(
    "WITH RECURSIVE family (oid, owner) AS (SELECT i.inhrelid, i.inhparent FROM pg_inherits i "
    "WHERE i.inhparent = to_regclass(:table) UNION SELECT i.inhrelid, i.inhparent FROM pg_inherits i "
    "JOIN family f ON f.oid = i.inhparent) SELECT f.oid::regclass::text AS heir, f.owner::regclass::text AS owner, "
    "a.attname AS name FROM family f JOIN pg_attribute a ON a.attrelid = f.oid AND a.attname = ANY (:columns) "
    "AND NOT a.attisdropped ORDER BY 1, 3"
)
_IDENTITY = sa.text(
    "SELECT DISTINCT i.indrelid::regclass::text AS owner, i.indexrelid::regclass::text AS name "
    "FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = ANY (:columns) "
    "AND a.attnum = ANY (i.indkey::int2[]) WHERE i.indrelid = to_regclass(:table) AND i.indisreplident"
)
_NAMED = sa.text(
    "SELECT one.type, one.identity FROM (SELECT 'pg_class'::regclass::oid AS classid, c.oid FROM pg_class c "
    "WHERE c.relname = ANY (:columns) AND c.relnamespace = CAST(:schema AS text)::regnamespace UNION ALL "
    "SELECT 'pg_type'::regclass::oid, t.oid FROM pg_type t WHERE t.typname = ANY (:columns) AND t.typrelid = 0 "
    "AND t.typelem = 0 AND t.typnamespace = CAST(:schema AS text)::regnamespace) AS met "
    "CROSS JOIN LATERAL pg_identify_object(met.classid, met.oid, 0) AS one ORDER BY 1, 2"
)


def of_type(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    """The type that the table was made of, and from which its columns cannot stray."""
    for row in _asked(connection, _TYPED, step, change):
        gone, made = (f"ALTER TABLE {row.owner} {word}" for word in ("NOT OF", f"OF {row.of}"))
        because = "the table is made of it, and PostgreSQL gives it no other columns"
        yield _tie(step, f"type {row.of}", because, f"Make it a table of its own ({gone};), and adopt. It was: {made};")


def inherited(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    """Parents that have the columns, too."""
    for row in _asked(connection, _INHERITED, step, change):
        gone, made = (f"ALTER TABLE {row.owner} {word} {row.parent}" for word in ("NO INHERIT", "INHERIT"))
        because = f"the table has {row.name} from it, and PostgreSQL changes that only there"
        yield _tie(step, f"table {row.parent}", because, f"Part them ({gone};), and adopt. They were: {made};")


def heirs(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    """Heirs with a column of their own where one would be added."""
    for row in _asked(connection, _HEIRS, step, change):
        gone = f"ALTER TABLE {row.heir} NO INHERIT {row.owner}"
        because = f"it inherits from the table, and has a column {row.name} of its own"
        yield _tie(step, f"table {row.heir}", because, f"Part them ({gone};), and adopt.")


def identity(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    """The index by which replicas tell rows apart."""
    for row in _asked(connection, _IDENTITY, step, change):
        gone = f"ALTER TABLE {row.owner} REPLICA IDENTITY DEFAULT"
        because = "replicas tell rows apart by it, and PostgreSQL allows no NULL there"
        yield _tie(step, f"index {row.name}", because, f"Let them go by the primary key ({gone};), and adopt.")


def names(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    """What has the name of something that would be created."""
    for row in _asked(connection, _NAMED, step, change):
        because = "it has the name that the new one gets"
        remedy = f"Give it another name: ALTER {str(row.type).upper()} {row.identity} RENAME TO ...;"
        yield _tie(step, f"{row.type} {row.identity}", because, remedy)


def _asked(connection: sa.Connection, query: sa.TextClause, step: Step, change: Change) -> Sequence[sa.Row[Any]]:
    asked = {"table": step.table, "columns": list(change.names), "schema": place.ours(connection)}
    named = query.compile().params.keys()
    return connection.execute(query, {name: value for name, value in asked.items() if name in named}).all()


def _tie(step: Step, name: str, because: str, remedy: str) -> Dependant:
    return Dependant(step.table, name, "refuses", because, remedy)
