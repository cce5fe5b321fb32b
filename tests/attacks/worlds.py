"""Where worlds come from: an empty database, both faces, and settings that are small enough to see everything."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy import event

from tests.attacks.owners import Owners
from tests.attacks.rows import Tables
from tests.databases import add_passkeys
from tests.people import ORIGIN, Blocked, Clock, plain_settings
from twofold import MFA, AsyncMFA
from twofold.database import create_async_engine
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.databases import Database

_FIRST, _SECOND = generate_key("k1"), generate_key("k2")
_SUBJECTS = itertools.count(1)


class Worlds:
    """One database, emptied for each world."""

    def __init__(self, database: Database, face: str) -> None:
        self._database, self._face = database, face
        add_passkeys(database)
        self._runner = asyncio.Runner()
        self._engines: list[Any] = []
        self._clock = Clock()
        self._faces: dict[tuple[bool, bool], MFA] = {}
        self._tables = Tables(self._quick(database.engine()))

    def open(self, *, legacy_rows: bool = False, tolerated: Collection[str] = ()) -> Owners:
        """Begin again, with nobody but two users who have nothing."""
        self._tables.empty()
        self._clock.now = Clock.now
        users = self._tables.add_user(next(_SUBJECTS)), self._tables.add_user(next(_SUBJECTS))
        now, later = (self._face_of(legacy_rows=legacy_rows, is_rotated=rotated) for rotated in (False, True))
        return Owners(now, later, self._tables, self._clock, users, tolerated)

    def close(self) -> None:
        self._tables.close()
        for engine in self._engines:
            self._runner.run(engine.dispose())
            # What was given up on closes itself in the next rounds of its loop.
            self._runner.run(asyncio.sleep(0.05))
        self._runner.close()

    def _face_of(self, *, legacy_rows: bool, is_rotated: bool) -> MFA:
        which = (legacy_rows, is_rotated)
        if which not in self._faces:
            keys = f"{_SECOND},{_FIRST}" if is_rotated else _FIRST
            made = plain_settings(keys=keys, legacy_rows=legacy_rows, backup_code_count=2, public_url=ORIGIN)
            self._faces[which] = self._made(made)
        return self._faces[which]

    def _made(self, settings: Any) -> MFA:
        if self._face == "blocking":
            return MFA(self._quick(self._database.engine()), settings, clock=self._clock)
        engine = create_async_engine(self._database.url)
        self._engines.append(engine)
        self._quick(engine.sync_engine)
        return cast("MFA", Blocked(AsyncMFA(engine, settings, clock=self._clock), self._runner))

    def _quick(self, engine: sa.Engine) -> sa.Engine:
        """What is written need not outlive the machine."""
        if self._database.backend == "sqlite":

            @event.listens_for(engine, "connect")
            def pragma(connection: Any, _record: Any) -> None:
                cursor = connection.cursor()
                cursor.execute("PRAGMA synchronous = OFF")
                cursor.close()

        return engine
