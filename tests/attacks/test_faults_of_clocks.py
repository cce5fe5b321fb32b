"""A clock that is set back or jumps ahead: it frees nobody, and takes nothing from the owner for good."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.people import FIREFOX, Enrolment, challenged, kinds, log_in
from twofold import MFA, Challenge, Reason, Rejected, Stale

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.people import Clock


def reason(operation: Callable[[], object]) -> Reason:
    with pytest.raises(Rejected) as refused:
        operation()
    return refused.value.reason


@pytest.mark.requirement("R14", "R25")
def test_a_wait_is_not_shortened_by_a_clock_that_is_set_back(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    ada, phone = enrolled.user_id, enrolled.phone
    for _ in range(5):
        assert reason(lambda: mfa.reverify(ada, phone.wrong_code())) is Reason.WRONG_CODE
    clock.forward(hours=-1)
    assert reason(lambda: mfa.reverify(ada, phone.code())) is Reason.WAITING
    assert mfa.status(ada).failed_attempts == 5
    # Backup codes stay open, whatever the clock says.
    assert mfa.reverify(ada, enrolled.backup_codes[0])
    clock.forward(hours=1, seconds=30)
    assert mfa.reverify(ada, phone.code())
    assert mfa.status(ada).failed_attempts == 0


@pytest.mark.requirement("R14", "R64")
def test_a_proof_and_a_trusted_browser_outlive_no_clock(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    ada = enrolled.user_id
    verified = log_in(mfa, ada, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    token = challenged(mfa, ada)
    # Ahead by a year, all three have expired; none is revoked for it.
    clock.forward(days=365)
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    assert reason(lambda: mfa.verify(token, enrolled.phone.code())) is Reason.CHALLENGE_EXPIRED
    with pytest.raises(Stale):
        mfa.proof(verified.token)
    # Back before the proof was given, it is one of the future.
    clock.forward(days=-365, minutes=-2)
    with pytest.raises(Stale):
        mfa.proof(verified.token)
    clock.forward(minutes=3)
    assert mfa.proof(verified.token) == verified
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert mfa.status(ada).failed_attempts == 0


@pytest.mark.requirement("R7", "R14", "R105")
def test_a_clock_that_goes_to_and_fro_lets_no_code_count_twice(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    ada, noon = enrolled.user_id, clock.now
    accepted: set[str] = set()
    for minutes in (0, 60, -60, 61, 5, 62, -5, 63):
        clock.now = noon + timedelta(minutes=minutes)
        code = enrolled.phone.code()
        for _ in range(2):
            try:
                mfa.reverify(ada, code)
            except Rejected:
                continue
            assert code not in accepted
            accepted.add(code)
    # Each code that was later than all before it, once.
    assert len(accepted) == kinds(mfa, ada).count("code_accepted") == 5
    assert mfa.events.verify(ada).is_intact
