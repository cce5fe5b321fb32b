"""What hangs on a table of PostgreSQL, as `pg_depend` has it, in any schema and of any kind; and what names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema import place
from twofold.schema.dependants import event_triggers_postgresql, rehearsal_postgresql
from twofold.schema.dependants import texts_postgresql as texts
from twofold.schema.dependants import ties_postgresql as ties
from twofold.schema.dependants.dependant import Dependant, out_of_the_way

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from twofold.schema.dependants.dependant import Fate
    from twofold.schema.plan.plan import Act, Change, Step

# A view that is made again has neither its owner nor what was granted on it.
_AS_IT_WAS = (
    "FROM pg_class v CROSS JOIN LATERAL (SELECT CASE WHEN pg_get_userbyid(v.relowner) <> current_user "
    "THEN format('; ALTER TABLE %s OWNER TO %I', one.identity, pg_get_userbyid(v.relowner)) ELSE '' END || "
    "coalesce(string_agg(format('; GRANT %s ON %s TO %s%s', acl.privilege_type, one.identity, "
    "CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END, "
    "CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '' ORDER BY acl.grantee, acl.privilege_type), "
    "'') AS again FROM aclexplode(v.relacl) AS acl WHERE acl.grantee <> v.relowner) AS granted "
    "WHERE v.oid = thing.objid"
)
# A view is what hangs on a table, though the catalog has its rule; and a generated column is, though it has a default.
_THINGS = (
    ", thing AS (SELECT met.on_table, met.taken, "  # noqa: S608 - text of its own.
    "CASE WHEN a.attnum IS NOT NULL OR r.rulename = '_RETURN' THEN 'pg_class'::regclass::oid ELSE met.classid END "
    "AS classid, "
    "CASE WHEN r.rulename = '_RETURN' THEN r.ev_class ELSE coalesce(a.attrelid, met.objid) END AS objid, "
    "CASE WHEN r.rulename = '_RETURN' THEN 0 ELSE coalesce(a.attnum, met.objsubid) END AS objsubid FROM met "
    "LEFT JOIN pg_rewrite r ON met.classid = 'pg_rewrite'::regclass AND r.oid = met.objid "
    "LEFT JOIN pg_attrdef d ON met.classid = 'pg_attrdef'::regclass AND d.oid = met.objid "
    "LEFT JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> '') "
    "SELECT DISTINCT c.relname AS table, thing.taken, one.type, one.identity, CASE one.type "
    "WHEN 'table constraint' THEN (SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, "
    "k.conname) FROM pg_constraint k WHERE k.oid = thing.objid) "
    "WHEN 'table column' THEN (SELECT format('ALTER TABLE %s DROP COLUMN %I', a.attrelid::regclass, a.attname) "
    "FROM pg_attribute a WHERE a.attrelid = thing.objid AND a.attnum = thing.objsubid) "
    "WHEN 'default value' THEN (SELECT format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', a.attrelid::regclass, "
    "a.attname) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum "
    "WHERE d.oid = thing.objid) "
    "WHEN 'publication relation' THEN (SELECT format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, "
    "r.prrelid::regclass) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid "
    "WHERE r.oid = thing.objid) "
    "ELSE format('DROP %s %s', upper(one.type), one.identity) END AS gone, CASE one.type "
    "WHEN 'view' THEN (SELECT format('CREATE VIEW %s%s AS %s%s', one.identity, ' WITH (' || array_to_string("
    "v.reloptions, ', ') || ')', rtrim(pg_get_viewdef(v.oid), ';'), granted.again) " + _AS_IT_WAS + ") "
    "WHEN 'materialized view' THEN (SELECT format('CREATE MATERIALIZED VIEW %s%s AS %s%s', one.identity, "
    "' WITH (' || array_to_string(v.reloptions, ', ') || ')', rtrim(pg_get_viewdef(v.oid), ';'), granted.again) "
    + _AS_IT_WAS
    + ") "
    "WHEN 'rule' THEN pg_get_ruledef(thing.objid) WHEN 'trigger' THEN pg_get_triggerdef(thing.objid) "
    "WHEN 'function' THEN pg_get_functiondef(thing.objid) WHEN 'procedure' THEN pg_get_functiondef(thing.objid) "
    "WHEN 'table constraint' THEN (SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, "
    "k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k WHERE k.oid = thing.objid) "
    "WHEN 'table column' THEN (SELECT format('ALTER TABLE %s ADD COLUMN %I %s GENERATED ALWAYS AS (%s) %s', "
    "a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), "
    "CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) FROM pg_attribute a JOIN pg_attrdef d "
    "ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = thing.objid "
    "AND a.attnum = thing.objsubid AND a.attgenerated <> '') "
    "END AS made FROM thing JOIN pg_class c ON c.oid = thing.on_table "
    "CROSS JOIN LATERAL pg_identify_object(thing.classid, thing.objid, thing.objsubid) AS one "
    "ORDER BY 1, 3, 4"
)
_OURS = (
    "WITH RECURSIVE ours AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relname = ANY (:names))"
)
# What ALTER COLUMN TYPE refuses, whatever the type. It carries along indexes, constraints and statistics by itself.
_BELOW_COLUMNS = sa.text(
    _OURS + ", family (oid, top) AS (SELECT oid, oid FROM ours "  # noqa: S608 - text of its own.
    "UNION SELECT i.inhrelid, f.top FROM pg_inherits i JOIN family f ON f.oid = i.inhparent), "
    "met AS (SELECT f.top AS on_table, false AS taken, d.classid, d.objid, d.objsubid FROM family f "
    "JOIN pg_attribute a ON a.attrelid = f.oid AND a.attname = ANY (:columns) "
    "JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = f.oid AND d.refobjsubid = a.attnum "
    "WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass, "
    "'pg_proc'::regclass, 'pg_publication_rel'::regclass) "
    "OR d.classid = 'pg_attrdef'::regclass AND NOT EXISTS (SELECT 1 FROM pg_attrdef own WHERE own.oid = d.objid "
    "AND own.adrelid = f.oid AND own.adnum = a.attnum) "
    "OR d.classid = 'pg_class'::regclass AND d.objsubid > 0)" + _THINGS
)
_OF_ROW_TYPE = sa.text(
    _OURS + ", types (oid, top) AS (SELECT c.reltype, c.oid FROM pg_class c JOIN ours USING (oid) "  # noqa: S608 - text of its own.
    "UNION SELECT made.oid, types.top FROM types CROSS JOIN LATERAL ("
    "SELECT t.oid FROM pg_type t WHERE t.typelem = types.oid "
    "UNION ALL SELECT t.oid FROM pg_type t WHERE t.typbasetype = types.oid "
    "UNION ALL SELECT k.reltype FROM pg_attribute a JOIN pg_class k ON k.oid = a.attrelid AND k.relkind IN ('c', 'v') "
    "WHERE a.atttypid = types.oid) AS made), "
    "met AS (SELECT types.top AS on_table, false AS taken, 'pg_class'::regclass::oid AS classid, k.oid AS objid, "
    "a.attnum::int AS objsubid FROM types JOIN pg_attribute a ON a.atttypid = types.oid AND NOT a.attisdropped "
    "JOIN pg_class k ON k.oid = a.attrelid AND k.relkind IN ('r', 'p', 'm'))" + _THINGS
)
# DROP TABLE follows what was made with a table or for it, and is refused for anything else.
_BELOW_TABLES = sa.text(
    _OURS + ", gone (on_table, classid, objid, objsubid) AS ("  # noqa: S608 - text of its own.
    "SELECT oid, 'pg_class'::regclass::oid, oid, 0 FROM ours "
    "UNION SELECT g.on_table, d.classid, d.objid, d.objsubid FROM gone g JOIN pg_depend d "
    "ON d.refclassid = g.classid AND d.refobjid = g.objid AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid) "
    "WHERE d.deptype IN ('a', 'i', 'P', 'S')), "
    "met AS (SELECT g.on_table, false AS taken, d.classid, d.objid, d.objsubid FROM gone g JOIN pg_depend d "
    "ON d.refclassid = g.classid AND d.refobjid = g.objid AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid) "
    "WHERE d.deptype = 'n' AND NOT EXISTS (SELECT 1 FROM gone h WHERE h.classid = d.classid AND h.objid = d.objid) "
    "UNION SELECT g.on_table, true, g.classid, g.objid, g.objsubid FROM gone g "
    "WHERE g.classid IN ('pg_policy'::regclass, 'pg_publication_rel'::regclass, 'pg_statistic_ext'::regclass) "
    "OR g.classid = 'pg_rewrite'::regclass "
    "OR g.classid = 'pg_trigger'::regclass AND EXISTS (SELECT 1 FROM pg_trigger t WHERE t.oid = g.objid "
    "AND NOT t.tgisinternal) OR g.classid = 'pg_class'::regclass AND g.objid NOT IN (SELECT oid FROM ours) "
    "AND EXISTS (SELECT 1 FROM pg_class r WHERE r.oid = g.objid AND r.relkind IN ('r', 'p', 'f')"
    " AND r.relnamespace <> 'pg_toast'::regnamespace))" + _THINGS
)


def of_steps(connection: sa.Connection, steps: Sequence[Step]) -> Iterator[tuple[Step, Dependant]]:
    """What PostgreSQL would refuse each step for."""
    for step in steps:
        for change in step.changes:
            for met in _MET.get(change.act, ()):
                for dependant in met(connection, step, change):
                    yield step, dependant
    yield from event_triggers_postgresql.refusing(connection, steps)


def _below(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    for row in _asked(connection, _BELOW_COLUMNS, {"names": [step.table], "columns": list(change.names)}):
        yield _dependant(row, f"PostgreSQL changes no type below a {row.type}", "adopt")


def _not_built_anew(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    (statement,) = (one for one in step.statements if one.startswith(f"ALTER TABLE {step.table} "))
    for row, code in rehearsal_postgresql.refused(connection, step.table, change.names, statement):
        because = f"PostgreSQL cannot build it over the new type (error {code})"
        if code is None:
            because = "whether it fits the new type is only known by trying, and this role may make no temporary table"
        remedy = out_of_the_way(str(row.gone), str(row.made), "adopt")
        yield Dependant(step.table, f"{row.type} {row.identity}", "refuses", because, remedy)


def _of_row_type(connection: sa.Connection, step: Step, _change: Change) -> Iterator[Dependant]:
    for row in _asked(connection, _OF_ROW_TYPE, {"names": [step.table]}):
        yield _dependant(row, "PostgreSQL changes no table whose row type is used for a column", "adopt")


_MET: dict[Act, tuple[Callable[[sa.Connection, Step, Change], Iterator[Dependant]], ...]] = {
    "retype": (_below, _not_built_anew, _of_row_type, ties.of_type, ties.inherited),
    "add": (ties.of_type, ties.heirs),
    "fill": (_of_row_type, ties.of_type, ties.heirs),
    "release": (ties.inherited, ties.identity),
    "create": (ties.names,),
}
"""Who is asked about which change."""


def of_tables(connection: sa.Connection, names: Collection[str]) -> Iterator[Dependant]:
    """What DROP TABLE is refused for, what it takes along that the host made, and what it leaves of no use."""
    for row in _asked(connection, _BELOW_TABLES, {"names": list(names)}):
        fate: Fate = "goes along" if row.taken else "refuses"
        because = "PostgreSQL drops it with the table" if row.taken else "PostgreSQL drops no table below it"
        yield _dependant(row, because, "take the tables away", fate)
    yield from texts.of_tables(connection, names)


def _asked(connection: sa.Connection, query: sa.TextClause, asked: dict[str, Any]) -> Sequence[sa.Row[Any]]:
    return connection.execute(query, {"schema": place.ours(connection), **asked}).all()


def _dependant(row: sa.Row[Any], because: str, meanwhile: str, fate: Fate = "refuses") -> Dependant:
    remedy = out_of_the_way(str(row.gone), row.made, meanwhile)
    return Dependant(str(row.table), f"{row.type} {row.identity}", fate, because, remedy)
