"""The answer that a challenge was given and that was accepted last, as `last_answer` of the user's row tells it. Pure.

It is a keyed hash: enough to know the very same answer again while its own may have been lost, and nothing else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, get_args

from twofold.keyring import canonical
from twofold.moments import is_within
from twofold.outcomes import Factor
from twofold.typed import one_form

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.account.row import Account
    from twofold.keyring import Keyring
    from twofold.outcomes import UserId

LIFETIME: Final = timedelta(seconds=30)
"""So long an answer is known again."""

# The row's MAC covers it, so that 128 bits are enough.
_DIGITS = 32


def written(keyring: Keyring, user_id: UserId, challenge: int, factor: Factor, code: str) -> str | None:
    """What the column holds after this code of that factor answered the challenge of this number.

    None for a code whose spelling has no form to know it by, as a line of a list with much white space.
    """
    if not one_form(code):
        return None
    return keyring.mac("challenges", _message(user_id, challenge, factor, code)).rpartition(":")[2][:_DIGITS]


def factor_of(keyring: Keyring, account: Account, code: str) -> Factor | None:
    """Whose code it was, where it is the one with which the last challenge was answered; else None."""
    if not one_form(code):
        return None
    factors: tuple[Factor, ...] = get_args(Factor)
    for factor in factors:
        message = _message(account.user_id, account.last_challenge, factor, code)
        if any(mac.rpartition(":")[2][:_DIGITS] == account.last_answer for mac in keyring.macs("challenges", message)):
            return factor
    return None


def is_live(account: Account, now: datetime) -> bool:
    """Whether there is one that is still known again."""
    return account.last_answer is not None and is_within(LIFETIME, account.last_used_at or now, now)


def cleared(account: Account, now: datetime) -> Account:
    """The state without one whose time is over."""
    if account.last_answer is None or is_live(account, now):
        return account
    return account.changed(last_answer=None)


def _message(user_id: UserId, challenge: int, factor: Factor, code: str) -> bytes:
    return canonical("answer", user_id, challenge, factor, one_form(code).upper())
