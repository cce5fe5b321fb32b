"""Every requirement has its test or its reason, and the page says the same."""

from __future__ import annotations

from tests.attacks import marks
from tests.attacks.documented import PAGE, page, registry


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(registry(), marks.shown()), "python -m tests.attacks.documented"


def test_every_number_has_a_test_or_a_reason() -> None:
    shown = marks.shown()
    assert [number for number, entry in registry().items() if (number in shown) == bool(entry.reason)] == []


def test_every_mark_names_a_number_that_is_there() -> None:
    assert sorted(marks.shown().keys() - registry().keys()) == []


def test_no_number_is_left_out() -> None:
    numbers = list(registry())
    requirements = [number for number in numbers if number.startswith("R")]
    attacks = [number for number in numbers if number.startswith("A")]
    assert requirements == [f"R{number}" for number in range(1, 125)]
    assert attacks == [f"A{number}" for number in range(1, 41)]


def test_every_entry_is_whole() -> None:
    for entry in registry().values():
        assert entry.text, entry.number
        assert entry.source, entry.number
        assert entry.level in ({"must", "should", "may"} if entry.number.startswith("R") else {None}), entry.number
        assert "|" not in f"{entry.text}{entry.source}{entry.reason}{entry.note}", entry.number
