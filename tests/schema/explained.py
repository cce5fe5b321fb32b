"""What a linter of PostgreSQL migrations, Squawk, has to say about ours, and what we say to that.

`python -m tests.schema.explained` writes it into docs/adoption.md.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "adoption.md"
BEGIN, END = "<!-- made from what is explained: python -m tests.schema.explained -->\n", "<!-- end -->"
SQUAWK = Path(sys.executable).with_name("squawk")
OLDEST = "13"


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule that is broken knowingly, by the statements that the pattern finds and by no others."""

    rule: str
    pattern: str
    why: str


EXPLAINED = (
    Explained(
        "ban-drop-column",
        r"DROP COLUMN id;$",
        "The narrow id goes in the transaction in which its wider twin, proven equal by a CHECK, takes its name.",
    ),
    Explained(
        "ban-drop-constraint",
        r"DROP CONSTRAINT (ck_\w+_not_null\b|\w+_fkey\d*;$)",
        "Only a CHECK that was our own scaffolding, and a foreign key whose better is there and proven.",
    ),
    Explained(
        "ban-drop-function",
        r"DROP FUNCTION \w+_id_bigint\(\);$",
        "The function of our own trigger, made a few steps earlier.",
    ),
    Explained(
        "ban-drop-not-null",
        r"ALTER COLUMN \w+ DROP NOT NULL;$",
        "Columns that the library leaves empty; every client that could write a value still can.",
    ),
    Explained(
        "changing-column-type",
        r"TYPE (VARCHAR\(\d+\)|TIMESTAMP WITH TIME ZONE)[,;]|ALTER COLUMN user_id TYPE (big)?int(eger)?;$",
        "A longer VARCHAR is an instant. A moment gets its zone in a session in UTC, which builds its indexes anew and "
        "writes no row; a user_id narrower than the users' key is written anew, with an id that is narrow, too: heavy "
        "steps, so they are asked for by name.",
    ),
    Explained(
        "prefer-bigint-over-int",
        r"\b(digits|period|failed_attempts|setup_tries|lines_today|usage_count) INTEGER DEFAULT|\balgorithm INT",
        "Small numbers by nature: the digits of a code, the seconds of a step, counters that people drive, and the "
        "number of a signature's algorithm.",
    ),
    Explained(
        "prefer-identity",
        r"id BIGSERIAL NOT NULL",
        "A sequence and an identity number rows alike, and applications with such tables have sequences.",
    ),
    Explained(
        "prefer-robust-stmts",
        r"^CREATE (UNIQUE )?INDEX CONCURRENTLY (?!IF NOT EXISTS)",
        "IF NOT EXISTS would take the invalid index of an interrupted build for the real one; the plan looks first, "
        "and builds that one anew.",
    ),
    Explained(
        "prefer-text-field",
        r"VARCHAR\(\d+\)",
        "The lengths are part of what the revision promises; making one longer later is an instant.",
    ),
    Explained(
        "renaming-column",
        r"RENAME COLUMN id_bigint TO id;$",
        "The twin takes the name that clients know; none of them ever knew it by the other.",
    ),
    Explained(
        "renaming-object",
        r"ALTER INDEX \w+_id_bigint RENAME TO",
        "The twin's index takes the name of the one that it replaces, and nobody asks for an index by name.",
    ),
    Explained(
        "require-lock-timeout",
        r"^CREATE TABLE (user_mfa_secrets|mfa_passkeys) \($",
        "In the script of `alembic upgrade head --sql`, whose reader sets one; our commands set half a second.",
    ),
    Explained(
        "require-statement-timeout",
        r"^(ALTER TABLE|CREATE TABLE|CREATE (UNIQUE )?INDEX CONCURRENTLY|REINDEX INDEX CONCURRENTLY)",
        "What is quick needs none, and what takes long lets people go on or was allowed by name: stopping it would "
        "only make it begin again.",
    ),
)


def complaints(script: Iterable[str]) -> set[tuple[str, str]]:
    """The rules that a script breaks, each with the line at fault, for the oldest PostgreSQL that is supported."""
    lines = list(script)
    done = subprocess.run(
        [SQUAWK, "--reporter", "json", "--pg-version", OLDEST, "--stdin-filepath", "script.sql"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return {(found["rule_name"], lines[found["line"]].strip()) for found in json.loads(done.stdout)}


def is_explained(rule: str, line: str) -> bool:
    """Whether we have an answer."""
    return any(one.rule == rule and re.search(one.pattern, line) for one in EXPLAINED)


def documented(text: str) -> str:
    """The page with its table as it has to be."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    rows = "".join(f"| `{one.rule}` | {one.why} |\n" for one in EXPLAINED)
    return f"{before}{BEGIN}| rule | why it is broken |\n|---|---|\n{rows}{end}{after}"


if __name__ == "__main__":
    DOCS.write_text(documented(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
