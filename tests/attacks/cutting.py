"""A wire between a client and its server that knows a COMMIT when it sees one: it loses the answer, or gives its own.

It reads the protocols of PostgreSQL and MariaDB as far as that takes. What decides is a COMMIT, or on PostgreSQL a
statement that writes outside of any transaction.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int], bytes]


class Cut(StrEnum):
    """Where the connection is cut, seen from the COMMIT."""

    BEFORE = "before it is sent on"
    MIDDLE = "as soon as it is sent on"
    LATE = "before it is sent on, which it is later"
    AFTER = "when the server has answered"
    SILENT = "nowhere, and nothing more is heard"


@dataclass(frozen=True)
class Refuse:
    """MariaDB's answer is this error. The server rolls back, or has `committed` all the same, or never hears of it."""

    number: int
    state: str = "HY000"
    server: str = "ROLLBACK"

    def packet(self) -> bytes:
        """The error as the client reads it, in answer to its first packet."""
        body = b"\xff" + self.number.to_bytes(2, "little") + b"#" + self.state.encode() + b"refused by the test"
        return _packet(body, 1)


Deed = Cut | Refuse

_PATIENCE: Final = 20.0


def _packet(body: bytes, number: int) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


@dataclass(frozen=True)
class Asked:
    """What a client sends before it waits for an answer."""

    data: bytes
    decides: bool = False


class _Protocol(ABC):
    """What one connection says in both directions."""

    @abstractmethod
    def asked(self, read: Read) -> Iterator[Asked]:
        """Everything that the client sends."""

    @abstractmethod
    def answered(self, read: Read) -> Iterator[tuple[bytes, bool]]:
        """Everything that the server sends, and whether the client may ask again after it."""


class _MariaDB(_Protocol):
    """Packets of a length and a number; what a client asks has the number zero."""

    def asked(self, read: Read) -> Iterator[Asked]:
        while True:
            head, body = self._read(read)
            decides = head[3] == 0 and body[:1] == b"\x03" and body[1:].strip(b" ;\0").upper() == b"COMMIT"
            yield Asked(head + body, decides)

    def answered(self, read: Read) -> Iterator[tuple[bytes, bool]]:
        while True:
            # A COMMIT is answered by one packet, and nothing else is looked at.
            yield b"".join(self._read(read)), True

    @staticmethod
    def _read(read: Read) -> tuple[bytes, bytes]:
        head = read(4)
        return head, read(int.from_bytes(head[:3], "little"))


# SSLRequest and GSSENCRequest, which a server without either answers by one letter.
_ENCRYPTIONS: Final = frozenset({80877103, 80877104})
_WRITES: Final = re.compile(rb"\b(INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM)\b", re.IGNORECASE)


class _PostgreSQL(_Protocol):
    """Messages of a letter and a length; the server says after each answer whether a transaction is open."""

    def __init__(self) -> None:
        self._is_idle = False
        self._is_letter = threading.Event()
        self._statements: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}

    def asked(self, read: Read) -> Iterator[Asked]:
        while True:
            length = read(4)
            body = read(struct.unpack("!i", length)[0] - 4)
            is_encryption = struct.unpack("!i", body[:4])[0] in _ENCRYPTIONS
            if is_encryption:
                self._is_letter.set()
            yield Asked(length + body)
            if not is_encryption:
                break
        gathered, executed = b"", list[bytes]()
        while True:
            kind, length = read(1), read(4)
            body = read(struct.unpack("!i", length)[0] - 4)
            gathered += kind + length + body
            if kind == b"P":
                name, text, *_ = body.split(b"\0")
                self._statements[name] = text
            elif kind == b"B":
                portal, name, *_ = body.split(b"\0")
                self._portals[portal] = self._statements.get(name, b"")
            elif kind == b"E":
                executed.append(self._portals.get(body.split(b"\0")[0], b""))
            elif kind == b"Q":
                executed.append(body.rstrip(b"\0"))
            if kind not in b"PBDEC":
                yield Asked(gathered, any(map(self._decides, executed)))
                gathered, executed = b"", []

    def _decides(self, text: bytes) -> bool:
        is_commit = text.strip(b" ;\n").upper() in {b"COMMIT", b"END", b"COMMIT TRANSACTION"}
        return is_commit or (self._is_idle and _WRITES.search(text) is not None)

    def answered(self, read: Read) -> Iterator[tuple[bytes, bool]]:
        while True:
            kind = read(1)
            if self._is_letter.is_set():
                self._is_letter.clear()
                yield kind, False
                continue
            length = read(4)
            body = read(struct.unpack("!i", length)[0] - 4)
            if kind == b"Z":
                self._is_idle = body == b"I"
            yield kind + length + body, kind == b"Z"


_PROTOCOLS: Final[dict[str, Callable[[], _Protocol]]] = {
    "postgresql": _PostgreSQL,
    "mariadb": _MariaDB,
    "mysql": _MariaDB,
}


