"""How a code is refused: counted against the budget, recorded, and then raised.

Tests: `tests/test_login.py`, `tests/attacks/test_guessing.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from twofold.account import store
from twofold.account.attempt import Fact
from twofold.budget import Budget, is_ahead
from twofold.errors import Reason, Rejected
from twofold.kinds import Kind, Status
from twofold.log_volume import noted

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.account.store import Change
    from twofold.outcomes import Factor, Means

Occasion = Literal["login", "step_up"]

# A code that is looked at and found wanting counts; one that is not looked at does not.
_COUNTED = frozenset({Reason.WRONG_CODE, Reason.CODE_ALREADY_USED, Reason.CLOCK_WENT_BACK})
# What names a refusal for which one line is enough, however often it is met.
_TOLD_ONCE = frozenset(
    {
        Reason.WAITING,
        Reason.SUSPENDED,
        Reason.EXHAUSTED,
        Reason.CHALLENGE_EXPIRED,
        Reason.ALTERED,
        Reason.NOT_ENROLLED,
        Reason.PASSKEY_CLONED,
    }
)
# Stands between the names of refusals that were told.
_AND = ", "


class Spent(NamedTuple):
    """The state after a factor was given, the change that is written with it, and how it was given."""

    account: Account
    change: Change | None
    means: Means


class Unspent(NamedTuple):
    """Why a code was not spent, the state with the alarms that looking at it wrote, and more for the log alone."""

    reason: Reason
    account: Account
    why: str | None = None


def refuse(
    work: Attempt,
    account: Account,
    reason: Reason,
    occasion: Occasion,
    *,
    factor: Factor = "totp",
    is_guessable: bool = True,
    why: str | None = None,
    about: object = None,
    request: Any = None,
) -> Rejected:
    """Write the refusal; return what is to be raised, with the wait that now holds.

    What can be guessed counts, with a line of its own. A code that is offered during a wait is not looked at and not
    counted, or a stranger with the password could suspend the owner in minutes: it leaves one line for the whole wait,
    as `about` tells one wait or challenge from another. A wrong code of 125 bits is no guess.
    """
    budget = Budget.of(work.settings)
    waits = budget.remaining(account, work.now)
    after = account
    is_counted = reason in _COUNTED and is_guessable and waits is None
    if is_counted:
        after = budget.failed(account, work.now)
    details: dict[str, Any] = {"reason": reason, "occasion": occasion, "failures": after.failed_attempts}
    details["factor"] = factor
    if why is not None:
        details["why"] = why
    became_suspended = budget.is_suspended(after.failed_attempts) and not budget.is_suspended(account.failed_attempts)
    told, before = _name(account, reason, about), (account.told_refusal or "").split(_AND)
    # Nobody's codes are accepted until a clock that went back is right again, so somebody has to hear of it: once.
    is_alarm = became_suspended or (reason is Reason.CLOCK_WENT_BACK and told not in before)
    fact: Fact | None = Fact(Kind.CODE_REFUSED, Status.ALARM if is_alarm else Status.REFUSED, details)
    if reason in _TOLD_ONCE:
        fact = None if told in before else fact
    if reason in _TOLD_ONCE or reason is Reason.CLOCK_WENT_BACK:
        jump = _name(account, Reason.CLOCK_WENT_BACK)
        after = after.changed(told_refusal=_AND.join([*(one for one in before if one == jump != told), told]))
    if fact is not None and not is_counted:
        after, fact = noted(work, after, fact)
    saved = store.save(work, account, after, fact, request)
    return Rejected(reason, budget.until_open(saved, reason, work.now))


def _name(account: Account, reason: Reason, about: object = None) -> str:
    """What tells one refusal of this reason from another: its wait, its challenge, the step that is still to come."""
    which = {Reason.WAITING: account.locked_until, Reason.CLOCK_WENT_BACK: account.last_used_step}.get(reason, "")
    return f"{reason} {about if about is not None else which}"


def clock_set_right(work: Attempt, account: Account, request: Any = None) -> Account:
    """Tell that a clock stood ahead when the budget was last written, and set it right; the state after that."""
    if not is_ahead(account, work.now):
        return account
    work.need_lock()
    right = Budget.of(work.settings).set_right(account, work.now)
    moments = (account.last_failed_at, account.failure_level_at)
    ahead = max(moment for moment in moments if moment is not None) - work.now
    fact = Fact(Kind.CLOCK_SET_RIGHT, Status.ALARM, {"ahead": round(ahead.total_seconds())})
    return store.save(work, account, right, fact, request)
