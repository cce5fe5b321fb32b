"""The odds that are printed are never passed: a year of guesses, by the very decisions of a login."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.year import BEGIN, YEAR, Answer, Decisions, Year, lead
from tests.people import enroll, plain_settings
from twofold import Event, Reason, Rejected
from twofold import budget as budgets
from twofold.budget import FAILURE, Budget
from twofold.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.people import Clock, Enrolment
    from twofold import MFA, Settings


@pytest.fixture
def face() -> str:
    """What is counted is what both faces share."""
    return "blocking"


DAY, WEEK = timedelta(days=1), timedelta(days=7)
# Each setting of the budget at both of its limits, with what it takes for the others to allow that.
AT_THE_LIMITS: list[dict[str, Any]] = [
    {},
    {"free_failures": 0},
    {"free_failures": 10},
    {"first_wait": 1},
    {"first_wait": 3600},
    {"first_wait": 1, "longest_wait": 1},
    {"longest_wait": 86400},
    {"first_wait": 3600, "longest_wait": 86400},
    {"suspend_after": 5},
    {"suspend_after": 100},
    {"failure_limit": 20},
    {"failure_limit": 100},
    {"failure_memory": 7 * 86400},
    {"failure_memory": 90 * 86400},
    {"window": 0},
    {"window": 2},
    {"digits": 8},
]
LAXEST = {"free_failures": 10, "first_wait": 1, "longest_wait": 1, "failure_memory": 7 * 86400, "window": 2}
STRICTEST = {
    "free_failures": 0,
    "first_wait": 3600,
    "longest_wait": 86400,
    "suspend_after": 5,
    "failure_limit": 20,
    "failure_memory": 90 * 86400,
    "window": 0,
    "digits": 8,
}
RHYTHMS = {"daily": DAY, "weekly": WEEK, "never": None}


def year_of(settings: Settings, rhythm: timedelta | None, **more: Any) -> Year:
    return lead(Decisions(settings), suspended_after=settings.suspend_after, rhythm=rhythm, **more)


def passes_no_odds(settings: Settings, rhythm: timedelta | None) -> Year:
    """Compare the chance of all guesses that were looked at with what is printed."""
    budget, year = Budget.of(settings), year_of(settings, rhythm)
    chance = year.looked_at * (2 * settings.window + 1) / 10**settings.digits
    assert chance <= budget.odds_in_a_year(digits=settings.digits, window=settings.window)
    if rhythm is None:
        assert chance <= budget.odds(digits=settings.digits, window=settings.window)
        if year.looked_at == settings.suspend_after:
            assert year.took >= budget.time_to_spend()
    return year


@pytest.mark.requirement("R20")
@pytest.mark.parametrize("rhythm", RHYTHMS)
@pytest.mark.parametrize("given", [*AT_THE_LIMITS, LAXEST, STRICTEST], ids=str)
def test_no_guesser_of_a_year_passes_the_odds_that_are_printed(given: dict[str, Any], rhythm: str) -> None:
    assert passes_no_odds(plain_settings(**given), RHYTHMS[rhythm]).looked_at > 0


@pytest.mark.requirement("R20")
def test_the_odds_are_no_larger_than_what_a_guesser_comes_near_to() -> None:
    for given in ({}, {"failure_limit": 20}, {"failure_memory": 7 * 86400}, LAXEST):
        settings = plain_settings(**given)
        budget = Budget.of(settings)
        assert year_of(settings, DAY).looked_at >= 0.97 * (budget.held + budget.held * (YEAR / budget.drain))
        assert year_of(settings, None).looked_at == settings.suspend_after


@pytest.mark.requirement("R20")
@pytest.mark.parametrize("binds_every", [timedelta(days=90), timedelta(days=30), DAY])
def test_each_new_set_up_is_worth_one_full_count_to_a_guesser(binds_every: timedelta) -> None:
    settings = plain_settings()
    budget, times = Budget.of(settings), YEAR // binds_every
    most = budget.held + budget.held * (YEAR / budget.drain) + budget.held * times
    assert year_of(settings, DAY).looked_at < year_of(settings, DAY, binds_every=binds_every).looked_at <= most


class Library:
    """The door itself: an app, wrong codes, and a clock that jumps."""

    def __init__(self, mfa: MFA, enrolment: Enrolment, clock: Clock) -> None:
        self.mfa, self.enrolment, self.clock = mfa, enrolment, clock

    def guess(self, now: datetime) -> Answer:
        return self._give(now, self.enrolment.phone.wrong_code)

    def sign_in(self, now: datetime) -> Answer:
        return self._give(now, self.enrolment.phone.code)

    def bind_anew(self, now: datetime) -> None:
        self.clock.now = now
        user_id, phone, paper = self.enrolment.user_id, self.enrolment.phone, self.enrolment.backup_codes[0]
        verified = self.mfa.reverify(user_id, paper)
        phone.secret = self.mfa.totp.begin(user_id, account_name="ada@example.com", verified=verified).secret
        self.enrolment.backup_codes = self.mfa.totp.confirm(user_id, phone.code()).backup_codes

    def _give(self, now: datetime, code: Callable[[], str]) -> Answer:
        self.clock.now = now
        try:
            self.mfa.reverify(self.enrolment.user_id, code())
        except Rejected as refused:
            return Answer(refused.reason is Reason.WRONG_CODE, refused.retry_after or timedelta(0))
        return Answer(is_looked_at=True, wait=timedelta(0))


@pytest.mark.requirement("R20")
@pytest.mark.backends("sqlite")
def test_a_year_at_the_library_is_the_year_of_its_decisions(mfa: MFA, ada: int, clock: Clock) -> None:
    """Some three thousand calls, with the clock in jumps, at the defaults. The owner comes each day, and
    has a new phone twice.
    """
    clock.now = BEGIN - timedelta(days=1)
    door = Library(mfa, enroll(mfa, ada, clock), clock)
    half_a_year = timedelta(days=182, hours=5)
    year = lead(door, suspended_after=100, rhythm=DAY, binds_every=half_a_year)
    decided = year_of(plain_settings(), DAY, binds_every=half_a_year)
    assert (year.looked_at, year.logins) == (decided.looked_at, decided.logins)
    assert abs(year.took - decided.took) < timedelta(seconds=1)
    lines = list[Event]()
    while page := mfa.events.export(after=lines[-1].id if lines else 0, limit=1000):
        lines += page
    looked_at = [line for line in lines if line.details.get("reason") == Reason.WRONG_CODE]
    assert len(looked_at) == year.looked_at
    assert sum(line.kind == Kind.CODE_ACCEPTED for line in lines) == year.logins + 2 > 350


def _success_empties(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda account, *more: budgets.emptied(real(account, *more))


def _holds_one_more(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, level: level > self.held * FAILURE


def _drains_faster(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, span: real(self, span) * 11 // 10


def _never_suspends(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _self, _failures: False


def _only_the_first_vessel(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, account, now: real(self, account, now)._replace(failure_level=account.failure_level)


def _no_wait(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _self, _failures: timedelta(0)


@pytest.mark.requirement("R20")
@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("tests.attacks.year.succeeded", _success_empties),
        ("twofold.budget.Budget.is_full", _holds_one_more),
        ("twofold.budget.Budget._drained", _drains_faster),
        ("twofold.budget.Budget.is_suspended", _never_suspends),
        ("twofold.budget.Budget.failed", _only_the_first_vessel),
        ("twofold.budget.Budget.wait", _no_wait),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_wrong_rule_is_found_by_the_year(
    monkeypatch: pytest.MonkeyPatch, rule: str, wrong: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    place, _, name = rule.rpartition(".")
    real = getattr(Budget, name) if place.endswith("Budget") else getattr(budgets, name)
    took = Budget.of(plain_settings()).time_to_spend()
    monkeypatch.setattr(rule, wrong(real))

    def all_rhythms() -> None:
        for rhythm in RHYTHMS.values():
            year = passes_no_odds(plain_settings(), rhythm)
            assert rhythm is not None or year.took >= took

    with pytest.raises(AssertionError):
        all_rhythms()
