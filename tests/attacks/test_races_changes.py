"""Two who change one factor at once: whatever came first, the log has an order that explains every answer."""

from __future__ import annotations

import pytest

from tests.attacks.crowd import Crowd, call, outcomes
from tests.length import LENGTH
from tests.people import Clock, Enrolment, Phone, Sql, challenged, enroll, kinds
from twofold import MFA, AlreadyEnrolled

ROUNDS = 2 * LENGTH


@pytest.fixture
def face() -> str:
    """Both faces send the same statements; tasks send them closer together."""
    return "awaited"


@pytest.mark.requirement("R36")
def test_an_old_backup_code_never_counts_behind_the_new_batch(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int
) -> None:
    verified, codes = enrolled.verified, enrolled.backup_codes
    for _ in range(20 * LENGTH):
        clock.forward(seconds=30)
        regenerated, spent = crowd([call("backup_codes.regenerate", verified), call("reverify", ada, codes[0])])
        assert regenerated.outcome == "success"
        if spent.outcome == "success":
            assert kinds(mfa, ada)[-2:] == ["code_accepted", "backup_codes_regenerated"]
        else:
            assert kinds(mfa, ada)[-2:] == ["backup_codes_regenerated", "code_refused"]
        assert mfa.backup_codes.remaining(ada) == 10
        codes = regenerated.value
        verified = mfa.reverify(ada, enrolled.phone.code())
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R36")
def test_of_two_new_batches_one_is_in_force_and_whole(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int
) -> None:
    for _ in range(ROUNDS):
        verified = mfa.reverify(ada, enrolled.phone.code())
        batches = [answer.value for answer in crowd([call("backup_codes.regenerate", verified)] * 2)]
        assert mfa.backup_codes.remaining(ada) == 10
        first, second = (outcomes(crowd([call("reverify", ada, code) for code in batch])) for batch in batches)
        assert {first["success"], second["success"]} == {0, 10}
        clock.forward(hours=2)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R11", "R54")
@pytest.mark.parametrize("end", ["totp_disabled", "reset", "totp_confirmed"])
def test_nothing_of_a_factor_counts_behind_its_end(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int, end: str
) -> None:
    for _ in range(ROUNDS):
        verified, token = mfa.reverify(ada, enrolled.phone.code(steps=-1)), challenged(mfa, ada)
        following = enrolled.phone
        if end == "totp_confirmed":
            following = Phone(mfa.totp.begin(ada, account_name="ada", verified=verified).secret, clock)
        ends = {
            "totp_disabled": call("totp.disable", verified),
            "reset": call("reset", ada, by="grace@example.com", reason="a lost phone"),
            "totp_confirmed": call("totp.confirm", ada, following.code()),
        }
        seen = len(kinds(mfa, ada))
        ended, *_, regenerated, trusted = crowd(
            [
                ends[end],
                call("verify", token, enrolled.phone.code()),
                call("reverify", ada, enrolled.backup_codes[0]),
                call("backup_codes.regenerate", verified),
                call("trusted_devices.trust", verified),
            ]
        )
        assert ended.outcome == "success"
        assert {regenerated.outcome, trusted.outcome} <= {"success", "Stale"}
        behind = kinds(mfa, ada)[seen:]
        behind = behind[behind.index(end) + 1 :]
        assert set(behind) <= {"code_refused", "management_refused"}
        status = mfa.status(ada)
        codes_in_force = 10 if end == "totp_confirmed" else 0
        assert (status.backup_codes_remaining, status.trusted_devices) == (codes_in_force, 0)
        clock.forward(hours=2)
        if end == "totp_confirmed":
            mfa.reset(ada, by="grace@example.com", reason="the next round")
        assert not mfa.status(ada).is_enrolled
        enrolled = enroll(mfa, ada, clock)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R53")
def test_of_two_operators_who_reset_a_user_one_finds_nothing_left(
    mfa: MFA, crowd: Crowd, clock: Clock, ada: int
) -> None:
    for _ in range(ROUNDS):
        enroll(mfa, ada, clock)
        calls = [call("reset", ada, by=f"operator {number}", reason="a lost phone") for number in (1, 2)]
        assert outcomes(crowd(calls)) == {"success": 1, "NotEnrolled": 1}
        assert kinds(mfa, ada)[-2:] == ["totp_confirmed", "reset"]
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R10", "R38")
def test_one_code_confirms_one_set_up_and_issues_one_batch(
    mfa: MFA, crowd: Crowd, clock: Clock, ada: int, sql: Sql
) -> None:
    for _ in range(ROUNDS):
        phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
        answers = crowd([call("totp.confirm", ada, phone.code())] * 8)
        assert outcomes(answers) == {"success": 1, "EnrollmentExpired": 7}
        (enrolled,) = [answer.value for answer in answers if answer.value]
        assert sql("SELECT count(*) FROM mfa_backup_codes")[0][0] == 10
        assert outcomes(crowd([call("reverify", ada, code) for code in enrolled.backup_codes])) == {"success": 10}
        mfa.reset(ada, by="grace@example.com", reason="the next round")
        clock.forward(seconds=30)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R44", "R45")
def test_of_many_first_set_ups_at_once_one_secret_waits(
    mfa: MFA, crowd: Crowd, clock: Clock, ada: int, sql: Sql
) -> None:
    answers = crowd([call("totp.begin", ada, account_name="ada@example.com")] * 10)
    assert outcomes(answers) == {"success": 10}
    assert sql("SELECT count(*) FROM user_mfa_secrets")[0][0] == 1
    assert mfa.events.verify(ada).length == 10
    waiting = mfa.totp.pending(ada, account_name="ada@example.com").secret
    assert [answer.value.secret for answer in answers].count(waiting) == 1
    mfa.totp.confirm(ada, Phone(waiting, clock).code())
    with pytest.raises(AlreadyEnrolled):
        mfa.totp.begin(ada, account_name="ada@example.com")
    assert mfa.events.verify(ada).is_intact
