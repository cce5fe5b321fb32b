"""Clients of the library: so many threads on `MFA`, or so many tasks on `AsyncMFA`, each with logins to answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from bench.people import BROWSER
from twofold import MFA, AsyncMFA, Reason, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twofold import Settings

Login = tuple[str, str]
"""A challenge and the code that answers it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measurement took: wall time, and the CPU time of the client alone."""

    operations: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds


class Clients(Protocol):
    """A number of clients that work at the same time, on as many connections."""

    face: str

    def verify(self, logins: Sequence[Login], *, is_right: bool) -> Measured:
        """Answer all logins; raise where one is judged otherwise than it should be."""
        ...

    def statements(self) -> contextlib.AbstractContextManager[list[str]]:
        """The statements that are sent in the block."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class Threads:
    """Clients of the blocking face."""

    face = "MFA, threads"

    def __init__(self, url: sa.URL, clients: int, settings: Settings, clock: Any) -> None:
        self._clients = clients
        self._engine = sa.create_engine(url, pool_size=clients, max_overflow=0)
        self._mfa = MFA(self._engine, settings, clock=clock)
        self._threads = ThreadPoolExecutor(clients)

    def verify(self, logins: Sequence[Login], *, is_right: bool) -> Measured:
        """Answer all logins; raise where one is judged otherwise than it should be."""

        def client(mine: Sequence[Login]) -> None:
            for challenge, code in mine:
                with _judged(is_right=is_right):
                    self._mfa.verify(challenge, code, request=BROWSER)

        with _Stopwatch() as watch:
            list(self._threads.map(client, _shares(logins, self._clients)))
        return watch.measured(len(logins))

    def statements(self) -> contextlib.AbstractContextManager[list[str]]:
        """The statements that are sent in the block."""
        return _statements(self._engine)

    def close(self) -> None:
        """Let go of the connections."""
        self._threads.shutdown()
        self._engine.dispose()


class Tasks:
    """Clients of the awaited face."""

    face = "AsyncMFA, tasks"

    def __init__(self, url: sa.URL, clients: int, settings: Settings, clock: Any) -> None:
        self._clients = clients
        self._engine = create_async_engine(url, pool_size=clients, max_overflow=0)
        self._mfa = AsyncMFA(self._engine, settings, clock=clock)
        self._runner = asyncio.Runner()

    def verify(self, logins: Sequence[Login], *, is_right: bool) -> Measured:
        """Answer all logins; raise where one is judged otherwise than it should be."""

        async def client(mine: Sequence[Login]) -> None:
            for challenge, code in mine:
                with _judged(is_right=is_right):
                    await self._mfa.verify(challenge, code, request=BROWSER)

        async def all_clients() -> Measured:
            with _Stopwatch() as watch:
                await asyncio.gather(*map(client, _shares(logins, self._clients)))
            return watch.measured(len(logins))

        return self._runner.run(all_clients())

    def statements(self) -> contextlib.AbstractContextManager[list[str]]:
        """The statements that are sent in the block."""
        return _statements(self._engine.sync_engine)

    def close(self) -> None:
        """Let go of the connections."""
        self._runner.run(self._engine.dispose())
        self._runner.close()


class _Stopwatch:
    def __enter__(self) -> Self:
        self._began, self._cpu_before = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds, self._cpu = time.perf_counter() - self._began, time.process_time() - self._cpu_before

    def measured(self, operations: int) -> Measured:
        return Measured(operations, self._seconds, self._cpu)


class _judged:  # noqa: N801
    """Holds the library to its answer, in a block of one verification."""

    def __init__(self, *, is_right: bool) -> None:
        self._is_right = is_right

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if error is None and not self._is_right:
            raise AssertionError("a wrong code was accepted")
        return not self._is_right and isinstance(error, Rejected) and error.reason is Reason.WRONG_CODE


def _shares(logins: Sequence[Login], clients: int) -> list[Sequence[Login]]:
    return [logins[number::clients] for number in range(clients)]


@contextlib.contextmanager
def _statements(engine: sa.Engine) -> Iterator[list[str]]:
    seen: list[str] = []
    listener: Callable[..., None] = lambda _connection, _cursor, statement, *_: seen.append(statement)  # noqa: E731
    event.listen(engine, "before_cursor_execute", listener)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", listener)
