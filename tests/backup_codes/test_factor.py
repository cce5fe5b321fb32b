"""Backup codes of one user: each works once, for its owner, until the next batch."""

from __future__ import annotations

import pytest

from tests.people import Clock, Enrolment, Sql, enroll, log_in
from twofold import MFA, Reason, Rejected, Stale


@pytest.mark.requirement("R34", "R40")
@pytest.mark.attack("A8")
def test_each_code_works_once(mfa: MFA, enrolled: Enrolment) -> None:
    for number, code in enumerate(enrolled.backup_codes, start=1):
        assert log_in(mfa, enrolled.user_id, code).factor == "backup_codes"
        assert mfa.backup_codes.remaining(enrolled.user_id) == 10 - number
    with pytest.raises(Rejected) as refused:
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    assert refused.value.reason is Reason.CODE_ALREADY_USED
    challenge = mfa.challenge(enrolled.user_id)
    assert challenge
    assert challenge.factors == ("totp",)


@pytest.mark.requirement("R35")
@pytest.mark.attack("A9")
def test_a_code_works_for_its_owner_alone(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    with pytest.raises(Rejected) as refused:
        log_in(mfa, ada, graces.backup_codes[0])
    assert refused.value.reason is Reason.WRONG_CODE
    assert mfa.backup_codes.remaining(grace) == 10
    assert mfa.status(ada).failed_attempts == 1
    assert log_in(mfa, ada, adas.backup_codes[0])


@pytest.mark.requirement("R35")
@pytest.mark.attack("A9")
def test_a_row_that_is_copied_to_another_user_opens_nothing(
    mfa: MFA, ada: int, grace: int, clock: Clock, sql: Sql
) -> None:
    enroll(mfa, ada, clock)
    graces = enroll(mfa, grace, clock)
    sql("DELETE FROM mfa_backup_codes WHERE user_id = :ada", ada=ada)
    sql("UPDATE mfa_backup_codes SET user_id = :ada WHERE user_id = :grace", ada=ada, grace=grace)
    for code in graces.backup_codes:
        with pytest.raises(Rejected):
            log_in(mfa, ada, code)


@pytest.mark.requirement("R36")
def test_a_new_batch_makes_the_old_one_void(mfa: MFA, enrolled: Enrolment) -> None:
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    fresh = mfa.backup_codes.regenerate(verified)
    assert mfa.backup_codes.remaining(enrolled.user_id) == len(fresh) == 10
    with pytest.raises(Rejected):
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[1])
    assert log_in(mfa, enrolled.user_id, fresh[0])


@pytest.mark.requirement("R38")
def test_a_new_batch_needs_a_fresh_proof(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    clock.forward(minutes=5)
    with pytest.raises(Stale):
        mfa.backup_codes.regenerate(enrolled.verified)
    assert mfa.backup_codes.remaining(enrolled.user_id) == 10


def test_an_expired_code_is_wrong(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    sql("UPDATE mfa_backup_codes SET expires_at = '2026-01-01 00:00:00'")
    with pytest.raises(Rejected) as refused:
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    assert refused.value.reason is Reason.WRONG_CODE
    assert mfa.backup_codes.remaining(enrolled.user_id) == 0
