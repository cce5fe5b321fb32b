"""Rehearse a column's new type on an empty copy: only PostgreSQL knows whether an expression is valid over it.

ALTER COLUMN TYPE rebuilds indexes, checks and statistics from their text. Over the new type, a function in them may
not exist, or may not be immutable, and the ALTER fails. The copy is a temporary table, undone by a savepoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COPY = "pg_temp.twofold_rehearsal"
_BUILT = sa.text(
    "WITH RECURSIVE family (oid) AS (SELECT to_regclass(:table)::oid "
    "UNION SELECT i.inhrelid FROM pg_inherits i JOIN family f ON f.oid = i.inhparent) "
    "SELECT DISTINCT one.type, one.identity, format('%I.%I', n.nspname, c.relname) AS owner, CASE one.type "
    "WHEN 'index' THEN pg_get_indexdef(d.objid) WHEN 'statistics object' THEN pg_get_statisticsobjdef(d.objid) "
    "ELSE format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname, "
    "pg_get_constraintdef(d.objid)) END AS made, CASE WHEN k.oid IS NULL "
    "THEN format('DROP %s %s', CASE one.type WHEN 'index' THEN 'INDEX' ELSE 'STATISTICS' END, one.identity) "
    "ELSE format('ALTER TABLE %I.%I DROP CONSTRAINT %I', n.nspname, c.relname, k.conname) END AS gone "
    "FROM family f JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_attribute a ON a.attrelid = f.oid AND a.attname = ANY (:columns) "
    "JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = f.oid AND d.refobjsubid = a.attnum "
    "LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid "
    "LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid "
    "LEFT JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND s.oid = d.objid "
    "CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS one "
    "WHERE (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) "
    "AND NOT EXISTS (SELECT 1 FROM pg_constraint u WHERE u.conindid = i.indexrelid) "
    "OR k.contype IN ('c', 'x') OR to_jsonb(s) ->> 'stxexprs' IS NOT NULL ORDER BY 1, 2"
)


def refused(
    connection: sa.Connection, table: str, columns: Sequence[str], statement: str
) -> Iterator[tuple[sa.Row[Any], str | None]]:
    """Yield what PostgreSQL cannot rebuild once this ALTER has changed the columns, each with its SQLSTATE.

    Where the role may not create a temporary table, nothing can be tried: all are yielded, with None.
    """
    built = connection.execute(_BUILT, {"table": table, "columns": list(columns)}).all()
    if not built:
        return
    with connection.begin_nested() as undone:
        made = f"CREATE TEMPORARY TABLE twofold_rehearsal (LIKE {table})"
        can_try = _refusal(connection, made, keep=True) is None
        if can_try:
            connection.exec_driver_sql(statement.replace(f"ALTER TABLE {table} ", f"ALTER TABLE {_COPY} ", 1))
        for row in built:
            made = str(row.made).replace(f" {row.owner} ", f" {_COPY} ", 1)
            if row.type == "statistics object":
                made = _of_the_copy(made, str(row.owner))
            code = _refusal(connection, made) if can_try else None
            if not can_try or code is not None:
                yield row, code
        undone.rollback()


def _of_the_copy(statistics: str, owner: str) -> str:
    """The CREATE STATISTICS for the copy: it names another table, and itself anew, as its own name is taken."""
    over = statistics.partition(" ON ")[2].rpartition(f" FROM {owner}")[0]
    return f"CREATE STATISTICS pg_temp.twofold_rehearsal ON {over} FROM {_COPY}"


def _refusal(connection: sa.Connection, statement: str, *, keep: bool = False) -> str | None:
    """Execute a statement in a savepoint, rolled back unless `keep`; return the SQLSTATE of its error, or None."""
    try:
        with connection.begin_nested() as tried:
            connection.exec_driver_sql(statement)
            if not keep:
                tried.rollback()
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", None))
    return None
