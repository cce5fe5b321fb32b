"""Who refers to a table. SQLite would delete or orphan such rows without a word when the table is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Collection


def referencing(connection: sa.Connection, names: Collection[str]) -> list[str]:
    """The tables outside `names` with a foreign key to one of them."""
    inspector = sa.inspect(connection)
    found = [
        table
        for table in inspector.get_table_names()
        if table not in names and any(key["referred_table"] in names for key in inspector.get_foreign_keys(table))
    ]
    return sorted(found)
