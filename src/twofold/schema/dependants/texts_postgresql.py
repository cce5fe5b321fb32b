"""What names a table in its text, which is all that PostgreSQL knows of a body that it did not read.

It keeps such functions whatever becomes of the table. A name alone means the table that the search path finds while
the function runs, so it counts where the function, or the table of its trigger, stands in our schema.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema import place
from twofold.schema.dependants.dependant import Dependant, out_of_the_way

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_FUNCTIONS = sa.text(
    'SELECT p.oid, one.name AS "table", it.type, it.identity, pg_get_functiondef(p.oid) AS made, '
    "n.nspname = :schema AS is_here, p.prosrc ~* one.qualified AS is_meant, "
    "p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AS is_called FROM pg_proc p "
    "JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang "
    "JOIN unnest(CAST(:names AS text[]), CAST(:alone AS text[]), CAST(:qualified AS text[])) "
    "AS one (name, alone, qualified) ON p.prosrc ~* one.alone OR p.prosrc ~* one.qualified "
    "CROSS JOIN LATERAL pg_identify_object('pg_proc'::regclass, p.oid, 0) AS it "
    "WHERE l.lanname NOT IN ('internal', 'c') AND p.prokind IN ('f', 'p') AND n.nspname <> 'information_schema' "
    "AND n.nspname NOT LIKE 'pg\\_%' AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass "
    "AND d.objid = p.oid AND d.deptype = 'e') ORDER BY 2, 4"
)
_TRIGGERS = sa.text(
    "SELECT t.tgfoid AS oid, it.identity, pg_get_triggerdef(t.oid) AS made, n.nspname = :schema AS is_here "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "CROSS JOIN LATERAL pg_identify_object('pg_trigger'::regclass, t.oid, 0) AS it "
    "WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled <> 'D' "
    "AND NOT (n.nspname = :schema AND c.relname = ANY (CAST(:names AS text[]))) ORDER BY 2"
)
_KEPT = "its text names the table, and PostgreSQL would keep it"


def of_tables(connection: sa.Connection, names: Collection[str]) -> Iterator[Dependant]:
    """What DROP TABLE leaves there, to fail whoever uses it, or to be looked at."""
    functions = _naming(connection, names)
    triggers = connection.execute(_TRIGGERS, {"schema": place.ours(connection), "names": list(names)}).all()
    meanwhile = "take the tables away"
    for row in functions:
        met = [one for one in triggers if one.oid == row.oid and (one.is_here or row.is_meant)]
        for one in met:
            because = f"the text of its {row.identity} names the table, and PostgreSQL would refuse who writes there"
            remedy = out_of_the_way(f"DROP TRIGGER {one.identity}", str(one.made), meanwhile)
            yield Dependant(str(row.table), f"trigger {one.identity}", "breaks", because, remedy)
        if met:
            continue
        remedy = out_of_the_way(f"DROP {row.type.upper()} {row.identity}", str(row.made), meanwhile)
        name = f"{row.type} {row.identity}"
        if row.is_called and (row.is_here or row.is_meant):
            yield Dependant(str(row.table), name, "breaks", f"{_KEPT}, and refuse whoever calls it", remedy)
        else:
            yield Dependant(str(row.table), name, "may break", _KEPT, remedy)


def naming(connection: sa.Connection, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The tables, each with what names it."""
    for row in _naming(connection, names):
        yield str(row.table), f"{row.type} {row.identity}"


def _naming(connection: sa.Connection, names: Collection[str]) -> list[sa.Row[tuple[object, ...]]]:
    schema = place.ours(connection)
    asked = {
        "schema": schema,
        "names": list(names),
        # A name of its own, in quotes or not, and not that of somebody else's schema.
        "alone": [rf'(^|[^\w$."])("?){name}\2([^\w$]|$)' for name in names],
        "qualified": [rf'(^|[^\w$])"?{re.escape(schema or "")}"?\s*\.\s*"?{name}"?([^\w$]|$)' for name in names],
    }
    return list(connection.execute(_FUNCTIONS, asked).all())
