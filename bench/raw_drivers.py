"""The drivers without the library, and the library without a driver.

The statements of a verification, prepared, on connections that are held, and nothing decided: what no client on this
driver in one process of Python can be faster than, nor take less CPU than. And all that is decided, with nothing sent.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import asyncpg
import psycopg
import sqlalchemy as sa
from pyotp.totp import TOTP

from bench.clients import Clients, Measured, Tasks, Threads, stopwatch
from bench.population import BROWSER, settings
from twofold import MFA
from twofold.account.chain import Link
from twofold.account.driver import _Text  # pyright: ignore[reportPrivateUsage]
from twofold.account.row import LOGIN, Account
from twofold.account.statements import Schema
from twofold.metadata import tables
from twofold.schema.users.ids import Ids
from twofold.testing import Clock
from twofold.tokens import ChallengeToken, write_challenge
from twofold.totp import factor
from twofold.totp.algorithm import Parameters

_SECRET = b"12345678901234567890"
_LOGIN = itemgetter(*(Account._fields.index(name) for name in LOGIN))
_COUNT, _VERSION = (Account._fields.index(name) for name in ("event_count", "version"))


class Driver:
    """So many clients on a driver of PostgreSQL, each on a connection of its own and with users of its own."""

    def __init__(self, url: sa.URL, clients: int, ids: Sequence[int]) -> None:
        statements, job = _Statements(url), _OnPsycopg
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        held: list[Any] = []
        if url.get_driver_name() == "asyncpg":
            runner, job = asyncio.Runner(), _OnAsyncpg
            held += (runner.run(asyncpg.connect(plain)) for _ in range(clients))

            async def let_go() -> None:
                for connection in held:
                    await connection.close()

            self._clients: Clients = Tasks(runner, held, let_go)
        else:
            held += (psycopg.connect(plain, autocommit=True) for _ in range(clients))
            self._clients = Threads(held, lambda: [connection.close() for connection in held])
        # Jobs are dealt out in turns: where the users are a multiple of the clients, each meets its own alone.
        self._jobs = itertools.cycle([job(user, statements) for user in ids[: len(ids) // clients * clients]])
        self.close = self._clients.close

    def run(self, operations: int) -> Measured:
        """Send both statements so often."""
        return self._clients.run(list(itertools.islice(self._jobs, operations)))


class _Statements:
    """The two statements in the words of a driver, and the values of the next write of a row that was read."""

    def __init__(self, url: sa.URL) -> None:
        dialect, schema = url.get_dialect()(), Schema("users.id", Ids("integer"))
        self.read, self.write = (
            _Text(statement.core, statement.names, dialect) for statement in (schema.read, schema.at_once[None])
        )
        events, engine = tables(sa.MetaData()).events, sa.create_engine(url.set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            last = connection.execute(sa.select(events).order_by(events.c.id.desc()).limit(1)).mappings().one()
        engine.dispose()
        # Number, moment and MAC are those of the state.
        self._moment, self._event = last["created_at"], tuple(last[name] for name in Link._fields[2:-1])

    def after(self, row: Sequence[Any]) -> Any:
        """Return what the second statement is given."""
        values = list(row)
        values[_COUNT] += 1
        values[_VERSION] += 1
        return self.write.bound((*_LOGIN(values), row[-1], self._moment, row[0], row[_VERSION], *self._event))


@dataclass(frozen=True, slots=True)
class _OnPsycopg:
    user: int
    statements: _Statements

    def begin(self, face: psycopg.Connection) -> bool:
        read, write = self.statements.read, self.statements.write
        row = face.execute(read.words.encode(), read.bound((self.user,))).fetchone()
        return row is not None and face.execute(write.words.encode(), self.statements.after(row)).rowcount == 1

    def end(self, answer: bool) -> None:  # noqa: FBT001 - what `begin` returned.
        if not answer:
            raise RuntimeError("the row was not written")


@dataclass(frozen=True, slots=True)
class _OnAsyncpg(_OnPsycopg):
    async def begin(self, face: Any) -> bool:  # type: ignore[override]
        read, write = self.statements.read, self.statements.write
        row = await face.fetchrow(read.words, *read.bound((self.user,)))
        written: str = await face.execute(write.words, *self.statements.after(row))
        return written == "INSERT 0 1"


class SQLite:
    """One loop over the standard library's sqlite3: a read, an update and an insert in a transaction each."""

    def __init__(self, path: Path, ids: Sequence[int]) -> None:
        self._connection, self._turns = sqlite3.connect(path, isolation_level=None), itertools.cycle(ids)
        for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        dialect, schema = sa.create_engine("sqlite://").dialect, Schema("users.id", Ids("integer"))
        self._read, self._swap, self._append = (
            _Text(statement.core, statement.names, dialect)
            for statement in (schema.read, schema.swap_at_login[None], schema.append)
        )
        columns = ", ".join(column.name for column in schema.tables.events.columns)
        last = f"SELECT {columns} FROM mfa_events ORDER BY id DESC LIMIT 1"  # noqa: S608 - names of ours.
        self._event = self._connection.execute(last).fetchone()[3:]
        self.close = self._connection.close

    def run(self, operations: int) -> Measured:
        """Send the statements so often, for the next users."""
        send, swapped, appended = self._connection.execute, *map(_values, (self._swap, self._append))
        watch = stopwatch()
        for user in itertools.islice(self._turns, operations):
            send("BEGIN IMMEDIATE")
            row: list[Any] = list(send(self._read.words, (user,)).fetchone())
            seen = row[_VERSION]
            row[_VERSION] += 1
            row[_COUNT] += 1
            after = (*_LOGIN(row), row[-1], "2026-01-01 00:00:00.000000", user, seen)
            if send(self._swap.words, swapped(after)).rowcount != 1:
                raise RuntimeError("the row was not written")
            send(self._append.words, appended((user, row[_COUNT], *self._event)))
            send("COMMIT")
        return watch(operations)


