"""The story of a login: password, challenge, code."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, Sql, challenged, enroll, kinds, log_in
from twofold import MFA, Cleared, ConfigurationError, EnrollmentExpired, NotEnrolled, Reason, Rejected, Stale, base64url
from twofold.outcomes import spelled


def test_a_user_without_a_factor_needs_none(mfa: MFA, ada: int) -> None:
    assert mfa.challenge(ada) == Cleared(ada, "not_enrolled")
    assert not mfa.challenge(ada)


def test_a_right_code_answers_the_challenge(mfa: MFA, enrolled: Enrolment) -> None:
    challenge = mfa.challenge(enrolled.user_id)
    assert challenge
    assert challenge.factors == ("totp", "backup_codes")
    verified = mfa.verify(challenge.token, enrolled.phone.code(), request=FIREFOX)
    assert (verified.user_id, verified.factor, verified.amr) == (enrolled.user_id, "totp", ("pwd", "otp", "mfa"))
    assert kinds(mfa, enrolled.user_id) == ["totp_begun", "totp_confirmed", "challenged", "code_accepted"]
    latest = mfa.events.recent(enrolled.user_id, limit=1)[0]
    assert (latest.ip_address, latest.user_agent) == (FIREFOX.ip_address, FIREFOX.user_agent)
    assert latest.details == {"factor": "totp", "occasion": "login"}


def test_what_looks_like_a_passkey_is_refused_by_a_host_that_has_none(mfa: MFA, enrolled: Enrolment) -> None:
    token = challenged(mfa, enrolled.user_id)
    client_data = base64url.written(json.dumps({"challenge": base64url.written(token.encode())}).encode())
    for text in ("{", json.dumps({"rawId": "AAAA", "response": {"clientDataJSON": client_data}})):
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, text)
        assert refused.value.reason is Reason.PASSKEY_REFUSED
        with pytest.raises(Rejected) as refused:
            mfa.reverify(enrolled.user_id, text)
        assert refused.value.reason is Reason.PASSKEY_REFUSED
    assert mfa.verify(token, enrolled.phone.code()).factor == "totp"


@pytest.mark.requirement("R7")
@pytest.mark.attack("A1", "A5")
def test_a_code_works_once_at_every_door(mfa: MFA, enrolled: Enrolment) -> None:
    code = enrolled.phone.code()
    log_in(mfa, enrolled.user_id, code)
    with pytest.raises(Rejected) as again:
        log_in(mfa, enrolled.user_id, code)
    assert again.value.reason is Reason.CODE_ALREADY_USED
    with pytest.raises(Rejected) as elsewhere:
        mfa.reverify(enrolled.user_id, code)
    assert elsewhere.value.reason is Reason.CODE_ALREADY_USED


@pytest.mark.requirement("R10")
def test_the_code_of_the_enrolment_is_spent(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    clock.forward(seconds=-60)
    with pytest.raises(Rejected) as refused:
        log_in(mfa, ada, enrolment.phone.code())
    assert refused.value.reason is Reason.CODE_ALREADY_USED


@pytest.mark.requirement("R8")
@pytest.mark.attack("A3")
def test_after_a_later_step_no_earlier_one_is_accepted(mfa: MFA, enrolled: Enrolment) -> None:
    log_in(mfa, enrolled.user_id, enrolled.phone.code(steps=1))
    for steps in (0, -1, 1):
        with pytest.raises(Rejected) as refused:
            log_in(mfa, enrolled.user_id, enrolled.phone.code(steps=steps))
        assert refused.value.reason is Reason.CODE_ALREADY_USED


@pytest.mark.requirement("R9")
@pytest.mark.attack("A2")
def test_the_step_of_the_code_is_spent_and_not_the_step_of_the_clock(mfa: MFA, enrolled: Enrolment) -> None:
    log_in(mfa, enrolled.user_id, enrolled.phone.code(steps=-1))
    log_in(mfa, enrolled.user_id, enrolled.phone.code())


@pytest.mark.requirement("R6")
@pytest.mark.parametrize(("window", "accepted"), [(0, [0]), (1, [-1, 0, 1]), (2, [-2, -1, 0, 1, 2])])
def test_the_window_is_what_the_settings_say(
    open_mfa: Open, ada: int, clock: Clock, window: int, accepted: list[int]
) -> None:
    mfa = open_mfa(window=window, free_failures=10)
    enrolment = enroll(mfa, ada, clock)
    clock.forward(minutes=5)
    for steps in (-3, 3, -2, -1, 0, 1, 2):
        if steps in accepted:
            log_in(mfa, ada, enrolment.phone.code(steps=steps))
        else:
            with pytest.raises(Rejected):
                log_in(mfa, ada, enrolment.phone.code(steps=steps))


@pytest.mark.requirement("R61")
def test_a_challenge_is_answered_once_and_takes_the_older_ones_with_it(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    older, newer, newest = (challenged(mfa, enrolled.user_id) for _ in range(3))
    mfa.verify(newer, enrolled.phone.code())
    clock.forward(seconds=30)
    for token in (newer, older):
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, enrolled.phone.code())
        assert refused.value.reason is Reason.CHALLENGE_EXPIRED
    assert mfa.verify(newest, enrolled.phone.code())


@pytest.mark.requirement("R61")
def test_a_challenge_lives_ten_minutes(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    token = challenged(mfa, enrolled.user_id)
    clock.forward(seconds=599)
    with pytest.raises(Rejected) as wrong:
        mfa.verify(token, enrolled.phone.wrong_code())
    assert wrong.value.reason is Reason.WRONG_CODE
    clock.forward(seconds=1)
    with pytest.raises(Rejected) as late:
        mfa.verify(token, enrolled.phone.code())
    assert late.value.reason is Reason.CHALLENGE_EXPIRED


def test_a_wrong_code_may_be_corrected_on_the_same_challenge(mfa: MFA, enrolled: Enrolment) -> None:
    token = challenged(mfa, enrolled.user_id)
    with pytest.raises(Rejected):
        mfa.verify(token, enrolled.phone.wrong_code())
    assert mfa.verify(token, enrolled.phone.code())
    assert mfa.status(enrolled.user_id).failed_attempts == 0


@pytest.mark.requirement("R67")
@pytest.mark.attack("A40")
def test_the_person_who_guesses_reads_one_sentence(mfa: MFA, enrolled: Enrolment) -> None:
    code = enrolled.phone.code()
    log_in(mfa, enrolled.user_id, code)
    sentences = set()
    for answer in (code, enrolled.phone.wrong_code(), "", "x" * 30):
        with pytest.raises(Rejected) as refused:
            log_in(mfa, enrolled.user_id, answer)
        sentences.add(str(refused.value))
    assert len(sentences) == 1


@pytest.mark.requirement("R25")
def test_the_fifth_failure_costs_a_wait_that_doubles(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    token = challenged(mfa, enrolled.user_id)
    waits = []
    for _ in range(7):
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, enrolled.phone.wrong_code())
        waits.append(refused.value.retry_after)
        clock.forward(seconds=(refused.value.retry_after or timedelta(0)).total_seconds())
    assert waits == [None, None, None, None, timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]


@pytest.mark.requirement("R25")
def test_a_right_code_during_a_wait_is_refused_and_not_spent(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    for _ in range(5):
        with pytest.raises(Rejected):
            log_in(mfa, enrolled.user_id, enrolled.phone.wrong_code())
    clock.forward(seconds=29)
    code = enrolled.phone.code()
    with pytest.raises(Rejected) as waiting:
        log_in(mfa, enrolled.user_id, code)
    assert waiting.value.reason is Reason.WAITING
    assert waiting.value.retry_after == timedelta(seconds=1)
    assert mfa.status(enrolled.user_id).failed_attempts == 5
    clock.forward(seconds=1)
    assert log_in(mfa, enrolled.user_id, code)
    assert mfa.status(enrolled.user_id).failed_attempts == 0


@pytest.mark.requirement("R21", "R28", "R39")
@pytest.mark.attack("A5", "A14", "A18")
def test_failures_are_counted_across_logins_doors_and_processes(open_mfa: Open, ada: int, clock: Clock) -> None:
    enrolment = enroll(open_mfa(), ada, clock)
    wrong = enrolment.phone.wrong_code()
    with pytest.raises(Rejected):
        log_in(open_mfa(), ada, wrong)
    with pytest.raises(Rejected):
        open_mfa().reverify(ada, wrong)
    with pytest.raises(Rejected):
        # 125 bits are not guessed, so this is no guess.
        log_in(open_mfa(), ada, "23456-23456-23456-23456-23456")
    assert open_mfa().status(ada).failed_attempts == 2


@pytest.mark.requirement("R24")
def test_only_a_success_with_the_app_forgives_its_failures(mfa: MFA, enrolled: Enrolment) -> None:
    for _ in range(3):
        with pytest.raises(Rejected):
            log_in(mfa, enrolled.user_id, enrolled.phone.wrong_code())
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    mfa.password_changed(enrolled.user_id)
    mfa.challenge(enrolled.user_id)
    assert mfa.status(enrolled.user_id).failed_attempts == 3
    log_in(mfa, enrolled.user_id, enrolled.phone.code())
    assert mfa.status(enrolled.user_id).failed_attempts == 0


@pytest.mark.requirement("R19")
def test_at_the_cap_the_app_is_suspended_until_it_is_bound_anew(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(suspend_after=6)
    enrolment = enroll(mfa, ada, clock)
    for _ in range(6):
        with pytest.raises(Rejected):
            log_in(mfa, ada, enrolment.phone.wrong_code())
        clock.forward(hours=1)
    assert mfa.status(ada).is_suspended
    clock.forward(days=30)
    with pytest.raises(Rejected) as suspended:
        log_in(mfa, ada, enrolment.phone.code())
    assert suspended.value.reason is Reason.SUSPENDED

    verified = log_in(mfa, ada, enrolment.backup_codes[0])
    assert mfa.status(ada).is_suspended
    again = mfa.totp.begin(ada, account_name="ada@example.com", verified=verified)
    enrolment.phone.secret = again.secret
    mfa.totp.confirm(ada, enrolment.phone.code())
    clock.forward(seconds=60)
    assert log_in(mfa, ada, enrolment.phone.code()).factor == "totp"


@pytest.mark.requirement("R26")
@pytest.mark.attack("A36")
def test_a_backup_code_gets_the_owner_in_during_a_wait(mfa: MFA, enrolled: Enrolment) -> None:
    for _ in range(5):
        with pytest.raises(Rejected):
            log_in(mfa, enrolled.user_id, enrolled.phone.wrong_code())
    verified = log_in(mfa, enrolled.user_id, enrolled.backup_codes[3].lower().replace("-", " "))
    assert verified.factor == "backup_codes"
    assert "otp" not in verified.amr


@pytest.mark.requirement("R26", "R39")
def test_a_stranger_cannot_suspend_the_owner_with_backup_codes(mfa: MFA, enrolled: Enrolment) -> None:
    for _ in range(20):
        with pytest.raises(Rejected):
            log_in(mfa, enrolled.user_id, "23456-23456-23456-23456-23456")
    assert mfa.status(enrolled.user_id).failed_attempts == 0


@pytest.mark.requirement("R47", "R82", "R83")
def test_a_proof_counts_for_its_age_and_its_enrolment(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    verified = mfa.reverify(enrolled.user_id, enrolled.phone.code())
    clock.forward(seconds=300)
    assert mfa.proof(verified.token) == verified
    assert mfa.proof(verified.token, user_id=spelled(verified.user_id)) == verified
    with pytest.raises(Stale):
        mfa.proof(verified.token, user_id=spelled(verified.user_id) + "0")
    assert mfa.proof(verified.token, max_age=timedelta(minutes=5)) == verified
    clock.forward(seconds=1)
    with pytest.raises(Stale):
        mfa.proof(verified.token)
    assert mfa.proof(verified.token, max_age=timedelta(hours=1)) == verified
    mfa.reset(enrolled.user_id, by="support", reason="lost phone")
    with pytest.raises(Stale):
        mfa.proof(verified.token, max_age=timedelta(hours=1))
    enroll(mfa, enrolled.user_id, clock)
    with pytest.raises(Stale):
        mfa.proof(verified.token, max_age=timedelta(hours=1))


@pytest.mark.requirement("R61", "R63")
def test_a_challenge_is_no_proof_and_a_proof_is_no_challenge(mfa: MFA, enrolled: Enrolment) -> None:
    with pytest.raises(Stale):
        mfa.proof(challenged(mfa, enrolled.user_id))
    with pytest.raises(Rejected) as refused:
        mfa.verify(enrolled.verified.token, enrolled.phone.code())
    assert refused.value.reason is Reason.CHALLENGE_EXPIRED


@pytest.mark.requirement("R38", "R53")
@pytest.mark.attack("A30")
def test_a_reset_removes_everything_and_says_who_did_it(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    token = challenged(mfa, enrolled.user_id)
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    waiting = challenged(mfa, enrolled.user_id)
    begun = mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
    mfa.reset(enrolled.user_id, by="grace@example.com", reason="lost\r\nphone")
    status = mfa.status(enrolled.user_id)
    assert (status.is_enrolled, status.backup_codes_remaining, status.trusted_devices) == (False, 0, 0)
    # A set-up that was begun before, by a thief perhaps, has ended with the rest.
    assert not status.is_pending
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(enrolled.user_id, Phone(begun.secret, clock).code())
    assert mfa.challenge(enrolled.user_id, device_token=device.token, request=FIREFOX).because == "not_enrolled"  # type: ignore[union-attr]
    for answered in (token, waiting):
        with pytest.raises(Rejected):
            mfa.verify(answered, enrolled.phone.code())
    details = next(event.details for event in mfa.events.recent(enrolled.user_id) if event.kind == "reset")
    assert details == {"by": "grace@example.com", "reason": "lost phone"}
    with pytest.raises(NotEnrolled):
        mfa.reset(enrolled.user_id, by="grace@example.com", reason="again")
    # A new enrolment does not bring the old codes back.
    enroll(mfa, enrolled.user_id, clock)
    with pytest.raises(Rejected):
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])


@pytest.mark.requirement("R56")
def test_a_changed_password_ends_devices_and_waiting_challenges_and_leaves_the_factor(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    waiting = challenged(mfa, enrolled.user_id)
    assert mfa.password_changed(enrolled.user_id) == 1
    clock.forward(seconds=30)
    with pytest.raises(Rejected):
        mfa.verify(waiting, enrolled.phone.code())
    assert mfa.challenge(enrolled.user_id, device_token=device.token, request=FIREFOX)
    assert log_in(mfa, enrolled.user_id, enrolled.phone.code())


@pytest.mark.requirement("R107")
def test_erasing_leaves_nothing(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    mfa.erase(enrolled.user_id)
    for table in ("user_mfa_secrets", "mfa_backup_codes", "mfa_device_trusts", "mfa_events"):
        assert sql(f"SELECT count(*) FROM {table}")[0][0] == 0
    assert mfa.challenge(enrolled.user_id) == Cleared(enrolled.user_id, "not_enrolled")


def test_a_proof_ends_with_the_password_under_which_it_was_given(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    mfa.password_changed(enrolled.user_id)
    for use in (
        lambda: mfa.proof(verified.token),
        lambda: mfa.trusted_devices.trust(verified, request=FIREFOX),
        lambda: mfa.totp.disable(verified),
    ):
        with pytest.raises(Stale):
            use()
    clock.forward(seconds=30)
    assert mfa.proof(log_in(mfa, enrolled.user_id, enrolled.phone.code()).token)


def test_a_proof_of_tomorrow_is_none(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    clock.forward(hours=3)
    verified = mfa.reverify(enrolled.user_id, enrolled.phone.code())
    clock.forward(hours=-3)
    with pytest.raises(Stale):
        mfa.proof(verified.token)


def test_a_token_is_no_proof_before_it_is_read(mfa: MFA, enrolled: Enrolment) -> None:
    token: Any = enrolled.verified.token
    with pytest.raises(TypeError, match="not str"):
        mfa.totp.disable(token)
    mfa.totp.disable(mfa.proof(token))


def test_clocks_may_be_a_minute_apart(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    clock.forward(minutes=1)
    verified = mfa.reverify(enrolled.user_id, enrolled.phone.code())
    clock.forward(minutes=-1)
    assert mfa.proof(verified.token) == verified
    clock.forward(microseconds=-1)
    with pytest.raises(Stale):
        mfa.proof(verified.token)


def test_the_password_of_somebody_else_ends_no_proof(mfa: MFA, enrolled: Enrolment, grace: int, clock: Clock) -> None:
    graces = enroll(mfa, grace, clock)
    verified = mfa.reverify(enrolled.user_id, enrolled.phone.code())
    for _ in range(5):
        mfa.challenge(grace)
    mfa.password_changed(grace)
    assert mfa.proof(verified.token) == verified
    with pytest.raises(Stale):
        mfa.proof(graces.verified.token)


def test_a_challenge_of_long_ago_does_not_fill_the_log(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    token = challenged(mfa, enrolled.user_id)
    clock.forward(days=1)
    before = kinds(mfa, enrolled.user_id)
    with pytest.raises(Rejected):
        mfa.verify(token, enrolled.phone.code())
    assert kinds(mfa, enrolled.user_id) == before


@pytest.mark.requirement("R53")
@pytest.mark.parametrize(("by", "reason"), [("", "lost phone"), ("grace", " "), ("\0", "lost phone")])
def test_a_reset_without_a_name_or_a_reason_is_refused(mfa: MFA, enrolled: Enrolment, by: str, reason: str) -> None:
    with pytest.raises(ConfigurationError):
        mfa.reset(enrolled.user_id, by=by, reason=reason)
    assert mfa.status(enrolled.user_id).is_enrolled


@pytest.mark.requirement("R61")
def test_a_challenge_ends_with_the_user_who_was_erased(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    token = challenged(mfa, enrolled.user_id)
    mfa.erase(enrolled.user_id)
    anew = enroll(mfa, enrolled.user_id, clock)
    for _ in range(2):
        challenged(mfa, enrolled.user_id)
    with pytest.raises(Rejected) as refused:
        mfa.verify(token, anew.phone.code())
    assert refused.value.reason is Reason.CHALLENGE_EXPIRED
