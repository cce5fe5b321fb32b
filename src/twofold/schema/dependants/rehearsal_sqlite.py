"""A SQLite database without its rows, in memory: what is done there first says what it would do to the real one.

No catalog of SQLite tells which column a view or a trigger reads, and SQLite refuses less than it breaks.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SCHEMA = sa.text(
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
    "ORDER BY CASE type WHEN 'table' THEN 1 WHEN 'index' THEN 2 WHEN 'view' THEN 3 ELSE 4 END, rowid"
)
_FUNCTIONS = sa.text("SELECT DISTINCT name, narg, type FROM pragma_function_list WHERE NOT builtin")
_COLLATIONS = sa.text("SELECT name FROM pragma_collation_list WHERE name NOT IN ('BINARY', 'NOCASE', 'RTRIM')")
_COLUMNS = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"


class _Nothing:
    """An aggregate that is there to be named."""

    def step(self, *_values: object) -> None:
        """Take a row."""

    def finalize(self) -> int:
        """Give something."""
        return 0


@dataclass(frozen=True)
class Rehearsal:
    """The copy. `usable` are the views and triggers that can be used at this moment, by kind and name."""

    copy: sqlite3.Connection = field(repr=False)

    def refusal(self, statement: str) -> str | None:
        """Execute a statement; what SQLite says to it where it refuses. There are no rows whose values it could say."""
        try:
            self.copy.execute(statement)
        except sqlite3.Error as error:
            return str(error)
        return None

    @property
    def usable(self) -> frozenset[tuple[str, str]]:
        """What can be read, and what the rows of its table can be written with."""
        things = self.copy.execute("SELECT type, name, tbl_name FROM sqlite_master WHERE type IN ('view', 'trigger')")
        return frozenset((kind, name) for kind, name, table in things.fetchall() if self._works(kind, name, table))

    def _works(self, kind: str, name: str, table: str) -> bool:
        if kind == "view":
            return self._compiles(f"SELECT * FROM {_quoted(name)}")  # noqa: S608 - a quoted name of the catalog.
        self.copy.execute("SAVEPOINT alone")
        try:
            of_table = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? AND name <> ?"
            for (other,) in self.copy.execute(of_table, (table, name)).fetchall():
                self.copy.execute(f"DROP TRIGGER {_quoted(other)}")
            columns = [_quoted(column) for (column,) in self.copy.execute(_COLUMNS, (table,))]
            return all(map(self._compiles, _writes(_quoted(table), columns)))
        finally:
            self.copy.execute("ROLLBACK TO alone")
            self.copy.execute("RELEASE alone")

    def _compiles(self, statement: str) -> bool:
        return self.refusal(f"EXPLAIN {statement}") is None


def _writes(table: str, columns: Iterable[str]) -> Iterator[str]:
    """Every way to write, so that a trigger is compiled whichever it waits for."""
    names = ", ".join(columns)
    yield f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}"  # noqa: S608 - quoted names of the catalog.
    yield f"UPDATE {table} SET {', '.join(f'{name} = {name}' for name in columns)}"  # noqa: S608 - the same.
    yield f"DELETE FROM {table}"  # noqa: S608 - the same.


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


@contextlib.contextmanager
def rehearsal(connection: sa.Connection) -> Iterator[Rehearsal]:
    """Copy the schema for the length of the block. What cannot be made again is missing in the copy."""
    # An EXPLAIN out of the cache would be of the schema of before.
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)) as copy:
        # Functions of the host's are known by name, so that an index over one of them can be made.
        for name, count, kind in connection.execute(_FUNCTIONS):
            if kind == "s":
                copy.create_function(name, count, lambda *_: None, deterministic=True)
            else:
                copy.create_aggregate(name, count, _Nothing)
        for (name,) in connection.execute(_COLLATIONS):
            copy.create_collation(name, lambda one, other: (one > other) - (one < other))
        copy.execute("PRAGMA legacy_alter_table = ON")
        rehearsed = Rehearsal(copy)
        for sql in connection.execute(_SCHEMA).scalars():
            rehearsed.refusal(sql)
        yield rehearsed
