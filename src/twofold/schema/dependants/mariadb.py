"""What hangs on a table of MariaDB, in whichever database: others' foreign keys, views, triggers, stored programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema import place
from twofold.schema.dependants import rehearsal_mariadb
from twofold.schema.dependants.dependant import Dependant, out_of_the_way

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from twofold.schema.plan.plan import Change, Step

_FOREIGN_KEYS = sa.text(
    "SELECT referenced_table_name AS `table`, table_schema AS `schema`, table_name AS child, "
    "constraint_name AS name, column_name AS `column`, referenced_column_name AS target, "
    "table_schema = coalesce(:here, database()) AS here, ordinal_position = 1 AS first "
    "FROM information_schema.key_column_usage WHERE referenced_table_schema = coalesce(:here, database()) "
    "AND referenced_table_name IN :names ORDER BY 1, 2, 3, 4, ordinal_position"
).bindparams(sa.bindparam("names", expanding=True))
_OWN = sa.text(
    "SELECT k.table_schema AS `schema`, k.table_name AS child, k.constraint_name AS name, k.column_name AS `column`, "
    "r.delete_rule AS on_delete, r.update_rule AS on_update FROM information_schema.key_column_usage k "
    "JOIN information_schema.referential_constraints r ON r.constraint_schema = coalesce(:here, database()) "
    "AND r.table_name = :name "
    "AND r.constraint_name = k.constraint_name "
    "WHERE k.table_schema = coalesce(:here, database()) AND k.table_name = :name "
    "AND k.referenced_table_name IS NOT NULL ORDER BY 3, 4"
)
_VERSIONED = sa.text(
    "SELECT count(*) FROM information_schema.tables WHERE table_schema = coalesce(:here, database()) "
    "AND table_name = :name "
    "AND table_type = 'SYSTEM VERSIONED' AND @@system_versioning_alter_history = 'ERROR'"
)
_TRIGGERS = sa.text(
    "SELECT event_object_table AS `table`, trigger_name AS name, action_timing AS timing, "
    "event_manipulation AS event, action_statement AS body FROM information_schema.triggers "
    "WHERE event_object_schema = coalesce(:here, database()) AND event_object_table IN :names ORDER BY 1, 2"
).bindparams(sa.bindparam("names", expanding=True))
_VIEWS = sa.text(
    "SELECT table_schema AS `schema`, table_name AS name, view_definition AS body FROM information_schema.views "
    "WHERE view_definition LIKE concat('%`', coalesce(:here, database()), '`.`', :name, '`%') ORDER BY 1, 2"
)
# Nothing but their text tells which tables they use. A trigger of ours goes with its table; one of another stays.
_WITH_TEXT = (
    "SELECT 'trigger' AS kind, trigger_schema AS `schema`, trigger_name AS name, action_statement AS body, "
    "event_object_schema = coalesce(:here, database()) "
    "AND event_object_table IN :names AS goes FROM information_schema.triggers "
    "UNION ALL SELECT lower(routine_type), routine_schema, routine_name, routine_definition, 0 "
    "FROM information_schema.routines WHERE routine_type IN ('PROCEDURE', 'FUNCTION') "
    "UNION ALL SELECT 'event', event_schema, event_name, event_definition, 0 FROM information_schema.events"
)
_USING = sa.text(
    "SELECT kind, `schema`, name FROM (" + _WITH_TEXT + ") AS one WHERE NOT goes "  # noqa: S608 - text of its own.
    "AND body REGEXP concat('(?i)(?<![A-Za-z0-9_$])', :name, '(?![A-Za-z0-9_$])') "
    "AND (`schema` = coalesce(:here, database()) OR instr(lower(replace(body, '`', '')),"
    " lower(concat(coalesce(:here, database()), '.', :name)))) "
    "ORDER BY 1, 2, 3"
).bindparams(sa.bindparam("names", expanding=True))


def of_steps(connection: sa.Connection, steps: Sequence[Step]) -> Iterator[tuple[Step, Dependant]]:
    """What MariaDB would refuse each step for."""
    for step in steps:
        for change in step.changes:
            for dependant in (*_history(connection, step, change), *_foreign_keys(connection, step, change)):
                yield step, dependant
    yield from rehearsal_mariadb.refused(connection, steps)


def _history(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    """The rows of before of a system-versioned table, which change with it only where somebody has said so."""
    if change.act == "create" or not _asked(connection, _VERSIONED, name=step.table)[0][0]:
        return
    gone, made = (f"ALTER TABLE {step.table} {word} SYSTEM VERSIONING" for word in ("DROP", "ADD"))
    because = "MariaDB changes no table with a history of its rows"
    kept = "Or keep it: SET GLOBAL system_versioning_alter_history = KEEP, and adopt with new connections."
    remedy = f"{out_of_the_way(gone, made, 'adopt')} {kept}"
    yield Dependant(step.table, "system versioning", "refuses", because, remedy)


def _foreign_keys(connection: sa.Connection, step: Step, change: Change) -> Iterator[Dependant]:
    """Foreign keys of others to a column, and of a column to others, with which its type is shared."""
    if change.act == "retype":
        for row in _others(connection, [step.table]):
            if str(row.target).casefold() in change.names:
                yield _foreign_key(row, str(row.table), "MariaDB changes no column that it refers to")
    if change.act in {"retype", "require"}:
        for row in _asked(connection, _OWN, name=step.table):
            # The revision has a key of its own for user_id, and puts it there before.
            is_met = str(row.column).casefold() in change.names and str(row.column).casefold() != "user_id"
            if is_met and (change.act == "retype" or "SET NULL" in {row.on_delete, row.on_update}):
                yield _foreign_key(row, step.table, "MariaDB does not change its column while it is there")


def of_tables(connection: sa.Connection, names: Collection[str]) -> Iterator[Dependant]:
    """What DROP TABLE is refused for, what it takes along, and what it leaves behind of no use."""
    meanwhile = "take the tables away"
    for row in _others(connection, names):
        if row.first and not (row.here and row.child in names):
            yield _foreign_key(row, str(row.table), "MariaDB drops no table that it refers to", meanwhile)
    for row in _asked(connection, _TRIGGERS, names=list(names)):
        made = f"CREATE TRIGGER `{row.name}` {row.timing} {row.event} ON {row.table} FOR EACH ROW {row.body}"
        remedy = out_of_the_way(f"DROP TRIGGER `{row.name}`", made, meanwhile)
        because = "MariaDB drops it with the table"
        yield Dependant(str(row.table), f"trigger {row.name}", "goes along", because, remedy)
    for table in names:
        for row in _asked(connection, _VIEWS, name=table):
            view = f"`{row.schema}`.`{row.name}`"
            remedy = out_of_the_way(f"DROP VIEW {view}", f"CREATE VIEW {view} AS {row.body}", meanwhile)
            because = "MariaDB would keep it, and refuse whoever reads it"
            yield Dependant(table, f"view {row.schema}.{row.name}", "breaks", because, remedy)
        for row in _asked(connection, _USING, name=table, names=list(names)):
            called = f"`{row.schema}`.`{row.name}`"
            gone, shown = (f"{word} {row.kind.upper()} {called}" for word in ("DROP", "SHOW CREATE"))
            remedy = f"Keep what it is ({shown};). {out_of_the_way(gone, None, meanwhile)}"
            because = "its text names the table, and MariaDB would keep it, and refuse whoever uses it"
            yield Dependant(table, f"{row.kind} {row.schema}.{row.name}", "breaks", because, remedy)


def naming(connection: sa.Connection, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The tables, each with what names it in its text, as far as the role sees that."""
    for table in names:
        for row in _asked(connection, _USING, name=table, names=list(names)):
            yield table, f"{row.kind} {row.schema}.{row.name}"


def _others(connection: sa.Connection, names: Collection[str]) -> Sequence[sa.Row[Any]]:
    """Foreign keys that refer to these tables, a row for each of their columns."""
    return _asked(connection, _FOREIGN_KEYS, names=list(names))


def _asked(connection: sa.Connection, query: sa.TextClause, **asked: Any) -> Sequence[sa.Row[Any]]:
    """Ask about the database in which our tables are: the one that the engine's options name, else the current one."""
    return connection.execute(query, {"here": place.ours(connection), **asked}).all()


def _foreign_key(row: sa.Row[Any], table: str, because: str, meanwhile: str = "adopt") -> Dependant:
    gone = f"ALTER TABLE `{row.schema}`.`{row.child}` DROP FOREIGN KEY `{row.name}`"
    name = f"foreign key {row.name} of {row.schema}.{row.child}"
    return Dependant(table, name, "refuses", because, out_of_the_way(gone, None, meanwhile))
