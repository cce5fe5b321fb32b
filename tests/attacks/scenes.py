"""The library on a host's engine of either kind, and what a test does around it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.people import Blocked, Clock, Enrolment, enroll, plain_settings
from twofold import MFA, AsyncMFA
from twofold.keyring import generate_key
from twofold.metadata import NAMES
from twofold.schema import passkeys_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from twofold.hook import OnEvent

_NUMBERS: Final = count(1)


@dataclass(frozen=True)
class Scene:
    """A migrated database with the library on it; `engine` is for looks behind its back."""

    mfa: MFA
    rotating: MFA
    adopting: MFA
    clock: Clock
    engine: sa.Engine

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The four, and that of passkeys where the database has it."""
        return (*NAMES, *(name for name in passkeys_spec.NAMES if sa.inspect(self.engine).has_table(name)))

    def sql(self, statement: str, **parameters: Any) -> list[Any]:
        """Run a statement behind the library's back."""
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(statement), parameters)
            return list(result) if result.returns_rows else []

    def add_user(self) -> int:
        subject = f"user{next(_NUMBERS)}@example.com"
        self.sql("INSERT INTO users (subject, created_at) VALUES (:subject, '2026-01-01 00:00:00')", subject=subject)
        return int(self.sql("SELECT id FROM users WHERE subject = :subject", subject=subject)[0][0])

    def enrolled(self) -> Enrolment:
        """A user with an authenticator app whose next code is good."""
        return enroll(self.mfa, self.add_user(), self.clock)

    def proven(self) -> Enrolment:
        """A user who has just proven the app, and whose next code is good."""
        enrolled = self.enrolled()
        enrolled.verified = self.mfa.reverify(enrolled.user_id, enrolled.phone.code())
        self.clock.forward(seconds=60)
        return enrolled

    def rows(self, user_id: int) -> list[list[Any]]:
        """All that our tables hold of a user."""
        return [
            self.sql(f"SELECT * FROM {name} WHERE user_id = :user ORDER BY id", user=user_id) for name in self.tables
        ]

    def is_idle(self) -> bool:
        """Whether nobody holds a lock on anything that a user has."""
        with self.engine.connect() as connection:
            is_file = connection.dialect.name == "sqlite"
            asked = (
                ["BEGIN IMMEDIATE"] if is_file else [f"SELECT id FROM {name} FOR UPDATE NOWAIT" for name in self.tables]
            )
            try:
                for statement in asked:
                    connection.exec_driver_sql(statement)
            except DBAPIError:
                return False
            finally:
                connection.rollback()
        return True

    def last_line(self, user_id: int) -> int:
        return int(self.sql("SELECT coalesce(max(seq), 0) FROM mfa_events WHERE user_id = :user", user=user_id)[0][0])

    def lines(self, user_id: int, *, after: int) -> tuple[str, ...]:
        """The kinds of the lines that have been written since."""
        query = "SELECT event_type FROM mfa_events WHERE user_id = :user AND seq > :after ORDER BY seq"
        return tuple(str(kind) for (kind,) in self.sql(query, user=user_id, after=after))


class HostEngine:
    """A host's engine, the keys of its settings, and one clock for all that is on it."""

    def __init__(self, engine: sa.Engine | AsyncEngine, runner: asyncio.Runner, on_event: OnEvent | None) -> None:
        self._engine, self._runner, self._on_event = engine, runner, on_event
        self._old, self._new = generate_key("k1"), generate_key("k2")
        self._clock = Clock()

    @property
    def keys(self) -> str:
        """What TWOFOLD_KEYS holds before the keys are turned."""
        return f"{self._old},{self._new}"

    def scene(self, behind: sa.Engine, **settings: Any) -> Scene:
        """The library with these settings; `behind` is for looks behind its back."""
        mfa = self._mfa(keys=self.keys, **settings)
        rotating = self._mfa(keys=f"{self._new},{self._old}", **settings)
        adopting = self._mfa(keys=self.keys, legacy_rows=True, **settings)
        return Scene(mfa, rotating, adopting, self._clock, behind)

    def _mfa(self, **settings: Any) -> MFA:
        made = plain_settings(**{"public_url": "https://example.com"} | settings)
        if isinstance(self._engine, sa.Engine):
            return MFA(self._engine, made, on_event=self._on_event, clock=self._clock)
        awaited = AsyncMFA(self._engine, made, on_event=self._on_event, clock=self._clock)
        return cast("MFA", Blocked(awaited, self._runner))

    def dispose(self) -> None:
        """Close its connections."""
        if isinstance(self._engine, sa.Engine):
            self._engine.dispose()
        else:
            self._runner.run(self._engine.dispose())
            # A connection that was cut off closes itself in the next rounds of its loop.
            self._runner.run(asyncio.sleep(0.05))


@contextlib.contextmanager
def hosted(engine: sa.Engine | AsyncEngine, on_event: OnEvent | None = None) -> Iterator[HostEngine]:
    """The engine of a host for the length of the block, called as the blocking face is, whichever it is."""
    with asyncio.Runner() as runner:
        host = HostEngine(engine, runner, on_event)
        try:
            yield host
        finally:
            host.dispose()
