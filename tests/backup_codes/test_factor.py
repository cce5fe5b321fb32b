"""Backup codes of one user: each works once, for its owner, until the next batch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.people import Clock, Enrolment, Sql, challenged, enroll, kinds, log_in
from tests.upkeep.test_legacy import Older, adopt_all, leave
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
    assert mfa.status(ada).failed_attempts == 0
    assert log_in(mfa, ada, adas.backup_codes[0])


@pytest.mark.requirement("R35")
@pytest.mark.attack("A9")
def test_a_row_that_is_copied_to_another_user_opens_nothing_and_is_told_once(
    mfa: MFA, ada: int, grace: int, clock: Clock, sql: Sql
) -> None:
    adas = enroll(mfa, ada, clock)
    graces = enroll(mfa, grace, clock)
    sql("DELETE FROM mfa_backup_codes WHERE user_id = :ada", ada=ada)
    sql("UPDATE mfa_backup_codes SET user_id = :ada WHERE user_id = :grace", ada=ada, grace=grace)
    for code in graces.backup_codes:
        with pytest.raises(Rejected) as refused:
            log_in(mfa, ada, code)
        assert refused.value.reason is Reason.ALTERED
    assert kinds(mfa, ada).count("rows_altered") == 1
    assert mfa.status(ada).failed_attempts == 0
    # The codes of the one whose rows went are stopped as well; the other factor goes on.
    with pytest.raises(Rejected) as refused:
        log_in(mfa, grace, graces.backup_codes[0])
    assert refused.value.reason is Reason.ALTERED
    assert log_in(mfa, ada, adas.phone.code())


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


@pytest.fixture
def expiring(mfa: MFA, ada: int, clock: Clock, sql: Sql, migrated: Database) -> Older:
    """Ada with codes of before Twofold, which an application let expire in an hour. Twofold's own never do."""
    older = leave(sql, ada, clock)
    codes, until = tables(sa.MetaData()).codes, clock.now + timedelta(hours=1)
    with migrated.engine().begin() as connection:
        connection.execute(sa.update(codes).values(expires_at=until))
    adopt_all(mfa)
    return older


def test_a_code_is_good_until_the_moment_it_expires(mfa: MFA, expiring: Older, clock: Clock) -> None:
    until = clock.now + timedelta(hours=1)
    clock.now = until - timedelta(microseconds=1)
    assert mfa.backup_codes.remaining(expiring.user_id) == 2
    assert log_in(mfa, expiring.user_id, expiring.codes[0])
    clock.now = until
    assert mfa.backup_codes.remaining(expiring.user_id) == 0
    challenge = mfa.challenge(expiring.user_id)
    assert challenge
    assert challenge.factors == ("totp",)
    with pytest.raises(Rejected) as refused:
        mfa.verify(challenge.token, expiring.codes[1])
    assert refused.value.reason is Reason.WRONG_CODE
    assert "rows_altered" not in kinds(mfa, expiring.user_id)


@pytest.mark.parametrize(
    "change",
    [
        "is_used = true",
        "expires_at = '2026-01-01 00:00:00'",
        "expires_at = '2036-01-01 00:00:00'",
        "id = id + 1000",
        "code_hash = 'v1:k1:00' WHERE id = (SELECT low FROM (SELECT min(id) AS low FROM mfa_backup_codes) AS first)",
    ],
)
def test_codes_that_were_changed_by_hand_are_refused_with_one_alarm_and_replaced_by_their_owner(
    mfa: MFA, enrolled: Enrolment, sql: Sql, change: str
) -> None:
    user_id = enrolled.user_id
    sql(f"UPDATE mfa_backup_codes SET {change}")
    for code in enrolled.backup_codes[:2]:
        with pytest.raises(Rejected) as refused:
            log_in(mfa, user_id, code)
        assert refused.value.reason is Reason.ALTERED
    (alarm,) = (line for line in mfa.events.recent(user_id) if line.kind == "rows_altered")
    assert (alarm.status, alarm.details) == ("alarm", {"table": "mfa_backup_codes"})
    status = mfa.status(user_id)
    assert (status.backup_codes_remaining, status.altered) == (0, ("mfa_backup_codes",))
    assert (status.failed_attempts, mfa.backup_codes.remaining(user_id)) == (0, 0)
    report = mfa.events.verify(user_id)
    assert not report.is_intact
    assert report.problem is not None
    assert "mfa_backup_codes" in report.problem
    # The app goes on, and with it the owner makes codes that count.
    fresh = mfa.backup_codes.regenerate(log_in(mfa, user_id, enrolled.phone.code()))
    assert log_in(mfa, user_id, fresh[0])
    assert (mfa.status(user_id).altered, mfa.events.verify(user_id).is_intact) == ((), True)
    assert kinds(mfa, user_id).count("rows_altered") == 1


