"""After a crash: what was answered is in the log and is spent, nothing happened twice, and nothing unasked."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tests.people import FIREFOX
from twofold import MFA, Event, Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tests.attacks.load import Said
    from tests.people import Clock, Enrolment

# What every clock of a process goes on with an operation.
STEP: Final = timedelta(seconds=30)

# So many refusals in a row are free; then the app would wait, and the codes behind would not be looked at.
_FREE: Final = 4


def whole_log(mfa: MFA, user_id: int) -> list[Event]:
    """Every line of a user, the oldest first."""
    pages = [mfa.events.recent(user_id, limit=1000)]
    while pages[-1]:
        pages.append(mfa.events.recent(user_id, limit=1000, before=pages[-1][-1].seq))
    return [event for page in pages for event in page][::-1]


def reckon(mfa: MFA, clock: Clock, enrolment: Enrolment, said: Sequence[Said]) -> None:
    """Hold what the processes of one user said against the log, and try everything again that they were given."""
    user_id = enrolment.user_id
    said = [one for one in said if one.user_id == user_id]
    report = mfa.events.verify(user_id)
    assert report.is_intact, report.problem
    # The state MAC is proven by every read of the row.
    assert mfa.status(user_id).is_enrolled
    if not said:
        return  # The kill came before the processes of this user had begun anything.
    moments, answered = {one.at for one in said}, [one for one in said if one.is_answered]
    lines = [event for event in whole_log(mfa, user_id) if min(moments) <= event.at <= max(moments)]
    logged = Counter((event.kind, event.at) for event in lines)
    assert {(one.kind, one.at) for one in answered} <= logged.keys()
    assert {event.at for event in lines} <= moments
    assert set(logged.values()) <= {1}
    for device in [one for one in answered if one.device_token][-1:]:
        # When the browser came back with it, or would have: a token that was replaced later than now is a copy.
        clock.now = device.at + STEP
        assert not mfa.challenge(user_id, device_token=device.device_token, request=FIREFOX)
    _spent(mfa, clock, enrolment, [one for one in answered if one.code], end=max(moments))
    assert mfa.events.verify(user_id).is_intact


def _spent(mfa: MFA, clock: Clock, enrolment: Enrolment, answered: Sequence[Said], end: datetime) -> None:
    """Offer every accepted code again, at its own moment."""
    by_phone = [one for one in answered if one.code and one.code.isdigit()]
    for first in range(0, len(by_phone), _FREE):
        again = {_outcome(mfa, clock, one) for one in by_phone[first : first + _FREE]}
        assert again <= {"code_already_used", "clock_went_back"}
        # A new code is good, and forgives the refusals.
        clock.now = end = end + timedelta(minutes=1)
        mfa.reverify(enrolment.user_id, enrolment.phone.code())
    # Those of a batch that was replaced are gone; the budget does not shut paper out.
    on_paper = [one for one in answered if one.code and not one.code.isdigit()]
    assert {_outcome(mfa, clock, one) for one in on_paper} <= {"code_already_used", "wrong_code"}
    clock.now = end


def _outcome(mfa: MFA, clock: Clock, one: Said) -> str:
    clock.now = one.at
    try:
        mfa.reverify(one.user_id, one.code or "")
    except Rejected as rejected:
        return str(rejected.reason)
    return "success"
