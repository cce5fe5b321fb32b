"""What the revision of a history does, up and down, in Twofold's own history and in a host's."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.exc import DBAPIError

from twofold.errors import SchemaDrift
from twofold.metadata import UsersColumn
from twofold.schema import catalog, founding, place, spec
from twofold.schema.conformity.verifier import has, read, verify
from twofold.schema.dependants import find
from twofold.schema.failures import refusal_as_command_error
from twofold.schema.history import EVERY
from twofold.schema.users.users import column, described, live_type, named_type, parent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from twofold.schema.history import History

_log = logging.getLogger("twofold.migrations")
# MariaDB: the role has no right to LOCK TABLES, in the database or on one of them.
_NO_RIGHT = {1044, 1142}


@refusal_as_command_error()
def upgrade(history: History, users: str) -> None:
    """Create the tables that are missing. What exists has to conform, or nothing is changed."""
    reference = UsersColumn.parse(users)
    if context.is_offline_mode():
        named = context.get_x_argument(as_dictionary=True).get("twofold_user_id_type", "bigint")
        _create(history, column(reference, named_type(named)), history.names)
        return
    bind = op.get_bind()
    _require_beneath(bind, history)
    report = verify(bind, reference, history)
    # Where nothing of ours is there, all that can be wrong is the users' table, and the sentence for that is better.
    if not (report.nothing_there or report.only_missing_tables):
        report.raise_if_drifted()
    if report.nothing_there and parent(bind, reference) is None:
        raise founding.missing(bind, reference)
    _create(history, column(reference, live_type(bind, reference)), report.missing)
    if report.conforms:
        # For whoever would else read the whole catalog once more to say what was found.
        context.config.attributes["report"] = report
        _tell_of_rows(bind, history)
    elif drift := verify(bind, reference, history).drift:
        # A trigger on DDL, or a default of the server, has made something else of it.
        message = f"What was just made differs from revision {history.revision}, which was not recorded."
        raise SchemaDrift(message, [str(finding) for finding in drift])
    _log.info("user_id references %s.", described(bind, reference))


def _require_beneath(bind: sa.Connection, history: History) -> None:
    """Raise SchemaDrift where the tables of another history, which these need, are not there."""
    if (beneath := history.beneath) is None:
        return
    absent = [name for name, relation in read(bind, beneath).items() if relation is None]
    if absent:
        message = (
            f"{history.about.capitalize()} comes after others that are not there; nothing was changed. "
            f"Run `{beneath.twofold('upgrade')}` or `{beneath.alembic('upgrade head')}` first."
        )
        raise SchemaDrift(message, [f"{name}: missing" for name in absent])


def _tell_of_rows(bind: sa.Connection, history: History) -> None:
    """Warn of rows that were there: those of passkeys are sealed from another table, which may know none of them."""
    if history.beneath is None:
        return
    for name in history.names:
        if count := _count(bind, name, place.ours(bind)):
            _log.warning("%s was there with %s rows. %s", name, count, _refused(history))


def _refused(history: History) -> str:
    """What becomes of people whose rows their row in the four tables does not know."""
    return (
        "Whoever has a row in it that the four tables do not know is refused until "
        f"`{history.twofold('downgrade')}` or `{history.alembic('downgrade -1')}`."
    )


def _create(history: History, users: sa.Column[object], names: Collection[str]) -> None:
    for table in history.tables(users):
        if table.name in names:
            for statement in spec.statements(table, op.get_context().dialect.name):
                op.execute(statement)


@refusal_as_command_error()
def downgrade(history: History) -> None:
    """Drop the tables, and with them every row; their indexes go with them, under whatever name.

    Where anything else hangs on them, in whichever schema, it is named, and nothing is dropped.
    """
    names: list[str] = [*history.names]
    if not context.is_offline_mode():
        bind = op.get_bind()
        schema = place.ours(bind)
        # Where ours is missing, its name leads further along the search path, to somebody else's.
        names = [name for name in history.names if catalog.read(bind, name, schema) is not None]
        for one in find.going_along(bind, names):
            _log.warning("%s", one.farewell)
        for name in names:
            _log.warning("Dropping %s with %s rows.", name, _count(bind, name, schema))
        with _all_or_none(bind, names, schema):
            _drop(names)
        for sentence in left_behind(bind, history):
            _log.warning("%s", sentence)
        return
    _drop(names)


def left_behind(bind: sa.Connection, history: History) -> Iterator[str]:
    """What a downgrade leaves of the histories that come after this one, with what becomes of it, for people."""
    schema = place.ours(bind)
    for after in EVERY:
        if after.beneath is not history or not has(bind, after):
            continue
        for name, relation in read(bind, after).items():
            if relation is not None and relation.kind == "table":
                yield f"{name} stays, with {_count(bind, name, schema)} rows. {_refused(after)}"


def _count(bind: sa.Connection, name: str, schema: str | None) -> int:
    return bind.execute(sa.select(sa.func.count()).select_from(sa.table(name, schema=schema))).scalar_one()


def _drop(names: Sequence[str]) -> None:
    for name in reversed(names):
        op.drop_table(name, if_exists=True)


@contextmanager
def _all_or_none(bind: sa.Connection, names: Sequence[str], schema: str | None) -> Iterator[None]:
    """Have the tables to ourselves before the first is dropped: MariaDB takes no DROP back.

    Where the role may lock none, or the database refuses one for the sake of what this role cannot see, what is gone
    is said.
    """
    if bind.dialect.name in {"postgresql", "sqlite"} or not names:
        yield
        return
    quoted = bind.dialect.identifier_preparer.format_table
    tables = ", ".join(f"{quoted(sa.Table(name, sa.MetaData(), schema=schema))} WRITE" for name in names)
    try:
        bind.exec_driver_sql(f"LOCK TABLES {tables}")
    except DBAPIError as error:
        if error.orig is None or error.orig.args[0] not in _NO_RIGHT:
            raise
    try:
        yield
    except DBAPIError as error:
        left = [name for name in names if catalog.read(bind, name, schema) is not None]
        if len(left) == len(names):
            raise
        gone = ", ".join(name for name in names if name not in left)
        said = error.orig.args[0] if error.orig is not None and error.orig.args else "unknown"
        message = f"MariaDB refused to drop {left[-1]} (error {said}), and {gone} had gone before. Run it again."
        raise SchemaDrift(message, [f"{name}: is still there" for name in left]) from error
    finally:
        if not bind.invalidated:
            bind.exec_driver_sql("UNLOCK TABLES")
