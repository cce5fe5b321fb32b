"""In which schema the four tables and their version table are: the one answer, which everything asks.

The engine's `schema_translate_map` says it, else it is the current schema. What is merely found further along
PostgreSQL's search path is somebody else's: another tenant's, or that of an application that shares the database.
"""

from __future__ import annotations

import sqlalchemy as sa

from twofold.errors import ConfigurationError


def translated(connection: sa.Connection, schema: str | None) -> str | None:
    """The schema that is meant where Core is told this one, None being where a name alone leads."""
    meant: str | None = connection.get_execution_options().get("schema_translate_map", {}).get(schema, schema)
    return meant


def ours(connection: sa.Connection) -> str | None:
    """The schema of the four tables; None where a name alone leads to no other one, which is so but on PostgreSQL.

    Raises ConfigurationError where no schema is current.
    """
    if (mapped := translated(connection, None)) is not None:
        return mapped
    if connection.dialect.name != "postgresql":
        return None
    current: str | None = connection.scalar(sa.select(sa.func.current_schema()))
    if current is None:
        raise ConfigurationError("No schema is current: make the one that search_path names, or name another one.")
    return current
