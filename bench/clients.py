"""Clients of the library: so many threads on `MFA`, or so many tasks on `AsyncMFA`, each with jobs of its own."""

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

from twofold import MFA, AsyncMFA, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twofold import Settings


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


class Job(Protocol):
    """One call of the library, and what its answer must be."""

    def begin(self, mfa: Any) -> Any:
        """Call an operation of a face; on `AsyncMFA` what comes back is awaited."""
        ...

    def end(self, answer: Any) -> None:
        """Look at the answer. Raises where it is another one than it should be."""
        ...


class Clients(Protocol):
    """A number of clients that work at the same time, on as many connections."""

    def run(self, jobs: Sequence[Job]) -> Measured:
        """Do all jobs; raise where one is answered otherwise than it should be."""
        ...

    def statements(self) -> contextlib.AbstractContextManager[list[str]]:
        """The statements that are sent in the block."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class Threads:
    """Clients of the blocking face."""

    def __init__(self, engine: sa.Engine, clients: int, settings: Settings, clock: Any) -> None:
        self._clients, self._engine = clients, engine
        self._mfa = MFA(engine, settings, clock=clock)
        self._threads = ThreadPoolExecutor(clients)

    def run(self, jobs: Sequence[Job]) -> Measured:
        """Do all jobs; raise where one is answered otherwise than it should be."""

        def client(mine: Sequence[Job]) -> None:
            for job in mine:
                try:
                    answer = job.begin(self._mfa)
                except Rejected as rejected:
                    answer = rejected
                job.end(answer)

        with Stopwatch() as watch:
            list(self._threads.map(client, shares(jobs, self._clients)))
        return watch.measured(len(jobs))

    def statements(self) -> contextlib.AbstractContextManager[list[str]]:
        """The statements that are sent in the block."""
        return _statements(self._engine)

    def close(self) -> None:
        """Let go of the connections."""
        self._threads.shutdown()
        self._engine.dispose()


class Tasks:
    """Clients of the awaited face."""

    def __init__(self, url: sa.URL, clients: int, settings: Settings, clock: Any) -> None:
        self._clients = clients
        self._engine = create_async_engine(url, pool_size=clients, max_overflow=0)
        self._mfa = AsyncMFA(self._engine, settings, clock=clock)
        self._runner = asyncio.Runner()

    def run(self, jobs: Sequence[Job]) -> Measured:
        """Do all jobs; raise where one is answered otherwise than it should be."""

        async def client(mine: Sequence[Job]) -> None:
            for job in mine:
                try:
                    answer = await job.begin(self._mfa)
                except Rejected as rejected:
                    answer = rejected
                job.end(answer)

        async def all_clients() -> Measured:
            with Stopwatch() as watch:
                await asyncio.gather(*map(client, shares(jobs, self._clients)))
            return watch.measured(len(jobs))

        return self._runner.run(all_clients())

    def statements(self) -> contextlib.AbstractContextManager[list[str]]:
        """The statements that are sent in the block."""
        return _statements(self._engine.sync_engine)

    def close(self) -> None:
        """Let go of the connections."""
        self._runner.run(self._engine.dispose())
        self._runner.close()


class Stopwatch:
    """Wall time, and CPU time of this process, of a block."""

    def __enter__(self) -> Self:
        self._began, self._cpu_before = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds, self._cpu = time.perf_counter() - self._began, time.process_time() - self._cpu_before

    def measured(self, operations: int) -> Measured:
        """What it took to do so many operations."""
        return Measured(operations, self._seconds, self._cpu)


def shares(jobs: Sequence[Job], clients: int) -> list[Sequence[Job]]:
    """The jobs of each client."""
    return [jobs[number::clients] for number in range(clients)]


@contextlib.contextmanager
def _statements(engine: sa.Engine) -> Iterator[list[str]]:
    seen: list[str] = []
    listener: Callable[..., None] = lambda _connection, _cursor, statement, *_: seen.append(statement)  # noqa: E731
    event.listen(engine, "after_cursor_execute", listener)
    try:
        yield seen
    finally:
        event.remove(engine, "after_cursor_execute", listener)
