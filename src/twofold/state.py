"""The security state of one user, as one row of `user_mfa_secrets` holds it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twofold.keyring import canonical

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.outcomes import UserId


class Account(NamedTuple):
    """One row, in the order in which it is read and in which its MAC covers it. Never shown: it holds secrets."""

    user_id: UserId
    secret: str | None = None
    pending_secret: str | None = None
    pending_at: datetime | None = None
    algorithm: str = "SHA1"
    digits: int = 6
    period: int = 30
    is_enabled: bool = False
    is_verified: bool = False
    last_used_step: int | None = None
    last_challenge: int = 0
    last_used_at: datetime | None = None
    failed_attempts: int = 0
    last_failed_at: datetime | None = None
    locked_until: datetime | None = None
    event_count: int = 0
    event_head: str | None = None
    enabled_at: datetime | None = None
    disabled_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Account(user_id={self.user_id!r}, event_count={self.event_count})"

    def message(self) -> bytes:
        """What the state MAC covers: the whole state, in the order of the columns."""
        return canonical("state 1", *self)
