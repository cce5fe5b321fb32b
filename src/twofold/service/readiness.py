"""Whether the service can do its work now: keys, database, schema."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Literal

from twofold import lines
from twofold.account.runtime import read_keys
from twofold.errors import MFAError, SchemaDrift
from twofold.schema import commands

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twofold.settings import Settings


Part = Literal["keys", "database", "schema"]
State = Literal["ok", "failed", "unknown"]

_REMEMBERED = 5.0


class Readiness:
    """The three things that the service stands on."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._lock = Lock()
        self._asked = float("-inf")
        self._answer: dict[Part, State] = {}

    def require(self) -> None:
        """Raise what is in the way: ConfigurationError, DatabaseUnavailable or SchemaDrift."""
        read_keys(self._settings)
        commands.verify(self._engine, self._settings).raise_if_drifted()

    def states(self) -> dict[Part, State]:
        """How each of them stands, remembered for five seconds, so that asking often costs the database nothing."""
        with self._lock:
            if time.monotonic() - self._asked > _REMEMBERED:
                self._answer = self._ask()
                self._asked = time.monotonic()
            return dict(self._answer)

    def _ask(self) -> dict[Part, State]:
        states: dict[Part, State] = {"keys": "ok", "database": "ok", "schema": "ok"}
        try:
            read_keys(self._settings)
        except MFAError as error:
            lines.NOT_READY.write(str(error))
            states["keys"] = "failed"
        try:
            commands.verify(self._engine, self._settings).raise_if_drifted()
        except SchemaDrift as error:
            lines.NOT_READY.write(str(error))
            states["schema"] = "failed"
        except MFAError as error:
            lines.NOT_READY.write(str(error))
            states |= {"database": "failed", "schema": "unknown"}
        return states
