"""Logins that go on beside a migration, each with the moment at which it began and the time that it took."""

from __future__ import annotations

import itertools
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import psycopg
import sqlalchemy as sa
from pyotp.totp import TOTP
from sqlalchemy.exc import SQLAlchemyError

from bench import incident
from bench.people import BROWSER
from twofold import MFA, MFAError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twofold import Settings


@dataclass(frozen=True, slots=True)
class Login:
    """One login: the moment at which it began, the seconds that it took, and what it failed by."""

    began: float
    took: float
    error: str | None = None

    def within(self, begin: float, end: float) -> float:
        """For how many seconds of a span it was under way."""
        return max(0.0, min(self.began + self.took, end) - max(self.began, begin))


class Application(Protocol):
    """What people log in to. One of it serves one thread."""

    def log_in(self, user_id: int) -> None:
        """One login, from the beginning to the commit. Raises what it fails by."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Older:
    """An application of before Twofold: it reads the user, the row, the browser and a code, counts, and writes a line.

    Its moments are UTC without a zone, so it tells the server that its session is in UTC. Either it prepares statements
    and takes back no column whose type will change, since a plan that was prepared must not change what it returns
    (SQLSTATE 0A000); or it takes back everything, as ORMs do, and prepares nothing.
    """

    _COUNT = (
        "UPDATE user_mfa_secrets SET failed_attempts = 0, last_used_at = %(now)s, updated_at = %(now)s "
        "WHERE user_id = %(user)s"
    )
    _SEEN = (
        "UPDATE mfa_device_trusts SET usage_count = usage_count + 1, last_used_at = %(now)s "
        "WHERE trust_token = %(cookie)s"
    )
    _LOG = (
        "INSERT INTO mfa_events (user_id, event_type, event_status, event_details, ip_address, user_agent, created_at) "
        "VALUES (%(user)s, 'login', 'success', '{}', '192.0.2.1', 'Firefox', %(now)s)"
    )

    def __init__(self, url: str, *, prepares: bool) -> None:
        self._connection = psycopg.connect(url, options="-c timezone=UTC")
        narrow = ("subject", "secret, is_enabled, failed_attempts", "device_name", "is_used")
        user, row, device, code = narrow if prepares else ("*",) * 4
        self._statements = (
            f"SELECT {user} FROM users WHERE id = %(user)s",  # noqa: S608 - names from here.
            f"SELECT {row} FROM user_mfa_secrets WHERE user_id = %(user)s",  # noqa: S608
            f"SELECT {device} FROM mfa_device_trusts WHERE trust_token = %(cookie)s",  # noqa: S608
            f"SELECT {code} FROM mfa_backup_codes WHERE code_hash = %(code)s",  # noqa: S608
            self._COUNT,
            self._SEEN,
            self._LOG if prepares else f"{self._LOG} RETURNING id",
        )
        if not prepares:
            self._connection.prepare_threshold = None

    def log_in(self, user_id: int) -> None:
        """One login, from the beginning to the commit."""
        values = {
            "user": user_id,
            "now": datetime.now(UTC).replace(tzinfo=None),
            "cookie": incident.cookie(user_id),
            "code": incident.code_hash(user_id),
        }
        with self._connection.transaction():
            for statement in self._statements:
                self._connection.execute(statement.encode(), values)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()


class Ours:
    """An application with Twofold, which adopts at their login those whom the import has not come to yet."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), pool_size=1)
        self._mfa = MFA(self._engine, settings)

    def log_in(self, user_id: int) -> None:
        """A challenge, answered by the app that the user has had all the time."""
        challenge = self._mfa.challenge(user_id, request=BROWSER)
        if not challenge:
            raise AssertionError("an enrolled user was not challenged")
        self._mfa.verify(challenge.token, TOTP(incident.secret(user_id)).now(), request=BROWSER)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


@contextmanager
def going_on(applications: Sequence[Application], people: int, pause: float) -> Iterator[list[Login]]:
    """Log in for the length of the block, in a thread for each application, with so many seconds between two logins.

    Everybody's turn comes once before anybody's comes again. The logins are in the value, also behind the block.
    """
    # A stride that has no factor in common with the number of people meets all of them, far from one another.
    stride = next(one for one in itertools.count(people * 3 // 5) if math.gcd(one, people) == 1)
    turns = ((number * stride) % people + 1 for number in itertools.count(1))
    turn, over, logins = threading.Lock(), threading.Event(), list[Login]()

    def loop(application: Application) -> None:
        while not over.wait(pause):
            with turn:
                user_id = next(turns)
            began, error = time.time(), None
            try:
                application.log_in(user_id)
            except (psycopg.Error, SQLAlchemyError, MFAError, AssertionError) as caught:
                error = f"{type(caught).__name__}: {str(caught).partition(chr(10))[0]}"
            logins.append(Login(began, time.time() - began, error))

    with ThreadPoolExecutor(len(applications)) as threads:
        try:
            loops = [threads.submit(loop, application) for application in applications]
            yield logins
        finally:
            over.set()
    for each in loops:
        each.result()
    for application in applications:
        application.close()
