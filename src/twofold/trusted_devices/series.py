"""The token of a device: what it is made of, and what a row holds of it.

128 bits name the series, and stay; 256 bits change with each use. A row holds keyed hashes of both.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, TypeGuard

from twofold.keyring import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.account.statements import HeldDevice
    from twofold.outcomes import UserId

_SERIES_BYTES = 16
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 256


def is_token(token: object) -> TypeGuard[str]:
    """Whether this can be a device's token at all."""
    return isinstance(token, str) and 0 < len(token) <= _LONGEST_TOKEN and token.isascii()


def first_token() -> str:
    """Make the token with which a series begins."""
    return f"{secrets.token_urlsafe(_SERIES_BYTES)}.{secrets.token_urlsafe(_TOKEN_BYTES)}"


def next_token(token: str) -> str:
    """Make the token that follows this one in its series."""
    return f"{_series(token)}.{secrets.token_urlsafe(_TOKEN_BYTES)}"


def of_series(work: Attempt, account: Account, devices: Sequence[HeldDevice], token: str) -> HeldDevice | None:
    """The device of this token, or of any other one of its series."""
    series = series_digests(work, account.user_id, token)
    return next((device for device in devices if device.device_fingerprint in series), None)


def series_digests(work: Attempt, user_id: UserId, token: str) -> tuple[str, ...]:
    """What the row of a token's series may hold as its fingerprint, under each key."""
    return work.keyring.macs("device tokens", canonical("device line", user_id, _series(token)))


def token_digests(work: Attempt, account: Account, token: str, until: datetime) -> tuple[str, ...]:
    """What the row of a token may hold. Nothing that makes the trust can be changed without changing this."""
    return work.keyring.macs(
        "device tokens", canonical("device token", account.user_id, account.enabled_at, until, token)
    )


def adopted(work: Attempt, account: Account, token: str, until: datetime) -> tuple[str, str]:
    """The hash and the fingerprint of a raw token of before Twofold, whose cookie stays good."""
    return token_digests(work, account, token, until)[0], series_digests(work, account.user_id, token)[0]


def _series(token: str) -> str:
    """What stays the same through all tokens of a device; for a token of before Twofold, the whole of it."""
    return token.rpartition(".")[0] or token
