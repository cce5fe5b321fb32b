"""Many writers: one user's log stays one chain, and nobody waits for a stranger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.crowd import Crowd, call, outcomes
from tests.attacks.reckoning import whole_log
from tests.length import LENGTH
from tests.people import Clock, Enrolment, Phone, add_user, challenged, kinds
from twofold import MFA, Request

if TYPE_CHECKING:
    from tests.databases import Database

WRITERS = 20
LINES = 50 * LENGTH


@pytest.fixture
def face() -> str:
    """Both faces send the same statements."""
    return "blocking"


@pytest.mark.requirement("R105")
def test_the_lines_of_twenty_writers_are_one_chain(mfa: MFA, enrolled: Enrolment, crowd: Crowd, ada: int) -> None:
    before, names = mfa.events.verify(ada).length, [f"line {number}" for number in range(WRITERS * LINES)]
    calls = [call("password_changed", ada, request=Request(user_agent=name)) for name in names]
    assert outcomes(crowd(calls, hands=WRITERS)) == {"success": len(names)}
    log = whole_log(mfa, ada)
    assert [event.seq for event in log] == list(range(1, before + len(names) + 1))
    assert sorted(str(event.user_agent) for event in log[before:]) == sorted(names)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R105")
def test_twenty_writers_of_what_is_gathered_lose_no_number(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int
) -> None:
    clock.forward(days=1)
    before, challenges = len(kinds(mfa, ada)), WRITERS * LINES // 5
    assert outcomes(crowd([call("challenge", ada)] * challenges, hands=WRITERS)) == {"success": challenges}
    assert kinds(mfa, ada)[before:] == ["challenged"] * 50
    clock.forward(hours=1)
    challenged(mfa, ada)
    (latest,) = mfa.events.recent(ada, limit=1)
    assert (latest.kind, latest.details) == ("challenged", {"gathered": challenges + 1})
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R102", "R105")
def test_whoever_verifies_a_log_that_is_being_written_sees_it_whole(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, ada: int
) -> None:
    calls = [call("challenge", ada), call("events.verify", ada), call("challenge", ada)] * 20 * LENGTH
    reports = [answer.value for answer in crowd(calls, hands=6)[1::3]]
    assert [report.problem for report in reports if not report.is_intact] == []


def test_many_users_set_up_their_phones_at_once(mfa: MFA, crowd: Crowd, migrated: Database, clock: Clock) -> None:
    users = [add_user(migrated, f"user{number}@example.com") for number in range(10)]
    phones = {user: Phone(mfa.totp.begin(user, account_name="a user").secret, clock) for user in users}
    confirmations = [call("totp.confirm", user, phones[user].code()) for user in users]
    assert outcomes(crowd(confirmations)) == {"success": 10}
    assert all(mfa.events.verify(user).is_intact for user in users)
