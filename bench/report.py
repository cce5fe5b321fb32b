"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from bench.clients import Measured

NOTE = (
    "The ratio is the figure: each is taken against pgbench in the same round, then the median (lowest-highest) over "
    "the rounds. The rates are those of this machine at this hour, with client and server on the same cores."
)


@dataclass
class Row:
    """One kind of client at one number of clients: its measurements, one a round, and pgbench's in the same rounds."""

    clients: int
    who: str
    code: str
    statements: float = 0
    measured: list[Measured] = field(default_factory=list)
    limits: list[Measured] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """The rate of each round, in parts of pgbench's."""
        return [own.rate / limit.rate for own, limit in zip(self.measured, self.limits, strict=True)]

    @property
    def rate(self) -> float:
        """Operations per second, the median of the rounds."""
        return statistics.median(each.rate for each in self.measured)

    @property
    def cpu(self) -> float:
        """Microseconds of the client's CPU for one operation, the median of the rounds."""
        return statistics.median(each.cpu / each.operations * 1e6 for each in self.measured)

    def plain(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {
            "clients": self.clients,
            "who": self.who,
            "code": self.code,
            "operations_per_second": round(self.rate, 1),
            "ratio": round(statistics.median(self.ratios), 3),
            "ratios": [round(ratio, 3) for ratio in self.ratios],
            "client_cpu_us": round(self.cpu, 1),
            "statements": self.statements,
        }


def machine(postgresql: str) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "postgresql": postgresql,
        "sqlalchemy": version("sqlalchemy"),
        "psycopg": version("psycopg"),
    }


def as_json(rows: list[Row], about: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps({"machine": about, "note": NOTE, "rows": [row.plain() for row in rows]})


def as_table(rows: list[Row], about: dict[str, Any]) -> Table:
    """A table, the limit first at every number of clients."""
    title = "{rounds} rounds, {cpus} CPUs, Python {python}, PostgreSQL {postgresql}"
    title += ", SQLAlchemy {sqlalchemy}, psycopg {psycopg}"
    table = Table(
        title=title.format(**about, rounds=len(rows[0].measured)),
        caption=NOTE,
        caption_justify="left",
        title_justify="left",
    )
    for name in ("clients", "who", "code"):
        table.add_column(name, no_wrap=True)
    for name in ("operations/s", "ratio to pgbench", "client CPU", "statements"):
        table.add_column(name, justify="right")
    for row in rows:
        ratios = row.ratios
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        table.add_row(
            str(row.clients),
            row.who,
            row.code,
            f"{row.rate:,.0f}",
            "1" if row.who == "pgbench" else ratio,
            f"{row.cpu:,.0f} µs",
            f"{row.statements:g}",
            end_section=row.code == "right" and row.who.startswith("Async"),
        )
    return table
