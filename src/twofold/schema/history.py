"""Which revision a database has recorded, and where: in Twofold's own version table or, by mistake, in the host's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema import place, spec

if TYPE_CHECKING:
    from collections.abc import Iterable

HOSTS = "alembic_version"
_OURS = (spec.REVISION, spec.USERS_REVISION)


def _versions(connection: sa.Connection, table: str) -> sa.TableClause:
    return sa.table(table, sa.column("version_num", sa.String), schema=place.ours(connection))


def is_there(connection: sa.Connection, table: str) -> bool:
    """Whether there is a version table of this name where ours are."""
    return sa.inspect(connection).has_table(table, place.ours(connection))


def _rows(connection: sa.Connection, table: str) -> list[str]:
    if not is_there(connection, table):
        return []
    return sorted(str(one) for one in connection.execute(sa.select(_versions(connection, table))).scalars())


def every(connection: sa.Connection) -> tuple[str, ...]:
    """All that stands in Twofold's version table, where one revision belongs."""
    return tuple(_rows(connection, spec.VERSION_TABLE))


def recorded(connection: sa.Connection) -> str | None:
    """The revision in Twofold's version table."""
    found = every(connection)
    return found[-1] if found else None


def elsewhere(connection: sa.Connection) -> tuple[str, ...]:
    """Twofold's revisions in the host's version table, where the host's Alembic cannot find them."""
    return tuple(one for one in _rows(connection, HOSTS) if one in _OURS)


def leave(connection: sa.Connection, revisions: Iterable[str]) -> None:
    """Take Twofold's revisions out of the host's version table. They are in Twofold's own by then."""
    table = _versions(connection, HOSTS)
    for revision in revisions:
        connection.execute(sa.delete(table).where(table.c.version_num == revision))
