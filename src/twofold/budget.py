"""The guess budget: how long wrong codes make a user wait, and what is left to a guesser. Pure.

One budget per user over everything that can be guessed (RFC 4226 §7.3). The first failures are free; then every one
costs a wait that doubles; at the cap the factor is suspended until it is bound anew (NIST SP 800-63B-4 §3.2.2).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.settings import Settings


class Budget(NamedTuple):
    """The policy: `free` failures without a wait, waits from `first` to `longest`, suspension after `cap` failures."""

    free: int
    first: timedelta
    longest: timedelta
    cap: int

    @classmethod
    def of(cls, settings: Settings) -> Budget:
        """The policy that the settings state."""
        return cls(settings.free_failures, settings.first_wait, settings.longest_wait, settings.suspend_after)

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

    def odds(self, *, digits: int, window: int) -> float:
        """The probability that a guesser who spends the whole budget hits one code: attempts times live codes."""
        return min(1.0, self.cap * (2 * window + 1) / float(10**digits))

    def time_to_spend(self) -> timedelta:
        """How long a guesser needs to spend the whole budget."""
        return sum((self.wait(failures) for failures in range(1, self.cap)), timedelta(0))


def remaining(until: datetime | None, now: datetime) -> timedelta | None:
    """What is left of a wait, or None where it is over. Never less than a second, so that nobody retries too early."""
    if until is None or until <= now:
        return None
    return max(until - now, timedelta(seconds=1))
