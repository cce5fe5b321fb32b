"""Twofold as one of the peers: `MFA.verify`, with a challenge that was issued beforehand."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pyotp.totp import TOTP

from bench.peers.line import Peer, serve
from twofold import MFA, Challenge, Reason, Rejected, Request, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_BROWSER = Request("192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")


class Twofold(Peer):
    """The library with its defaults. The database has its tables already; the keys are in the environment."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
        made: dict[str, Any] = {"_env_file": None}
        self._mfa = MFA(self._engine, Settings(**made), clock=lambda: datetime.fromtimestamp(time.time(), UTC))
        self._users: list[int] = []
        self._challenges: dict[int, str] = {}

    def versions(self) -> Sequence[str]:
        """The packages whose versions tell what was measured."""
        return ("twofold", "sqlalchemy", "psycopg")

    def make(self, number: int) -> list[str]:
        """Enrol so many users through the library."""
        with self._engine.begin() as connection:
            statement = """INSERT INTO users (subject, created_at)
                SELECT 'ada' || n || '@example.com', now() FROM generate_series(1, :number) AS n"""
            connection.execute(sa.text(statement), {"number": number})
        self.open()
        secrets: list[str] = []
        for user_id in self._users:
            secrets.append(self._mfa.totp.begin(user_id, account_name="ada@example.com").secret)
            self._mfa.totp.confirm(user_id, TOTP(secrets[-1]).at(int(time.time())))
        return secrets

    def open(self) -> None:
        """Find the users whom another process has made."""
        with self._engine.connect() as connection:
            self._users = list(connection.execute(sa.text("SELECT id FROM users ORDER BY id")).scalars())

    def ready(self, users: Sequence[int]) -> None:
        """Issue the challenges, as an application does after the password."""
        for user in users:
            asked = self._mfa.challenge(self._users[user], request=_BROWSER)
            if not isinstance(asked, Challenge):
                raise TypeError("an enrolled user was not challenged")
            self._challenges[user] = asked.token

    def verify(self, user: int, code: str) -> bool:
        """Answer the challenge."""
        try:
            self._mfa.verify(self._challenges[user], code, request=_BROWSER)
        except Rejected as rejected:
            self.compared += rejected.reason in {Reason.WRONG_CODE, Reason.CODE_ALREADY_USED}
            return False
        self.compared += 1
        return True

    def counted(self, users: Sequence[int]) -> list[int] | None:
        """The failures in the rows of the users."""
        return [self._mfa.status(self._users[user]).failed_attempts for user in users]


if __name__ == "__main__":
    serve(Twofold)
