"""TOTP of one user: set up, replaced, turned off."""

from __future__ import annotations

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, challenged, enroll, log_in
from twofold import MFA, AlreadyEnrolled, EnrollmentExpired, Reason, Rejected, Stale


@pytest.mark.requirement("R38", "R44")
def test_a_begun_enrolment_has_no_effect_until_it_is_confirmed(mfa: MFA, ada: int, clock: Clock) -> None:
    enrollment = mfa.totp.begin(ada, account_name="ada@example.com")
    phone = Phone(enrollment.secret, clock)
    assert not mfa.challenge(ada)
    assert mfa.status(ada).is_pending
    assert mfa.backup_codes.remaining(ada) == 0
    with pytest.raises(Rejected):
        mfa.totp.confirm(ada, phone.wrong_code())
    assert not mfa.challenge(ada)
    assert len(mfa.totp.confirm(ada, phone.code()).backup_codes) == 10
    assert mfa.challenge(ada)


def test_the_waiting_secret_can_be_shown_again(mfa: MFA, ada: int) -> None:
    begun = mfa.totp.begin(ada, account_name="ada@example.com")
    assert mfa.totp.pending(ada, account_name="ada@example.com") == begun


@pytest.mark.requirement("R5", "R45")
def test_beginning_again_makes_the_first_secret_void(mfa: MFA, ada: int, clock: Clock) -> None:
    first = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    second = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    with pytest.raises(Rejected):
        mfa.totp.confirm(ada, first.code())
    assert mfa.totp.confirm(ada, second.code())


@pytest.mark.requirement("R45")
def test_a_begun_enrolment_waits_ten_minutes(mfa: MFA, ada: int, clock: Clock) -> None:
    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    clock.forward(seconds=600)
    assert mfa.totp.pending(ada, account_name="ada@example.com").expires_at == clock.now
    clock.forward(microseconds=1)
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(ada, phone.code())
    with pytest.raises(EnrollmentExpired):
        mfa.totp.pending(ada, account_name="ada@example.com")


def test_nothing_can_be_confirmed_before_it_is_begun(mfa: MFA, ada: int) -> None:
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(ada, "123456")


@pytest.mark.requirement("R46")
@pytest.mark.attack("A23")
def test_a_second_enrolment_needs_the_first_factor_fresh(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    with pytest.raises(AlreadyEnrolled):
        mfa.totp.begin(enrolled.user_id, account_name="ada@example.com")
    clock.forward(minutes=5)
    with pytest.raises(Stale):
        mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=enrolled.verified)


@pytest.mark.requirement("R44")
def test_the_old_secret_stays_in_force_until_the_new_one_is_confirmed(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    begun = mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
    new = Phone(begun.secret, clock)
    clock.forward(seconds=30)
    assert log_in(mfa, enrolled.user_id, enrolled.phone.code())
    clock.forward(seconds=30)
    waiting = challenged(mfa, enrolled.user_id)
    again = mfa.totp.confirm(enrolled.user_id, new.code())
    clock.forward(seconds=60)
    for spent in (enrolled.phone.code(), enrolled.backup_codes[0]):
        with pytest.raises(Rejected):
            log_in(mfa, enrolled.user_id, spent)
    with pytest.raises(Rejected):
        mfa.verify(waiting, new.code())
    assert log_in(mfa, enrolled.user_id, new.code())
    assert log_in(mfa, enrolled.user_id, again.backup_codes[0])


@pytest.mark.requirement("R49")
@pytest.mark.attack("A25")
def test_the_proof_of_one_user_does_nothing_for_another(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    with pytest.raises(AlreadyEnrolled):
        mfa.totp.begin(ada, account_name="ada@example.com", verified=graces.verified)
    forged = type(adas.verified)(ada, "totp", clock.now, ("pwd", "otp", "mfa"), graces.verified.token)
    with pytest.raises(Stale):
        mfa.totp.disable(forged)
    assert mfa.status(ada).is_enrolled


@pytest.mark.requirement("R38", "R47")
@pytest.mark.attack("A10", "A23")
def test_turning_it_off_needs_a_fresh_proof_and_removes_everything(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    mfa.trusted_devices.trust(verified, request=FIREFOX)
    clock.forward(seconds=301)
    with pytest.raises(Stale):
        mfa.totp.disable(verified)
    verified = mfa.reverify(enrolled.user_id, enrolled.phone.code())
    mfa.totp.disable(verified)
    status = mfa.status(enrolled.user_id)
    assert (status.is_enrolled, status.backup_codes_remaining, status.trusted_devices) == (False, 0, 0)
    assert not mfa.challenge(enrolled.user_id)
    with pytest.raises(Stale):
        mfa.totp.disable(verified)


def test_other_defaults_leave_enrolled_users_working(open_mfa: Open, ada: int, clock: Clock) -> None:
    enrolment = enroll(open_mfa(), ada, clock)
    changed = open_mfa(algorithm="SHA256", digits=8, period=60)
    assert log_in(changed, ada, enrolment.phone.code())
    begun = changed.totp.begin(
        ada, account_name="ada@example.com", verified=log_in(changed, ada, enrolment.backup_codes[0])
    )
    assert "algorithm=SHA256" in begun.uri


@pytest.mark.requirement("R28", "R44")
def test_wrong_codes_while_confirming_count(mfa: MFA, ada: int, clock: Clock) -> None:
    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    for _ in range(5):
        with pytest.raises(Rejected):
            mfa.totp.confirm(ada, phone.wrong_code())
    with pytest.raises(Rejected) as waiting:
        mfa.totp.confirm(ada, phone.code())
    assert waiting.value.reason is Reason.WAITING
    clock.forward(seconds=30)
    assert mfa.totp.confirm(ada, phone.code())


@pytest.mark.requirement("R45")
def test_another_session_can_neither_see_nor_confirm_the_secret(mfa: MFA, ada: int, clock: Clock) -> None:
    begun = mfa.totp.begin(ada, account_name="ada@example.com", session="hers")
    phone = Phone(begun.secret, clock)
    for session in ("a thief's", None):
        with pytest.raises(EnrollmentExpired):
            mfa.totp.pending(ada, account_name="ada@example.com", session=session)
        with pytest.raises(EnrollmentExpired):
            mfa.totp.confirm(ada, phone.code(), session=session)
    assert mfa.totp.pending(ada, account_name="ada@example.com", session="hers") == begun
    assert mfa.totp.confirm(ada, phone.code(), session="hers")
