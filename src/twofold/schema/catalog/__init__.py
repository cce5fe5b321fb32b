"""The database's own catalog, read in the same words on every database.

SQLAlchemy's inspector is not asked, since it does not see what matters here: whether a foreign key was validated, an
index is valid or whole, the id numbers itself, a table is a view.

Tests: `tests/schema/test_verifier.py`, `tests/hosts/test_users_of_other_kinds.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.schema.catalog import mariadb, postgresql, sqlite

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twofold.schema.catalog.relation import Relation


def read(connection: sa.Connection, name: str, schema: str | None = None) -> Relation | None:
    """Read what stands under a name, or None. Nothing is written and no row of a table is read."""
    match connection.dialect.name:
        case "postgresql":
            return postgresql.read(connection, name, schema)
        case "sqlite":
            # No foreign key of SQLite leaves its file, so nothing in another schema can be meant.
            return None if schema is not None else sqlite.read(connection, name)
        case _:
            return mariadb.read(connection, name, schema)
