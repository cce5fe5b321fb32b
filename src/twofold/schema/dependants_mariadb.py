"""What hangs on a table of MariaDB, in whichever database: others' foreign keys, views, triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema.dependant import Dependant, out_of_the_way

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from twofold.schema.plan import Step

_FOREIGN_KEYS = sa.text(
    "SELECT referenced_table_name AS `table`, table_schema AS `schema`, table_name AS child, "
    "constraint_name AS name, column_name AS `column`, referenced_column_name AS target, "
    "table_schema = database() AS here, ordinal_position = 1 AS first "
    "FROM information_schema.key_column_usage WHERE referenced_table_schema = database() "
    "AND referenced_table_name IN :names ORDER BY 1, 2, 3, 4, ordinal_position"
).bindparams(sa.bindparam("names", expanding=True))
_TRIGGERS = sa.text(
    "SELECT event_object_table AS `table`, trigger_name AS name, action_timing AS timing, "
    "event_manipulation AS event, action_statement AS body FROM information_schema.triggers "
    "WHERE event_object_schema = database() AND event_object_table IN :names ORDER BY 1, 2"
).bindparams(sa.bindparam("names", expanding=True))
_VIEWS = sa.text(
    "SELECT table_schema AS `schema`, table_name AS name, view_definition AS body FROM information_schema.views "
    "WHERE view_definition LIKE concat('%`', database(), '`.`', :name, '`%') ORDER BY 1, 2"
)


def of_steps(connection: sa.Connection, steps: Sequence[Step]) -> Iterator[tuple[Step, Dependant]]:
    """What MariaDB would refuse each step for."""
    for step in steps:
        columns = {name for change in step.changes if change.act == "retype" for name in change.names}
        for row in _others(connection, [step.table]) if columns else ():
            if str(row.target).casefold() in columns:
                yield step, _foreign_key(row, "MariaDB changes no column that it refers to", "adopt")


def of_tables(connection: sa.Connection, names: Collection[str]) -> Iterator[Dependant]:
    """What DROP TABLE is refused for, what it takes along, and what it leaves behind of no use."""
    meanwhile = "take the tables away"
    for row in _others(connection, names):
        if row.first and not (row.here and row.child in names):
            yield _foreign_key(row, "MariaDB drops no table that it refers to", meanwhile)
    for row in connection.execute(_TRIGGERS, {"names": list(names)}):
        made = f"CREATE TRIGGER `{row.name}` {row.timing} {row.event} ON {row.table} FOR EACH ROW {row.body}"
        remedy = out_of_the_way(f"DROP TRIGGER `{row.name}`", made, meanwhile)
        because = "MariaDB drops it with the table"
        yield Dependant(str(row.table), f"trigger {row.name}", "goes along", because, remedy)
    for table in names:
        for row in connection.execute(_VIEWS, {"name": table}):
            view = f"`{row.schema}`.`{row.name}`"
            remedy = out_of_the_way(f"DROP VIEW {view}", f"CREATE VIEW {view} AS {row.body}", meanwhile)
            because = "MariaDB would keep it, and refuse whoever reads it"
            yield Dependant(table, f"view {row.schema}.{row.name}", "breaks", because, remedy)


def _others(connection: sa.Connection, names: Collection[str]) -> Sequence[sa.Row[Any]]:
    """Foreign keys that refer to these tables, a row for each of their columns."""
    return connection.execute(_FOREIGN_KEYS, {"names": list(names)}).all()


def _foreign_key(row: sa.Row[Any], because: str, meanwhile: str) -> Dependant:
    gone = f"ALTER TABLE `{row.schema}`.`{row.child}` DROP FOREIGN KEY `{row.name}`"
    name = f"foreign key {row.name} of {row.schema}.{row.child}"
    return Dependant(str(row.table), name, "refuses", because, out_of_the_way(gone, None, meanwhile))
