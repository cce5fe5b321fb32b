"""What a user's row says of the user's live rows in another table: one SHA-256 over every column that decides. Pure.

The digest lies under the row's MAC, so nobody without the keys can insert, alter, copy, remove or bring back one of
those rows: the digest of what is there differs from the one in the row. A table without live rows has none.

Before the digest may stand `older:`, where codes of before Twofold are among the rows: they are short, and may look
like a code of the app. Behind it, after a space, may stand the altered state that an alarm was already written for, so
that one altered state makes one alarm, however often it is met.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twofold.keyring import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CODES: Final = ("id", "code_hash", "expires_at")
"""The columns of an unspent backup code that decide."""

DEVICES: Final = (
    "id",
    "device_fingerprint",
    "browser",
    "platform",
    "trust_token",
    "previous_token",
    "rotated_at",
    "trusted_until",
    "last_used_at",
    "created_at",
)
"""The columns of a device that is not revoked that decide."""

PASSKEYS: Final = (
    "id",
    "credential_key",
    "credential_id",
    "public_key",
    "user_handle",
    "rp_id",
    "algorithm",
    "sign_count",
    "backup_eligible",
    "backup_state",
    "user_verified",
    "suspended_at",
)
"""The columns of a passkey that is not revoked that decide."""

_OLDER = "older:"
_UNREADABLE = "unreadable"
_TOLD = 32


class Comparison(NamedTuple):
    """Whether the rows are those that the user's row names, and whether an alarm was written for what they are now."""

    is_intact: bool
    is_reported: bool
    reported: str


def digest(rows: Iterable[Sequence[Any]]) -> str | None:
    """The digest of live rows: each the values of the columns that decide, in the order of the ids. None for no rows.

    64 hex digits. Raises TypeError for a value that no column of ours holds.
    """
    encoded = [canonical(*row) for row in rows]
    return hashlib.sha256(canonical("rows 1", *encoded)).hexdigest() if encoded else None


def as_older(digest: str | None) -> str | None:
    """The digest of rows among which are codes of before Twofold."""
    return None if digest is None else _OLDER + digest


def has_older(stored: str | None) -> bool:
    """Whether there are codes of before Twofold among the rows."""
    return stored is not None and stored.startswith(_OLDER)


def compare(stored: str | None, rows: Iterable[Sequence[Any]] | None) -> Comparison:
    """Compare the rows that are there with what the user's row says; None stands for rows that do not read."""
    whole, _, reported = (stored or "").partition(" ")
    expected = whole.removeprefix(_OLDER)
    try:
        found = _UNREADABLE if rows is None else digest(rows) or ""
    except (TypeError, ValueError, OverflowError):
        # SQLite keeps whatever is written into a column.
        found = _UNREADABLE
    now = found[:_TOLD] or "none"
    return Comparison(found == expected, now == reported, f"{whole} {now}")
