"""How long, and with which pauses, an operation is tried again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from twofold.account.translation import error_codes, is_drift

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

# What was prepared on a connection of PostgreSQL does not fit tables that somebody has altered since: by its SQLSTATE,
# and as SQLAlchemy calls it for asyncpg.
_STALE = frozenset({"0A000", "InvalidCachedStatementError"})
# Serialization failure, deadlock, a lock that was not had in time; division by zero, which a device's rotation is
# written to meet where its row has changed. On MariaDB lock wait timeout, deadlock (certification conflict, too), a row
# or a table changed since the snapshot. SQLite's own sentences.
_REFUSED = frozenset(
    {
        "40001",
        "40P01",
        "55P03",
        "22012",
        "1205",
        "1213",
        "1020",
        "1412",
        *_STALE,
        "database is locked",
        "database table is locked",
    }
)
_LOCK_TIMEOUTS = frozenset({"55P03", "1205", "database is locked", "database table is locked"})
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.5


def is_passing(error: DBAPIError | OSError) -> bool:
    """Whether the database refused this for the sake of somebody else, and undid it: it is worth another try."""
    return isinstance(error, DBAPIError) and bool(error_codes(error) & _REFUSED)


def is_stale(error: DBAPIError) -> bool:
    """Whether the connection remembers tables as they were before somebody altered them: it is of no more use."""
    return bool(error_codes(error) & _STALE)


def is_lock_timeout(error: DBAPIError) -> bool:
    """Whether a lock was not had in time, which undoes the one statement and leaves the transaction as it is."""
    return bool(error_codes(error) & _LOCK_TIMEOUTS)


def is_lost(error: DBAPIError | OSError) -> bool:
    """Whether the connection is gone, so that nobody heard what the database made of the last statement."""
    return isinstance(error, OSError) or error.connection_invalidated


class Retries:
    """The pauses of one call: growing, jittered, and none that ends after the deadline.

    The time runs from the first refusal, so that whoever has waited for a connection has not lost the next try.
    """

    def __init__(self, deadline: timedelta, sleep: Callable[[float], None]) -> None:
        self._deadline = deadline
        self._began = time.monotonic()
        self._end: float | None = None
        self._sleep = sleep
        self._pause = _FIRST_PAUSE
        self._has_met_drift = False

    def meets_drift(self, error: DBAPIError | OSError) -> bool:
        """Whether a table is not there for the first time: another try may do without it, and needs no pause."""
        if self._has_met_drift or not is_drift(error):
            return False
        self._has_met_drift = True
        return True

    def wait(self, *, has_waited: bool = False) -> bool:
        """Pause before another try; False where there is no time left for one.

        Where the refusal itself was a wait for a lock, its time counts.
        """
        now = time.monotonic()
        if self._end is None:
            self._end = (self._began if has_waited else now) + self._deadline.total_seconds()
        left = self._end - now
        if left <= 0:
            return False
        # Whoever collided once must not collide again at the same moment.
        self._sleep(min(random.uniform(0, self._pause), left))  # noqa: S311 -- Nobody gains by guessing it.
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return True
