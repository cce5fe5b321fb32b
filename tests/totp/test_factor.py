"""TOTP of one user: set up, replaced, turned off."""

from __future__ import annotations

import hashlib

import pytest
from pyotp import parse_uri
from pyotp.totp import TOTP

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, challenged, enroll, log_in
from twofold import MFA, AlreadyEnrolled, Enrollment, EnrollmentExpired, Reason, Rejected, Stale, Status


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
    mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
    mfa.totp.disable(verified)
    status = mfa.status(enrolled.user_id)
    assert (status.is_enrolled, status.backup_codes_remaining, status.trusted_devices) == (False, 0, 0)
    assert not status.is_pending
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


def guess_the_set_up(mfa: MFA, user_id: int, phone: Phone, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Rejected) as refused:
            mfa.totp.confirm(user_id, phone.wrong_code())
        # Nobody waits for a secret that is a minute old.
        assert (refused.value.reason, refused.value.retry_after) == (Reason.WRONG_CODE, None)


@pytest.mark.requirement("R28", "R44")
def test_a_set_up_has_ten_tries_of_its_own(mfa: MFA, ada: int, clock: Clock) -> None:
    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    guess_the_set_up(mfa, ada, phone, 9)
    assert mfa.status(ada).is_pending
    guess_the_set_up(mfa, ada, phone, 1)
    assert not mfa.status(ada).is_pending
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(ada, phone.code())
    with pytest.raises(EnrollmentExpired):
        mfa.totp.pending(ada, account_name="ada@example.com")
    lines = [line.details for line in reversed(mfa.events.recent(ada)) if line.kind == "code_refused"]
    assert lines == [{"reason": "wrong_code", "occasion": "enrollment", "tries": tries} for tries in range(1, 11)]
    # The next one begins with ten of its own.
    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    guess_the_set_up(mfa, ada, phone, 9)
    assert mfa.totp.confirm(ada, phone.code())
    assert mfa.status(ada).failed_attempts == 0


@pytest.mark.requirement("R28", "R44", "R45")
def test_whoever_begins_again_has_ten_tries_again(mfa: MFA, ada: int, clock: Clock) -> None:
    phones = list[Phone]()
    for _ in range(3):
        phones.append(Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock))
        guess_the_set_up(mfa, ada, phones[-1], 9)
    assert mfa.totp.confirm(ada, phones[-1].code())


@pytest.mark.requirement("R28", "R44")
def test_a_set_up_neither_reads_nor_feeds_the_wait_of_the_login(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    user_id = enrolled.user_id
    verified = mfa.reverify(user_id, enrolled.backup_codes[0])

    def begin() -> Phone:
        return Phone(mfa.totp.begin(user_id, account_name="ada@example.com", verified=verified).secret, clock)

    guess_the_set_up(mfa, user_id, begin(), 10)
    assert (mfa.status(user_id).failed_attempts, mfa.status(user_id).waiting_until) == (0, None)
    # The app of before is still in force, and was not touched.
    assert mfa.reverify(user_id, enrolled.phone.code())
    clock.forward(seconds=30)
    for _ in range(5):
        with pytest.raises(Rejected):
            mfa.reverify(user_id, enrolled.phone.wrong_code())
    waits = mfa.status(user_id).waiting_until
    assert waits is not None
    phone = begin()
    guess_the_set_up(mfa, user_id, phone, 3)
    assert (mfa.status(user_id).failed_attempts, mfa.status(user_id).waiting_until) == (5, waits)
    assert mfa.totp.confirm(user_id, phone.code())
    status = mfa.status(user_id)
    assert (status.failed_attempts, status.waiting_until, status.exhausted_until) == (0, None, None)


@pytest.mark.requirement("R44")
def test_a_new_app_empties_what_patience_had_filled(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(failure_limit=20)
    enrolment = enroll(mfa, ada, clock)
    for _ in range(20):
        with pytest.raises(Rejected) as refused:
            mfa.reverify(ada, enrolment.phone.wrong_code())
        assert refused.value.reason is Reason.WRONG_CODE
        clock.forward(hours=1)
    with pytest.raises(Rejected) as refused:
        mfa.reverify(ada, enrolment.phone.code())
    assert refused.value.reason is Reason.EXHAUSTED
    verified = log_in(mfa, ada, enrolment.backup_codes[0])
    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com", verified=verified).secret, clock)
    assert mfa.totp.confirm(ada, phone.code())
    assert mfa.status(ada).exhausted_until is None
    clock.forward(seconds=30)
    assert log_in(mfa, ada, phone.code())


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


def test_a_replacement_has_a_name_of_its_own_in_the_app(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    def begin() -> Enrollment:
        verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
        return mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)

    # Some apps have one entry for each name, and would overwrite the one that still opens the door.
    first = begin()
    assert first.label == "ada@example.com (2026-11-22 12.01)"
    assert parse_uri(first.uri).name == first.label
    clock.forward(days=2)
    second = begin()
    assert second.label == "ada@example.com (2026-11-24)"
    clock.forward(minutes=5)
    assert mfa.totp.pending(enrolled.user_id, account_name="ada@example.com") == second
    # The next one of that day cannot be called so, too.
    enrolled.phone = Phone(second.secret, clock)
    mfa.totp.confirm(enrolled.user_id, enrolled.phone.code())
    clock.forward(hours=1)
    assert begin().label == "ada@example.com (2026-11-24 13.06)"


def test_a_first_app_is_called_as_the_host_says(mfa: MFA, ada: int) -> None:
    assert mfa.totp.begin(ada, account_name=" ada@example.com\n").label == "ada@example.com"
    assert mfa.totp.begin(ada, account_name=":").label == "Twofold"


def test_the_row_tells_how_its_codes_look_whatever_the_settings_say_now(
    open_mfa: Open, mfa: MFA, ada: int, clock: Clock
) -> None:
    def parameters(of: Status | Enrollment) -> tuple[object, ...]:
        return of.algorithm, of.digits, of.period

    before = open_mfa(algorithm="SHA256", digits=8, period=60)
    begun = before.totp.begin(ada, account_name="ada@example.com")
    assert parameters(begun) == ("SHA256", 8, 60)
    assert parameters(before.totp.pending(ada, account_name="ada@example.com")) == ("SHA256", 8, 60)
    code = TOTP(begun.secret, digits=8, interval=60, digest=hashlib.sha256).at(clock.now)
    verified = before.totp.confirm(ada, code).verified
    assert parameters(mfa.status(ada)) == ("SHA256", 8, 60)
    replacing = mfa.totp.begin(ada, account_name="ada@example.com", verified=verified)
    assert parameters(replacing) == ("SHA1", 6, 30)
    # Until it is confirmed, the one of before is in force.
    assert parameters(mfa.status(ada)) == ("SHA256", 8, 60)
    mfa.totp.confirm(ada, Phone(replacing.secret, clock).code())
    assert parameters(mfa.status(ada)) == ("SHA1", 6, 30)
