"""Processes under load: each says what it begins and what it was answered, until somebody kills it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, cast

from tests.attacks.processes import PATIENCE, Child, started
from tests.attacks.reckoning import STEP
from tests.people import FIREFOX, Blocked, Clock, Enrolment, Phone, plain_settings
from twofold import MFA, AsyncMFA, DatabaseUnavailable, Settings
from twofold.database import create_async_engine, create_engine
from twofold.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from multiprocessing.connection import Connection


@dataclass(frozen=True)
class Said:
    """One operation, by the moment that it alone has: begun, or answered, and the code that the answer spent."""

    user_id: int
    kind: Kind
    at: datetime
    is_answered: bool = False
    code: str | None = None
    device_token: str | None = None


def settings(keys: str) -> Settings:
    """A proof outlasts a server that is away for a while."""
    return plain_settings(keys=keys, proof_max_age=timedelta(hours=12))


@dataclass
class Worker:
    """One process at work for one user; its clock takes it to the next time step with every operation."""

    pipe: Connection
    mfa: MFA
    user_id: int
    clock: Clock

    def do(self, kind: Kind, operation: str, *arguments: Any, code: str | None = None, **options: Any) -> Any:
        """Say it, do it, say that it is done. Raises DatabaseUnavailable where nobody knows whether it was."""
        at = self.clock.now
        self.pipe.send(Said(self.user_id, kind, at))
        try:
            value = attrgetter(operation)(self.mfa)(*arguments, **options)
        finally:
            self.clock.now += STEP
        token = getattr(value, "token", None) if kind is Kind.DEVICE_TRUSTED else None
        self.pipe.send(Said(self.user_id, kind, at, is_answered=True, code=code, device_token=token))
        return value

    def wait(self) -> None:
        """Wait until the database answers again."""
        while True:
            try:
                self.mfa.status(self.user_id)
            except DatabaseUnavailable:
                time.sleep(0.02)
            else:
                return


def log_in(pipe: Connection, url: str, keys: str, user_id: int, begins: datetime, secret: str) -> None:
    """A user with a phone, on the blocking face: log in, trust the browser, come back with its token."""
    clock = Clock(begins)
    worker = Worker(pipe, MFA(create_engine(url), settings(keys), clock=clock), user_id, clock)
    phone = Phone(secret, clock)
    while True:
        try:
            challenge = worker.do(Kind.CHALLENGED, "challenge", user_id)
            code = phone.code()
            verified = worker.do(Kind.CODE_ACCEPTED, "verify", challenge.token, code, code=code)
            device = worker.do(Kind.DEVICE_TRUSTED, "trusted_devices.trust", verified, request=FIREFOX)
            worker.do(Kind.DEVICE_RECOGNIZED, "challenge", user_id, device_token=device.token, request=FIREFOX)
        except DatabaseUnavailable:
            worker.wait()


def spend(pipe: Connection, url: str, keys: str, user_id: int, begins: datetime, codes: tuple[str, ...]) -> None:
    """The same user with codes on paper, on the awaited face: spend all ten, and have them replaced."""
    clock, verified, left = Clock(begins), None, list(codes)
    with asyncio.Runner() as runner:
        awaited = AsyncMFA(create_async_engine(url), settings(keys), clock=clock)
        worker = Worker(pipe, cast("MFA", Blocked(awaited, runner)), user_id, clock)
        while True:
            try:
                if left:
                    code = left.pop()
                    verified = worker.do(Kind.CODE_ACCEPTED, "reverify", user_id, code, code=code)
                else:
                    left += worker.do(Kind.BACKUP_CODES_REGENERATED, "backup_codes.regenerate", verified)
            except DatabaseUnavailable:
                # Whether this code was spent is not known; the next one is as good.
                worker.wait()


@dataclass
class Load:
    """The processes at work, and everything that they said."""

    children: Sequence[Child]
    said: list[Said]

    def hear(self, answers: int) -> None:
        """Listen until there are so many answers more."""
        pipes = {child.pipe: child for child in self.children}
        while answers > 0:
            speaking = wait(list(pipes), PATIENCE)
            assert speaking, "nothing is answered any more"
            for pipe in speaking:
                child = pipes[cast("Connection", pipe)]
                try:
                    said: Said = child.pipe.recv()
                except EOFError:
                    raise AssertionError(f"a process ended by itself: {child.end()}") from None
                self.said.append(said)
                answers -= said.is_answered

    def kill(self) -> None:
        """End every process where it is, and listen to its last words."""
        for child in self.children:
            child.process.kill()
        for child in self.children:
            # A word that was cut short ends in an OSError.
            with contextlib.suppress(EOFError, OSError):
                while True:
                    self.said.append(child.pipe.recv())
            assert child.end() == -signal.SIGKILL


@contextlib.contextmanager
def load(url: str, keys: str, enrolments: Sequence[Enrolment], begins: datetime) -> Iterator[Load]:
    """Two processes for each user, one with the phone and one with the codes on paper."""
    offset: Final = timedelta(seconds=15)
    with contextlib.ExitStack() as running:

        def start(errand: Callable[..., None], *arguments: Any) -> Child:
            return running.enter_context(started(errand, url, keys, *arguments))

        children = [
            child
            for enrolment in enrolments
            for child in (
                start(log_in, enrolment.user_id, begins, enrolment.phone.secret),
                start(spend, enrolment.user_id, begins + offset, enrolment.backup_codes),
            )
        ]
        yield Load(children, [])
