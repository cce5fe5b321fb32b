"""What one password may write into a log: all day long, at full speed, from ten addresses."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.people import ORIGIN, Clock, Enrolment, Open, Phone, challenged, enroll, kinds, log_in
from twofold import MFA, Reason, Rejected, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESSES = [Request(f"192.0.2.{number}", "curl/8") for number in range(10)]
CODES_OF_NOBODY = ("23456-23456-23456-23456-23456", "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ")
MALFORMED = ("", "x", "12345", "hello world", "1234567890123456789012345678901234567890")


def a_day_of_the_thief(mfa: MFA, ada: Enrolment, clock: Clock, *, minutes: int) -> Iterator[None]:
    """New challenges, codes of every form, and old challenges again, for a day: each few minutes, and at once when a
    wait is over. The thief pauses for somebody else behind every single call.
    """
    end, tick = clock.now + timedelta(days=1), 0
    old = challenged(mfa, ada.user_id)
    while clock.now < end:
        request = ADDRESSES[tick % len(ADDRESSES)]
        for code in (ada.phone.wrong_code(), CODES_OF_NOBODY[tick % 2], MALFORMED[tick % len(MALFORMED)]):
            token = challenged(mfa, ada.user_id, request=request)
            yield
            for answered in (token, old):
                with pytest.raises(Rejected):
                    mfa.verify(answered, code, request=request)
                yield
        later, waits_until = clock.now + timedelta(minutes=minutes), mfa.status(ada.user_id).waiting_until
        clock.now, tick = min(later, waits_until or later), tick + 1


@pytest.mark.requirement("R97", "R105")
@pytest.mark.parametrize("waits", [{}, {"first_wait": 1, "longest_wait": 1}], ids=["default", "short waits"])
def test_one_password_writes_at_most_two_hundred_lines_a_day(
    open_mfa: Open, ada: int, clock: Clock, waits: dict[str, float]
) -> None:
    mfa = open_mfa(**waits)
    enrolled = enroll(mfa, ada, clock)
    clock.now = clock.now.replace(hour=0, minute=0) + timedelta(days=1)
    before = len(kinds(mfa, ada))
    # With short waits the day has all the failures that are remembered: the most that can have a line each.
    for _ in a_day_of_the_thief(mfa, enrolled, clock, minutes=60 if waits else 20):
        pass
    lines = mfa.events.recent(ada, limit=1000)[:-before]
    assert 50 < len(lines) <= 200
    assert {line.ip_address for line in lines} >= {request.ip_address for request in ADDRESSES}
    assert mfa.events.verify(ada).is_intact
    assert max(line.details.get("gathered", 0) for line in lines) > 200


@pytest.mark.passkeys
@pytest.mark.requirement("R97", "R105")
def test_whoever_begins_set_ups_all_day_writes_no_more(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(public_url=ORIGIN)
    clock.now = clock.now.replace(hour=0, minute=0)
    for _ in range(24):
        for _ in range(10):
            phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
            mfa.passkeys.begin(ada, account_name="ada@example.com")
            with pytest.raises(Rejected):
                mfa.totp.confirm(ada, phone.wrong_code())
        clock.forward(minutes=59)
    lines = mfa.events.recent(ada, limit=1000)
    assert {line.kind for line in lines[-10:]} == {"totp_begun", "passkey_begun", "code_refused"}
    assert 50 < len(lines) <= 50 + 24
    assert max(line.details.get("gathered", 0) for line in lines) > 600
    # What is begun without a line can be confirmed, and that has one in any case.
    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    assert mfa.totp.confirm(ada, phone.code()).verified.user_id == ada
    assert kinds(mfa, ada)[-1] == "totp_confirmed"
    assert mfa.events.verify(ada).is_intact


# What stands in the way of the app while the owner comes: a wait, a suspension, a full second vessel.
CLOSED: list[dict[str, Any]] = [
    {},
    {"suspend_after": 5, "first_wait": 1, "longest_wait": 1},
    {"failure_limit": 20, "first_wait": 1, "longest_wait": 1},
]


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
    lines = mfa.events.recent(enrolled.user_id, limit=len(kinds(mfa, enrolled.user_id)) - before)
    assert [event.status for event in lines].count("alarm") == 1
    assert len(lines) <= 51


@pytest.mark.requirement("R97", "R105")
@pytest.mark.parametrize(("hour", "minute", "second"), [(12, 0, 0), (23, 59, 59)], ids=["noon", "midnight"])
def test_processes_whose_clocks_are_a_moment_apart_let_one_password_write_no_more(
    mfa: MFA, enrolled: Enrolment, clock: Clock, hour: int, minute: int, second: int
) -> None:
    # A crowd that waits for one row comes in another order than it has read the clock, and looks the same.
    clock.now = clock.now.replace(hour=hour, minute=minute, second=second)
    before = len(kinds(mfa, enrolled.user_id))
    for tick in range(120):
        clock.forward(seconds=-1 if tick % 2 else 1)
        challenged(mfa, enrolled.user_id)
    assert len(kinds(mfa, enrolled.user_id)) - before <= 51


@pytest.mark.requirement("R24", "R38")
@pytest.mark.parametrize("settings", CLOSED, ids=["waiting", "suspended", "exhausted"])
def test_the_owner_gets_in_and_binds_a_new_app_in_the_first_try_at_any_moment(
    open_mfa: Open, ada: int, clock: Clock, settings: dict[str, Any]
) -> None:
    mfa = open_mfa(**settings)
    enrolled, closed = enroll(mfa, ada, clock), set[str]()
    codes = iter(enrolled.backup_codes)
    for moment, _ in enumerate(a_day_of_the_thief(mfa, enrolled, clock, minutes=60)):
        # In the middle of what the thief does: before a challenge is answered, between its answers, and behind them.
        if moment % 197 != 50:
            continue
        status = mfa.status(ada)
        stands_in_the_way = {
            "suspended": status.is_suspended,
            "exhausted": status.exhausted_until is not None,
            "waiting": status.waiting_until is not None,
        }
        closed |= {name for name, is_so in stands_in_the_way.items() if is_so}
        verified = log_in(mfa, ada, next(codes))
        enrollment = mfa.totp.begin(ada, account_name="ada@example.com", verified=verified)
        enrolled.phone = Phone(enrollment.secret, clock)
        codes = iter(mfa.totp.confirm(ada, enrolled.phone.code()).backup_codes)
    assert closed >= {"suspended" if "suspend_after" in settings else "exhausted" if settings else "waiting"}


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
