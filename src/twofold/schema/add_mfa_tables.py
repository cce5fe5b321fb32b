"""What revision 769e76ff65d7 does, for Twofold's own history and for a host's.

Frozen, like the specification beside it: a file that `twofold db write-revision` wrote calls these two for ever.
"""

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
from twofold.schema.conformity.verifier import verify
from twofold.schema.dependants import find
from twofold.schema.failures import refusal_as_command_error
from twofold.schema.users.users import column, described, live_type, named_type, parent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_log = logging.getLogger("twofold.migrations")
# MariaDB: the role has no right to LOCK TABLES, in the database or on one of them.
_NO_RIGHT = {1044, 1142}


@refusal_as_command_error()
def upgrade(users: str) -> None:
    """Create the tables that are missing. What exists has to conform, or nothing is changed."""
    reference = UsersColumn.parse(users)
    if context.is_offline_mode():
        named = context.get_x_argument(as_dictionary=True).get("twofold_user_id_type", "bigint")
        _create(column(reference, named_type(named)), spec.NAMES)
        return
    bind = op.get_bind()
    report = verify(bind, reference)
    # Where nothing of ours is there, all that can be wrong is the users' table, and the sentence for that is better.
    if not (report.nothing_there or report.only_missing_tables):
        report.raise_if_drifted()
    if report.nothing_there and parent(bind, reference) is None:
        raise founding.missing(bind, reference)
    _create(column(reference, live_type(bind, reference)), report.missing)
    if report.conforms:
        # For whoever would else read the whole catalog once more to say what was found.
        context.config.attributes["report"] = report
    _log.info("user_id references %s.", described(bind, reference))


def _create(users: sa.Column[object], names: Collection[str]) -> None:
    for table in spec.tables(users):
        if table.name in names:
            for statement in spec.statements(table, op.get_context().dialect.name):
                op.execute(statement)


@refusal_as_command_error()
def downgrade() -> None:
    """Drop the tables, and with them every enrolment; their indexes go with them, under whatever name.

    Where anything else hangs on them, in whichever schema, it is named, and nothing is dropped.
    """
    names: list[str] = [*spec.NAMES]
    if not context.is_offline_mode():
        bind = op.get_bind()
        schema = place.ours(bind)
        # Where ours is missing, its name leads further along the search path, to somebody else's.
        names = [name for name in spec.NAMES if catalog.read(bind, name, schema) is not None]
        for one in find.going_along(bind, names):
            _log.warning("With %s goes %s.", one.table, one.name)
        for name in names:
            count = bind.scalar(sa.select(sa.func.count()).select_from(sa.table(name, schema=schema)))
            _log.warning("Dropping %s with %s rows.", name, count)
        with _all_or_none(bind, names, schema):
            _drop(names)
        return
    _drop(names)


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
