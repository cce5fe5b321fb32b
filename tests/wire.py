"""A wire between a client and its server that counts how often the client asks and waits for an answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 16


class Wire:
    """A port of this machine that leads to a server; `round_trips` counts the turns from answering to asking."""

    def __init__(self, url: str) -> None:
        server = sa.make_url(url)
        self._to = str(server.host), server.port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listening]
        self.round_trips = 0
        self.url = server.set(port=self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._to)
                self._sockets += [client, server]
                waits = threading.Event()
                for passing in ((self._ask, client, server, waits), (self._answer, server, client, waits)):
                    threading.Thread(target=passing[0], args=passing[1:], daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, waits: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(_PIECE):
                if not waits.is_set():
                    waits.set()
                    self.round_trips += 1
                server.sendall(piece)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket, waits: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(_PIECE):
                waits.clear()
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Cut it."""
        for each in self._sockets:
            each.close()


@contextlib.contextmanager
def wired(url: str) -> Iterator[Wire]:
    """A wire for the length of the block."""
    wire = Wire(url)
    try:
        yield wire
    finally:
        wire.close()
