"""What stands in the log of a process: each line has a name, its fields, and a row in docs/observing.md.

`python -m tests.test_lines` writes the table.
"""

from __future__ import annotations

import logging
import re
import string
from typing import TYPE_CHECKING

import pytest

from tests.databases import ROOT
from twofold import Tampered, lines
from twofold.sources import warn

if TYPE_CHECKING:
    from tests.people import Enrolment, Sql
    from twofold import MFA
    from twofold.lines import Line

PAGE = ROOT / "docs" / "observing.md"
_BEGIN, _END = "<!-- lines -->\n", "<!-- /lines -->\n"
# What a migration says is for whoever runs it.
_OF_MIGRATIONS = ("migrations/", "schema/making.py")


def table() -> str:
    """The table as it has to be."""
    rows = ["| `twofold_line` | logger | level | fields, each as `twofold_…` | sentence |", "|---|---|---|---|---|"]
    for one in lines.LINES:
        fields = ", ".join(f"`{field}`" for field in one.fields)
        level = logging.getLevelName(one.level).lower()
        rows.append(f"| `{one.name}` | `{one.logger}` | {level} | {fields} | {_sentence(one)} |")
    return "\n".join(rows) + "\n"


def _sentence(line: Line) -> str:
    named = iter(line.fields)
    return re.sub(r"%[rs]", lambda _: f"*{next(named)}*", line.sentence)


def test_the_table_of_lines_is_made_from_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition(_BEGIN)[2].partition(_END)[0] == table(), "run: python -m tests.test_lines"


def test_every_line_is_named_once_and_takes_its_fields() -> None:
    assert len({one.name for one in lines.LINES}) == len(lines.LINES)
    for one in lines.LINES:
        assert one.name == next(name for name, value in vars(lines).items() if value is one).lower()
        assert len(re.findall(r"%[rs]", one.sentence)) == len(one.fields)
        assert set("".join((one.name, *one.fields))) <= set(string.ascii_lowercase + "_")


def test_nothing_is_logged_that_has_no_name() -> None:
    for path in (ROOT / "src" / "twofold").rglob("*.py"):
        if path.name != "lines.py" and not any(one in path.as_posix() for one in _OF_MIGRATIONS):
            assert "getLogger" not in path.read_text(encoding="utf-8"), path


@pytest.mark.backends("sqlite")
def test_a_collector_finds_name_and_fields(
    mfa: MFA, enrolled: Enrolment, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    sql("UPDATE user_mfa_secrets SET failed_attempts = 77")
    with caplog.at_level(logging.INFO, "twofold"), pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)
    (record,) = caplog.records
    assert vars(record)["twofold_line"] == "row_altered"
    assert vars(record)["twofold_user_id"] == enrolled.user_id
    assert record.levelno == logging.CRITICAL
    # Not where all lines are written, but where this one comes from.
    assert record.filename == "reading.py"


def test_every_field_goes_along(caplog: pytest.LogCaptureFixture) -> None:
    warn.cache_clear()
    with caplog.at_level(logging.DEBUG, "twofold"):
        for one in lines.LINES:
            one.write(*(f"<{field}>" for field in one.fields))
        warn("TWOFOLD_ISUER", "TWOFOLD_ISSUER")
    for one, record in zip(lines.LINES, caplog.records, strict=False):
        told = {name: value for name, value in vars(record).items() if name.startswith("twofold_")}
        assert told == {"twofold_line": one.name} | {f"twofold_{field}": f"<{field}>" for field in one.fields}
        assert record.name == one.logger
    assert vars(caplog.records[-1])["twofold_meant"] == "TWOFOLD_ISSUER"


def main() -> None:
    """Write the table into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    PAGE.write_text(f"{before}{_BEGIN}{table()}{_END}{rest.partition(_END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
