"""The way in: a challenge that is somebody else's, and what fails on the way."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.people import Clock, challenged, enroll, kinds, log_in, plain_settings
from twofold import MFA, Reason, Rejected

if TYPE_CHECKING:
    from tests.databases import Database


class ClockFails(Exception):
    pass


@pytest.mark.requirement("R61")
def test_the_challenge_of_one_is_answered_with_the_code_of_another(
    mfa: MFA, ada: int, grace: int, clock: Clock
) -> None:
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    token = challenged(mfa, ada)
    for code in (graces.phone.code(), graces.backup_codes[0]):
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, code)
        assert refused.value.reason is Reason.WRONG_CODE
    assert mfa.verify(token, adas.phone.code()).user_id == ada
    assert log_in(mfa, grace, graces.phone.code()).user_id == grace


@pytest.mark.requirement("R61")
def test_challenges_are_compared_to_guess_the_next(mfa: MFA, ada: int, clock: Clock) -> None:
    enroll(mfa, ada, clock)
    tokens = [challenged(mfa, ada) for _ in range(5)]
    assert len({token.rpartition("~")[2] for token in tokens}) == 5
    # What tells two of them apart is signed: the end of one does not fit the rest of another.
    for token, other in itertools.pairwise(tokens):
        mixed = f"{token.rpartition('~')[0]}~{other.rpartition('~')[2]}"
        with pytest.raises(Rejected) as refused:
            mfa.verify(mixed, "123456")
        assert refused.value.reason is Reason.CHALLENGE_EXPIRED
    assert mfa.status(ada).failed_attempts == 0


@pytest.mark.requirement("R64")
def test_the_clock_fails_in_the_middle_of_a_login(migrated: Database, ada: int, clock: Clock, keys: str) -> None:
    def broken() -> datetime:
        raise ClockFails

    mfa = MFA(migrated.engine(), plain_settings(keys=keys), clock=clock)
    phone = enroll(mfa, ada, clock).phone
    token, code = challenged(mfa, ada), phone.code()
    timeless = MFA(migrated.engine(), plain_settings(keys=keys), clock=broken)
    with pytest.raises(ClockFails):
        timeless.challenge(ada)
    with pytest.raises(ClockFails):
        timeless.verify(token, code)
    assert kinds(mfa, ada)[-1] == "challenged"
    assert mfa.verify(token, code)


@pytest.mark.requirement("R64")
def test_the_clock_stands_where_computers_begin(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    waiting = challenged(mfa, ada)
    clock.now = datetime(1970, 1, 1, tzinfo=UTC)
    for code in ("000000", enrolment.phone.code()):
        with pytest.raises(Rejected):
            mfa.verify(waiting, code)
        with pytest.raises(Rejected):
            mfa.reverify(ada, code)
