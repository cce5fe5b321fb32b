"""The drivers alone: the same two statements, prepared, on connections that are held, and nothing decided.

What no client on this driver in one process of Python can be faster than.
"""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import sqlalchemy as sa

from bench.clients import Measured, Stopwatch
from twofold.account.chain import Link
from twofold.account.driver import _Text  # pyright: ignore[reportPrivateUsage]
from twofold.account.row import LOGIN, Account
from twofold.account.statements import Schema
from twofold.metadata import tables
from twofold.schema.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class _Writes:
    """The statements in the words of a driver, and the values of the next write of a row that was read."""

    def __init__(self, url: sa.URL) -> None:
        engine, self._schema = (
            sa.create_engine(url.set(drivername="postgresql+psycopg")),
            Schema("users.id", Ids("integer")),
        )
        dialect = url.get_dialect()()
        self.read, self.write = (
            _Text(statement.core, statement.names, dialect)
            for statement in (self._schema.read, self._schema.at_once[None])
        )
        events = tables(sa.MetaData()).events
        with engine.connect() as connection:
            query = sa.select(events).order_by(events.c.id.desc()).limit(1)
            event = connection.execute(query).mappings().one()
        engine.dispose()
        # Number, moment and MAC are those of the state.
        self._moment, self._told = event["created_at"], tuple(event[name] for name in Link._fields[2:-1])
        self._login = [Account._fields.index(name) for name in LOGIN]
        self._counts = [Account._fields.index(name) for name in ("event_count", "version")]

    def after(self, row: Sequence[Any]) -> Any:
        """What the second statement is given."""
        values = list(row)
        for count in self._counts:
            values[count] += 1
        state = (*(values[place] for place in self._login), row[-1], self._moment)
        return self.write.bound((*state, row[0], row[self._counts[-1]], *self._told))


class Psycopg:
    """So many threads, each on a connection of its own."""

    def __init__(self, url: sa.URL, clients: int, ids: Sequence[int]) -> None:
        self._writes, self._turns = _Writes(url.set(drivername="postgresql+psycopg")), _shared(ids, clients)
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connections = [psycopg.connect(plain, autocommit=True) for _ in range(clients)]
        self._threads = ThreadPoolExecutor(clients)

    def run(self, operations: int) -> Measured:
        """Send both statements so often."""
        each = max(operations // len(self._connections), 1)

        def client(connection: psycopg.Connection, turns: Iterator[int]) -> None:
            read, write = self._writes.read, self._writes.write
            for user in itertools.islice(turns, each):
                row = connection.execute(read.words.encode(), read.bound((user,))).fetchone()
                if row is None or connection.execute(write.words.encode(), self._writes.after(row)).rowcount != 1:
                    raise RuntimeError("the row was not written")

        with Stopwatch() as watch:
            list(self._threads.map(client, self._connections, self._turns))
        return watch.measured(each * len(self._connections))

    def close(self) -> None:
        """Let go of the connections."""
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()


class Asyncpg:
    """So many tasks, each on a connection of its own."""

    def __init__(self, url: sa.URL, clients: int, ids: Sequence[int]) -> None:
        self._writes, self._turns = _Writes(url.set(drivername="postgresql+asyncpg")), _shared(ids, clients)
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._runner = asyncio.Runner()
        self._connections: list[Any] = [self._runner.run(asyncpg.connect(plain)) for _ in range(clients)]

    def run(self, operations: int) -> Measured:
        """Send both statements so often."""
        each = max(operations // len(self._connections), 1)

        async def client(connection: Any, turns: Iterator[int]) -> None:
            read, write = self._writes.read, self._writes.write
            for user in itertools.islice(turns, each):
                row = await connection.fetchrow(read.words, *read.bound((user,)))
                if await connection.execute(write.words, *self._writes.after(row)) != "INSERT 0 1":
                    raise RuntimeError("the row was not written")

        async def all_clients() -> Measured:
            with Stopwatch() as watch:
                await asyncio.gather(*map(client, self._connections, self._turns))
            return watch.measured(each * len(self._connections))

        return self._runner.run(all_clients())

    def close(self) -> None:
        """Let go of the connections."""
        for connection in self._connections:
            self._runner.run(connection.close())
        self._runner.close()


def _shared(ids: Sequence[int], clients: int) -> list[Iterator[int]]:
    """Users of its own for every client, in turns."""
    return [itertools.cycle(ids[number::clients]) for number in range(clients)]
