"""One thing that hangs on a table of ours: what it is, what becomes of it, and what a person can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fate = Literal["refuses", "goes along", "breaks", "may break"]
"""The database refuses for its sake; takes it along without a word; or leaves it there, of no use to anybody.

Or, of what only names the table, of no use perhaps.
"""


@dataclass(frozen=True, slots=True)
class Dependant:
    """What the host built on a table of ours. `name` begins with its kind: `view public.recent`.

    `because` is what the database says to it, and `remedy` what to do, with the SQL as far as the catalog has it.
    """

    table: str
    name: str
    fate: Fate
    because: str
    remedy: str

    @property
    def farewell(self) -> str:
        """What is said of it when the table goes, and nothing keeps the table."""
        gone = f"With {self.table} goes {self.name}."
        return gone if self.fate == "goes along" else f"{self.name} stays, and its text names {self.table}."

    def __str__(self) -> str:
        return f"{self.table}: {self.name}: {self.because}. {self.remedy}"


def out_of_the_way(gone: str, made: str | None, meanwhile: str) -> str:
    """Say how to take something away for a while: the SQL that drops it, and the SQL that makes it again if known."""
    again = "create it again." if made is None else f"create it again: {made.strip().rstrip(';')};"
    return f"Drop it ({gone};), {meanwhile}, and {again}"
