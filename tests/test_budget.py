"""The price of wrong codes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.people import plain_settings
from twofold.account.row import Account
from twofold.budget import FAILURE, Budget

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
    short = budget._replace(free=0, first=second, longest=timedelta(hours=1), cap=5)
    assert short.time_to_spend() == 15 * second
    assert short.odds(digits=6, window=1) == 1.5e-5
    # Whoever is never disturbed gets at all attempts until the suspension, if not all at once.
    small = budget._replace(held=20)
    assert small.odds(digits=6, window=1) == 3e-4
    assert small.time_to_spend() == timedelta(days=120)


def test_what_is_left_of_a_wait_is_a_second_at_least_and_no_longer_than_the_wait() -> None:
    now, second = datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=1)

    def left(ends: timedelta, failures: int = 5, *, ago: timedelta = timedelta(0)) -> timedelta | None:
        state = Account(1, failed_attempts=failures, last_failed_at=now - ago, locked_until=now + ends)
        return budget.remaining(state, now)

    assert budget.remaining(Account(1, failed_attempts=5), now) is None
    assert left(timedelta(0)) is None
    assert left(-timedelta(milliseconds=1)) is None
    assert left(timedelta(milliseconds=1)) == second
    assert left(20 * second) == 20 * second
    # A clock that stood a year ahead wrote it.
    year = timedelta(days=365)
    assert left(year, ago=-year) == timedelta(seconds=30)
    assert left(year, 50, ago=-year) == timedelta(hours=1)
    # The wait was longer by the settings of before, and is over by those of now.
    assert left(timedelta(hours=20), 50, ago=timedelta(hours=1)) is None
    assert left(timedelta(hours=20), 50, ago=timedelta(minutes=50)) == timedelta(minutes=10)


def test_moments_that_are_still_to_come_are_set_right() -> None:
    now, day = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
    right = Account(1, failed_attempts=5, last_failed_at=now, locked_until=now, failure_level=7, failure_level_at=now)
    assert budget.set_right(right, now) is right
    # The clocks of one deployment may be a minute apart.
    assert budget.set_right(right, now - timedelta(minutes=1)) is right
    assert budget.set_right(Account(1), now) == Account(1)
    ahead = right._replace(last_failed_at=now + day, locked_until=now + 2 * day, failure_level_at=now + day)
    assert budget.set_right(ahead, now) == right._replace(locked_until=now + timedelta(seconds=30))
    # After a success of the owner the second count alone remembers.
    alone = Account(1, failure_level=7, failure_level_at=now + day)
    assert budget.set_right(alone, now) == Account(1, failure_level=7, failure_level_at=now)


def test_the_second_vessel_drains_evenly_and_not_before_its_time() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    full = 100 * FAILURE
    assert budget.level(full, now, now) == full
    assert budget.level(full, now, now + timedelta(days=15)) == full // 2
    assert budget.level(full, now, now + timedelta(days=30)) == 0
    assert budget.level(full, now, now + timedelta(days=300)) == 0
    # What a clock of the future wrote has drained nothing, and neither has what no clock wrote.
    assert budget.level(full, now, now - timedelta(days=300)) == full
    assert budget.level(full, None, now) == full


def test_the_second_vessel_is_full_where_it_has_no_room_for_another_failure() -> None:
    assert not budget.is_full(99 * FAILURE)
    assert budget.is_full(99 * FAILURE + 1)
    assert budget.until_room(100 * FAILURE) == timedelta(days=30) / 100
    assert budget.until_room(99 * FAILURE + 1) == timedelta(seconds=1)


@pytest.mark.requirement("R20")
def test_patience_hits_four_times_in_a_thousand_in_a_year_at_the_most() -> None:
    assert budget.odds_in_a_year(digits=6, window=1) == pytest.approx(0.00395)
    laxest = Budget.of(plain_settings(failure_memory="P7D", window=2))
    assert laxest.odds_in_a_year(digits=6, window=2) < 0.03
    strictest = Budget.of(plain_settings(failure_limit=20, failure_memory="P90D", window=0))
    assert strictest.odds_in_a_year(digits=8, window=0) < 2e-6
