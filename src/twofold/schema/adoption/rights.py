"""What the role may do: a plan that its role cannot carry out to the end is not begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema.history import is_there
from twofold.schema.plan.plan import Blocker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twofold.metadata import UsersColumn
    from twofold.schema.catalog.relation import Relation
    from twofold.schema.plan.plan import Step

_OWNED = sa.text(
    "SELECT c.oid::regclass::text AS name, pg_get_userbyid(c.relowner) AS owner, current_user::text AS me "
    "FROM pg_class c WHERE c.oid = to_regclass(:table) AND NOT pg_has_role(c.relowner, 'USAGE')"
)
_CREATES = sa.text(
    "SELECT quote_ident(current_schema) AS name, quote_ident(current_user) AS me "
    "WHERE NOT has_schema_privilege(current_schema, 'CREATE')"
)
_REFERENCES = sa.text(
    "SELECT quote_ident(current_user) AS me, c.oid::regclass::text AS name, quote_ident(n.nspname) AS schema, "
    "has_schema_privilege(n.oid, 'USAGE') AS sees FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.oid = to_regclass(:users) AND NOT (has_schema_privilege(n.oid, 'USAGE') "
    "AND has_column_privilege(c.oid, :column, 'REFERENCES'))"
)
_WRITES = sa.text(
    "SELECT c.oid::regclass::text AS name, quote_ident(current_user) AS me FROM pg_class c "
    "WHERE c.oid = to_regclass(:table) AND NOT (has_table_privilege(c.oid, 'SELECT') "
    "AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') "
    "AND has_table_privilege(c.oid, 'DELETE'))"
)
# A role that is switched on may bring more than the catalog tells; then nothing is said.
_GRANTED = sa.text(
    "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = :me "
    "UNION SELECT privilege_type FROM information_schema.schema_privileges "
    "WHERE grantee = :me AND database() LIKE table_schema "
    "UNION SELECT privilege_type FROM information_schema.table_privileges "
    "WHERE grantee = :me AND table_schema = database() AND table_name = :table"
)
_ME = sa.text(
    "SELECT concat('''', replace(current_user(), '@', '''@'''), '''') AS me, current_role() IS NOT NULL AS switched"
)


def missing(
    connection: sa.Connection,
    users: UsersColumn,
    parent: Relation | None,
    steps: Sequence[Step],
    recorded_in: Sequence[str],
) -> Iterator[Blocker]:
    """What the role lacks for the steps, and for the version tables in which something is recorded at the end."""
    match connection.dialect.name:
        case "postgresql":
            yield from _postgresql(connection, users, parent, steps, recorded_in)
        case "sqlite":
            return
        case _:
            yield from _mariadb(connection, steps, recorded_in)


def _postgresql(
    connection: sa.Connection,
    users: UsersColumn,
    parent: Relation | None,
    steps: Sequence[Step],
    recorded_in: Sequence[str],
) -> Iterator[Blocker]:
    def asked(query: sa.TextClause, **named: str) -> Sequence[sa.Row[Any]]:
        return connection.execute(query, named).all()

    for table in dict.fromkeys(step.table for step in steps if step.kind != "table"):
        for row in asked(_OWNED, table=table):
            grant = f"ALTER TABLE {row.name} OWNER TO {connection.dialect.identifier_preparer.quote(row.me)}"
            problem = f"PostgreSQL lets only its owner change a table, and that is {row.owner}"
            yield Blocker(table, "rights", problem, f"Connect as {row.owner}, or give the table away ({grant};).")
    there = {name for name in recorded_in if is_there(connection, name)}
    makes = any(statement.startswith(_MAKES) for step in steps for statement in step.statements)
    if makes or set(recorded_in) - there:
        for row in asked(_CREATES):
            yield _lacks("CREATE", f"schema {row.name}", f"GRANT CREATE ON SCHEMA {row.name} TO {row.me}")
    if parent is not None and any(step.kind in {"table", "foreign-key"} for step in steps):
        for row in asked(_REFERENCES, users=parent.identity, column=users.column):
            column = connection.dialect.identifier_preparer.quote(users.column)
            grant = f"GRANT REFERENCES ({column}) ON {row.name} TO {row.me}"
            sees = "" if row.sees else f"GRANT USAGE ON SCHEMA {row.schema} TO {row.me}; "
            yield _lacks("REFERENCES", f"{row.name} ({column})", f"{sees}{grant}")
    for name in sorted(there):
        for row in asked(_WRITES, table=name):
            grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON {row.name} TO {row.me}"
            yield _lacks("INSERT, UPDATE and DELETE", row.name, grant)


_RECORDING = {"SELECT", "INSERT", "UPDATE", "DELETE"}
# What needs the right to create in a schema, a new name of an index included.
_MAKES = ("CREATE ", "REINDEX ", "ALTER INDEX ")


def _mariadb(connection: sa.Connection, steps: Sequence[Step], recorded_in: Sequence[str]) -> Iterator[Blocker]:
    me, switched = connection.execute(_ME).one()
    if switched:
        return
    needed: dict[str, set[str]] = {}
    for step in steps:
        needed.setdefault(step.table, set()).update({"ALTER", "CREATE"} if step.kind == "table" else {"ALTER"})
    for name in recorded_in:
        exists = is_there(connection, name)
        needed.setdefault(name, set()).update(_RECORDING if exists else {"CREATE", "DROP", *_RECORDING})
    for table, rights in needed.items():
        granted = set(connection.execute(_GRANTED, {"me": me, "table": table}).scalars())
        if lacks := ", ".join(sorted(rights - granted)):
            yield _lacks(lacks, table, f"GRANT {lacks} ON {table} TO {me}")


def _lacks(right: str, on: str, grant: str) -> Blocker:
    return Blocker(on, "rights", f"the role lacks {right} there", f"Let it ({grant};).")
