"""The guess budget: how long wrong codes make a user wait, and what is left to a guesser. Pure.

One budget per user over everything that can be guessed (RFC 4226 §7.3), in two vessels. The first counts consecutive
failures: some are free, then every one costs a wait that doubles, and at the cap the factor is suspended until it is
bound anew (NIST SP 800-63B-4 §3.2.2). A success of the owner empties it. The second holds every failure, drains slowly,
and is emptied by no login: while it is full, nothing that can be guessed is looked at, so that patience gains nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from twofold.errors import Reason
from twofold.moments import is_of_the_future
from twofold.typed import SHORTEST

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.account.row import Account
    from twofold.settings import Settings

_YEAR = timedelta(days=365)
FAILURE = 1_000_000
"""A level is counted in millionths of a failure, so that it drains evenly and is the same number everywhere."""


class Budget(NamedTuple):
    """The policy: `free` failures without a wait, waits from `first` to `longest`, suspension after `cap` failures.

    The second vessel holds `held` failures and drains as many in `drain`.
    """

    free: int
    first: timedelta
    longest: timedelta
    cap: int
    held: int
    drain: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Budget:
        """The policy that the settings state."""
        return cls(
            settings.free_failures,
            settings.first_wait,
            settings.longest_wait,
            settings.suspend_after,
            settings.failure_limit,
            settings.failure_memory,
        )

    def wait(self, failures: int) -> timedelta:
        """The wait that follows the last of so many consecutive failures; zero while they are free."""
        if failures <= self.free:
            return timedelta(0)
        # Twenty doublings of one second are twelve days, past every wait that the settings admit.
        doublings = min(failures - self.free - 1, 20)
        return min(self.first * (1 << doublings), self.longest)

    def is_suspended(self, failures: int) -> bool:
        """Whether so many consecutive failures have suspended the factor."""
        return failures >= self.cap

    def level(self, level: int, at: datetime | None, now: datetime) -> int:
        """What the second vessel holds now, that held `level` millionths of a failure at a moment.

        No clock makes it drain before its time: a moment that is still to come has drained nothing.
        """
        if level == 0 or at is None:
            return level
        return max(0, level - self._drained(max(now - at, timedelta(0))))

    def is_full(self, level: int) -> bool:
        """Whether the second vessel, which holds so much now, has no room for another failure."""
        return level > (self.held - 1) * FAILURE

    def until_room(self, level: int) -> timedelta:
        """How long the second vessel needs until it has room for another failure. At least a second."""
        over = level - (self.held - 1) * FAILURE
        return max(self.drain * (over / (self.held * FAILURE)), timedelta(seconds=1))

    def _drained(self, span: timedelta) -> int:
        return int(self.held * FAILURE * (span / self.drain))

    def odds(self, *, digits: int, window: int, older_codes: int = 0) -> float:
        """The probability that whoever guesses until the suspension hits a code: attempts times live codes.

        `older_codes` are the live backup codes of before Twofold, of six digits each: the shortest that are read.
        """
        return _chance(self.cap, digits, window, older_codes)

    def odds_in_a_year(self, *, digits: int, window: int, older_codes: int = 0) -> float:
        """The same for one who is never suspended, since the owner signs in between, and who goes on for a year."""
        return _chance(self.held + self.held * (_YEAR / self.drain), digits, window, older_codes)

    def time_to_spend(self) -> timedelta:
        """How long a guesser needs until the suspension, at the least: past every wait, and with room for all."""
        waits = sum((self.wait(failures) for failures in range(1, self.cap)), timedelta(0))
        return max(waits, self.drain * (max(0, self.cap - self.held) / self.held))

    def closed(self, account: Account, now: datetime) -> Reason | None:
        """Why no code that can be guessed is looked at now; None where one is."""
        if self.is_suspended(account.failed_attempts):
            return Reason.SUSPENDED
        if self.is_full(self.level(account.failure_level, account.failure_level_at, now)):
            return Reason.EXHAUSTED
        return Reason.WAITING if self.remaining(account, now) else None

    def until_open(self, account: Account, reason: Reason, now: datetime) -> timedelta | None:
        """How long it takes until a code is looked at again after such a refusal, where time alone helps."""
        if reason is Reason.EXHAUSTED:
            return self.until_room(self.level(account.failure_level, account.failure_level_at, now))
        return self.remaining(account, now)

    def failed(self, account: Account, now: datetime) -> Account:
        """The state after one more failure: both vessels hold it, and the wait for it begins."""
        failures = account.failed_attempts + 1
        wait = self.wait(failures)
        return account.changed(
            failed_attempts=failures,
            last_failed_at=now,
            locked_until=now + wait if wait else None,
            failure_level=self.level(account.failure_level, account.failure_level_at, now) + FAILURE,
            failure_level_at=now,
        )

    def remaining(self, account: Account, now: datetime) -> timedelta | None:
        """What is left of the wait, or None where it is over. A second at least.

        It is no longer than the settings say now, whatever they said when it began, and whatever a clock wrote.
        """
        until, begun = account.locked_until, account.last_failed_at
        if until is None:
            return None
        wait = self.wait(account.failed_attempts)
        if begun is not None:
            until = min(until, begun + wait)
        if until <= now:
            return None
        return max(min(until - now, wait), timedelta(seconds=1))

    def set_right(self, account: Account, now: datetime) -> Account:
        """The state without moments that are still to come: a clock stood ahead when they were written.

        Else a wait would not end, and nothing drain, until that clock was right. The same state where there are none.
        """
        if not is_ahead(account, now):
            return account
        failed_at, level_at = (
            moment and min(moment, now) for moment in (account.last_failed_at, account.failure_level_at)
        )
        until = account.locked_until and min(account.locked_until, now + self.wait(account.failed_attempts))
        return account.changed(last_failed_at=failed_at, failure_level_at=level_at, locked_until=until)


def _chance(attempts: float, digits: int, window: int, older_codes: int) -> float:
    """What so many attempts come to, each of which may hit a code of the app and a backup code alike."""
    return min(1.0, attempts * (2 * window + 1) / float(10**digits) + attempts * older_codes / float(10**SHORTEST))


def is_ahead(account: Account, now: datetime) -> bool:
    """Whether a moment of the budget is still to come: a clock stood ahead when it was written."""
    return is_of_the_future(account.last_failed_at, now) or is_of_the_future(account.failure_level_at, now)


def succeeded(account: Account, step: int, challenge: int, now: datetime) -> Account:
    """The state after a success with the app, whose step is spent for that challenge.

    There is no wait, and the first vessel is empty; the second is as it was.
    """
    return account.changed(
        last_used_step=step,
        last_challenge=challenge,
        last_used_at=now,
        failed_attempts=0,
        last_failed_at=None,
        locked_until=None,
        told_refusal=None,
    )


def emptied(account: Account) -> Account:
    """The state with nothing in the second vessel: what was guessed at is not there any more."""
    return account.changed(failure_level=0, failure_level_at=None)
