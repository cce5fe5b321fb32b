"""What the settings leave to a guesser, and where they are laxer than the defaults."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from twofold.budget import Budget
from twofold.cli.doctor.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.settings import Settings

# A guesser's chance until the suspension, and in a year, that is worth a second thought.
_LAX_ODDS = 0.0004
_LAX_ODDS_IN_A_YEAR = 0.01


def odds(settings: Settings) -> Iterator[Check]:
    """The chances of a guesser who has the password."""
    budget = Budget.of(settings)
    ever = budget.odds(digits=settings.digits, window=settings.window)
    in_a_year = budget.odds_in_a_year(digits=settings.digits, window=settings.window)
    days = budget.time_to_spend() / timedelta(days=1)
    message = (
        f"Whoever has the password guesses a code with a chance of at most {percent(ever)} ever while the owner stays "
        f"away, and needs {days:.1f} days for all {budget.cap} attempts; of at most {percent(in_a_year)} in a year "
        "while the owner signs in between."
    )
    steps = [
        step
        for is_lax, step in (
            (ever > _LAX_ODDS, "More TWOFOLD_DIGITS, a smaller TWOFOLD_WINDOW or TWOFOLD_SUSPEND_AFTER lower it."),
            (
                in_a_year > _LAX_ODDS_IN_A_YEAR,
                "A smaller TWOFOLD_FAILURE_LIMIT or a longer TWOFOLD_FAILURE_MEMORY lower the year's.",
            ),
            (
                days < 1,
                "A longer TWOFOLD_FIRST_WAIT and TWOFOLD_LONGEST_WAIT leave the owner at least a day to notice.",
            ),
        )
        if is_lax
    ]
    yield Check("guess odds", "note" if steps else "ok", message, " ".join(steps) or None)


def policy(settings: Settings) -> Iterator[Check]:
    """Each setting that weakens what the default keeps."""
    notes = [text for is_so, text in _weak(settings) if is_so]
    for text in notes:
        yield Check("policy", "note", text)
    if not notes:
        yield Check(
            "policy", "ok", f"A code lives {_life(settings)} s, a challenge {_seconds(settings.challenge_lifetime)} s."
        )


def _weak(settings: Settings) -> Iterator[tuple[bool, str]]:
    yield settings.window > 1, f"TWOFOLD_WINDOW is {settings.window}: a code lives {_life(settings)} s."
    yield settings.free_failures > 4, f"TWOFOLD_FREE_FAILURES is {settings.free_failures}: so many codes cost no wait."
    yield (
        settings.first_wait < timedelta(seconds=10),
        f"TWOFOLD_FIRST_WAIT is {_seconds(settings.first_wait)} s: a program hardly waits.",
    )
    yield (
        settings.longest_wait < timedelta(minutes=5),
        f"TWOFOLD_LONGEST_WAIT is {_seconds(settings.longest_wait)} s: no wait grows beyond it.",
    )
    yield (
        settings.device_lifetime > timedelta(days=90),
        "TWOFOLD_DEVICE_LIFETIME: a trusted device skips the second factor for over 90 days.",
    )
    yield (
        settings.device_grace > timedelta(minutes=1),
        f"TWOFOLD_DEVICE_GRACE is {_seconds(settings.device_grace)} s: a copied cookie serves beside the real one.",
    )
    yield (
        settings.proof_max_age > timedelta(minutes=15),
        "TWOFOLD_PROOF_MAX_AGE: a proven factor allows its own management for over 15 minutes.",
    )


def percent(probability: float) -> str:
    """`0.03 %`, with two digits that say something, rounded up: it is told as the most that there is."""
    exact = Decimal(f"{probability * 100:.6g}")
    last = Decimal(1).scaleb(exact.adjusted() - 1)
    return f"{float(exact.quantize(last, ROUND_CEILING)):.2g} %"


def _life(settings: Settings) -> int:
    return (2 * settings.window + 1) * settings.period


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
