"""How a code is refused: counted against the budget, recorded, and then raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from twofold.account import store
from twofold.account.attempt import Fact
from twofold.budget import Budget, remaining
from twofold.errors import Reason, Rejected
from twofold.kinds import Kind, Status

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import Factor

Occasion = Literal["login", "step_up", "enrollment"]

# A code that is looked at and found wanting counts; one that is not looked at does not.
_COUNTED = frozenset({Reason.WRONG_CODE, Reason.CODE_ALREADY_USED, Reason.CLOCK_WENT_BACK})


class Unspent(NamedTuple):
    """Why a code was not spent, and the state with the alarms that looking at it wrote."""

    reason: Reason
    account: Account


def refuse(
    work: Attempt,
    account: Account,
    reason: Reason,
    occasion: Occasion,
    *,
    factor: Factor = "totp",
    request: Any = None,
) -> Rejected:
    """Write the refusal; return what is to be raised, with the wait that now holds.

    A code that is offered during a wait is not counted, or a stranger with the password could suspend the owner in
    minutes.
    """
    budget = Budget.of(work.settings)
    after = account
    if reason in _COUNTED and remaining(account.locked_until, work.now) is None:
        failures = account.failed_attempts + 1
        wait = budget.wait(failures)
        after = account._replace(
            failed_attempts=failures, last_failed_at=work.now, locked_until=work.now + wait if wait else None
        )
    details: dict[str, Any] = {"reason": reason, "occasion": occasion, "failures": after.failed_attempts}
    if occasion != "enrollment":
        details["factor"] = factor
    became_suspended = budget.is_suspended(after.failed_attempts) and not budget.is_suspended(account.failed_attempts)
    # Nobody's codes are accepted until a clock that went back is right again, so somebody has to hear of it.
    status = Status.ALARM if became_suspended or reason is Reason.CLOCK_WENT_BACK else Status.REFUSED
    store.save(work, account, after, Fact(Kind.CODE_REFUSED, status, details), request)
    return Rejected(reason, remaining(after.locked_until, work.now))
