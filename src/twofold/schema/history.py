"""The histories of Twofold: what each one makes, and which revision of it a database has recorded, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema import passkeys_spec, place, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

HOSTS = "alembic_version"


@dataclass(frozen=True, slots=True)
class History:
    """A history: `revision`, its newest, makes the tables `names` as a frozen specification says.

    What a database has of it is recorded in `version_table`. `scripts` is where Alembic finds it, `revisions` are all
    of it, and `beneath` is the history whose tables have to be there first. `about` is how sentences call its tables,
    and `remedies` are what to do about findings, by their aspect, where that is another thing than for other tables.
    `mark` is a column by which such tables are known where their revision is in the host's own history.
    `name` is how `twofold db` and `alembic` are told that it is meant.
    """

    revision: str
    version_table: str
    names: tuple[str, ...]
    tables: Callable[[sa.Column[Any]], tuple[sa.Table, ...]]
    scripts: str
    revisions: tuple[str, ...]
    about: str
    remedies: Mapping[str, str] = field(default_factory=dict[str, str])
    mark: str | None = None
    name: str | None = None
    beneath: History | None = None

    def agree(self, many: str, one: str) -> str:
        """The word that goes with several tables, or with one: `differ`, `differs`."""
        return one if len(self.names) == 1 else many

    def twofold(self, verb: str) -> str:
        """The command of Twofold for this history: `twofold db upgrade`."""
        return f"twofold db {verb}" + (f" --{self.name}" if self.name else "")

    def alembic(self, command: str) -> str:
        """The command of Alembic for this history: `alembic upgrade head`."""
        return f"alembic --name {self.name} {command}" if self.name else f"alembic {command}"

    def every(self, connection: sa.Connection) -> tuple[str, ...]:
        """All that stands in the version table, where one revision belongs."""
        return tuple(_rows(connection, self.version_table))

    def recorded(self, connection: sa.Connection) -> str | None:
        """The revision in the version table."""
        found = self.every(connection)
        return found[-1] if found else None

    def elsewhere(self, connection: sa.Connection) -> tuple[str, ...]:
        """Revisions of this history in the host's version table, where the host's Alembic cannot find them."""
        return tuple(one for one in _rows(connection, HOSTS) if one in self.revisions)


FOUR = History(
    revision=spec.REVISION,
    version_table=spec.VERSION_TABLE,
    names=spec.NAMES,
    tables=spec.tables,
    scripts="twofold:migrations",
    revisions=(spec.REVISION, spec.USERS_REVISION),
    about="the tables",
)
_ANEW = (
    "Give your table another name (ALTER TABLE mfa_passkeys RENAME TO ...;) and let Twofold make its own, since what a "
    "row holds is sealed. mfa.passkeys.adopt brings your passkeys along, one by one (docs/passkeys.md)."
)
PASSKEYS = History(
    revision=passkeys_spec.REVISION,
    version_table=passkeys_spec.VERSION_TABLE,
    names=passkeys_spec.NAMES,
    tables=passkeys_spec.tables,
    scripts="twofold:migrations/passkeys",
    revisions=(passkeys_spec.REVISION,),
    about="the table of passkeys",
    remedies={"column": _ANEW, "type": _ANEW},
    mark="credential_key",
    name="passkeys",
    beneath=FOUR,
)
EVERY = (FOUR, PASSKEYS)
OURS = frozenset(name for one in EVERY for name in one.names)
"""The tables of every history, version tables aside."""


def of(revision: str) -> History:
    """The history whose newest revision this is."""
    return next(one for one in EVERY if one.revision == revision)


def _versions(connection: sa.Connection, table: str) -> sa.TableClause:
    return sa.table(table, sa.column("version_num", sa.String), schema=place.ours(connection))


def is_there(connection: sa.Connection, table: str) -> bool:
    """Whether there is a table of this name where ours are."""
    return sa.inspect(connection).has_table(table, place.ours(connection))


def _rows(connection: sa.Connection, table: str) -> list[str]:
    if not is_there(connection, table):
        return []
    return sorted(str(one) for one in connection.execute(sa.select(_versions(connection, table))).scalars())


def leave(connection: sa.Connection, revisions: Iterable[str]) -> None:
    """Take Twofold's revisions out of the host's version table. They are in Twofold's own by then."""
    table = _versions(connection, HOSTS)
    for revision in revisions:
        connection.execute(sa.delete(table).where(table.c.version_num == revision))
