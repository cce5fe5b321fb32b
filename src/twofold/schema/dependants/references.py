"""Who refers to a table. SQLite would delete or orphan such rows without a word when the table is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema import place

if TYPE_CHECKING:
    from collections.abc import Collection


def referencing(connection: sa.Connection, names: Collection[str]) -> list[str]:
    """The tables outside `names` with a foreign key to one of them."""
    inspector, schema = sa.inspect(connection), place.ours(connection)
    found = [
        table
        for table in inspector.get_table_names(schema)
        if table not in names
        and any(
            key["referred_table"] in names and key["referred_schema"] in {None, schema}
            for key in inspector.get_foreign_keys(table, schema)
        )
    ]
    return sorted(found)
