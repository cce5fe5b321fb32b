"""Clients that work at the same time: in threads on `MFA`, in tasks on `AsyncMFA`, or over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from tests.servers import free_port
from twofold import Rejected, Settings

_STARTS_WITHIN = 30.0


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
    """A thread for each face, which may be the same for all."""

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

    def __init__(self, runner: asyncio.Runner, faces: Sequence[Any], close: Callable[[], Awaitable[None]]) -> None:
        self.runner, self._faces, self._close = runner, faces, close

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

        return self.runner.run(all_clients())

    def close(self) -> None:
        async def closed() -> None:
            await self._close()

        self.runner.run(closed())
        self.runner.close()


class Browsers:
    """Connections that are kept to one worker, `bench/worker.py`, each with one verification at a time, as JSON."""

    def __init__(self, url: str, clients: int, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._clock, self._port, runner = clock, free_port(), asyncio.Runner()
        keys = settings.keys.get_secret_value() if settings.keys else ""
        variables = {"TWOFOLD_KEYS": keys, "TWOFOLD_FIRST_WAIT": "1", "TWOFOLD_LONGEST_WAIT": "1"}
        command = [sys.executable, "-m", "bench.worker", url, str(self._port)]
        self._worker = subprocess.Popen(command, env=os.environ | variables)
        self._connections = [runner.run(self._connection()) for _ in range(clients)]
        self._tasks = Tasks(runner, self._connections, self._hang_up)

    def run(self, jobs: Sequence[Any]) -> Measured:
        asked = (json.dumps({"challenge": job.challenge, "code": job.code}) for job in jobs)
        wanted = (b" 200 " if job.is_right else b" 401 " for job in jobs)
        before = self._at()
        measured = self._tasks.run(
            [_Asked(_request("/verify", body), is_) for body, is_ in zip(asked, wanted, strict=True)]
        )
        # The CPU time is the worker's.
        return replace(measured, cpu=self._at() - before)

    def close(self) -> None:
        self._tasks.close()
        self._worker.terminate()
        self._worker.wait(10)

    def _at(self) -> float:
        """Set the worker's clock; return the seconds of CPU that it has used."""
        asked = _Asked(_request("/at", self._clock().isoformat()), b" 200 ")
        return float(self._tasks.runner.run(asked.begin(self._connections[0])).partition(b"\r\n\r\n")[2])

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        until = time.monotonic() + _STARTS_WITHIN
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self._port)
            if self._worker.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the HTTP worker did not start")
            await asyncio.sleep(0.1)

    async def _hang_up(self) -> None:
        for _, writer in self._connections:
            writer.close()


Clients = Threads | Tasks | Browsers
"""Clients that work at the same time; `run` raises where a job is answered otherwise than it should be."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request. The client looks for the end of the answer, and no more: it shares the cores with the worker."""

    request: bytes
    status: bytes

    async def begin(self, face: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
        reader, writer = face
        writer.write(self.request)
        head = await reader.readuntil(b"\r\n\r\n")
        return head + await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))

    def end(self, answer: bytes) -> None:
        if self.status not in answer.partition(b"\r")[0]:
            raise AssertionError(f"a code was judged wrongly: {answer!r}")


def _request(path: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()
