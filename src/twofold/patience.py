"""Connections of psycopg that give up on a server which is silent.

libpq has no such limit: while the server's machine acknowledges what it gets, a call waits for ever. And a
statement_timeout would be for the server to keep; poolers refuse it among the parameters of a new connection, and what
SET says would reach whoever is given the pooler's connection next.

Tests: `tests/attacks/test_faults_of_databases.py`.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import capabilities

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

T = TypeVar("T")

# How long the server may take to hear that a statement is no longer wanted.
_CANCELLED_WITHIN = 1.0


class _Silent(Exception):
    """Nothing came from the server in time."""


def _heard(steps: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """The steps of a conversation with the server, until it is silent for too long."""
    end = time.monotonic() + seconds
    try:
        step = next(steps)
        while True:
            ready = yield step
            # psycopg comes by ten times a second while nothing is there.
            if ready:
                end = time.monotonic() + seconds
            elif time.monotonic() > end:
                raise _Silent
            step = steps.send(ready)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _given_up(seconds: float) -> psycopg.OperationalError:
    return psycopg.OperationalError(f"the server did not answer within {seconds:g} seconds")


class Blocking(psycopg.Connection[Any]):
    """A connection of the blocking face."""

    seconds: float

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for an answer, and close the connection where none comes."""
        try:
            return super().wait(_heard(gen, self.seconds), *args, **kwargs)
        except _Silent:
            # Else a statement that waits for a lock would go on waiting, and hold the locks that it has.
            if capabilities.has_cancel_safe():
                with contextlib.suppress(psycopg.Error):
                    self.cancel_safe(timeout=_CANCELLED_WITHIN)
            self.close()
            raise _given_up(self.seconds) from None


class Awaited(psycopg.AsyncConnection[Any]):
    """A connection of the awaited face."""

    seconds: float

    async def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for an answer, and close the connection where none comes."""
        try:
            return await super().wait(_heard(gen, self.seconds), *args, **kwargs)
        except _Silent:
            if capabilities.has_cancel_safe():
                with contextlib.suppress(psycopg.Error):
                    await self.cancel_safe(timeout=_CANCELLED_WITHIN)
            await self.close()
            raise _given_up(self.seconds) from None


def blocking(seconds: float) -> Callable[..., Blocking]:
    """What opens connections with this patience."""

    class Connection(Blocking):
        pass

    Connection.seconds = seconds
    return Connection.connect


def awaited(seconds: float) -> Callable[..., Awaitable[Awaited]]:
    """What opens connections with this patience."""

    class Connection(Awaited):
        pass

    Connection.seconds = seconds
    return Connection.connect
