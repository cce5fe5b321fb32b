"""An answer whose own was lost, once more.

A code is accepted once (RFC 6238 §5.2), and a challenge is answered once. Where the answer to that request never
arrived, its sender asks again with the very same challenge and code, and is told the same again: nothing is spent, and
nothing is opened that was not open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twofold import proof as proofs
from twofold.account import answered, store
from twofold.account.attempt import Fact
from twofold.errors import Reason
from twofold.kinds import Kind
from twofold.log_volume import noted
from twofold.login import login
from twofold.outcomes import factor_of
from twofold.refusal import refuse

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.outcomes import Verified


def repeat(work: Attempt, challenge_token: str, code: str, *, request: Any = None) -> Verified:
    """Give the proof of an answer once more that `verify` accepted at most 30 seconds ago, and whose own was lost.

    Only for the challenge that was answered last, and only for the code that answered it; `at` is the moment at which
    that was. A code that differs ends it, so nobody can guess. Raises Rejected for everything else, as `verify` does
    for a challenge that is spent.
    """
    asked, _, account = login.asked(work, challenge_token, "", request)
    login.require_counting(work)
    is_it = (
        account.proofs_after < asked.serial == account.last_challenge
        and account.enabled_at == asked.enabled_at
        and answered.is_live(account, work.now)
    )
    means = answered.means_of(work.keyring, account, asked.serial, code) if is_it else None
    if means is None:
        left = account.changed(last_answer=None) if is_it else account
        raise refuse(work, left, Reason.CHALLENGE_EXPIRED, "login", about=asked.serial, request=request)
    after, fact = noted(work, account, Fact(Kind.ANSWER_REPEATED, details={"factor": factor_of(means)}))
    saved = store.save(work, account, after, fact, request)
    return proofs.issue(work, asked.user_id, saved, means, account.last_used_at)
