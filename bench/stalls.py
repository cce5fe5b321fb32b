"""What was measured of an adoption: how long each step took, and how long it kept a login waiting."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.logins import Login


@dataclass(frozen=True)
class Span:
    """A piece of the run, and what the logins saw of it. One that waited through two pieces waited in both."""

    what: str
    begin: float
    end: float
    logins: Sequence[Login]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin

    @property
    def longest(self) -> float:
        """The longest time, in seconds, that a login was under way within it."""
        return max((login.within(self.begin, self.end) for login in self.logins), default=0.0)

    @property
    def begun(self) -> Sequence[Login]:
        """The logins that began in it."""
        return [login for login in self.logins if self.begin <= login.began < self.end]

    @property
    def errors(self) -> Counter[str]:
        """What logins that began in it failed by."""
        return Counter(login.error for login in self.begun if login.error)

    def plain(self) -> dict[str, Any]:
        """The span as JSON has it."""
        return {
            "what": self.what,
            "seconds": round(self.seconds, 3),
            "longest_stall_seconds": round(self.longest, 3),
            "logins": len(self.begun),
            "errors": dict(self.errors),
        }


def longest(spans: Sequence[Span]) -> float:
    """The longest time, in seconds, that one login took from its beginning to its end, in any of the spans."""
    return max((login.took for span in spans for login in span.begun), default=0.0)


def as_json(spans: Sequence[Span], about: dict[str, Any]) -> str:
    """The run as a program reads it."""
    found = {"longest_login_seconds": round(longest(spans), 3), "spans": [span.plain() for span in spans]}
    return json.dumps(about | found, indent=1) + "\n"


def as_table(spans: Sequence[Span], about: dict[str, Any]) -> Table:
    """The run as a person reads it."""
    title = "{people:,} people, {cpus} CPUs with a load of {load}, Python {python}, PostgreSQL {postgresql}"
    errors = sum((span.errors for span in spans), Counter[str]())
    caption = [f"The longest login took {longest(spans):.3f} s; {sum(errors.values())} failed."]
    caption += [f"{number} times: {error}" for error, number in errors.most_common(5)]
    table = Table(title=title.format(**about), title_justify="left", caption="\n".join(caption), caption_justify="left")
    table.add_column("step")
    for name in ("seconds", "longest stall", "logins", "errors"):
        table.add_column(name, justify="right", no_wrap=True)
    for span in spans:
        failed = sum(span.errors.values())
        table.add_row(
            span.what,
            f"{span.seconds:,.2f}",
            f"{span.longest * 1000:,.0f} ms",
            f"{len(span.begun):,}",
            str(failed) if failed else "",
        )
    return table
