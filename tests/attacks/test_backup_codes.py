"""Backup codes against somebody who guesses, who found the paper, or who measures the work."""

from __future__ import annotations

import time

import pytest

from tests.people import Clock, Enrolment, Sql, challenged, enroll, log_in
from tests.upkeep.test_legacy import leave
from twofold import MFA, Reason, Rejected
from twofold.keyring import Keyring

GUESS = "23456-23456-23456-23456-23456"


@pytest.mark.requirement("R39")
def test_a_wrong_code_of_125_bits_is_no_guess_and_takes_nothing_from_the_app(mfa: MFA, enrolled: Enrolment) -> None:
    for failures in range(1, 5):
        for guess in (GUESS, enrolled.phone.wrong_code(), GUESS):
            with pytest.raises(Rejected) as free:
                log_in(mfa, enrolled.user_id, guess)
            assert (free.value.reason, free.value.retry_after) == (Reason.WRONG_CODE, None)
        assert mfa.status(enrolled.user_id).failed_attempts == failures
    with pytest.raises(Rejected) as fifth:
        log_in(mfa, enrolled.user_id, enrolled.phone.wrong_code())
    assert fifth.value.retry_after is not None


@pytest.mark.requirement("R39")
def test_guesses_at_short_codes_of_before_take_turns_with_those_at_the_app(
    mfa: MFA, ada: int, clock: Clock, sql: Sql
) -> None:
    older = leave(sql, ada, clock)
    mfa.legacy.adopt()
    for guess in (older.phone.wrong_code(), "WXYZ-9876") * 2:
        with pytest.raises(Rejected) as free:
            log_in(mfa, ada, guess)
        assert (free.value.reason, free.value.retry_after) == (Reason.WRONG_CODE, None)
    with pytest.raises(Rejected) as fifth:
        log_in(mfa, ada, "WXYZ-9876")
    assert fifth.value.retry_after is not None
    for code in (older.phone.code(), older.codes[0]):
        with pytest.raises(Rejected) as waits:
            log_in(mfa, ada, code)
        assert waits.value.reason is Reason.WAITING


@pytest.mark.requirement("R42")
def test_codes_are_found_and_the_password_is_not(mfa: MFA, enrolled: Enrolment, grace: int, clock: Clock) -> None:
    thief = enroll(mfa, grace, clock)
    for token in ("", *enrolled.backup_codes[:2], thief.verified.token, challenged(mfa, grace)):
        with pytest.raises(Rejected):
            mfa.verify(token, enrolled.backup_codes[0])
    assert mfa.backup_codes.remaining(enrolled.user_id) == 10
    assert mfa.status(enrolled.user_id).failed_attempts == 0


@pytest.mark.requirement("R43")
def test_the_work_for_a_refused_code_is_measured(
    mfa: MFA, enrolled: Enrolment, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    macs = Keyring.macs

    def counted(keyring: Keyring, purpose: str, message: bytes) -> tuple[str, ...]:
        hashed.append(purpose)
        return macs(keyring, purpose, message)  # type: ignore[arg-type]

    def work(code: str) -> tuple[Reason, int]:
        hashed.clear()
        with pytest.raises(Rejected) as refused:
            log_in(mfa, enrolled.user_id, code)
        return refused.value.reason, hashed.count("backup codes")

    def shortest(code: str) -> float:
        """The time of an answer that nothing else on the machine has held up."""
        spans = list[float]()
        for _ in range(7):
            token = challenged(mfa, enrolled.user_id)
            begin = time.perf_counter()
            with pytest.raises(Rejected):
                mfa.verify(token, code)
            spans.append(time.perf_counter() - begin)
        return min(spans)

    used, unused = enrolled.backup_codes[:2]
    log_in(mfa, enrolled.user_id, used)
    assert abs(shortest(used) - shortest(GUESS)) < 0.05
    monkeypatch.setattr(Keyring, "macs", counted)
    assert work(used) == (Reason.CODE_ALREADY_USED, 1)
    assert work(GUESS) == (Reason.WRONG_CODE, 1)
    # Where the rows are not those that the user's row names, no code is looked at, whichever it is.
    sql("DELETE FROM mfa_backup_codes")
    assert work(unused) == work(GUESS) == (Reason.ALTERED, 0)
