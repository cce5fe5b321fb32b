"""How the program of a peer is spoken to: a JSON object a line, in and out.

It knows nothing but the standard library, since it runs in the environment of every peer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Clock:
    """A clock that stands where the driver puts it, in the place of `time.time`."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        """The moment, in seconds of Unix time."""
        return self.now


class Peer(ABC):
    """A library that verifies codes of an authenticator app, with users of its own in a database of its own.

    It is made after the clock was set, so what it imports must be imported in its methods. Users are numbered from 0.
    """

    compared = 0
    """How many codes were compared with the right ones so far, as against those that were refused unseen."""

    @abstractmethod
    def make(self, number: int) -> list[str]:
        """Make the tables and so many users with an app; return their secrets in base32."""

    @abstractmethod
    def open(self) -> None:
        """Find the users whom another process has made."""

    @abstractmethod
    def verify(self, user: int, code: str) -> bool:
        """Say whether the code is good, once everything that keeps it from being good again is written."""

    def ready(self, users: Sequence[int]) -> None:
        """Do what an application does before a code is typed; it is not measured."""
        del users

    def counted(self, users: Sequence[int]) -> list[int] | None:
        """How many wrong codes are on record for each user; None where nothing counts them."""
        del users
        return None

    def versions(self) -> Sequence[str]:
        """The packages whose versions tell what was measured."""
        return ()


def serve(make: Callable[[str], Peer]) -> None:
    """Answer until nobody asks any more. The first argument of the program is the URL of its database."""
    # A framework that prints something must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    clock = Clock()
    time.time = clock
    peer = make(sys.argv[1])
    for line in sys.stdin:
        order = json.loads(line)
        clock.now = order.get("now", clock.now)
        print(json.dumps(_obeyed(peer, order)), file=answers, flush=True)


def _obeyed(peer: Peer, order: dict[str, Any]) -> dict[str, Any]:
    match order["do"]:
        case "make":
            return {"secrets": peer.make(order["number"])}
        case "open":
            from importlib.metadata import version

            peer.open()
            return {"versions": {name: version(name) for name in peer.versions()}}
        case "ready":
            peer.ready(order["users"])
            return {}
        case "verify":
            return _verified(peer, order["answers"], order.get("begin"), order.get("pause", 0.0))
        case "counted":
            return {"counted": peer.counted(order["users"])}
        case other:
            raise ValueError(other)


def _verified(peer: Peer, answers: list[list[Any]], begin: float | None, pause: float) -> dict[str, Any]:
    """Verify every answer, one after the other; where a race begins, each at the moment at which all others do."""
    accepted, failed = list[int](), list[str]()
    compared, cpu, began = peer.compared, time.process_time(), time.perf_counter()
    for number, (user, code) in enumerate(answers):
        if begin is not None:
            time.sleep(max(0.0, begin + number * pause - time.monotonic()))
        try:
            if peer.verify(user, code):
                accepted.append(user)
        except Exception as error:  # noqa: BLE001
            # In a race some peers fail; nobody was let in, and the driver decides what that means.
            failed.append(f"{type(error).__name__}: {error}")
    return {
        "accepted": accepted,
        "failed": failed,
        "compared": peer.compared - compared,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
    }
