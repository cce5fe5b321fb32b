"""What the documentation says about settings, made from the settings, and about the doctor, made from planted faults.

`python -m tests.cli.documented` writes both into docs/settings.md and docs/cli.md.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import SecretStr

from tests.cli.faults import FAULTS
from twofold import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
BEGIN, END = "<!-- made by: python -m tests.cli.documented -->\n", "<!-- end -->"
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "max_length": "at most"}


def duration(value: timedelta) -> str:
    """`10 minutes`."""
    seconds = int(value.total_seconds())
    name, size = next((one for one in _UNITS if seconds and seconds % one[1] == 0), _UNITS[-1])
    return f"{seconds // size} {name}{'' if seconds == size else 's'}"


def shown(value: Any) -> str:
    """A default or a limit as a person reads it."""
    match value:
        case None:
            return "-"
        case timedelta():
            return duration(value)
        case SecretStr():
            return f"`{value.get_secret_value()}`"
        case _:
            return f"`{value}`" if isinstance(value, str) else str(value)


def limits(field: FieldInfo) -> str:
    """What a value has to keep to."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    found: list[str] = []
    for constraint in field.metadata:
        for name, words in _LIMITS.items():
            limit = getattr(constraint, name, None)
            if limit is not None and not (name == "gt" and limit == timedelta(0)):
                found.append(f"{words} {shown(limit)}{' characters' if name.endswith('length') else ''}")
    return ", ".join(found)


def table() -> str:
    """Every setting as a row of Markdown."""
    rows = ["| variable | default | limits | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        cells = (f"`TWOFOLD_{name.upper()}`", shown(field.default), limits(field), field.description or "")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def faults() -> str:
    """Every fault that the doctor finds as a row of Markdown."""
    rows = ["| fault | about | what is said | next |", "|---|---|---|---|"]
    for fault in FAULTS:
        mark = {"wrong": "✗", "note": "!"}[fault.state]
        written = {"planted": "PATH", "user": "ID"}
        said, next_step = fault.said.format(**written), fault.next_step.format(**written)
        step = f"`{next_step}`" if next_step.startswith(("twofold ", "chmod ")) else next_step
        rows.append(f"| {fault.name} | {mark} {fault.about} | {said} | {step} |")
    return "\n".join(rows) + "\n"


PAGES: dict[str, Callable[[], str]] = {"settings.md": table, "cli.md": faults}


def documented(text: str, made: str) -> str:
    """The page with its table as it has to be."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"the page lacks {BEGIN}"
    assert end, f"the page lacks {END}"
    return before + BEGIN + made + end + after


if __name__ == "__main__":
    for name, make in PAGES.items():
        page = DOCS / name
        page.write_text(documented(page.read_text(encoding="utf-8"), make()), encoding="utf-8")
