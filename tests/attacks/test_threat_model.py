"""The threat model claims nothing that no test shows, and its numbers are those of the settings."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.attacks.year import Decisions, lead
from tests.databases import ROOT
from tests.people import plain_settings
from twofold.budget import Budget
from twofold.cli.doctor.policy import percent

if TYPE_CHECKING:
    from twofold import Settings

PAGE = ROOT / "docs" / "security" / "threat-model.md"
_TEST = re.compile(r"tests/[\w/]+\.py::test_\w+")
_TABLE = re.compile(r"^\| what (holds|does not) \| shown by \|\n\|---\|---\|\n((?:\|.+\|\n)+)", re.MULTILINE)
_ODDS = re.compile(r"^\| ([^|-]+)" + r" \| ([^|]+)" * 5 + r" \|$", re.MULTILINE)


def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_test_that_the_page_names_is_there() -> None:
    named = _TEST.findall(text())
    assert len(named) > 100
    missing = [
        name
        for name in named
        if not re.search(rf"^(async )?def {name.partition('::')[2]}\(", read(name.partition("::")[0]), re.MULTILINE)
    ]
    assert missing == []


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""


def test_every_claim_of_the_page_names_its_test() -> None:
    tables = re.findall(
        r"^\| what (holds|does not) \| shown by \|\n\|---\|---\|\n((?:\|.+\|\n)+)", text(), re.MULTILINE
    )
    claims = [(kind, *line.strip("| ").split(" | ")) for kind, table in tables for line in table.splitlines()]
    assert len(claims) > 60
    for kind, claim, tests in claims:
        assert _TEST.search(tests) or (kind == "does not" and tests == "-"), claim


def test_every_link_of_the_security_pages_leads_somewhere() -> None:
    for page in PAGE.parent.glob("*.md"):
        lines = page.read_text(encoding="utf-8")
        titles = {anchored(title) for title in re.findall("^#+ (.+)$", lines, re.MULTILINE)}
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", lines):
            path, _, anchor = target.partition("#")
            assert (page.parent / path).exists(), target
            assert path or anchor in titles, target


def anchored(title: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


# The rows of the only table whose lines have six cells.
ODDS = [row for row in _ODDS.findall(text()) if row[0] != "settings"]


def settings_of(row: tuple[str, ...]) -> Settings:
    named = dict(re.findall(r"TWOFOLD_(\w+)=(\d+)", row[0]))
    assert named or row[0] == "default"
    return plain_settings(**{name.lower(): int(value) for name, value in named.items()})


@pytest.mark.requirement("R20")
@pytest.mark.parametrize("row", ODDS, ids=lambda row: str(row[0]))
def test_the_odds_on_the_page_are_those_of_the_settings(row: tuple[str, ...]) -> None:
    settings = settings_of(row)
    budget = Budget.of(settings)
    odds = budget.odds(digits=settings.digits, window=settings.window)
    in_a_year = budget.odds_in_a_year(digits=settings.digits, window=settings.window)
    computed = [
        str(budget.cap),
        percent(odds),
        f"{budget.time_to_spend() / timedelta(days=1):.1f} days",
        str(guesses_within(timedelta(days=365), budget)),
        percent(in_a_year),
    ]
    assert computed == list(row[1:])


@pytest.mark.requirement("R20")
@pytest.mark.parametrize("row", ODDS, ids=lambda row: str(row[0]))
def test_no_guesser_gets_at_more_guesses_in_a_year_than_the_page_says(row: tuple[str, ...]) -> None:
    settings = settings_of(row)
    year = lead(Decisions(settings), suspended_after=settings.suspend_after, rhythm=timedelta(days=1))
    assert int(row[4]) * 0.97 <= year.looked_at <= int(row[4])
    chance = year.looked_at * (2 * settings.window + 1) / 10**settings.digits
    assert chance <= float(row[5].removesuffix(" %")) / 100


def guesses_within(time: timedelta, budget: Budget) -> int:
    """How many codes are looked at in so long, of one who is never suspended."""
    return int(budget.held + budget.held * (time / budget.drain))


def test_the_table_of_the_odds_begins_with_the_default() -> None:
    assert ODDS[0][0] == "default"
    assert len(ODDS) >= 5