def _reader(from_: socket.socket) -> Read:
    """Read exactly so many bytes. Raises EOFError at the end."""

    def read(number: int) -> bytes:
        found = bytearray()
        while len(found) < number:
            piece = from_.recv(number - len(found))
            if not piece:
                raise EOFError
            found += piece
        return bytes(found)

    return read


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class _Line:
    """One connection through the wire."""

    def __init__(self, wire: CuttingWire, client: socket.socket, server: socket.socket, protocol: _Protocol) -> None:
        self._wire, self._client, self._server, self._protocol = wire, client, server, protocol
        # What the client is told in place of the next answer: an error, or nothing ever again.
        self._instead: bytes | None = None
        self._has_answered = threading.Event()

    def ask(self) -> None:
        """Send on what the client says."""
        with contextlib.suppress(OSError, EOFError):
            for asked in self._protocol.asked(_reader(self._client)):
                deed = self._wire.next_deed() if asked.decides else None
                if deed is None:
                    self._server.sendall(asked.data)
                elif isinstance(deed, Refuse):
                    self._refuse(asked, deed)
                elif deed is Cut.SILENT:
                    self._instead = b""
                    self._server.sendall(asked.data)
                else:
                    with self._wire.under_way():
                        self._cut(asked, deed)
                    break
        _end(self._client, self._server)

    def answer(self) -> None:
        """Send on what the server says."""
        with contextlib.suppress(OSError, EOFError):
            for data, is_whole in self._protocol.answered(_reader(self._server)):
                if self._instead is None:
                    self._client.sendall(data)
                elif is_whole:
                    instead, self._instead = self._instead, None
                    self._has_answered.set()
                    self._client.sendall(instead)
        self._has_answered.set()
        _end(self._client, self._server)

    def _refuse(self, asked: Asked, refusal: Refuse) -> None:
        if not refusal.server:
            self._client.sendall(refusal.packet())
            return
        self._instead = refusal.packet()
        is_commit = refusal.server == "COMMIT"
        self._server.sendall(asked.data if is_commit else _packet(b"\x03" + refusal.server.encode(), 0))

    def _cut(self, asked: Asked, cut: Cut) -> None:
        if cut is Cut.BEFORE:
            return
        self._instead = b""
        if cut is Cut.LATE:
            _end(self._client)
            self._wire.is_disarmed.wait(self._wire.later)
        self._server.sendall(asked.data)
        if cut is not Cut.MIDDLE:
            self._has_answered.wait(_PATIENCE)


class CuttingWire:
    """A port of this machine that leads to a server; `done` counts the COMMITs that something was done to."""

    def __init__(self, url: str) -> None:
        server = sa.make_url(url)
        self._to = str(server.host), server.port
        self._protocol = _PROTOCOLS[server.get_backend_name()]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listening]
        self._threads = list[threading.Thread]()
        self._lock = threading.Condition()
        self._cuts_under_way = 0
        self._deed: Deed | None = None
        self._times = 0
        self._is_away_afterwards = self._is_away = False
        self.done, self.later = 0, 0.0
        self.is_disarmed = threading.Event()
        self.url = server.set(port=self._listening.getsockname()[1]).render_as_string(hide_password=False)
        self._start(self._accept)

    def arm(self, deed: Deed, times: int = 1, *, then_away: bool = False, later: float = 0.25) -> None:
        """Do it to the next so many COMMITs; `then_away` lets nobody in after that.

        What is cut while it is under way arrives so many seconds `later`, or when the wire is disarmed.
        """
        with self._lock:
            self.is_disarmed.clear()
            self._deed, self._times, self.done = deed, times, 0
            self._is_away_afterwards, self._is_away, self.later = then_away, False, later

    def disarm(self) -> None:
        """Be an ordinary wire again, once all that was cut off has arrived or been given up."""
        with self._lock:
            self._times, self._is_away = 0, False
            self.is_disarmed.set()
            self._lock.wait_for(lambda: self._cuts_under_way == 0, _PATIENCE)

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """While the block lasts a COMMIT is between its client and its server."""
        with self._lock:
            self._cuts_under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._cuts_under_way -= 1
                self._lock.notify_all()

    def next_deed(self) -> Deed | None:
        """What is to be done to a COMMIT that has just come."""
        with self._lock:
            if not self._times:
                return None
            self._times -= 1
            self.done += 1
            if not self._times and self._is_away_afterwards:
                self._is_away = True
            return self._deed

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self._is_away:
                    client.close()
                    continue
                server = socket.create_connection(self._to)
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                line = _Line(self, client, server, self._protocol())
                self._start(line.ask)
                self._start(line.answer)

    def close(self) -> None:
        """Cut every connection, and wait until nothing is under way any more."""
        _end(*self._sockets)
        for thread in self._threads:
            thread.join(_PATIENCE)
        for each in self._sockets:
            each.close()


@contextlib.contextmanager
def cutting(url: str) -> Iterator[CuttingWire]:
    """A wire for the length of the block."""
    wire = CuttingWire(url)
    try:
        yield wire
    finally:
        wire.close()
