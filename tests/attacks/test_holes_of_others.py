"""Holes that other second factors have had: between two checks, behind a lock, or on the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.people import FIREFOX, Clock, Enrolment, Open, Sql, challenged, enroll, log_in
from twofold import MFA, Cleared, Reason, Rejected, Tampered

if TYPE_CHECKING:
    from tests.databases import Database


@pytest.fixture
def face() -> str:
    """These attacks aim at what both faces share."""
    return "blocking"


@pytest.mark.requirement("R7", "R8", "R9")
@pytest.mark.attack("A2", "A3")
@pytest.mark.parametrize("window", [0, 1, 2])
def test_a_used_code_is_replayed_for_as_long_as_it_is_in_the_window(
    open_mfa: Open, ada: int, clock: Clock, window: int
) -> None:
    mfa = open_mfa(window=window, free_failures=10)
    enrolment = enroll(mfa, ada, clock)
    for ahead in {-window, window}:
        clock.forward(minutes=10)
        code = enrolment.phone.code(steps=ahead)
        log_in(mfa, ada, code)
        for _ in range(ahead + window + 2):
            with pytest.raises(Rejected):
                mfa.reverify(ada, code)
            clock.forward(seconds=30)
        mfa.reverify(ada, enrolment.phone.code())


class DoorJammed(Exception):
    pass


@pytest.mark.requirement("R7", "R64")
def test_a_login_that_fails_after_its_code_has_spent_it(mfa: MFA, enrolled: Enrolment, migrated: Database) -> None:
    code, token = enrolled.phone.code(), challenged(mfa, enrolled.user_id)

    def login() -> None:
        with migrated.engine().begin() as connection:
            connection.execute(sa.text("SELECT 1"))
            mfa.verify(token, code)
            raise DoorJammed

    with pytest.raises(DoorJammed):
        login()
    for challenge in (token, challenged(mfa, enrolled.user_id)):
        with pytest.raises(Rejected):
            mfa.verify(challenge, code)


@pytest.mark.requirement("R24")
def test_one_account_neither_spends_nor_forgives_for_another(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    for _ in range(4):
        with pytest.raises(Rejected):
            log_in(mfa, grace, graces.phone.wrong_code())
    token = challenged(mfa, grace)
    log_in(mfa, ada, adas.phone.code())
    mfa.password_changed(ada)
    assert mfa.status(grace).failed_attempts == 4
    # The same step of the clock, with another secret, is Grace's to spend.
    assert mfa.verify(token, graces.phone.code())


@pytest.mark.requirement("R25", "R28")
@pytest.mark.attack("A18")
def test_a_challenge_from_before_the_lock_is_no_way_past_it(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(suspend_after=6)
    enrolment = enroll(mfa, ada, clock)
    waiting = [challenged(mfa, ada) for _ in range(6)]
    for _ in range(5):
        with pytest.raises(Rejected):
            mfa.reverify(ada, enrolment.phone.wrong_code())
    for token in waiting:
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, enrolment.phone.code())
        assert refused.value.reason is Reason.WAITING
    clock.forward(minutes=1)
    with pytest.raises(Rejected):
        mfa.reverify(ada, enrolment.phone.wrong_code())
    for token in waiting:
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, enrolment.phone.code())
        assert refused.value.reason is Reason.SUSPENDED


@pytest.mark.requirement("R7")
def test_a_guess_that_came_too_early_spends_nothing(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    code = enrolled.phone.code(steps=4)
    with pytest.raises(Rejected) as refused:
        log_in(mfa, enrolled.user_id, code)
    assert refused.value.reason is Reason.WRONG_CODE
    clock.forward(seconds=120)
    assert log_in(mfa, enrolled.user_id, code)


@pytest.mark.requirement("R21", "R24")
@pytest.mark.attack("A12")
def test_time_alone_forgives_no_failure(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    for failures in range(1, 6):
        with pytest.raises(Rejected):
            log_in(mfa, enrolled.user_id, enrolled.phone.wrong_code())
        clock.forward(days=30)
        assert mfa.status(enrolled.user_id).failed_attempts == failures


@pytest.mark.requirement("R64")
@pytest.mark.attack("A30")
def test_a_value_that_is_missing_from_the_row_never_reads_as_permission(
    mfa: MFA, enrolled: Enrolment, migrated: Database, sql: Sql
) -> None:
    log_in(mfa, enrolled.user_id, enrolled.phone.code())
    verified = mfa.reverify(enrolled.user_id, enrolled.backup_codes[0])
    mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
    columns = sa.inspect(migrated.engine()).get_columns("user_mfa_secrets")
    (before,) = sql("SELECT * FROM user_mfa_secrets")
    tried = 0
    for column in columns:
        name, value = column["name"], getattr(before, column["name"])
        if column["nullable"] and value is not None:
            sql(f"UPDATE user_mfa_secrets SET {name} = NULL")
            with pytest.raises(Tampered):
                mfa.challenge(enrolled.user_id)
            sql(f"UPDATE user_mfa_secrets SET {name} = :value", value=value)
            tried += 1
    assert tried >= 8
    assert mfa.challenge(enrolled.user_id)


@pytest.mark.requirement("R75")
def test_one_cookie_brought_twice_has_one_line(mfa: MFA, enrolled: Enrolment) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    token = mfa.trusted_devices.trust(verified, request=FIREFOX).token
    for is_first in (True, False):
        cleared = mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)
        assert isinstance(cleared, Cleared)
        assert (cleared.device is not None) is is_first
