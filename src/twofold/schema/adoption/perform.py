"""One step of a plan, carried out: in its transaction, with its locks asked for briefly and again."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from twofold import lines
from twofold.errors import SchemaDrift
from twofold.schema import locking
from twofold.schema.dependants.references import referencing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twofold.schema.plan.plan import Step, Style
    from twofold.schema.sight import Sight

# CREATE INDEX CONCURRENTLY waits for transactions that began before it, and nobody waits for it meanwhile.
_CONCURRENT_WAIT = "60s"
# PostgreSQL 13 cannot; there a statement goes on to its end, and the next run waits for it.
_WATCH_CLIENT = "SELECT set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
# What a role or a database says for people's statements would end a step that lets them go on meanwhile.
UNLIMITED = {
    "postgresql": "SELECT set_config(name, '0', false) FROM pg_settings "
    "WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')",
    "mariadb": "SET SESSION max_statement_time = 0",
}
"""What has a server let a statement take its time."""
STRICT = "SET SESSION sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES')"
"""What has MariaDB refuse a value that it would bend."""
# MariaDB: this algorithm, or this lock, is not supported for this change.
_NOT_ONLINE = {1845, 1846}


def prepare(connection: sa.Connection) -> None:
    """Make a session fit for DDL: its server notices a client that died, turns no NULL into a text, and has time."""
    match connection.dialect.name:
        case "postgresql":
            with connection.begin():
                connection.exec_driver_sql(_WATCH_CLIENT)
                connection.exec_driver_sql(UNLIMITED["postgresql"])
        case "sqlite":
            return
        case _:
            with connection.begin():
                connection.exec_driver_sql(STRICT)
                connection.exec_driver_sql(UNLIMITED["mariadb"])


def perform(
    connection: sa.Connection, step: Step, allowed: frozenset[str], sight: Sight, tell: Callable[[float], None]
) -> None:
    """Take one step, and tell which share of it is done, where it is done in batches.

    Raises Moved, with nothing changed, where the schema is not the one any more that the plan was computed from.
    """
    lines.ADOPTING.write(str(step))

    def work() -> None:
        sight.check(connection)
        _execute(connection, step.statements)
        sight.renew(connection)

    try:
        _STYLES[step.style](connection, _Task(step, allowed, work, tell))
    except DBAPIError as error:
        if locking.is_busy(error):
            raise locking.LockTimeout(_resumable(f"Other transactions hold what this step needs ({step})")) from error
        raise SchemaDrift(_resumable(f"The database refused a step ({step}; {_code(error)})")) from error
    except locking.LockTimeout as error:
        raise locking.LockTimeout(_resumable(f"Other transactions hold what this step needs ({step})")) from error


@dataclass(frozen=True, slots=True)
class _Task:
    """A step and what it is carried out with."""

    step: Step
    allowed: frozenset[str]
    work: Callable[[], None]
    tell: Callable[[float], None]


def _resumable(sentence: str) -> str:
    return f"{sentence}. The steps before it are done and stay; run the same command again to go on."


def _code(error: DBAPIError) -> str:
    """The database's number for an error; its text may show what is in a row."""
    original = error.orig
    named = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return f"error {named or (original.args[0] if original is not None and original.args else 'unknown')}"


def _execute(connection: sa.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _in_batches(connection: sa.Connection, task: _Task) -> None:
    """Go through the rows in the order of their ids, a transaction for each batch, and then do what follows once."""
    find, change, *following = task.step.statements
    lowest, highest = _one(connection, f"SELECT min(id), max(id) FROM {task.step.table}")  # noqa: S608 - one of our names.
    after = None if lowest is None else lowest - 1

    def batch() -> None:
        connection.execute(sa.text(change), {"after": after, "last": last})

    # Rows that are written from now on are no concern of the batches.
    while after is not None and after < highest:
        last = _one(connection, find, after=after)[0]
        locking.take(connection, batch)
        after = last
        # The whole of it is done only with what follows.
        task.tell(min(after / max(highest, 1), 0.99))
    locking.take(connection, partial(_execute, connection, following))


def _one(connection: sa.Connection, query: str, **parameters: int) -> Any:
    with connection.begin():
        return connection.execute(sa.text(query), parameters).one()


@contextmanager
def _autocommit(connection: sa.Connection) -> Iterator[None]:
    usual = connection.default_isolation_level
    connection.execution_options(isolation_level="AUTOCOMMIT")
    try:
        yield
    finally:
        connection.rollback()
        connection.execution_options(isolation_level=usual or "READ COMMITTED")


def _concurrently(connection: sa.Connection, task: _Task) -> None:
    """Build outside of a transaction. What fails leaves an index that is not valid, for the next plan to mend."""
    build, *constraints = task.step.statements
    with _autocommit(connection):
        connection.exec_driver_sql(f"SET lock_timeout = '{_CONCURRENT_WAIT}'")
        connection.exec_driver_sql(build)
        connection.exec_driver_sql("RESET lock_timeout")
    if constraints:
        locking.take(connection, partial(_execute, connection, constraints))


def _online(connection: sa.Connection, task: _Task) -> None:
    """Try one way after the other; the last one, a copy, only where it is allowed."""
    step = task.step
    *online, copy = (*step.statements, *step.alternatives)
    ways = [*online, copy] if not online or task.allowed & {"copy", *step.kinds} else online
    for number, statement in enumerate(ways):
        try:
            locking.take(connection, partial(_execute, connection, [statement]))
        except DBAPIError as error:
            is_refused = error.orig is not None and error.orig.args[:1] and error.orig.args[0] in _NOT_ONLINE
            if not is_refused:
                raise
            if number == len(ways) - 1:
                message = _resumable(f"MariaDB refuses to do this without copying the table ({step}): --allow copy")
                raise SchemaDrift(message) from error
        else:
            return


def _rebuilt(connection: sa.Connection, task: _Task) -> None:
    """Rebuild a SQLite table: foreign keys sleep meanwhile, and afterwards no row may be missing or astray.

    Without `legacy_alter_table` a view on the table would stop the rename, and others' references would follow the
    old table to its end.
    """
    step = task.step
    pragmas = ("foreign_keys", "legacy_alter_table")
    usual = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas}
    connection.rollback()
    tables = (step.table, *referencing(connection, [step.table]))
    connection.rollback()

    def guarded() -> None:
        before = _standing(connection, step.table, tables)
        task.work()
        after = _standing(connection, step.table, tables)
        if after[0] != before[0] or after[1] - before[1]:
            raise SchemaDrift(_resumable(f"Rows would have been lost or orphaned, so the step was undone ({step})"))

    try:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
        connection.rollback()
        locking.take(connection, guarded)
    finally:
        for name, value in usual.items():
            connection.exec_driver_sql(f"PRAGMA {name} = {value}")
        connection.rollback()


def _standing(connection: sa.Connection, table: str, tables: tuple[str, ...]) -> tuple[int, set[tuple[object, ...]]]:
    """How many rows there are, and which ones refer to nothing."""
    rows = connection.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one()
    query = sa.text('SELECT "table", rowid, parent FROM pragma_foreign_key_check(:name)')
    astray = {tuple(row) for name in tables for row in connection.execute(query, {"name": name})}
    return int(rows), astray


def _at_once(connection: sa.Connection, task: _Task) -> None:
    locking.take(connection, task.work)


_STYLES: dict[Style, Callable[[sa.Connection, _Task], None]] = {
    "transaction": _at_once,
    "batches": _in_batches,
    "concurrently": _concurrently,
    "online": _online,
    "rebuild": _rebuilt,
}
