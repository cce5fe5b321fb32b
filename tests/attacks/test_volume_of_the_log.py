"""What one password may write into a log: all day long, at full speed, from ten addresses."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.people import Clock, Enrolment, Phone, challenged, kinds, log_in
from twofold import MFA, Reason, Rejected, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESSES = [Request(f"192.0.2.{number}", "curl/8") for number in range(10)]
CODES_OF_NOBODY = ("23456-23456-23456-23456-23456", "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ")
MALFORMED = ("", "x", "12345", "hello world", "1234567890123456789012345678901234567890")


def a_day_of_the_thief(mfa: MFA, ada: Enrolment, clock: Clock, *, minutes: int = 10) -> Iterator[None]:
    """Every few minutes of a day: new challenges, wrong codes of every form, and old challenges again."""
    old = challenged(mfa, ada.user_id)
    for tick in range(24 * 60 // minutes):
        clock.forward(minutes=minutes)
        request = ADDRESSES[tick % len(ADDRESSES)]
        for code in (ada.phone.wrong_code(), CODES_OF_NOBODY[tick % 2], MALFORMED[tick % len(MALFORMED)]):
            with pytest.raises(Rejected):
                mfa.verify(challenged(mfa, ada.user_id, request=request), code, request=request)
            with pytest.raises(Rejected):
                mfa.verify(old, code, request=request)
        yield


@pytest.mark.requirement("R97", "R105")
def test_one_password_writes_at_most_two_hundred_lines_a_day(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    before = len(kinds(mfa, enrolled.user_id))
    for _ in a_day_of_the_thief(mfa, enrolled, clock):
        pass
    assert 50 < len(kinds(mfa, enrolled.user_id)) - before <= 200
    assert mfa.events.verify(enrolled.user_id).is_intact
    gathered = [
        event.details["gathered"]
        for event in mfa.events.recent(enrolled.user_id, limit=1000)
        if "gathered" in event.details
    ]
    assert gathered
    assert max(gathered) > 200


@pytest.mark.requirement("R97", "R105")
def test_a_clock_that_went_back_lets_one_password_write_no_more(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    with pytest.raises(Rejected):
        mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
    clock.forward(hours=-1)
    before = len(kinds(mfa, enrolled.user_id))
    for tick in range(120):
        clock.forward(seconds=1)
        with pytest.raises(Rejected):
            mfa.reverify(enrolled.user_id, CODES_OF_NOBODY[tick % 2])
    alarms = mfa.events.recent(enrolled.user_id, limit=len(kinds(mfa, enrolled.user_id)) - before)
    assert {event.status for event in alarms} == {"alarm"}
    assert len(alarms) == 50


@pytest.mark.requirement("R24", "R38")
def test_the_owner_gets_in_and_binds_a_new_app_in_the_first_try_at_any_moment(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    codes = iter(enrolled.backup_codes)
    for hour, _ in enumerate(a_day_of_the_thief(mfa, enrolled, clock, minutes=60)):
        if hour % 6 == 1:
            verified = log_in(mfa, enrolled.user_id, next(codes))
            enrollment = mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
            enrolled.phone = Phone(enrollment.secret, clock)
            codes = iter(mfa.totp.confirm(enrolled.user_id, enrolled.phone.code()).backup_codes)


@pytest.mark.requirement("R19", "R20")
def test_patience_fills_the_second_vessel_and_no_login_of_the_owner_empties_it(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    looked_at = 0
    for _ in range(60):
        for _ in range(4):
            with pytest.raises(Rejected) as refused:
                mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
            looked_at += refused.value.reason is Reason.WRONG_CODE
        clock.forward(hours=12)
        with contextlib.suppress(Rejected):
            mfa.reverify(enrolled.user_id, enrolled.phone.code())
    # A hundred at once, and a hundred more in each thirty days.
    assert 190 <= looked_at <= 201
    while mfa.status(enrolled.user_id).exhausted_until is None:
        with pytest.raises(Rejected):
            mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
    status = mfa.status(enrolled.user_id)
    assert status.exhausted_until is not None
    with pytest.raises(Rejected) as refused:
        mfa.reverify(enrolled.user_id, enrolled.phone.code())
    assert refused.value.reason is Reason.EXHAUSTED
    assert refused.value.retry_after
    # A changed password alone forgets nothing; one that another factor proves does.
    mfa.password_changed(enrolled.user_id)
    assert mfa.status(enrolled.user_id).exhausted_until is not None
    mfa.password_changed(enrolled.user_id, verified=log_in(mfa, enrolled.user_id, enrolled.backup_codes[0]))
    assert mfa.status(enrolled.user_id).exhausted_until is None
    clock.forward(minutes=1)
    assert mfa.reverify(enrolled.user_id, enrolled.phone.code())


@pytest.mark.requirement("R12")
@pytest.mark.parametrize("spell", [str, lambda code: f" {code[:3]} {code[3:]} ", lambda code: f"‎{code[:3]}-{code[3:]}"])
def test_a_code_is_the_same_however_it_is_typed(mfa: MFA, enrolled: Enrolment, spell: type[str]) -> None:
    assert mfa.reverify(enrolled.user_id, spell(enrolled.phone.code()))


@pytest.mark.requirement("R12")
def test_digits_of_any_script_are_digits(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    for zero in ("\uff10", "\u0660", "\u0966"):
        clock.forward(minutes=1)
        typed = "".join(chr(ord(zero) + int(digit)) for digit in enrolled.phone.code())
        assert mfa.reverify(enrolled.user_id, typed)


@pytest.mark.requirement("R12", "R97")
def test_what_has_the_form_of_no_code_is_neither_counted_nor_logged(mfa: MFA, enrolled: Enrolment) -> None:
    before = kinds(mfa, enrolled.user_id)
    for text in (*MALFORMED, None, b"123456", 123456):
        with pytest.raises(Rejected) as refused:
            mfa.reverify(enrolled.user_id, text)  # type: ignore[arg-type]
        assert refused.value.reason is Reason.MALFORMED
    assert kinds(mfa, enrolled.user_id) == before
    assert mfa.status(enrolled.user_id).failed_attempts == 0
