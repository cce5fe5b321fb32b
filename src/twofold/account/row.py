"""The security state of one user, as one row of `user_mfa_secrets` holds it. Pure."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twofold.keyring import encoded, joined

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.outcomes import UserId


class Account(NamedTuple):
    """One row, in the order in which it is read and in which its MAC covers it. Never shown: it holds secrets.

    Every write raises `version`, by which the compare-and-swap goes; `event_count` counts the lines of the log. Each
    digest speaks of the user's live rows in another table (`twofold.account.digests`). A proof that was given at the
    version `proofs_after` or before has ended.
    """

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
    version: int = 0
    codes_digest: str | None = None
    devices_digest: str | None = None
    passkeys_digest: str | None = None
    cases_digest: str | None = None
    proofs_after: int = 0
    failure_level: int = 0
    failure_level_at: datetime | None = None
    setup_tries: int = 0
    lines_today: int = 0
    lines_day: datetime | None = None
    told_refusal: str | None = None
    epoch: str | None = None
    shown_codes: str | None = None
    last_answer: str | None = None
    changes_suspended_at: datetime | None = None
    enabled_at: datetime | None = None
    disabled_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Account(user_id={self.user_id!r}, version={self.version})"

    def changed(self, **columns: Any) -> Account:
        """The state with these columns as they are now: `_replace`, in a fifth of its time."""
        values = list(self)
        for name, value in columns.items():
            values[_PLACES[name]] = value
        return tuple.__new__(Account, values)

    def parts(self, known: tuple[Account, list[str]] | None = None) -> list[str]:
        """Every column as its MAC covers it. What no login changes is not encoded again where a state is known."""
        if known is None:
            return encoded(self)
        seen, parts = known
        if seen is self:
            return parts
        if self[:_FIRST] != seen[:_FIRST] or self[_END:] != seen[_END:]:
            return encoded(self)
        return [*parts[:_FIRST], *encoded(self[_FIRST:_END]), *parts[_END:]]

    def message(self, known: tuple[Account, list[str]] | None = None) -> bytes:
        """What the state MAC covers: the whole state, in the order of the columns."""
        return joined([_FORMAT, *self.parts(known)])


(_FORMAT,) = encoded(["state 1"])

_PLACES: Final = {name: place for place, name in enumerate(Account._fields)}


def new_epoch() -> str:
    """Make what tells a host that sessions of before have ended: it compares for equality, and nothing else."""
    return secrets.token_urlsafe(16)


LOGIN: Final = (
    "last_used_step",
    "last_challenge",
    "last_used_at",
    "failed_attempts",
    "last_failed_at",
    "locked_until",
    "event_count",
    "event_head",
    "version",
    "failure_level",
    "failure_level_at",
    "lines_today",
    "lines_day",
    "told_refusal",
    "shown_codes",
    "last_answer",
)
"""The columns that any answer to a login may change; the digest of a table that it writes comes on top."""

# All of them lie between these places, and the digests, too.
_FIRST: Final = min(_PLACES[name] for name in LOGIN)
_END: Final = max(_PLACES[name] for name in LOGIN) + 1
