"""What backup codes of before Twofold leave to a guesser: they are short, and stand in the odds while they are live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.budget import Budget
from twofold.cli.doctor.check import Check
from twofold.cli.doctor.policy import percent
from twofold.cli.shown import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.terminal import Terminal


def older_codes(terminal: Terminal) -> Iterator[Check]:
    """Whoever has such codes can be guessed at with better odds than all others; nothing is said where nobody has."""
    older, settings = terminal.mfa.older_codes(), terminal.settings
    if not older.users:
        return
    budget = Budget.of(settings)
    ever, in_a_year = (
        percent(odds(digits=settings.digits, window=settings.window, older_codes=older.most))
        for odds in (budget.odds, budget.odds_in_a_year)
    )
    message = (
        f"{counted(older.users, 'user')} with backup codes of before Twofold, at most {older.most} each. How long "
        "they are is not known from their hashes; where they are six digits, the shortest that are read, whoever has "
        f"the password guesses one of them or of the app with a chance of at most {ever} ever, and of at most "
        f"{in_a_year} in a year."
    )
    yield Check("older codes", "note", message, "Ask these users to make new backup codes, which have 125 bits.")
