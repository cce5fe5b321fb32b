"""Guesses by the hundred: no number of requests, logins or processes looks at more codes than the budget allows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.attacks.crowd import Crowd, call, outcomes
from tests.length import LENGTH
from tests.people import Clock, Enrolment, Phone, challenged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold import MFA

pytestmark = pytest.mark.every_driver

GUESSES = 200


def wrong_codes(phone: Phone) -> Iterator[str]:
    live = {phone.code(steps=steps) for steps in range(-3, 4)}
    return (code for code in (f"{number:06}" for number in itertools.count(100_000)) if code not in live)


@pytest.mark.requirement("R21", "R22", "R28")
@pytest.mark.attack("A11", "A16")
def test_two_hundred_guesses_at_once_are_five_looks(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int
) -> None:
    for _ in range(LENGTH):
        tokens = [challenged(mfa, ada) for _ in range(20)]
        guesses = list(itertools.islice(wrong_codes(enrolled.phone), GUESSES))
        calls = [call("verify", token, code) for token, code in zip(tokens * 8, guesses, strict=False)]
        calls += [call("reverify", ada, code) for code in guesses[len(calls) :]]
        before = mfa.events.verify(ada).length
        assert outcomes(crowd(calls)) == {"wrong_code": 5, "waiting": GUESSES - 5}
        assert mfa.status(ada).failed_attempts == 5
        report = mfa.events.verify(ada)
        # Five that count, and one for the whole wait.
        assert (report.is_intact, report.length) == (True, before + 5 + 1)
        clock.forward(days=1)
        mfa.reverify(ada, enrolled.phone.code())


@pytest.mark.requirement("R22", "R25")
@pytest.mark.attack("A16")
def test_one_more_guess_after_each_wait_is_one_look_however_many_come(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int
) -> None:
    codes = wrong_codes(enrolled.phone)
    for _ in range(5):
        crowd([call("reverify", ada, next(codes))])
    for _ in range(2 * LENGTH):
        clock.forward(hours=1)
        results = outcomes(crowd([call("reverify", ada, next(codes)) for _ in range(15)]))
        assert results == {"wrong_code": 1, "waiting": 14}
