"""The host's own users table: the column that `user_id` references, and the type that it lends."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.errors import ConfigurationError
from twofold.metadata import UsersColumn
from twofold.schema import catalog, place
from twofold.schema.users.ids import Declared
from twofold.schema.users.referenced import obstacle
from twofold.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.types import TypeEngine

    from twofold.schema.catalog.relation import Relation


def configured(config: Config) -> UsersColumn:
    """The column that the settings name: those that the caller put beside the connection, else the environment's."""
    settings: Settings = config.attributes.get("settings") or Settings()
    return UsersColumn.parse(settings.users)


def column(users: UsersColumn, type_: TypeEngine[Any]) -> sa.Column[Any]:
    """Stand in for the users table, in a MetaData of its own, so that foreign keys can be written against it."""
    key = sa.Column(users.column, type_, primary_key=True)
    sa.Table(users.table, sa.MetaData(), key, schema=users.schema)
    return key


def as_spelled(users: UsersColumn, found: Relation | None) -> UsersColumn:
    """The column as the catalog spells it. The names of MariaDB's and SQLite's columns know no case."""
    folded = users.column.casefold()
    if found is None or users.column in found.columns or folded not in found.columns:
        return users
    return replace(users, column=folded)


def parent(connection: sa.Connection, users: UsersColumn) -> Relation | None:
    """The users' table. It is the host's, so a name alone is looked for along the whole search path."""
    return catalog.read(connection, users.table, place.translated(connection, users.schema))


def live_type(connection: sa.Connection, users: UsersColumn) -> TypeEngine[Any]:
    """The type of the referenced column in the words of the database.

    Raises ConfigurationError where nothing can reference it, or such a key is not served.

    A string of MariaDB carries its character set and collation, even where the column inherits them: a foreign key
    between two collations is refused (error 150).
    """
    relation = parent(connection, users)
    users = as_spelled(users, relation)
    in_the_way = obstacle(users, relation, connection.dialect.name)
    if relation is None or in_the_way is not None:
        raise ConfigurationError(str(in_the_way))
    return Declared(relation.columns[users.column].type.text)


def described(connection: sa.Connection, users: UsersColumn) -> str:
    """What `user_id` references, with its type, for people: `users.id (bigint)`. Raises as `live_type` does."""
    type_ = live_type(connection, users)
    return f"{as_spelled(users, parent(connection, users))} ({type_})"


def named_type(text: str) -> TypeEngine[Any]:
    """The type that `-x twofold_user_id_type=...` names, for SQL written without a database."""
    types: dict[str, TypeEngine[Any]] = {"bigint": sa.BigInteger(), "integer": sa.Integer(), "uuid": sa.Uuid()}
    if (known := types.get(text.strip().lower())) is not None:
        return known
    if re.fullmatch(_NAMED, text.strip().lower()):
        return Declared(text.strip().upper())
    raise ConfigurationError(
        "-x twofold_user_id_type is bigint, integer or another width of it, uuid, varchar(n), char(n), text, "
        "binary(n), bytea, blob or numeric(n)."
    )


_NAMED = (
    r"(tiny|small|medium|big)?int(eger)?( unsigned)?|text|bytea|blob|"
    r"((var)?char|(var)?binary|numeric|decimal)\(\d{1,5}\)"
)
