"""The epochs of users, as they were a moment ago: sessions are compared with them on every request.

Tests: `tests/web/test_doorkeeper.py`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from twofold.mfa import AsyncMFA
    from twofold.outcomes import UserId

K = TypeVar("K")
V = TypeVar("V")

LIFETIME = 2.0
"""So many seconds at most a session lives on after a change elsewhere has ended it."""

_MOST = 10_000
_UNDER_WAY = 5.0


class Standing(NamedTuple):
    """What a session is compared with, and whether the user has a second factor at all."""

    epoch: str | None
    is_enrolled: bool


class Epochs:
    """What was read of users within the last two seconds, by this process. One read a user answers all requests."""

    def __init__(self, mfa: AsyncMFA, clock: Callable[[], float] = time.monotonic) -> None:
        self._mfa, self._clock = mfa, clock
        self._read: dict[UserId, tuple[float, Standing]] = {}
        self._changed: dict[str, tuple[float, str | None]] = {}

    async def of(self, user_id: UserId) -> Standing:
        """How the user stands, as it was at most two seconds ago."""
        found = self._read.get(user_id)
        return found[1] if found is not None and self._clock() - found[0] < LIFETIME else await self.now(user_id)

    async def now(self, user_id: UserId) -> Standing:
        """How the user stands now."""
        asked_at = self._clock()
        status = await self._mfa.status(user_id)
        found = Standing(status.epoch, status.is_enrolled)
        _put(self._read, user_id, (asked_at, found))
        return found

    async def go_on(self, user_id: UserId, session_id: str, epoch: str | None) -> bool:
        """Whether a session with this epoch goes on.

        A request that left the browser before it had the answer to a change of its own brings the epoch of before.
        """
        if epoch == (await self.of(user_id)).epoch:
            return True
        # What was read may be of before a change that this very session made.
        current = (await self.now(user_id)).epoch
        if current == epoch:
            return True
        changed_at, gone_on_with = self._changed.get(session_id, (-_UNDER_WAY, None))
        return gone_on_with == current and self._clock() - changed_at < _UNDER_WAY

    async def changed_by(self, user_id: UserId, session_id: str) -> str | None:
        """The epoch with which a session goes on that has just changed the factors of its user."""
        current = (await self.now(user_id)).epoch
        _put(self._changed, session_id, (self._clock(), current))
        return current


def _put(held: dict[K, V], key: K, value: V) -> None:
    """Hold a value, in place of the oldest where there are too many."""
    held.pop(key, None)
    # Threads share it: the first key may be gone by now.
    for oldest in list(held)[: len(held) - _MOST + 1]:
        held.pop(oldest, None)
    held[key] = value
