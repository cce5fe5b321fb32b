"""The CPU of one verification that is the library's own: all but driver, SQLAlchemy and database.

A driver that answers at once stands in their place, with the row of a user whose code is right and never used up.
"""

from __future__ import annotations

import base64
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import psycopg
import sqlalchemy as sa
from pyotp.totp import TOTP

from bench.people import BROWSER, Clock, settings
from twofold import MFA
from twofold.account.row import Account
from twofold.account.statements import Schema
from twofold.schema.ids import Ids
from twofold.tokens import ChallengeToken, write_challenge
from twofold.totp import factor
from twofold.totp.algorithm import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SECRET = b"12345678901234567890"


class Own:
    """A face over a driver that answers at once."""

    def __init__(self) -> None:
        clock = Clock()
        engine: Any = sa.create_engine("postgresql+psycopg://nobody@localhost/nothing")
        mfa = MFA(engine, settings(), clock=clock, pool="host")
        runtime = mfa._runtime  # noqa: SLF001
        runtime.schemas[None], keyring = Schema("users.id", Ids("integer")), runtime.keyring
        head, seen = keyring.mac("events", b"the last event"), clock.now - timedelta(minutes=1)
        account = Account(7, is_enabled=True, is_verified=True, last_used_step=1, event_count=5, event_head=head)
        account = account._replace(enabled_at=seen, last_used_at=seen, last_challenge=3, version=5)
        context = factor._context(account, "secret", Parameters(), None)  # noqa: SLF001
        account = account._replace(secret=keyring.seal(_SECRET, context))
        connection = _Connection(engine, (*account, keyring.mac("state", account.message())))
        engine.connect = lambda: connection
        until = clock.now + timedelta(minutes=5)
        token = write_challenge(keyring, ChallengeToken(account.user_id, account.version, until, seen))
        code = TOTP(base64.b32encode(_SECRET).decode()).at(clock.now)
        self._verify: Callable[[], object] = lambda: mfa.verify(token, code, request=BROWSER)

    def microseconds(self, number: int) -> float:
        """The CPU time of one of so many verifications."""
        verify, before = self._verify, time.process_time()
        for _ in range(number):
            verify()
        return (time.process_time() - before) / number * 1e6


class _Connection:
    """As much of a connection, of its pool's and of the driver's as a verification touches."""

    _has_events = False
    invalidated = False
    autocommit = True
    rowcount = 1

    def __init__(self, engine: Any, row: Sequence[Any]) -> None:
        engine.dialect.dbapi = psycopg
        self.engine, self.dialect, self._row = engine, engine.dialect, row
        self.connection = self.dbapi_connection = self.driver_connection = self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def get_execution_options(self) -> dict[str, Any]:
        """None are set."""
        return {}

    def in_transaction(self) -> bool:
        """Nothing has begun."""
        return False

    def cursor(self) -> Self:
        """One cursor serves."""
        return self

    def execute(self, _words: str, _bound: Any) -> None:
        """Nothing is sent."""

    def fetchone(self) -> Sequence[Any]:
        """The row of the user."""
        return self._row

    def commit(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        """Nothing is open."""