def _values(text: _Text) -> itemgetter[Any]:
    return itemgetter(*text.places)


def own_verification() -> Callable[[], object]:
    """Return a verification over a driver that answers at once, as for a user whose code is right and never used up.

    Its CPU is the library's own: all but driver, SQLAlchemy and database.
    """
    clock = Clock()
    engine: Any = sa.create_engine("postgresql+psycopg://nobody@localhost/nothing")
    mfa = MFA(engine, settings(), clock=clock, pool="host")
    runtime = mfa._runtime  # noqa: SLF001
    runtime.schemas[None], keyring = Schema("users.id", Ids("integer")), runtime.keyring
    head, seen = keyring.mac("events", b"the last event"), clock.now - timedelta(minutes=1)
    account = Account(7, is_enabled=True, is_verified=True, last_used_step=1, event_count=5, event_head=head)
    account = account._replace(enabled_at=seen, last_used_at=seen, last_challenge=3, version=5)
    context = factor._context(account, "secret", Parameters(), None)  # noqa: SLF001
    account = account._replace(secret=keyring.seal(_SECRET, context))
    row = (*account, keyring.mac("state", account.message()))
    engine.dialect.dbapi = psycopg
    connection = _Connection(
        engine=engine, dialect=engine.dialect, _has_events=False, _echo=False, invalidated=False, autocommit=True
    )
    connection.connection = connection.dbapi_connection = connection.driver_connection = connection
    connection.get_execution_options, connection._execution_options, connection.in_transaction = dict, {}, bool  # noqa: SLF001
    connection.rowcount, connection.fetchone, connection.execute = 1, lambda: row, lambda _words, _bound: None
    connection.commit = connection.close = lambda: None
    engine.connect = connection.cursor = lambda: connection
    until = clock.now + timedelta(minutes=5)
    token = write_challenge(keyring, ChallengeToken(account.user_id, account.version, until, seen))
    code = TOTP(base64.b32encode(_SECRET).decode()).at(clock.now)
    return lambda: mfa.verify(token, code, request=BROWSER)


def own_microseconds(verify: Callable[[], object], number: int) -> float:
    """Return the CPU time of one of so many verifications."""
    before = time.process_time()
    for _ in range(number):
        verify()
    return (time.process_time() - before) / number * 1e6


class _Connection(SimpleNamespace):
    """As much of a connection, of its pool's and of the driver's as a verification touches."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None
