"""Sixteen connections that ask one worker over HTTP, each for one verification at a time, as JSON.

The client writes bytes and looks for the end of the answer, and no more, since it shares the cores with the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from bench.clients import Measured, Stopwatch
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.people import Answer, Clock
    from twofold import Settings

_STARTS_WITHIN = 30.0


class Browsers:
    """A worker that runs, and clients with connections to it that are kept."""

    def __init__(self, url: str, clients: int, settings: Settings, clock: Clock) -> None:
        self._clock, self._clients, self._port = clock, clients, free_port()
        keys = settings.keys.get_secret_value() if settings.keys else ""
        told = {"TWOFOLD_KEYS": keys, "TWOFOLD_FIRST_WAIT": "1", "TWOFOLD_LONGEST_WAIT": "1"}
        command = [sys.executable, "-m", "bench.worker", url, str(self._port)]
        self._worker = subprocess.Popen(command, env=os.environ | told)
        self._runner = asyncio.Runner()
        self._connections = self._runner.run(self._connect())

    def run(self, jobs: Sequence[Answer]) -> Measured:
        """Send all answers; raise where one is judged otherwise than it should be. The CPU time is the worker's."""
        asked = [_request("/verify", json.dumps({"challenge": each.challenge, "code": each.code})) for each in jobs]
        expected = [b"200" if each.is_right else b"401" for each in jobs]
        before = self._runner.run(self._at())

        async def client(connection: _Connection, mine: Sequence[tuple[bytes, bytes]]) -> None:
            for request, status in mine:
                answer = await connection.ask(request)
                if answer[9:12] != status:
                    raise AssertionError(f"a code was judged wrongly: {answer!r}")

        async def all_clients() -> Measured:
            requests = list(zip(asked, expected, strict=True))
            mine = [requests[number :: self._clients] for number in range(self._clients)]
            with Stopwatch() as watch:
                await asyncio.gather(*map(client, self._connections, mine))
            return watch.measured(len(requests))

        measured = self._runner.run(all_clients())
        return Measured(measured.operations, measured.seconds, self._runner.run(self._at()) - before)

    def close(self) -> None:
        """Stop the worker."""
        for connection in self._connections:
            connection.close()
        self._runner.close()
        self._worker.terminate()
        self._worker.wait(10)

    async def _at(self) -> float:
        """Set the worker's clock; return the seconds of CPU that it has used."""
        answer = await self._connections[0].ask(_request("/at", self._clock.now.isoformat()))
        return float(json.loads(answer.partition(b"\r\n\r\n")[2])["cpu"])

    async def _connect(self) -> list[_Connection]:
        until = time.monotonic() + _STARTS_WITHIN
        while True:
            with contextlib.suppress(OSError):
                return [await _Connection.open(self._port) for _ in range(self._clients)]
            if self._worker.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the HTTP worker did not start")
            await asyncio.sleep(0.1)


class _Connection(asyncio.Protocol):
    """A connection that is kept, with one request under way."""

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect."""
        _, protocol = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return protocol

    def __init__(self) -> None:
        self._answer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; the whole answer follows."""
        self._waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answer.clear()
        self._transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        """Give the answer when all of it is here."""
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            self._waiting.set_result(bytes(self._answer))

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits."""
        waiting = getattr(self, "_waiting", None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(RuntimeError(f"the HTTP worker closed a connection ({exc})"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def _request(path: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()
