"""One code, many at once: whatever arrives together, one wins, and the others are refused plainly."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.attacks.crowd import Call, Crowd, call, outcomes
from tests.length import LENGTH
from tests.people import Clock, Enrolment, Sql, challenged
from twofold import MFA, Request

pytestmark = pytest.mark.every_driver

REFUSALS = {"code_already_used", "waiting", "challenge_expired"}


def doors(mfa: MFA, user_id: int, code: str) -> list[Call]:
    """Fifty requests with one code: logins of their own, one login sent again and again, and a live session."""
    logins = [call("verify", challenged(mfa, user_id), code) for _ in range(10)]
    return [*logins, *[call("verify", challenged(mfa, user_id), code)] * 20, *[call("reverify", user_id, code)] * 20]


@pytest.mark.requirement("R7", "R11")
@pytest.mark.attack("A6")
def test_one_totp_code_at_fifty_doors_is_taken_once(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int
) -> None:
    for _ in range(LENGTH):
        clock.forward(seconds=60)
        before = mfa.events.verify(ada).length
        calls = doors(mfa, ada, enrolled.phone.code())
        results = outcomes(crowd(calls))
        assert (results.pop("success"), results.total()) == (1, 49)
        assert results.keys() <= REFUSALS
        report = mfa.events.verify(ada)
        assert report.is_intact
        lines = mfa.events.recent(ada, limit=report.length - before)
        told = Counter(event.details.get("reason", event.kind) for event in lines)
        assert (told.pop("challenged"), told.pop("code_accepted")) == (11, 1)
        # What counts has a line each, and whatever was not looked at has one at least.
        assert told.keys() == results.keys()
        assert told["code_already_used"] == results["code_already_used"]
        assert told <= results
        clock.forward(days=1)


@pytest.mark.requirement("R8", "R11")
@pytest.mark.attack("A3", "A6")
def test_a_code_never_passes_behind_the_next_one(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int, sql: Sql
) -> None:
    for _ in range(8 * LENGTH):
        clock.forward(seconds=90)
        now, following = enrolled.phone.code(), enrolled.phone.code(steps=1)
        calls = [
            call("reverify", ada, code, request=Request(user_agent=name))
            for name, code in [("now", now), ("following", following), ("now again", now)]
        ]
        assert outcomes(crowd(calls))["success"] in {1, 2}
        latest = mfa.events.recent(ada, limit=3)
        accepted = [event.user_agent for event in reversed(latest) if event.kind == "code_accepted"]
        assert accepted[-1] == "following"
        assert accepted[:-1] in ([], ["now"], ["now again"])
        step = int(clock.now.timestamp()) // 30 + 1
        assert sql("SELECT last_used_step FROM user_mfa_secrets WHERE user_id = :id", id=ada)[0][0] == step
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R34")
@pytest.mark.attack("A7")
def test_one_backup_code_at_fifty_doors_is_spent_once(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, ada: int, sql: Sql
) -> None:
    for spent, code in enumerate(enrolled.backup_codes[: min(LENGTH, 10)], start=1):
        results = outcomes(crowd(doors(mfa, ada, code)))
        assert (results.pop("success"), results.total()) == (1, 49)
        assert results.keys() <= REFUSALS
        assert mfa.backup_codes.remaining(ada) == 10 - spent
        assert sql("SELECT count(*) FROM mfa_backup_codes WHERE used_at IS NOT NULL")[0][0] == spent
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R34")
def test_ten_different_backup_codes_do_not_disturb_each_other(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, ada: int
) -> None:
    for _ in range(LENGTH):
        codes = mfa.backup_codes.regenerate(enrolled.verified)
        assert outcomes(crowd([call("reverify", ada, code) for code in codes])) == {"success": 10}
        assert mfa.backup_codes.remaining(ada) == 0
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R7", "R11")
@pytest.mark.attack("A6")
@pytest.mark.parametrize("factor", ["totp", "backup_codes"])
def test_a_lost_answer_at_fifty_doors_is_given_again_and_spends_nothing_more(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, ada: int, factor: str
) -> None:
    code = enrolled.phone.code() if factor == "totp" else enrolled.backup_codes[0]
    token, other = challenged(mfa, ada), challenged(mfa, ada)
    mfa.verify(token, code)
    before = mfa.status(ada)
    results = outcomes(crowd([call("repeat", token, code)] * 40 + [call("repeat", other, code)] * 10))
    assert results == {"success": 40, "challenge_expired": 10}
    assert mfa.status(ada) == before
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R7", "R11")
@pytest.mark.attack("A6")
def test_an_answer_that_is_sent_at_once_is_accepted_once_whoever_asks_for_it_again(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, ada: int
) -> None:
    token, code = challenged(mfa, ada), enrolled.phone.code()
    calls = [call(name, token, code) for name in ("verify", "repeat") for _ in range(25)]
    before = mfa.events.verify(ada).length
    results = outcomes(crowd(calls))
    # The first is accepted; whatever comes after it is refused, or the same again.
    assert results.keys() <= {"success", "challenge_expired"}
    report = mfa.events.verify(ada)
    assert report.is_intact
    told = Counter(line.kind for line in mfa.events.recent(ada, limit=report.length - before))
    assert told["code_accepted"] == 1
    assert results["success"] == 1 + told["answer_repeated"]


@pytest.mark.requirement("R11", "R27")
def test_many_guesses_at_a_lost_answer_are_one_look(mfa: MFA, enrolled: Enrolment, crowd: Crowd, ada: int) -> None:
    token, code = challenged(mfa, ada), enrolled.phone.code()
    mfa.verify(token, code)
    guesses = [f"{number:06}" for number in range(60) if f"{number:06}" != code][:49]
    results = outcomes(crowd([call("repeat", token, guess) for guess in guesses]))
    assert results == {"challenge_expired": 49}
    # The very code comes too late now.
    assert outcomes(crowd([call("repeat", token, code)])) == {"challenge_expired": 1}
