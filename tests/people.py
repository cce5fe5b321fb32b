"""The people and things of the tests: ada, her phone, her browser, a clock that is set by hand.

A test that takes `mfa` runs on each database and through both faces, so nothing is shown for one alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
import sqlalchemy as sa
from pyotp.totp import TOTP

from twofold import MFA, AsyncMFA, Challenge, Enrolled, Request, Settings, Verified
from twofold.database import create_async_engine
from twofold.keyring import generate_key
from twofold.metadata import UTCDateTime
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from tests.databases import Database

ORIGIN: Final = "https://example.com"
"""The pages for whose domain passkeys are."""

FIREFOX = Request("192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
SAFARI = Request(
    "192.0.2.2",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1",
)


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = datetime(2026, 11, 22, 12, 0, 5, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@dataclass
class Phone:
    """An authenticator app that is not ours, on the same clock."""

    secret: str
    clock: Clock

    def code(self, *, steps: int = 0) -> str:
        return TOTP(self.secret).at(self.clock.now, counter_offset=steps)

    def wrong_code(self) -> str:
        live = {self.code(steps=steps) for steps in range(-3, 4)}
        return next(code for code in (f"{number:06}" for number in range(10)) if code not in live)


class Blocked:
    """The awaited face, called as if it were the blocking one: each call runs a loop until its answer is there."""

    def __init__(self, face: Any, runner: asyncio.Runner) -> None:
        self._face, self._runner = face, runner

    def __getattr__(self, name: str) -> Any:
        attribute: Any = getattr(self._face, name)
        if not callable(attribute):
            return Blocked(attribute, self._runner)
        call: Callable[..., Any] = attribute

        def run(*args: Any, **kwargs: Any) -> Any:
            answer = call(*args, **kwargs)
            return self._runner.run(answer) if asyncio.iscoroutine(answer) else answer

        return run


Open = Callable[..., MFA]
Sql = Callable[..., list[Any]]


def plain_settings(**settings: Any) -> Settings:
    """The defaults, and what a test says, whatever `.env` the developer keeps."""
    made: dict[str, Any] = {"_env_file": None} | settings
    return Settings(**made)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> str:
    return generate_key("k1")


@pytest.fixture(params=["blocking", "awaited"])
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_mfa(migrated: Database, clock: Clock, keys: str, face: str) -> Iterator[Open]:
    """Make an `MFA` on the test's database, with other settings where a test asks."""
    with asyncio.Runner() as runner:
        engines: list[Any] = []

        def open_(**settings: Any) -> MFA:
            made = plain_settings(**{"keys": keys} | settings)
            if face == "blocking":
                return MFA(migrated.engine(), made, clock=clock)
            engine = create_async_engine(migrated.url)
            engines.append(engine)
            return cast("MFA", Blocked(AsyncMFA(engine, made, clock=clock), runner))

        yield open_
        for engine in engines:
            runner.run(engine.dispose())


@pytest.fixture
def mfa(open_mfa: Open, request: pytest.FixtureRequest) -> MFA:
    return open_mfa(public_url=ORIGIN) if request.node.get_closest_marker("passkeys") else open_mfa()


@pytest.fixture
def passkey() -> VirtualPasskey:
    """Ada's, bound to one machine, which verifies her."""
    return VirtualPasskey(ORIGIN)


@pytest.fixture
def sql(migrated: Database) -> Sql:
    """Run a statement behind the library's back."""

    def run(statement: str, **parameters: Any) -> list[Any]:
        with migrated.behind.begin() as connection:
            result = connection.execute(sa.text(statement), parameters)
            return list(result) if result.returns_rows else []

    return run


def add_user(database: Database, subject: str) -> int:
    with database.behind.begin() as connection:
        insert = sa.text("INSERT INTO users (subject, created_at) VALUES (:subject, :moment)")
        typed = insert.bindparams(sa.bindparam("moment", type_=UTCDateTime()))
        connection.execute(typed, {"subject": subject, "moment": datetime(2026, 1, 1, tzinfo=UTC)})
        found = connection.execute(sa.text("SELECT id FROM users WHERE subject = :subject"), {"subject": subject})
        return int(found.scalar_one())


@pytest.fixture
def ada(migrated: Database) -> int:
    return add_user(migrated, "ada@example.com")


@pytest.fixture
def grace(migrated: Database) -> int:
    return add_user(migrated, "grace@example.com")


@dataclass
class Enrolment:
    """What a user has in hand after the set-up: a phone, codes on paper, and the proof of the moment."""

    user_id: int
    phone: Phone
    backup_codes: tuple[str, ...]
    verified: Verified


def enroll(mfa: MFA, user_id: Any, clock: Clock) -> Enrolment:
    """Set up the second factor; then let the code's step pass, so that the next login has a code of its own."""
    enrollment = mfa.totp.begin(user_id, account_name="ada@example.com")
    phone = Phone(enrollment.secret, clock)
    enrolled: Enrolled = mfa.totp.confirm(user_id, phone.code())
    clock.forward(seconds=60)
    return Enrolment(user_id, phone, enrolled.backup_codes, enrolled.verified)


@pytest.fixture
def enrolled(mfa: MFA, ada: int, clock: Clock) -> Enrolment:
    """Ada, with an authenticator app."""
    return enroll(mfa, ada, clock)


def challenged(mfa: MFA, user_id: Any, **options: Any) -> str:
    """The token of a challenge, which must be asked."""
    challenge = mfa.challenge(user_id, **options)
    assert isinstance(challenge, Challenge)
    return challenge.token


def log_in(mfa: MFA, user_id: Any, code: str) -> Verified:
    """A whole login: the challenge after the password, and its answer."""
    return mfa.verify(challenged(mfa, user_id), code)


def kinds(mfa: MFA, user_id: Any) -> list[str]:
    """What the log says, the oldest line first."""
    return [event.kind for event in reversed(mfa.events.recent(user_id, limit=1000))]