@pytest.mark.requirement("R34")
@pytest.mark.parametrize("change", ["is_used = false", "is_used = false, used_at = NULL"])
def test_a_spent_code_that_is_put_back_stops_all_codes(mfa: MFA, enrolled: Enrolment, sql: Sql, change: str) -> None:
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    sql(f"UPDATE mfa_backup_codes SET {change} WHERE is_used = true")
    for code in enrolled.backup_codes[:2]:
        with pytest.raises(Rejected) as refused:
            log_in(mfa, enrolled.user_id, code)
        assert refused.value.reason is Reason.ALTERED
    assert kinds(mfa, enrolled.user_id).count("rows_altered") == 1


def test_a_second_change_is_a_second_alarm_and_what_is_put_right_counts_again(
    mfa: MFA, enrolled: Enrolment, sql: Sql
) -> None:
    user_id, alarms = enrolled.user_id, 0
    for change, is_altered in (
        ("is_used = true", True),
        ("is_used = false", False),
        ("id = id + 1000", True),
        ("id = id - 1000", False),
    ):
        sql(f"UPDATE mfa_backup_codes SET {change}")
        assert (mfa.status(user_id).backup_codes_remaining == 0) is is_altered
        if is_altered:
            alarms += 1
            with pytest.raises(Rejected):
                log_in(mfa, user_id, enrolled.backup_codes[0])
        assert kinds(mfa, user_id).count("rows_altered") == alarms
    assert log_in(mfa, user_id, enrolled.backup_codes[0])


def test_a_spent_code_keeps_its_moment_and_its_hash_and_the_row_of_the_user_counts_it_no_more(
    mfa: MFA, enrolled: Enrolment, clock: Clock, migrated: Database
) -> None:
    codes = tables(sa.MetaData()).codes

    def rows() -> dict[int, Any]:
        with migrated.engine().connect() as connection:
            return {row.id: row for row in connection.execute(sa.select(codes))}

    def digest() -> str:
        with migrated.engine().connect() as connection:
            return str(connection.execute(sa.select(tables(sa.MetaData()).secrets.c.codes_digest)).scalar_one())

    before, counted = rows(), digest()
    made = clock.now - timedelta(seconds=60)
    assert {(row.is_used, row.used_at, row.created_at, row.expires_at) for row in before.values()} == {
        (False, None, made, None)
    }
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    (spent,) = (row for row in rows().values() if row.is_used)
    assert (spent.used_at, spent.code_hash) == (clock.now, before[spent.id].code_hash)
    assert digest() != counted
    assert {number: row for number, row in rows().items() if number != spent.id} == {
        number: row for number, row in before.items() if number != spent.id
    }


@pytest.mark.requirement("R41")
def test_a_line_of_the_file_is_taken_as_it_is_and_a_symbol_too_many_is_no_guess(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    first, second, third, tenth = (enrolled.backup_codes[number] for number in (0, 1, 2, 9))
    for line in (f" 1  {first}", f"10  {tenth}\r\n", f"2. {second}", f"“{third}”."):
        assert log_in(mfa, enrolled.user_id, line).factor == "backup_codes"
    before = kinds(mfa, enrolled.user_id)
    token = challenged(mfa, enrolled.user_id)
    for typo in (enrolled.backup_codes[4][:-1], enrolled.backup_codes[4] + "7", f"{first} {second}"):
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, typo)
        assert refused.value.reason is Reason.MALFORMED
    assert mfa.status(enrolled.user_id).failed_attempts == 0
    assert kinds(mfa, enrolled.user_id) == [*before, "challenged"]
    for around in ("{}.", "\u201e{}\u201c", "\u2066{}\u2069", "({})", "{} \u3002"):
        code = enrolled.phone.code()
        assert log_in(mfa, enrolled.user_id, around.format(f"{code[:3]} {code[3:]}")).factor == "totp"
        clock.forward(seconds=60)
