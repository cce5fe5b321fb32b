"""Whether an upgrade makes a users table: in a database without tables, or where somebody asks, and nowhere else.

An application whose users are in `user` or `accounts` would get a second, empty table, and every `user_id` would
reference that one: each login would end with a user whom nobody knows. So the tables are named whose keys would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.errors import ConfigurationError
from twofold.metadata import UsersColumn
from twofold.schema import catalog, place
from twofold.schema.history import OURS
from twofold.schema.users.referenced import obstacle
from twofold.schema.users.users import parent
from twofold.settings import users_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTION = "twofold_with_users"
"""What `alembic -x twofold_with_users=yes` names."""

MARK = "uq_users_subject_twofold"
"""The unique key of a users table that Twofold made."""

_DEFAULT = UsersColumn.parse("users.id")
_NAMED = 10
_LIKELY = ("user", "account", "member", "person", "people", "customer", "login", "auth")
# A version table of Alembic has this one column, whatever its name. What an extension made belongs to no application.
# Views count: an application may have nothing else here, and its tables in another schema or database.
_POSTGRESQL = sa.text(
    "SELECT n.nspname AS schema, c.relname AS name, pg_table_is_visible(c.oid) AS here, EXISTS (SELECT 1 "
    "FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conname = :mark) AS is_ours FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') "
    "AND NOT c.relispartition AND c.relpersistence <> 't' "
    "AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' "
    "AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid "
    "AND d.deptype = 'e') AND (SELECT string_agg(a.attname, ',') FROM pg_attribute a WHERE a.attrelid = c.oid "
    "AND a.attnum > 0 AND NOT a.attisdropped) IS DISTINCT FROM 'version_num'"
)
_MARIADB = sa.text(
    "SELECT NULL AS `schema`, t.table_name AS name, 1 AS here, 0 AS is_ours FROM information_schema.tables t "
    "WHERE t.table_schema = :schema AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW') "
    "AND (SELECT group_concat(c.column_name) FROM information_schema.columns c WHERE c.table_schema = :schema "
    "AND c.table_name = t.table_name) <> 'version_num'"
)
_SQLITE = sa.text(
    "SELECT NULL AS schema, m.name AS name, 1 AS here, 0 AS is_ours FROM sqlite_master m "
    "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
    "AND (SELECT group_concat(name) FROM pragma_table_xinfo(m.name)) IS NOT 'version_num'"
)


def founds(connection: sa.Connection, users: UsersColumn, *, asked: bool = False) -> bool:
    """Whether an upgrade is to make `users`. With `asked`, other tables are no reason not to.

    Raises ConfigurationError where there are tables and none of them is the one that the settings name.
    """
    if users != _DEFAULT or parent(connection, users) is not None:
        return False
    if asked or is_empty(connection):
        return True
    raise missing(connection, users)


def is_empty(connection: sa.Connection) -> bool:
    """Whether there is no table or view but version tables of Alembic, Twofold's own, and those of extensions."""
    return all(table.is_ours for table in _tables(connection))


def missing(connection: sa.Connection, users: UsersColumn) -> ConfigurationError:
    """The error where there are no such users, with what to do about it."""
    return ConfigurationError(f"There is no {users} in the database. {remedy(connection, users)}")


def remedy(connection: sa.Connection, users: UsersColumn) -> str:
    """What to do where the users are not found: the setting to type for each table whose key would do."""
    found = list(_candidates(connection))
    if found:
        more = ", ..." if len(found) > _NAMED else ""
        first = f"Say where your users are: TWOFOLD_USERS={', or TWOFOLD_USERS='.join(found[:_NAMED])}{more}."
    else:
        first = "Run your application's own migrations first, and set TWOFOLD_USERS to the key of its users."
    if users != _DEFAULT:
        return first
    if is_empty(connection):
        return f"{first} With no table at all, `twofold db upgrade` makes one."
    return f"{first} To have an empty users table made beside your tables: `twofold db upgrade --with-users`."


@dataclass(frozen=True, slots=True)
class _Table:
    """A table: `schema` is None where a name alone leads to it, `is_ours` where Twofold made it."""

    schema: str | None
    name: str
    is_ours: bool

    @property
    def likelihood(self) -> tuple[bool, int, str, str]:
        """A short name that speaks of users comes before `user_settings`, and both before the others."""
        speaks = any(word in self.name.casefold() for word in _LIKELY)
        return not speaks, len(self.name) if speaks else 0, self.name, self.schema or ""


def _candidates(connection: sa.Connection) -> Iterator[str]:
    """The keys that would do, the likely ones first, and one more than are named."""
    left = _NAMED + 1
    for table in sorted(_tables(connection), key=lambda one: one.likelihood):
        found = catalog.read(connection, table.name, place.translated(connection, table.schema))
        if found is None or len(found.primary_key) != 1:
            continue
        users = UsersColumn(table.schema, table.name, found.primary_key[0])
        if users_parts(str(users)) is None or obstacle(users, found, connection.dialect.name) is not None:
            continue
        yield str(users)
        left -= 1
        if not left:
            return


def _tables(connection: sa.Connection) -> list[_Table]:
    match connection.dialect.name:
        case "postgresql":
            rows = connection.execute(_POSTGRESQL, {"mark": MARK})
        case "sqlite":
            rows = connection.execute(_SQLITE)
        case _:
            named = {"schema": connection.scalar(sa.text("SELECT database()"))}
            rows = connection.execute(_MARIADB, named)
    found = (_Table(None if row.here else str(row.schema), str(row.name), bool(row.is_ours)) for row in rows)
    return [table for table in found if table.name not in OURS]
