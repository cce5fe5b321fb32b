"""Guesses: patient, parallel, from everywhere, at every door, and from those who lack the first factor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, challenged, enroll, kinds, log_in, plain_settings
from twofold import MFA, DatabaseUnavailable, EnrollmentExpired, Reason, Rejected, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database


@pytest.mark.requirement("R19")
def test_a_patient_guesser_waits_after_each_of_a_hundred_guesses(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    for _ in range(100):
        with pytest.raises(Rejected):
            mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
        clock.forward(hours=1)
    (last,) = mfa.events.recent(enrolled.user_id, limit=1)
    assert (last.status, last.details["failures"]) == ("alarm", 100)
    for days in (0, 30, 300):
        clock.forward(days=days)
        with pytest.raises(Rejected) as refused:
            mfa.reverify(enrolled.user_id, enrolled.phone.code())
        assert refused.value.reason is Reason.SUSPENDED


@pytest.mark.requirement("R21", "R27")
@pytest.mark.attack("A11", "A14", "A17")
def test_each_guess_comes_with_another_login_address_and_process(open_mfa: Open, ada: int, clock: Clock) -> None:
    phone = enroll(open_mfa(), ada, clock).phone
    for number in range(5):
        process = open_mfa()
        with pytest.raises(Rejected):
            process.verify(challenged(process, ada), phone.wrong_code(), request=Request(f"192.0.2.{number}"))
    with pytest.raises(Rejected) as refused:
        log_in(open_mfa(), ada, phone.code())
    assert refused.value.reason is Reason.WAITING


@pytest.mark.requirement("R23")
@pytest.mark.attack("A15")
@pytest.mark.backends("sqlite")
def test_the_caller_reads_fails_and_rolls_back_on_sqlite(mfa: MFA, migrated: Database, enrolled: Enrolment) -> None:
    token = challenged(mfa, enrolled.user_id)
    with migrated.engine().connect() as connection:
        connection.execute(sa.text("SELECT * FROM users")).all()
        with pytest.raises(Rejected):
            mfa.verify(token, enrolled.phone.wrong_code())
        connection.rollback()
    assert mfa.status(enrolled.user_id).failed_attempts == 1
    assert kinds(mfa, enrolled.user_id)[-1] == "code_refused"


@pytest.mark.requirement("R23", "R64")
@pytest.mark.backends("sqlite")
def test_a_guess_is_made_while_the_caller_holds_the_only_write_lock(
    migrated: Database, ada: int, clock: Clock, keys: str
) -> None:
    engine = migrated.engine()
    event.listen(engine, "connect", lambda raw, _record: raw.execute("PRAGMA busy_timeout = 100"))
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    phone = enroll(mfa, ada, clock).phone
    token = challenged(mfa, ada)
    with migrated.engine().connect() as connection:
        connection.execute(sa.text("UPDATE users SET subject = 'changed'"))
        for code in (phone.wrong_code(), phone.code()):
            with pytest.raises(DatabaseUnavailable):
                mfa.verify(token, code)
        connection.rollback()
    assert mfa.verify(token, phone.code())


@pytest.mark.requirement("R24")
def test_failures_are_washed_off_with_the_password_and_a_trusted_device(mfa: MFA, enrolled: Enrolment) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    for _ in range(4):
        with pytest.raises(Rejected):
            mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
    assert not mfa.challenge(enrolled.user_id, device_token=device.token, request=FIREFOX)
    assert mfa.challenge(enrolled.user_id)
    assert mfa.backup_codes.regenerate(verified)
    assert mfa.status(enrolled.user_id).failed_attempts == 4


@pytest.mark.requirement("R26")
@pytest.mark.attack("A36")
def test_a_stranger_without_the_password_tries_to_lock_the_owner_out(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    spent, late = challenged(mfa, enrolled.user_id), challenged(mfa, enrolled.user_id)
    mfa.verify(spent, enrolled.phone.code())
    for minutes, tokens in ((1, ("", "v1~k1~e30~00", spent, enrolled.verified.token)), (9, (spent, late))):
        clock.forward(minutes=minutes)
        for token in tokens * 5:
            with pytest.raises(Rejected):
                mfa.verify(token, enrolled.phone.wrong_code())
    assert mfa.status(enrolled.user_id).failed_attempts == 0
    assert log_in(mfa, enrolled.user_id, enrolled.phone.code())


@pytest.mark.requirement("R26")
def test_somebody_with_the_password_locks_the_app_while_the_owner_is_signed_in(mfa: MFA, enrolled: Enrolment) -> None:
    hers = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    for _ in range(6):
        with pytest.raises(Rejected):
            log_in(mfa, enrolled.user_id, enrolled.phone.wrong_code())
    assert mfa.proof(hers.token) == hers
    assert mfa.reverify(enrolled.user_id, enrolled.backup_codes[0])


@pytest.mark.requirement("R28")
@pytest.mark.attack("A18")
@pytest.mark.parametrize("guessed_at", ["login", "step-up"])
def test_guesses_go_to_another_door_when_one_is_closed(mfa: MFA, enrolled: Enrolment, guessed_at: str) -> None:
    user_id, phone = enrolled.user_id, enrolled.phone
    doors: dict[str, Callable[[str], object]] = {
        "login": lambda code: log_in(mfa, user_id, code),
        "step-up": lambda code: mfa.reverify(user_id, code),
    }
    for _ in range(5):
        with pytest.raises(Rejected):
            doors[guessed_at](phone.wrong_code())
    for name, door in doors.items():
        with pytest.raises(Rejected) as refused:
            door(phone.code())
        assert refused.value.reason is Reason.WAITING, name


@pytest.mark.requirement("R28", "R39")
@pytest.mark.attack("A18")
def test_a_set_up_is_guessed_ten_times_at_most_and_closes_no_other_door(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    user_id, phone = enrolled.user_id, enrolled.phone
    enrollment = mfa.totp.begin(user_id, account_name="ada@example.com", verified=enrolled.verified)
    waiting = Phone(enrollment.secret, clock)
    for _ in range(5):
        with pytest.raises(Rejected):
            log_in(mfa, user_id, phone.wrong_code())
    for _ in range(10):
        # Nothing that is known of the app of now helps, and its wait does not spare the set-up a look.
        with pytest.raises(Rejected) as refused:
            mfa.totp.confirm(user_id, waiting.wrong_code())
        assert (refused.value.reason, refused.value.retry_after) == (Reason.WRONG_CODE, None)
    assert mfa.status(user_id).failed_attempts == 5
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(user_id, waiting.code())
    clock.forward(seconds=30)
    assert log_in(mfa, user_id, phone.code())


@pytest.mark.requirement("R26", "R39")
def test_guesses_at_codes_of_125_bits_close_no_door(mfa: MFA, enrolled: Enrolment) -> None:
    for _ in range(120):
        with pytest.raises(Rejected) as refused:
            mfa.reverify(enrolled.user_id, "23456-23456-23456-23456-23456")
        assert (refused.value.reason, refused.value.retry_after) == (Reason.WRONG_CODE, None)
    assert log_in(mfa, enrolled.user_id, enrolled.phone.code())
    assert mfa.status(enrolled.user_id).exhausted_until is None
