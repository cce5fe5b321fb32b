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
from http.client import HTTPConnection
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

    def __init__(self, runner: asyncio.Runner, faces: Sequence[Any], close: Callable[[], Awaitable[None]]) -> None:
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
        async def closed() -> None:
            await self._close()

        self._runner.run(closed())
        self._runner.close()


class Browsers(Threads):
    """Connections that are kept to one worker, `bench/worker.py`, each with one verification at a time, as JSON."""

    def __init__(self, url: str, clients: int, settings: Settings, clock: Callable[[], datetime]) -> None:
        port, keys = free_port(), settings.keys.get_secret_value() if settings.keys else ""
        variables = {"TWOFOLD_KEYS": keys, "TWOFOLD_FIRST_WAIT": "1", "TWOFOLD_LONGEST_WAIT": "1"}
        command = [sys.executable, "-m", "bench.worker", url, str(port)]
        self._clock, self._worker = clock, subprocess.Popen(command, env=os.environ | variables)
        super().__init__([HTTPConnection("127.0.0.1", port) for _ in range(clients)], self._stop)
        until = time.monotonic() + _STARTS_WITHIN
        while True:
            with contextlib.suppress(OSError):
                self._faces[0].connect()
                break
            if self._worker.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the HTTP worker did not start")
            time.sleep(0.1)

    def run(self, jobs: Sequence[Any]) -> Measured:
        before = self._at()
        # The CPU time is the worker's.
        return replace(super().run([_Posted(job) for job in jobs]), cpu=self._at() - before)

    def _at(self) -> float:
        """Set the worker's clock; return the seconds of CPU that it has used."""
        return float(_post(self._faces[0], "/at", self._clock().isoformat().encode())[1])

    def _stop(self) -> None:
        for connection in self._faces:
            connection.close()
        self._worker.terminate()
        self._worker.wait(10)


Clients = Threads | Tasks


class _Posted:
    """The answer to a challenge, as JSON."""

    def __init__(self, job: Any) -> None:
        self._wanted = 200 if job.is_right else 401
        self._body = json.dumps({"challenge": job.challenge, "code": job.code}).encode()

    def begin(self, face: HTTPConnection) -> int:
        return _post(face, "/verify", self._body)[0]

    def end(self, answer: int) -> None:
        if answer != self._wanted:
            raise AssertionError(f"a code was judged wrongly: {answer}")


def _post(connection: HTTPConnection, path: str, body: bytes) -> tuple[int, bytes]:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()
