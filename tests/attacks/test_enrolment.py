"""A factor that is set up, changed and taken away, by somebody who should not."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, challenged, enroll, kinds, log_in
from twofold import MFA, AlreadyEnrolled, EnrollmentExpired, NotEnrolled, Reason, Rejected, Stale
from twofold.outcomes import Factor


@pytest.mark.requirement("R38")
def test_codes_of_before_it_was_turned_off_are_tried_after_it_is_on_again(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    mfa.totp.disable(enrolled.verified)
    assert mfa.backup_codes.remaining(enrolled.user_id) == 0
    enroll(mfa, enrolled.user_id, clock)
    for code in enrolled.backup_codes:
        with pytest.raises(Rejected) as refused:
            log_in(mfa, enrolled.user_id, code)
        assert refused.value.reason is Reason.WRONG_CODE


@pytest.mark.requirement("R46", "R58")
def test_a_session_without_a_code_replaces_the_app(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    clock.forward(minutes=6)
    with pytest.raises(AlreadyEnrolled):
        mfa.totp.begin(enrolled.user_id, account_name="ada@example.com")
    with pytest.raises(Stale):
        mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=enrolled.verified)
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(enrolled.user_id, enrolled.phone.code())
    assert not mfa.status(enrolled.user_id).is_pending
    assert log_in(mfa, enrolled.user_id, enrolled.phone.code())


@pytest.mark.requirement("R45", "R46")
def test_a_set_up_of_before_is_confirmed_after_the_owner_made_hers(mfa: MFA, ada: int, clock: Clock) -> None:
    thief = mfa.totp.begin(ada, account_name="ada@example.com", session="a thief's")
    enrolment = enroll(mfa, ada, clock)
    enrolment.phone.secret, hers = thief.secret, enrolment.phone.secret
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(ada, enrolment.phone.code(), session="a thief's")
    enrolment.phone.secret = hers
    assert log_in(mfa, ada, enrolment.phone.code())


@pytest.mark.requirement("R52")
def test_a_trusted_browser_outlives_the_app_that_was_replaced(mfa: MFA, enrolled: Enrolment) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    begun = mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
    enrolled.phone.secret = begun.secret
    mfa.totp.confirm(enrolled.user_id, enrolled.phone.code())
    assert mfa.status(enrolled.user_id).trusted_devices == 0
    assert mfa.challenge(enrolled.user_id, device_token=device.token, request=FIREFOX)
    for use in (mfa.totp.disable, mfa.backup_codes.regenerate):
        with pytest.raises(Stale):
            use(verified)


@pytest.mark.requirement("R54")
def test_a_process_that_has_seen_the_factor_goes_on_taking_it(open_mfa: Open, ada: int, clock: Clock) -> None:
    first, second = open_mfa(), open_mfa()
    enrolment = enroll(first, ada, clock)
    verified = log_in(second, ada, enrolment.phone.code())
    device = second.trusted_devices.trust(verified, request=FIREFOX)
    first.trusted_devices.revoke(ada, device.device_id)
    assert second.challenge(ada, device_token=device.token, request=FIREFOX)
    waiting = challenged(second, ada)
    first.totp.disable(verified)
    clock.forward(seconds=60)
    with pytest.raises(Rejected) as refused:
        second.verify(waiting, enrolment.phone.code())
    assert refused.value.reason is Reason.NOT_ENROLLED
    with pytest.raises(NotEnrolled):
        second.reverify(ada, enrolment.phone.code())
    with pytest.raises(Stale):
        second.proof(verified.token)


@pytest.mark.requirement("R57")
def test_the_record_of_a_factor_is_looked_for_after_it_ended(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    verified = mfa.reverify(enrolled.user_id, enrolled.phone.code(), request=FIREFOX)
    mfa.totp.disable(verified, request=FIREFOX)
    lines = {line.kind: line for line in mfa.events.recent(enrolled.user_id)}
    assert list(lines) == ["totp_disabled", "code_accepted", "totp_confirmed", "totp_begun"]
    for kind in ("totp_disabled", "code_accepted"):
        assert (lines[kind].at, lines[kind].at.utcoffset()) == (clock.now, clock.now.utcoffset())
        assert lines[kind].ip_address == FIREFOX.ip_address


@pytest.mark.requirement("R59")
def test_an_answer_or_a_mailbox_is_offered_as_a_factor(mfa: MFA, enrolled: Enrolment) -> None:
    challenge = mfa.challenge(enrolled.user_id)
    assert challenge
    assert challenge.factors == ("totp", "backup_codes")
    assert get_args(Factor) == ("totp", "backup_codes", "passkeys")
    for answer in ("the name of my first pet", "ada@example.com"):
        with pytest.raises(Rejected) as refused:
            mfa.verify(challenge.token, answer)
        assert refused.value.reason is Reason.MALFORMED


@pytest.mark.requirement("R12", "R28")
def test_a_mistake_of_typing_takes_no_try_from_a_set_up(mfa: MFA, ada: int, clock: Clock) -> None:
    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    before = kinds(mfa, ada)
    for text in ("", "12345", "1234567", "hello", None) * 3:
        with pytest.raises(Rejected) as refused:
            mfa.totp.confirm(ada, text)  # type: ignore[arg-type]
        assert refused.value.reason is Reason.MALFORMED
    assert kinds(mfa, ada) == before
    code = phone.code()
    assert mfa.totp.confirm(ada, f"{code[:3]} {code[3:]}")
