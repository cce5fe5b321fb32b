"""Backup codes of one user: each works once, for its owner, until the next batch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.people import Clock, Enrolment, Sql, enroll, log_in
from twofold import MFA, Reason, Rejected, Stale
from twofold.metadata import tables

if TYPE_CHECKING:
    from tests.databases import Database


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


def test_a_code_is_good_until_the_moment_it_expires(
    mfa: MFA, enrolled: Enrolment, clock: Clock, migrated: Database
) -> None:
    codes, until = tables(sa.MetaData()).codes, clock.now + timedelta(hours=1)
    with migrated.engine().begin() as connection:
        connection.execute(sa.update(codes).values(expires_at=until))
    clock.now = until - timedelta(microseconds=1)
    assert mfa.backup_codes.remaining(enrolled.user_id) == 10
    assert log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    clock.now = until
    assert mfa.backup_codes.remaining(enrolled.user_id) == 0
    challenge = mfa.challenge(enrolled.user_id)
    assert challenge
    assert challenge.factors == ("totp",)
    with pytest.raises(Rejected) as refused:
        mfa.verify(challenge.token, enrolled.backup_codes[1])
    assert refused.value.reason is Reason.WRONG_CODE


def test_a_code_that_is_marked_as_used_is_used(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    sql("UPDATE mfa_backup_codes SET is_used = true")
    with pytest.raises(Rejected) as refused:
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    assert refused.value.reason is Reason.CODE_ALREADY_USED


def test_a_spent_code_keeps_its_moment_and_no_hash_that_fits_it(
    mfa: MFA, enrolled: Enrolment, clock: Clock, migrated: Database
) -> None:
    codes = tables(sa.MetaData()).codes

    def rows() -> dict[int, Any]:
        with migrated.engine().connect() as connection:
            return {row.id: row for row in connection.execute(sa.select(codes))}

    before = rows()
    made = clock.now - timedelta(seconds=60)
    assert {(row.is_used, row.used_at, row.created_at, row.expires_at) for row in before.values()} == {
        (False, None, made, None)
    }
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    (spent,) = (row for row in rows().values() if row.is_used)
    mark = mfa.events.recent(enrolled.user_id, limit=1)[0].details["codes"]
    assert (spent.used_at, spent.code_hash[-8:]) == (clock.now, mark)
    assert spent.code_hash != before[spent.id].code_hash
    assert {number: row for number, row in rows().items() if number != spent.id} == {
        number: row for number, row in before.items() if number != spent.id
    }
