"""A wire to a database that is cut at a chosen moment: what was sent arrives, and its answer does not."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 30.0


@dataclass
class Cutter:
    """Stands before a server and passes everything on; `cut_after` ends a connection once its request is answered."""

    server: tuple[str, int]
    port: int = 0
    has_cut: bool = False
    _sign: bytes | None = None
    _opens_again: bool = True
    _is_open: bool = True
    _ends: list[socket.socket] = field(default_factory=list[socket.socket])

    @classmethod
    @contextlib.contextmanager
    def before(cls, host: str, port: int) -> Iterator[Self]:
        """Listen for as long as the block lasts."""
        cutter = cls((host, port))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            cutter.port = listener.getsockname()[1]
            taking = threading.Thread(target=cutter._take, args=(listener,), daemon=True)
            taking.start()
            try:
                yield cutter
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                for end in cutter._ends:
                    end.close()

    def cut_after(self, sign: bytes, *, opens_again: bool) -> None:
        """Cut the next connection that sends this, when the server has answered; then take others, or none."""
        self.has_cut, self._sign, self._opens_again = False, sign, opens_again

    def open(self) -> None:
        """Take connections again."""
        self._is_open = True

    def _take(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                if not self._is_open:
                    near.close()
                    continue
                far = socket.create_connection(self.server)
                self._ends += [near, far]
                threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        is_asked = False
        with selectors.DefaultSelector() as both, contextlib.suppress(OSError, ValueError), near, far:
            both.register(near, selectors.EVENT_READ, far)
            both.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in both.select(_PATIENCE):
                    end: socket.socket = key.fileobj  # type: ignore[assignment]
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    if end is near:
                        is_asked |= self._sign is not None and self._sign in data
                    elif is_asked:
                        # The server is done, and nobody hears of it.
                        self._sign, self.has_cut, self._is_open = None, True, self._opens_again
                        return
                    key.data.sendall(data)
