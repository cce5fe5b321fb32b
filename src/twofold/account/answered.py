"""The answer that a challenge was given and that was accepted last, as `last_answer` of the user's row tells it. Pure.

It is a keyed hash: enough to know the very same answer again while its own may have been lost, and nothing else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, get_args

from twofold.keyring import canonical
from twofold.moments import is_within
from twofold.outcomes import Means
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


def written(keyring: Keyring, user_id: UserId, challenge: int, means: Means, answer: str) -> str | None:
    """What the column holds after the challenge of this number was answered so.

    None for a code whose spelling has no form to know it by, as a line of a list with much white space.
    """
    known = _known(answer)
    if not known:
        return None
    return keyring.mac("challenges", _message(user_id, challenge, means, known)).rpartition(":")[2][:_DIGITS]


def means_of(keyring: Keyring, account: Account, challenge: int, answer: str) -> Means | None:
    """How the challenge of this number was answered, where it was the last one, and with this; else None."""
    known = _known(answer)
    if not known:
        return None
    every: tuple[Means, ...] = get_args(Means)
    for means in every:
        message = _message(account.user_id, challenge, means, known)
        if any(mac.rpartition(":")[2][:_DIGITS] == account.last_answer for mac in keyring.macs("challenges", message)):
            return means
    return None


def is_live(account: Account, now: datetime) -> bool:
    """Whether there is one that is still known again."""
    return account.last_answer is not None and is_within(LIFETIME, account.last_used_at or now, now)


def cleared(account: Account, now: datetime) -> Account:
    """The state without one whose time is over."""
    if account.last_answer is None or is_live(account, now):
        return account
    return account.changed(last_answer=None)


def _known(answer: str) -> str:
    """The form by which an answer is known again: a passkey signs each of its own anew, to the letter."""
    return answer if answer.startswith("{") else one_form(answer).upper()


def _message(user_id: UserId, challenge: int, means: Means, known: str) -> bytes:
    return canonical("answer", user_id, challenge, means, known)
