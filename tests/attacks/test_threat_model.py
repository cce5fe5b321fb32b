"""The threat model claims nothing that no test shows, and its numbers are those of the settings."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.databases import ROOT
from tests.people import plain_settings
from twofold.budget import Budget

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


@pytest.mark.requirement("R20")
@pytest.mark.parametrize("row", ODDS, ids=lambda row: str(row[0]))
def test_the_odds_on_the_page_are_those_of_the_settings(row: tuple[str, ...]) -> None:
    named = dict(re.findall(r"TWOFOLD_(\w+)=(\d+)", row[0]))
    assert named or row[0] == "default"
    settings = plain_settings(**{name.lower(): int(value) for name, value in named.items()})
    budget = Budget.of(settings)
    odds = budget.odds(digits=settings.digits, window=settings.window)
    a_day = guesses_within(timedelta(days=1), budget)
    a_year = 1 - (1 - a_day * (2 * settings.window + 1) / 10**settings.digits) ** 365
    computed = [
        str(budget.cap),
        f"{odds * 100:.2g} %",
        f"{budget.time_to_spend() / timedelta(days=1):.1f} days",
        str(a_day),
        f"{a_year * 100:.2g} %",
    ]
    assert computed == list(row[1:])


def guesses_within(time: timedelta, budget: Budget) -> int:
    """How many codes are looked at in so long, of a count that begins at nothing and stops before the suspension."""
    made, waited = 0, timedelta(0)
    while waited < time and made < budget.cap - 1:
        made += 1
        waited += budget.wait(made)
    return made


def test_the_table_of_the_odds_begins_with_the_default() -> None:
    assert ODDS[0][0] == "default"
    assert len(ODDS) >= 5
