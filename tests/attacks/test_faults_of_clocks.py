"""A clock that is set back or jumps ahead: it frees nobody, and takes nothing from the owner for good."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.people import FIREFOX, Enrolment, challenged, enroll, kinds, log_in
from twofold import MFA, Challenge, Cleared, Reason, Rejected, Stale

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.people import Clock, Open


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


@pytest.mark.requirement("R14")
def test_a_process_with_a_slower_clock_takes_a_request_that_was_under_way_for_no_copy(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    # The button is pressed twice, and two processes answer.
    cleared = mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    clock.forward(seconds=-1)
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    clock.forward(minutes=5)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    assert not mfa.challenge(ada, device_token=cleared.device.token, request=FIREFOX)
    assert "device_theft" not in kinds(mfa, ada)
    # Ahead by more than clocks of one deployment are apart, nobody knows when it was.
    clock.forward(seconds=-61)
    assert mfa.challenge(ada, device_token=cleared.device.token, request=FIREFOX)


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


def alarms(mfa: MFA, user_id: int) -> list[tuple[str, Any]]:
    """The alarms of the log, the oldest first, each with how far ahead or why."""
    lines = mfa.events.recent(user_id, limit=1000)[::-1]
    return [
        (line.kind, line.details.get("ahead", line.details.get("reason"))) for line in lines if line.status == "alarm"
    ]


@pytest.mark.requirement("R14", "R25", "R97")
def test_a_clock_that_stood_ahead_is_told_once_and_lengthens_no_wait(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    ada, phone, year = enrolled.user_id, enrolled.phone, timedelta(days=365)
    for times in (1, 2):
        clock.now += year
        for _ in range(5):
            assert reason(lambda: mfa.reverify(ada, phone.wrong_code())) is Reason.WRONG_CODE
        clock.now -= year
        for _ in range(30):
            assert reason(lambda: mfa.reverify(ada, phone.code())) is Reason.WAITING
            assert reason(lambda: mfa.reverify(ada, "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ")) is Reason.WRONG_CODE
        assert alarms(mfa, ada) == [("clock_set_right", year.total_seconds())] * times
        assert mfa.status(ada).waiting_until == clock.now + timedelta(seconds=30)
        clock.forward(seconds=30)
        assert mfa.reverify(ada, phone.code())
    # Sixty refusals each time, of which fifty have a line.
    assert len(kinds(mfa, ada)) < 100
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R14", "R97")
def test_a_clock_that_stood_ahead_does_not_keep_the_second_count_full(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(failure_limit=20, first_wait=1, longest_wait=1)
    phone = enroll(mfa, ada, clock).phone
    clock.forward(days=365)
    for _ in range(20):
        assert reason(lambda: mfa.reverify(ada, phone.wrong_code())) is Reason.WRONG_CODE
        clock.forward(seconds=1)
    clock.forward(days=-365)
    with pytest.raises(Rejected) as refused:
        mfa.reverify(ada, phone.code())
    assert refused.value.reason is Reason.EXHAUSTED
    assert refused.value.retry_after is not None
    assert refused.value.retry_after <= timedelta(days=30) / 20
    clock.forward(days=30 / 20)
    assert mfa.reverify(ada, phone.code())
    assert [kind for kind, _ in alarms(mfa, ada)] == ["clock_set_right"]


@pytest.mark.requirement("R14", "R97")
def test_a_code_that_was_accepted_ahead_of_time_is_one_alarm(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    ada, phone = enrolled.user_id, enrolled.phone
    for times in (1, 2):
        clock.forward(days=2)
        assert mfa.reverify(ada, phone.code())
        clock.forward(days=-1)
        for _ in range(7):
            # Waits come in between, and are told in between.
            assert reason(lambda: mfa.reverify(ada, phone.code())) is Reason.CLOCK_WENT_BACK
            reason(lambda: mfa.reverify(ada, phone.code()))
            clock.forward(minutes=20)
        assert alarms(mfa, ada) == [("code_refused", "clock_went_back")] * times
        assert "code_refused" in kinds(mfa, ada)[-3:]
    clock.forward(days=1)
    assert mfa.reverify(ada, phone.code())
