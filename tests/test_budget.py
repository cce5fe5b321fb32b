"""The price of wrong codes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.people import plain_settings
from twofold.budget import Budget, remaining

budget = Budget.of(plain_settings())


@pytest.mark.requirement("R25")
def test_the_first_failures_are_free_and_then_the_wait_doubles_up_to_an_hour() -> None:
    waits = [budget.wait(failures).total_seconds() for failures in range(1, 14)]
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert budget.wait(10**6) == timedelta(hours=1)


@pytest.mark.requirement("R19")
def test_the_hundredth_failure_suspends() -> None:
    assert not budget.is_suspended(99)
    assert budget.is_suspended(100)


@pytest.mark.requirement("R20")
def test_a_guesser_hits_three_times_in_ten_thousand_at_the_most() -> None:
    assert budget.odds(digits=6, window=1) == 3e-4
    assert budget.time_to_spend() > timedelta(days=3)


def test_odds_and_time_follow_the_policy() -> None:
    assert [budget.odds(digits=6, window=window) for window in (0, 2)] == [1e-4, 5e-4]
    assert budget.odds(digits=2, window=2) == 1.0
    second = timedelta(seconds=1)
    assert Budget(0, second, timedelta(hours=1), 5).time_to_spend() == 15 * second


def test_what_is_left_of_a_wait_is_never_less_than_a_second() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert remaining(None, now) is None
    assert remaining(now, now) is None
    assert remaining(now - timedelta(milliseconds=1), now) is None
    assert remaining(now + timedelta(milliseconds=1), now) == timedelta(seconds=1)
    assert remaining(now + timedelta(minutes=1), now) == timedelta(minutes=1)
