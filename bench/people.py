"""Users with an app and a trusted browser, enrolled through the library, and the logins that they make."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pyotp.totp import TOTP

from twofold import MFA, Challenge, Cleared, Reason, Rejected, Request, Settings, Verified
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BROWSER = Request("192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
_THREADS = 4


@dataclass
class Clock:
    """A clock that stands until it is moved, so that every user has an unused code in every measurement."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        """The moment, for `MFA(clock=...)`."""
        return self.now

    def forward(self) -> None:
        """Let two steps of TOTP pass: the window of the new step knows no code of the old one."""
        self.now += timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a challenge: a job that must be accepted, or refused as wrong and for no other reason."""

    challenge: str = field(repr=False)
    code: str = field(repr=False)
    is_right: bool

    def begin(self, mfa: Any) -> Any:
        """Verify."""
        return mfa.verify(self.challenge, self.code, request=BROWSER)

    def end(self, answer: Any) -> None:
        """Raises AssertionError where the library judged otherwise."""
        if self.is_right != isinstance(answer, Verified):
            raise AssertionError(f"a code was judged wrongly: {answer!r}")
        if isinstance(answer, Rejected) and answer.reason is not Reason.WRONG_CODE:
            raise AssertionError(f"a wrong code was refused because of {answer.reason}")


@dataclass(slots=True)
class Browser:
    """A browser that is trusted: a job that begins a login with its cookie, and keeps the next one."""

    user_id: int
    token: str = field(repr=False)

    def begin(self, mfa: Any) -> Any:
        """Ask for a challenge, which a trusted browser is spared."""
        return mfa.challenge(self.user_id, device_token=self.token, request=BROWSER)

    def end(self, answer: Any) -> None:
        """Raises AssertionError where the browser was not recognized."""
        if not isinstance(answer, Cleared) or answer.device is None:
            raise AssertionError(f"a trusted browser was not recognized: {answer!r}")
        self.token = answer.device.token


@dataclass(frozen=True, slots=True)
class Person:
    """A user, with an app and a browser."""

    user_id: int
    app: TOTP = field(repr=False)
    browser: Browser = field(repr=False)

    def answer(self, challenge: str, now: datetime, *, is_right: bool) -> Answer:
        """The code that the app shows, or six digits that it shows neither now nor in the steps beside."""
        if is_right:
            return Answer(challenge, self.app.at(now), is_right=True)
        live = {self.app.at(now, counter_offset=step) for step in (-1, 0, 1)}
        wrong = next(code for code in ("000000", "000001", "000002", "000003") if code not in live)
        return Answer(challenge, wrong, is_right=False)


def settings() -> Settings:
    """The defaults, with waits that are over when the clock moves, and few backup codes, which nobody uses here."""
    made: dict[str, Any] = {
        "_env_file": None,
        "keys": generate_key("bench"),
        "first_wait": timedelta(seconds=1),
        "longest_wait": timedelta(seconds=1),
        "backup_code_count": 1,
    }
    return Settings(**made)


class People:
    """All users of a database. They log in by turns, so that the measured rows are spread over the table."""

    def __init__(self, engine: sa.Engine, mfa: MFA, clock: Clock, number: int, told: Callable[[], None]) -> None:
        self._mfa, self._clock = mfa, clock
        with engine.begin() as connection:
            add, now = sa.text("INSERT INTO users (subject, created_at) VALUES (:subject, :now)"), clock.now
            connection.execute(add, [{"subject": f"ada{each}@example.com", "now": str(now)} for each in range(number)])
            self.ids = list(connection.execute(sa.text("SELECT id FROM users ORDER BY id")).scalars())

        def enroll(user_id: int) -> Person:
            app = TOTP(mfa.totp.begin(user_id, account_name="ada@example.com", request=BROWSER).secret)
            enrolled = mfa.totp.confirm(user_id, app.at(clock.now), request=BROWSER)
            device = mfa.trusted_devices.trust(enrolled.verified, request=BROWSER)
            told()
            return Person(user_id, app, Browser(user_id, device.token))

        with ThreadPoolExecutor(_THREADS) as threads:
            self._people = list(threads.map(enroll, self.ids))
        self._turns = itertools.cycle(self._people)
        clock.forward()

    def challenged(self, number: int) -> list[tuple[Person, str]]:
        """Begin the login of the next users; everybody with a challenge."""

        def challenge(person: Person) -> tuple[Person, str]:
            asked = self._mfa.challenge(person.user_id, request=BROWSER)
            if not isinstance(asked, Challenge):
                raise TypeError("an enrolled user was not challenged")
            return person, asked.token

        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(challenge, itertools.islice(self._turns, number)))

    def browsers(self, number: int) -> Sequence[Browser]:
        """The browsers of the next users."""
        return [person.browser for person in itertools.islice(self._turns, number)]
