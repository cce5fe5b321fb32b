"""The page of security requirements, made from their registry and from the marks of the tests.

`python -m tests.attacks.documented` writes docs/security/requirements.md.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.attacks import marks
from tests.databases import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.attacks.marks import Shown

PAGE = ROOT / "docs" / "security" / "requirements.md"
REGISTRY = Path(__file__).with_name("registry")
# By file and in this order; each file keeps its entries in theirs.
FILES = ("login.toml", "assurance.toml", "attacks.toml")

_HEAD = """\
# Security requirements and the tests that show them

{requirements} requirements (R) out of NIST SP 800-63B-4, OWASP ASVS 5.0 and the RFCs, and {attacks} attacks (A) that
others have suffered. Tests show {shown} of them; where there is none, the table says why. Every test that is named here
is part of `make test`, on the databases that stand beside it. **The result of this table is that the suite passes.**
"Both faces" are `MFA` and `AsyncMFA`. In `make test` the second one has one of the databases in each test, by turns,
and all of them where the driver matters: in races, crashes and faults. In `.ci/run` it has all of them in every test.

Everything that carries a number is run with `.venv/bin/python -m pytest -m "requirement or attack"`, and one test with
`.venv/bin/python -m pytest path::name`.

`python -m tests.attacks.documented` makes this page out of `tests/attacks/registry/` and the marks of the tests. A test
fails while the page is not up to date, while a number has neither a test nor a reason, and while a mark names a number
that is not here.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A requirement or an attack, as a table of the registry states it.

    `reason` says why no test shows it, `note` what is to be known beside the tests.
    """

    number: str
    text: str
    source: str
    section: str
    level: Literal["must", "should", "may"] | None = None
    reason: str | None = None
    note: str | None = None


def registry() -> dict[str, Entry]:
    """Every entry by its number, in the order of the files. Raises TypeError for a key that is none or is missing."""
    entries: dict[str, Entry] = {}
    for name in FILES:
        for number, keys in tomllib.loads((REGISTRY / name).read_text(encoding="utf-8")).items():
            if number in entries:
                raise ValueError(f"{number} is in the registry twice.")
            entries[number] = Entry(number, **keys)
    return entries


def page(entries: Mapping[str, Entry], shown: Mapping[str, list[Shown]]) -> str:
    """The page as it has to be."""
    requirements = sum(number.startswith("R") for number in entries)
    count = {"requirements": requirements, "attacks": len(entries) - requirements}
    lines = [_HEAD.format(**count, shown=sum(number in shown for number in entries)).rstrip()]
    section = None
    for entry in entries.values():
        if entry.section != section:
            section = entry.section
            lines += [f"\n## {section}\n", "| # | what | level | source | shown by | on |", "|---|---|---|---|---|---|"]
        lines.append("| " + " | ".join(_cells(entry, shown.get(entry.number, []))) + " |")
    return "\n".join(lines) + "\n"


def _cells(entry: Entry, tests: list[Shown]) -> tuple[str, ...]:
    named = [f"`{one.test}`" for one in tests]
    if entry.reason:
        named.append(f"No test: {entry.reason}")
    if entry.note:
        named.append(entry.note)
    return entry.number, entry.text, entry.level or "-", entry.source, "<br>".join(named), _places(tests)


def _places(tests: list[Shown]) -> str:
    """Where the tests of an entry run, taken together."""
    databases = [name for name in marks.DATABASES.values() if any(name in one.databases for one in tests)]
    faces = ["both faces"] if any(one.on_both_faces for one in tests) else []
    return ", ".join((*databases, *faces)) or "-"


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(registry(), marks.shown()), encoding="utf-8")


if __name__ == "__main__":
    main()
