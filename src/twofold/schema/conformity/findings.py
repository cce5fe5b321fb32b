"""What a verification found: one finding for each difference, and how far it is from what the revision makes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from twofold.errors import SchemaDrift
from twofold.schema.history import FOUR, History, of

Aspect = Literal[
    "table",
    "column",
    "type",
    "nullability",
    "default",
    "primary key",
    "numbering",
    "unique",
    "index",
    "foreign key",
    "storage",
    "listed",
]


class Verdict(StrEnum):
    """How far something is from the revision, from nearest to farthest."""

    SAME = "same"
    """As the revision makes it."""
    TOLERATED = "tolerated"
    """Different, and every promise is kept all the same."""
    ADDITIVE = "additive"
    """Can be added online, without a rewrite and without a decision."""
    HEAVY = "heavy"
    """Needs a rewrite, a lock or a decision."""
    BLOCKED = "blocked"
    """Somebody has to decide what becomes of it."""

    @property
    def rank(self) -> int:
        """0 for SAME to 4 for BLOCKED."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: `aspect` and `subject` say where, `found` and `expected` what."""

    table: str
    aspect: Aspect
    subject: str
    found: str
    expected: str
    verdict: Verdict

    @property
    def what(self) -> str:
        """What differs, for people: `index (user_id, seq)`."""
        return f"{self.aspect} {self.subject}".rstrip()

    def __str__(self) -> str:
        return f"{self.table}: {self.what}: {self.found} (expected: {self.expected}; {self.verdict})"


@dataclass(frozen=True, slots=True)
class Report:
    """How a database stands to the `revision` of a history.

    `present` names those of its tables whose names are taken, by a table or by anything else. `findings` holds the
    tolerated differences too.
    """

    present: frozenset[str]
    findings: tuple[Finding, ...]
    revision: str = FOUR.revision

    @property
    def history(self) -> History:
        """The history of the revision."""
        return of(self.revision)

    @property
    def drift(self) -> tuple[Finding, ...]:
        """The findings that keep the database from conforming."""
        return tuple(finding for finding in self.findings if finding.verdict.rank > Verdict.TOLERATED.rank)

    @property
    def nothing_there(self) -> bool:
        """None of the tables exists."""
        return not self.present

    @property
    def missing(self) -> tuple[str, ...]:
        """The tables that do not exist, in the order of creation."""
        return tuple(name for name in self.history.names if name not in self.present)

    @property
    def only_missing_tables(self) -> bool:
        """At least one table is missing whole, and nothing else is wrong."""
        return bool(self.missing) and all(
            finding.aspect == "table" and finding.table in self.missing for finding in self.drift
        )

    @property
    def conforms(self) -> bool:
        """Every promise of the revision is kept."""
        return not self.drift

    def verdict(self, table: str) -> Verdict:
        """The farthest verdict on a table."""
        verdicts = [finding.verdict for finding in self.findings if finding.table == table]
        return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.SAME)

    def raise_if_drifted(self) -> None:
        """Raise SchemaDrift with every difference, unless the database conforms."""
        if self.conforms:
            return
        history = self.history
        what = history.about.capitalize()
        if self.nothing_there:
            message = (
                f"{what} {history.agree('do', 'does')} not exist; "
                f"run `{history.twofold('upgrade')}` or `{history.alembic('upgrade head')}`."
            )
        else:
            message = (
                f"{what} {history.agree('differ', 'differs')} from revision {history.revision}; nothing was changed. "
                f"Run `{history.twofold('adopt')}` to see what brings {history.agree('them', 'it')} there."
            )
        raise SchemaDrift(message, [str(finding) for finding in self.drift])
