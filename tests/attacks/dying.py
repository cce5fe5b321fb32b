"""Processes that perform one operation and die in the middle of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sqlalchemy import event

from tests.people import FIREFOX, Clock, plain_settings
from twofold import MFA, Rejected
from twofold.database import create_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from sqlalchemy import Engine


@dataclass(frozen=True)
class Held:
    """What a user has in hand at this moment."""

    user_id: int
    code: str
    wrong_code: str
    backup_code: str
    challenge: str
    proof: str
    device_token: str


def guess(mfa: MFA, held: Held) -> None:
    with contextlib.suppress(Rejected):
        mfa.verify(held.challenge, held.wrong_code)


ACTS: Final[dict[str, Callable[[MFA, Held], Any]]] = {
    "verify": lambda mfa, held: mfa.verify(held.challenge, held.code),
    "guess": guess,
    "spend": lambda mfa, held: mfa.verify(held.challenge, held.backup_code),
    "regenerate": lambda mfa, held: mfa.backup_codes.regenerate(mfa.proof(held.proof)),
    "trust": lambda mfa, held: mfa.trusted_devices.trust(mfa.proof(held.proof), request=FIREFOX),
    "recognize": lambda mfa, held: mfa.challenge(held.user_id, device_token=held.device_token, request=FIREFOX),
    "disable": lambda mfa, held: mfa.totp.disable(mfa.proof(held.proof)),
}


def nursery(pipe: Connection, url: str, keys: str) -> None:
    """Fork a process for every act that is asked for, and tell how each ended, until nobody asks any more.

    What they would all do first is done once, and no connection is open when they are forked.
    """
    engine, clock = create_engine(url), Clock()
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    mfa.events.export(limit=1)
    engine.dispose()
    with contextlib.suppress(EOFError):
        while True:
            act, held, clock.now, place = pipe.recv()
            pid = os.fork()
            if pid == 0:
                _die(engine, mfa, act, held, place)
            _, status = os.waitpid(pid, 0)
            pipe.send(os.waitstatus_to_exitcode(status))


def _die(engine: Engine, mfa: MFA, act: str, held: Held, place: int) -> NoReturn:
    """Die by SIGKILL behind the statement of that number, before the commit, or with the answer in hand.

    An operation that has no such place is performed to its end.
    """
    places = itertools.count()

    def reached(*_: object) -> None:
        if next(places) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "after_cursor_execute", reached)
    event.listen(engine, "commit", reached)
    ACTS[act](mfa, held)
    reached()
    os._exit(0)
