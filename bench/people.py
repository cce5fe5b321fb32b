"""Users with an authenticator app, enrolled through the library, and what they answer a login with."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pyotp.totp import TOTP

from twofold import MFA, Challenge, Request, Settings
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """One login to be measured: its challenge, and the app of the user."""

    challenge: str = field(repr=False)
    app: TOTP = field(repr=False)

    def right(self, now: datetime) -> str:
        """The code that the app shows."""
        return self.app.at(now)

    def wrong(self, now: datetime) -> str:
        """Six digits that the app shows neither now nor in the steps beside."""
        live = {self.app.at(now, counter_offset=step) for step in (-1, 0, 1)}
        return next(code for code in ("000000", "000001", "000002", "000003") if code not in live)


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
    """All users of the database. They log in by turns, so that the measured rows are spread over the table."""

    def __init__(self, engine: sa.Engine, mfa: MFA, clock: Clock, number: int, told: Callable[[], None]) -> None:
        self._mfa, self._clock = mfa, clock
        with engine.begin() as connection:
            statement = """INSERT INTO users (subject, created_at)
                SELECT 'ada' || n || '@example.com', now() FROM generate_series(1, :number) AS n RETURNING id"""
            self.ids = sorted(connection.execute(sa.text(statement), {"number": number}).scalars())

        def enroll(user_id: int) -> TOTP:
            app = TOTP(mfa.totp.begin(user_id, account_name="ada@example.com", request=BROWSER).secret)
            mfa.totp.confirm(user_id, app.at(clock.now), request=BROWSER)
            told()
            return app

        with ThreadPoolExecutor(_THREADS) as threads:
            self._apps = dict(zip(self.ids, threads.map(enroll, self.ids), strict=True))
        self._turns = itertools.cycle(self.ids)
        clock.forward()

    def challenged(self, number: int) -> list[Answer]:
        """Begin the login of the next users."""

        def challenge(user_id: int) -> Answer:
            asked = self._mfa.challenge(user_id, request=BROWSER)
            if not isinstance(asked, Challenge):
                raise TypeError("an enrolled user was not challenged")
            return Answer(asked.token, self._apps[user_id])

        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(challenge, itertools.islice(self._turns, number)))
