"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.clients import Measured

NOTE = (
    "The ratio is the figure: each is taken against the limit in the same round, then the median (lowest-highest) over "
    "the rounds. The rates are those of this machine at this hour, with client and server on the same cores."
)


@dataclass(frozen=True)
class Goal:
    """What a figure must reach, and what it would be good to reach; a ratio is at least so high, a time at most."""

    least: float
    stretch: float | None = None
    is_time: bool = False

    def judge(self, figure: float) -> str:
        """How far it is reached."""
        sign = -1 if self.is_time else 1
        if self.stretch is not None and figure * sign >= self.stretch * sign:
            return "stretch"
        return "yes" if figure * sign >= self.least * sign else "NO"

    def __str__(self) -> str:
        sign = "≤" if self.is_time else "≥"
        return f"{sign} {self.least:g}" + (f" ({self.stretch:g})" if self.stretch is not None else "")


@dataclass
class Row:
    """One figure: in each round a measurement, and what it is measured against in the same round."""

    path: str
    clients: int
    goal: Goal | None = None
    unit: str = "ratio"
    statements: float | None = None
    measured: list[Measured] = field(default_factory=list["Measured"])
    figures: list[float] = field(default_factory=list[float])

    def add(self, measured: Measured, limit: Measured) -> None:
        """Add a round: the rate in parts of the limit's."""
        self.measured.append(measured)
        self.figures.append(measured.rate / limit.rate)

    @property
    def figure(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.figures)

    @property
    def rate(self) -> float | None:
        """Operations per second, the median of the rounds."""
        return statistics.median(each.rate for each in self.measured) if self.measured else None

    @property
    def cpu(self) -> float | None:
        """Microseconds of the client's CPU for one operation, the median of the rounds."""
        return statistics.median(each.cpu / each.operations * 1e6 for each in self.measured) if self.measured else None

    def plain(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {
            "path": self.path,
            "clients": self.clients,
            "unit": self.unit,
            "figure": round(self.figure, 3),
            "figures": [round(figure, 3) for figure in self.figures],
            "goal": self.goal.least if self.goal else None,
            "stretch": self.goal.stretch if self.goal else None,
            "reached": self.goal.judge(self.figure) if self.goal else None,
            "operations_per_second": round(self.rate, 1) if self.rate else None,
            "client_cpu_us": round(self.cpu, 1) if self.cpu else None,
            "statements": self.statements,
        }


def machine(postgresql: str) -> dict[str, Any]:
    """What the figures depend on."""
    described: dict[str, Any] = {
        "cpus": os.cpu_count(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "postgresql": postgresql,
    }
    for package in ("sqlalchemy", "psycopg", "asyncpg"):
        try:
            described[package] = version(package)
        except PackageNotFoundError:
            described[package] = None
    return described


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def as_plain(rows: Sequence[Row], about: dict[str, Any]) -> dict[str, Any]:
    """What is written down."""
    return {"machine": about, "note": NOTE, "rows": [row.plain() for row in rows]}


def as_table(rows: Sequence[Row], about: dict[str, Any]) -> Table:
    """A table for people."""
    title = "{rounds} rounds, {cpus} CPUs, load {load} at the beginning, Python {python}, PostgreSQL {postgresql}"
    title += ", SQLAlchemy {sqlalchemy}, psycopg {psycopg}, asyncpg {asyncpg}"
    rounds = max(len(row.figures) for row in rows)
    table = Table(
        title=title.format(**about, rounds=rounds), caption=NOTE, caption_justify="left", title_justify="left"
    )
    for name in ("path", "clients", "figure", "goal (stretch)", "reached", "operations/s", "CPU", "statements"):
        table.add_column(name, justify="left" if name == "path" else "right", no_wrap=name == "path")
    for row in rows:
        goal = (str(row.goal), row.goal.judge(row.figure)) if row.goal else ("", "")
        table.add_row(
            row.path,
            str(row.clients),
            _shown(row),
            *goal,
            f"{row.rate:,.0f}" if row.rate else "",
            f"{row.cpu:,.0f} µs" if row.cpu else "",
            f"{row.statements:g}" if row.statements else "",
        )
    return table


def _shown(row: Row) -> str:
    low, high = min(row.figures), max(row.figures)
    if row.unit == "ratio":
        return f"{row.figure:.2f} ({low:.2f}-{high:.2f})"
    return f"{row.figure:.0f} ({low:.0f}-{high:.0f}) {row.unit}"
