"""What a lane is measured against, in the same round: pgbench for PostgreSQL, a loop of sqlite3 for SQLite."""

from __future__ import annotations

import sqlite3
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from bench.clients import Measured, Stopwatch
from twofold.account.driver import _Text  # pyright: ignore[reportPrivateUsage]
from twofold.account.row import LOGIN, Account
from twofold.account.statements import Schema
from twofold.schema.ids import Ids

if TYPE_CHECKING:
    from pathlib import Path

    from bench.pgbench import Pgbench


class Limit(Protocol):
    """Sends the statements of a verification, and does nothing else."""

    def run(self, operations: int) -> Measured:
        """Send them so often."""
        ...


class Served:
    """pgbench with so many clients."""

    def __init__(self, pgbench: Pgbench, clients: int) -> None:
        self._pgbench, self._clients = pgbench, clients

    def run(self, operations: int) -> Measured:
        """Send them so often."""
        return self._pgbench.run(self._clients, operations)


class Loop:
    """One loop over the standard library's sqlite3: a read, an update and an insert in a transaction each."""

    def __init__(self, path: Path, ids: list[int]) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        dialect, schema = sa.create_engine("sqlite://").dialect, Schema("users.id", Ids("integer"))
        self._read, self._swap, self._append = (
            _Text(statement.core, statement.names, dialect)
            for statement in (schema.read, schema.swap_at_login[None], schema.append)
        )
        self._swapped, self._appended = itemgetter(*self._swap.places), itemgetter(*self._append.places)
        self._login = itemgetter(*(Account._fields.index(name) for name in LOGIN))
        self._count, self._version = (Account._fields.index(name) for name in ("event_count", "version"))
        self._ids, self._turn = ids, 0
        columns = ", ".join(column.name for column in schema.tables.events.columns)
        last = f"SELECT {columns} FROM mfa_events ORDER BY id DESC LIMIT 1"  # noqa: S608 - names of ours.
        self._event = self._connection.execute(last).fetchone()[3:]

    def run(self, operations: int) -> Measured:
        """Send them so often, for the next users."""
        send = self._connection.execute
        with Stopwatch() as watch:
            for _ in range(operations):
                user = self._ids[self._turn]
                self._turn = (self._turn + 1) % len(self._ids)
                send("BEGIN IMMEDIATE")
                row: list[Any] = list(send(self._read.words, (user,)).fetchone())
                seen = row[self._version]
                row[self._version] += 1
                row[self._count] += 1
                after = (*self._login(row), row[-1], "2026-01-01 00:00:00.000000", user, seen)
                swapped = send(self._swap.words, self._swapped(after))
                if swapped.rowcount != 1:
                    raise RuntimeError("the row was not written")
                send(self._append.words, self._appended((user, row[self._count], *self._event)))
                send("COMMIT")
        return watch.measured(operations)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
