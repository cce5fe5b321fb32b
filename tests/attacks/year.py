"""A year of somebody who has the password and guesses codes at the best moments, and of the owner who signs in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from twofold.account.row import Account
from twofold.budget import Budget, emptied, succeeded

if TYPE_CHECKING:
    from twofold import Settings

BEGIN = datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
YEAR = timedelta(days=365)


class Answer(NamedTuple):
    """Whether a code was looked at, and how long it takes until the next one is: None where no time helps."""

    is_looked_at: bool
    wait: timedelta | None


class Door(Protocol):
    """Where codes are given."""

    def guess(self, now: datetime) -> Answer: ...

    def sign_in(self, now: datetime) -> Answer: ...

    def bind_anew(self, now: datetime) -> None: ...


class Decisions:
    """The door as the budget decides of it, without a database, a code or a clock."""

    def __init__(self, settings: Settings) -> None:
        self.budget, self.account = Budget.of(settings), Account(1, is_enabled=True)

    def guess(self, now: datetime) -> Answer:
        if (closed := self.budget.closed(self.account, now)) is None:
            self.account = self.budget.failed(self.account, now)
        return self._answer(now, is_looked_at=closed is None)

    def sign_in(self, now: datetime) -> Answer:
        if (closed := self.budget.closed(self.account, now)) is None:
            self.account = succeeded(self.account, 0, 0, now)
        return self._answer(now, is_looked_at=closed is None)

    def bind_anew(self, now: datetime) -> None:
        self.account = emptied(succeeded(self.account, 0, 0, now))

    def _answer(self, now: datetime, *, is_looked_at: bool) -> Answer:
        closed = self.budget.closed(self.account, now)
        if closed is None:
            return Answer(is_looked_at, timedelta(0))
        return Answer(is_looked_at, self.budget.until_open(self.account, closed, now))


class Year(NamedTuple):
    """What came of it: so many guesses were looked at, the last of them so long after the first."""

    looked_at: int
    took: timedelta
    logins: int


def lead(
    door: Door, *, suspended_after: int, rhythm: timedelta | None = None, binds_every: timedelta | None = None
) -> Year:
    """Guess as soon as a code is looked at, but never the one that suspends while an owner is to come.

    The owner comes once in each `rhythm`, and as soon as there is no wait: before any other guess, which is the best
    for the guesser. Who binds the app anew does so with a code on paper, whatever waits.
    """
    now, end, looked_at, in_a_row, logins, took = BEGIN, BEGIN + YEAR, 0, 0, 0, timedelta(0)
    due = end if rhythm is None else BEGIN + rhythm
    binds = end if binds_every is None else BEGIN + binds_every
    while now < end:
        if now >= binds:
            door.bind_anew(now)
            binds, in_a_row = binds + (binds_every or YEAR), 0
        if now >= due:
            answer = door.sign_in(now)
            if answer.is_looked_at:
                due, in_a_row, logins = due + (rhythm or YEAR), 0, logins + 1
            else:
                now += _or_until(answer.wait, now, min(binds, end))
            continue
        if in_a_row == suspended_after - 1 and min(due, binds) < end:
            now = min(due, binds)
            continue
        answer = door.guess(now)
        if answer.is_looked_at:
            looked_at, in_a_row, took = looked_at + 1, in_a_row + 1, now - BEGIN
        now += min(_or_until(answer.wait, now, end), max(binds - now, timedelta(0)))
    return Year(looked_at, took, logins)


def _or_until(wait: timedelta | None, now: datetime, moment: datetime) -> timedelta:
    return moment - now if wait is None else wait
