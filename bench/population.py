"""Users with an app and a trusted browser, enrolled through the library, and the logins that they make."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pyotp.totp import TOTP

from bench import clients
from bench.clients import Clients, Measured
from twofold import MFA, Challenge, Cleared, Reason, Rejected, Request, Settings, Verified, testing
from twofold.testing import Clock

BROWSER = Request("192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
# Two steps of TOTP: the window then knows no code of now. So every user has an unused code in every measurement.
LATER = timedelta(minutes=1)
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a challenge: a job that must be accepted, or refused as wrong and for no other reason."""

    challenge: str = field(repr=False)
    code: str = field(repr=False)
    is_right: bool

    def begin(self, face: Any) -> Any:
        return face.verify(self.challenge, self.code, request=BROWSER)

    def end(self, answer: Any) -> None:
        if self.is_right != isinstance(answer, Verified):
            raise AssertionError(f"a code was judged wrongly: {answer!r}")
        if isinstance(answer, Rejected) and answer.reason is not Reason.WRONG_CODE:
            raise AssertionError(f"a wrong code was refused because of {answer.reason}")


@dataclass(slots=True)
class Browser:
    """A browser that is trusted: a job that begins a login with its cookie, and keeps the next one."""

    user_id: int
    token: str = field(repr=False)

    def begin(self, face: Any) -> Any:
        return face.challenge(self.user_id, device_token=self.token, request=BROWSER)

    def end(self, answer: Any) -> None:
        if not isinstance(answer, Cleared) or answer.device is None:
            raise AssertionError(f"a trusted browser was not recognized: {answer!r}")
        self.token = answer.device.token


@dataclass(frozen=True, slots=True)
class Person:
    """A user, with an app, a browser and backup codes."""

    user_id: int
    app: TOTP = field(repr=False)
    browser: Browser = field(repr=False)
    backup_codes: list[str] = field(repr=False)

    def challenged(self, mfa: MFA) -> str:
        """Begin a login that is asked for a code; return its token."""
        asked = mfa.challenge(self.user_id, request=BROWSER)
        if not isinstance(asked, Challenge):
            raise AssertionError("an enrolled user was not challenged")  # noqa: TRY004 - a wrong answer, not a type.
        return asked.token

    def answer(self, challenge: str, now: datetime, *, is_right: bool) -> Answer:
        """Return the code that the app shows, or six digits that it shows neither now nor in the steps beside."""
        if is_right:
            return Answer(challenge, self.app.at(now), is_right=True)
        live = {self.app.at(now, counter_offset=step) for step in (-1, 0, 1)}
        wrong = next(code for code in ("000000", "000001", "000002", "000003") if code not in live)
        return Answer(challenge, wrong, is_right=False)

    def seconds(self, operation: str, mfa: MFA, now: datetime) -> float:
        """Do an operation of a login; return how long it took without the challenge that it answers."""
        if operation == "challenge":
            return clients.timed(self.challenged, mfa).seconds
        if operation == "status":
            return clients.timed(mfa.status, self.user_id).seconds
        if operation == "challenge, trusted device":
            return clients.seconds(self.browser, mfa)
        if operation == "verify, backup code":
            return clients.seconds(Answer(self.challenged(mfa), self.backup_codes.pop(), is_right=True), mfa)
        return clients.seconds(self.answer(self.challenged(mfa), now, is_right=operation == "verify"), mfa)


def settings(**more: Any) -> Settings:
    """Return the defaults, with waits that are over when the clock moves, and few backup codes."""
    wait = timedelta(seconds=1)
    return testing.settings(**{"first_wait": wait, "longest_wait": wait, "backup_code_count": 1} | more)


def add_users(engine: sa.Engine, number: int) -> list[int]:
    """Insert so many users; return their ids."""
    with engine.begin() as connection:
        known = connection.execute(sa.text("SELECT COUNT(*) FROM users")).scalar_one()
        rows = [{"subject": f"ada{known + each}@example.com"} for each in range(number)]
        connection.execute(sa.text("INSERT INTO users (subject, created_at) VALUES (:subject, '2026-01-01')"), rows)
        return list(connection.execute(sa.text("SELECT id FROM users ORDER BY id")).scalars())[-number:]


def enrol(mfa: MFA, clock: Callable[[], datetime], ids: Iterable[int]) -> list[Person]:
    """Give each of these users an app, a trusted browser and backup codes. Their codes of this moment are spent."""

    def person(user_id: int) -> Person:
        app = TOTP(mfa.totp.begin(user_id, account_name="ada@example.com", request=BROWSER).secret)
        enrolled = mfa.totp.confirm(user_id, app.at(clock()), request=BROWSER)
        device = mfa.trusted_devices.trust(enrolled.verified, request=BROWSER)
        return Person(user_id, app, Browser(user_id, device.token), list(enrolled.backup_codes))

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(person, ids))


class Population:
    """All users of a database. They log in by turns, so that the measured rows are spread over the table."""

    def __init__(self, engine: sa.Engine, mfa: MFA, clock: Clock, number: int) -> None:
        self._mfa, self._clock, self.ids = mfa, clock, add_users(engine, number)
        self._turns = itertools.cycle(enrol(mfa, clock, self.ids))
        clock.forward(LATER)

    def verify(self, by: Clients, number: int, *, is_right: bool) -> Measured:
        """Measure so many right or wrong codes, each with a challenge and a time step of its own."""
        people = list(itertools.islice(self._turns, number))
        with ThreadPoolExecutor(_THREADS) as threads:
            tokens = list(threads.map(lambda person: person.challenged(self._mfa), people))
        pairs = zip(people, tokens, strict=True)
        measured = by.run([one.answer(token, self._clock.now, is_right=is_right) for one, token in pairs])
        # What the wrong codes have counted is set back by a right one, in the next measurement of right codes.
        self._clock.forward(LATER)
        return measured

    def recognize(self, by: Clients, number: int) -> Measured:
        """Measure so many logins of trusted browsers, whose cookie is changed by each."""
        measured = by.run([person.browser for person in itertools.islice(self._turns, number)])
        self._clock.forward(LATER)
        return measured
