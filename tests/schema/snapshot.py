"""All that a database holds, as something to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema import catalog

if TYPE_CHECKING:
    from tests.databases import Database


def snapshot(database: Database) -> dict[str, object]:
    """Every table and view: its structure, and its rows in full."""
    with database.engine().connect() as connection:
        inspector = sa.inspect(connection)
        names = sorted({*inspector.get_table_names(), *inspector.get_view_names()})
        return {
            name: (
                catalog.read(connection, name),
                sorted(str(row) for row in connection.execute(sa.select(sa.text("*")).select_from(sa.table(name)))),
            )
            for name in names
        }
