"""An answer that was accepted and lost on its way is given again: to the same challenge and code, for half a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.people import Clock, Enrolment, Open, Sql, challenged, enroll, kinds, log_in
from tests.upkeep.test_legacy import adopt_all, leave
from twofold import MFA, Reason, Rejected, Stale
from twofold.keyring import generate_key
from twofold.log_volume import SINGLE

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(mfa: MFA, token: str, code: str) -> Reason:
    with pytest.raises(Rejected) as rejected:
        mfa.repeat(token, code)
    return rejected.value.reason


@pytest.mark.parametrize("factor", ["totp", "backup_codes"])
def test_the_same_answer_gets_a_proof_again_of_the_moment_at_which_it_was_given(
    mfa: MFA, enrolled: Enrolment, clock: Clock, factor: str
) -> None:
    code = enrolled.phone.code() if factor == "totp" else enrolled.backup_codes[0]
    token = challenged(mfa, enrolled.user_id)
    first = mfa.verify(token, code)
    clock.forward(seconds=20)
    again = mfa.repeat(token, code)
    assert (again.user_id, again.factor, again.at, again.amr) == (first.user_id, factor, first.at, first.amr)
    assert mfa.proof(again.token) == again
    assert mfa.trusted_devices.trust(again).device_id
    assert kinds(mfa, enrolled.user_id)[-3:] == ["code_accepted", "answer_repeated", "device_trusted"]
    # It is nothing that was spent, and nothing that was used.
    status = mfa.status(enrolled.user_id)
    assert (status.last_used_at, status.failed_attempts) == (first.at, 0)
    assert mfa.events.verify(enrolled.user_id).is_intact


def test_verify_stays_strict_and_the_answer_is_known_after_it_was_refused(mfa: MFA, enrolled: Enrolment) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    for _ in range(2):
        with pytest.raises(Rejected) as rejected:
            mfa.verify(token, code)
        assert rejected.value.reason is Reason.CHALLENGE_EXPIRED
        assert mfa.repeat(token, code)


def test_spaces_and_lower_case_are_the_same_code(mfa: MFA, enrolled: Enrolment) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.backup_codes[0]
    mfa.verify(token, code)
    assert mfa.repeat(token, f" {code.lower().replace('-', ' ')} ")


def test_a_spelling_too_long_to_be_known_again_makes_nothing_else_the_answer(mfa: MFA, enrolled: Enrolment) -> None:
    token = challenged(mfa, enrolled.user_id)
    listed = f"1.{' ' * 40}{enrolled.backup_codes[0]}"
    assert mfa.verify(token, listed)
    for anything in ("", "...", "x" * 65, listed):
        assert refused(mfa, token, anything) is Reason.CHALLENGE_EXPIRED


def test_it_is_known_for_half_a_minute_and_the_next_write_forgets_it(
    mfa: MFA, enrolled: Enrolment, clock: Clock, sql: Sql
) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    (row,) = sql("SELECT last_answer FROM user_mfa_secrets")
    assert len(row[0]) == 32
    clock.forward(seconds=30)
    assert mfa.repeat(token, code)
    clock.forward(microseconds=1)
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED
    (row,) = sql("SELECT last_answer FROM user_mfa_secrets")
    assert row[0] is None


def test_repeating_it_does_not_lengthen_it(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    clock.forward(seconds=29)
    assert mfa.repeat(token, code)
    clock.forward(seconds=29)
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED


def test_a_challenge_that_expires_meanwhile_was_answered_in_time(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    token = challenged(mfa, enrolled.user_id)
    clock.forward(minutes=9, seconds=50)
    code = enrolled.phone.code()
    mfa.verify(token, code)
    clock.forward(seconds=20)
    assert mfa.repeat(token, code)


@pytest.mark.parametrize("back", [31, 3600])
def test_a_clock_that_goes_back_does_not_make_it_known_longer(
    mfa: MFA, enrolled: Enrolment, clock: Clock, back: int
) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    clock.forward(seconds=-back)
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED


def test_a_clock_of_another_process_that_is_a_little_behind_knows_it(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    clock.forward(seconds=-2)
    assert mfa.repeat(token, code)


def test_one_look_at_another_code_ends_it_so_nobody_guesses(mfa: MFA, enrolled: Enrolment) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    assert refused(mfa, token, enrolled.phone.wrong_code()) is Reason.CHALLENGE_EXPIRED
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED
    # It says, writes and counts what a spent challenge does.
    assert mfa.status(enrolled.user_id).failed_attempts == 0
    assert kinds(mfa, enrolled.user_id)[-2:] == ["code_accepted", "code_refused"]


def test_a_code_that_was_not_spent_on_it_is_not_repeated(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    for other in (enrolled.phone.code(steps=1), enrolled.backup_codes[1], "", "123", "x" * 10_000):
        token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
        mfa.verify(token, code)
        assert refused(mfa, token, other) is Reason.CHALLENGE_EXPIRED
        clock.forward(seconds=60)


def test_a_challenge_that_waits_is_not_repeated(mfa: MFA, enrolled: Enrolment) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED
    other = challenged(mfa, enrolled.user_id)
    mfa.verify(token, code)
    # Each of two that were open: only the one that was answered.
    assert refused(mfa, other, code) is Reason.CHALLENGE_EXPIRED
    assert mfa.repeat(token, code)


def test_only_the_last_answer_is_known(mfa: MFA, enrolled: Enrolment) -> None:
    first, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(first, code)
    second, paper = challenged(mfa, enrolled.user_id), enrolled.backup_codes[0]
    mfa.verify(second, paper)
    assert refused(mfa, first, code) is Reason.CHALLENGE_EXPIRED
    assert mfa.repeat(second, paper)


def test_a_code_that_a_live_session_spent_since_answers_no_challenge(mfa: MFA, enrolled: Enrolment) -> None:
    token, code, later = challenged(mfa, enrolled.user_id), enrolled.phone.code(), enrolled.phone.code(steps=1)
    mfa.verify(token, code)
    mfa.reverify(enrolled.user_id, later)
    assert refused(mfa, token, later) is Reason.CHALLENGE_EXPIRED
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED


def test_the_code_of_a_set_up_answers_no_challenge(mfa: MFA, enrolled: Enrolment) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    waiting = mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
    token = challenged(mfa, enrolled.user_id)
    enrolled.phone.secret = waiting.secret
    code = enrolled.phone.code()
    mfa.totp.confirm(enrolled.user_id, code)
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED


ENDINGS: dict[str, Callable[[MFA, Enrolment], object]] = {
    "disable": lambda mfa, ada: mfa.totp.disable(ada.verified),
    "reset": lambda mfa, ada: mfa.reset(ada.user_id, by="grace@example.com", reason="a test"),
    "repair": lambda mfa, ada: mfa.repair(ada.user_id, by="grace@example.com", reason="a test"),
    "erase": lambda mfa, ada: mfa.erase(ada.user_id),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_with_the_factor_it_ends(mfa: MFA, enrolled: Enrolment, clock: Clock, ending: str) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    enrolled.verified = mfa.verify(token, code)
    ENDINGS[ending](mfa, enrolled)
    assert refused(mfa, token, code) is Reason.NOT_ENROLLED
    # It is the same moment, and the same user: another enrolment.
    clock.forward(seconds=-60)
    enroll(mfa, enrolled.user_id, clock)
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED


def test_with_the_password_it_ends(mfa: MFA, enrolled: Enrolment) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    first = mfa.verify(token, code)
    mfa.password_changed(enrolled.user_id)
    assert refused(mfa, token, code) is Reason.CHALLENGE_EXPIRED
    with pytest.raises(Stale):
        mfa.proof(first.token)


def test_a_password_that_changes_right_after_ends_the_proof_of_a_repeated_answer(mfa: MFA, enrolled: Enrolment) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    again = mfa.repeat(token, code)
    mfa.password_changed(enrolled.user_id)
    with pytest.raises(Stale):
        mfa.proof(again.token)


def test_nothing_is_known_of_a_token_that_is_none(mfa: MFA, enrolled: Enrolment) -> None:
    assert refused(mfa, "v1~k1~00000000~AAAA~00", enrolled.phone.code()) is Reason.CHALLENGE_EXPIRED
    assert kinds(mfa, enrolled.user_id)[-1] == "totp_confirmed"


def test_the_challenge_of_one_user_is_not_repeated_for_another(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    hers, his = challenged(mfa, ada), challenged(mfa, grace)
    mfa.verify(hers, adas.phone.code())
    mfa.verify(his, graces.phone.code())
    assert refused(mfa, hers, graces.phone.code()) is Reason.CHALLENGE_EXPIRED


def test_a_rotation_in_between_forgets_nothing(open_mfa: Open, mfa: MFA, enrolled: Enrolment, keys: str) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    new = generate_key("k2")
    rotated = open_mfa(keys=f"{new},{keys}")
    assert rotated.keys.rotate().done == 1
    assert rotated.repeat(token, code)
    assert rotated.repeat(token, code)


def test_a_code_of_before_is_known_again_too(open_mfa: Open, ada: int, clock: Clock, sql: Sql) -> None:
    mfa = open_mfa(legacy_rows=True)
    older = leave(sql, ada, clock)
    adopt_all(mfa)
    token = challenged(mfa, ada)
    mfa.verify(token, older.codes[0])
    assert mfa.repeat(token, older.codes[0]).user_id == ada


def test_however_often_it_is_asked_for_the_log_stays_short(mfa: MFA, enrolled: Enrolment) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    mfa.verify(token, code)
    before = len(kinds(mfa, enrolled.user_id))
    for _ in range(SINGLE + 10):
        assert mfa.repeat(token, code)
    assert len(kinds(mfa, enrolled.user_id)) <= before + SINGLE
