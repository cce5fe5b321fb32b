"""How many lines one password may write into a log: singly for a while, and then gathered, one an hour.

Challenges, and codes that were refused without a look or cannot be guessed, cost whoever has the password nothing. So
the first of a day have a line each, and all further ones are counted in the user's row, and told by one line an hour
with their number.

Tests: `tests/attacks/test_volume_of_the_log.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twofold.moments import is_of_the_future

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt, Fact
    from twofold.account.row import Account

SINGLE = 50
"""So many lines of a day stand singly."""

_HOUR = timedelta(hours=1)


def noted(work: Attempt, account: Account, fact: Fact) -> tuple[Account, Fact | None]:
    """Count what costs nothing; the state after it, and the line to write, if it has one.

    `lines_day` is the moment of the last such line. The number that a gathered line tells is that of the whole day.
    """
    last = account.lines_day
    # Whoever waited for the row, or has a slower clock, comes a moment before the last line, and begins no new day.
    now = work.now if last is None or is_of_the_future(last, work.now) else max(last, work.now)
    # A last line that is still to come was written by a clock that stood ahead; a new day begins.
    if last is None or last > now or last.date() != now.date():
        return account.changed(lines_today=1, lines_day=now), fact
    number = account.lines_today + 1
    if number <= SINGLE:
        return account.changed(lines_today=number, lines_day=now), fact
    if now - last < _HOUR:
        return account.changed(lines_today=number), None
    details = {**fact.details, "gathered": number}
    return account.changed(lines_today=number, lines_day=now), replace(fact, details=details)
