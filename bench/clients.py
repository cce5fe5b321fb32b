"""Clients that work at the same time: in threads, or in tasks on `AsyncMFA`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from twofold import Rejected


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

    @property
    def cpu_each(self) -> float:
        """Microseconds of the client's CPU for one operation."""
        return self.cpu / self.operations * 1e6


def stopwatch() -> Callable[[int], Measured]:
    """Start; what comes back tells what it took to do so many operations, in wall time and CPU time of this process."""
    began, cpu = time.perf_counter(), time.process_time()
    return lambda operations: Measured(operations, time.perf_counter() - began, time.process_time() - cpu)


def timed(call: Callable[..., object], *given: object) -> Measured:
    """Do something once; return what it took."""
    watch = stopwatch()
    call(*given)
    return watch(1)


class Job(Protocol):
    """One piece of work on a face or a connection."""

    def begin(self, face: Any) -> Any:
        """Do it; in tasks what comes back is awaited."""
        ...

    def end(self, answer: Any) -> None:
        """Look at the answer. Raises where it is another one than it should be."""
        ...


def seconds(job: Job, face: Any) -> float:
    """Do a job; return how long it took. Raises where it is answered otherwise than it should be."""
    began = time.perf_counter()
    try:
        answer = job.begin(face)
    except Rejected as rejected:
        answer = rejected
    taken = time.perf_counter() - began
    job.end(answer)
    return taken


class Threads:
    """A thread for each face, which may be the same for all; `run` raises where a job is answered wrongly."""

    def __init__(self, faces: Sequence[Any], close: Callable[[], object]) -> None:
        self._faces, self._close, self._threads = faces, close, ThreadPoolExecutor(len(faces))

    def run(self, jobs: Sequence[Any]) -> Measured:
        def client(number: int) -> None:
            for job in jobs[number :: len(self._faces)]:
                seconds(job, self._faces[number])

        watch = stopwatch()
        list(self._threads.map(client, range(len(self._faces))))
        return watch(len(jobs))

    def close(self) -> None:
        self._threads.shutdown()
        self._close()


class Tasks:
    """A task for each face, all in the loop of one runner."""

    def __init__(
        self, runner: asyncio.Runner, faces: Sequence[Any], close: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self._runner, self._faces, self._close = runner, faces, close

    def run(self, jobs: Sequence[Any]) -> Measured:
        async def client(number: int) -> None:
            for job in jobs[number :: len(self._faces)]:
                try:
                    answer = await job.begin(self._faces[number])
                except Rejected as rejected:
                    answer = rejected
                job.end(answer)

        async def all_clients() -> Measured:
            watch = stopwatch()
            await asyncio.gather(*map(client, range(len(self._faces))))
            return watch(len(jobs))

        return self._runner.run(all_clients())

    def close(self) -> None:
        self._runner.run(self._close())
        self._runner.close()


Clients = Threads | Tasks
# Does a number of operations, whose preparation is not counted.
Run = Callable[[int], Measured]
