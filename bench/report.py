"""What every program of the bench does: it reads options, judges figures, writes results down and shows them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.markdown import Markdown
from sqlalchemy.exc import SQLAlchemyError

from bench.clients import Measured
from twofold import MFAError

RESULTS = Path(__file__).with_name("results")
IS_QUICK = bool(os.environ.get("QUICK"))
_FAILURES = (RuntimeError, OSError, AssertionError, MFAError, psycopg.Error, SQLAlchemyError)


@dataclass(frozen=True)
class Goal:
    """What a figure must reach and what would be good: at least so much, or at most where lower is better."""

    bound: float
    stretch: float | None = None
    lower_is_better: bool = False

    def judge(self, figure: float) -> str:
        """Say how far it is reached."""
        sign = -1 if self.lower_is_better else 1
        if self.stretch is not None and figure * sign >= self.stretch * sign:
            return "stretch"
        return "yes" if figure * sign >= self.bound * sign else "NO"


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

    def plain(self) -> dict[str, Any]:
        """Return the row as JSON has it; rates and the client's CPU are medians of the rounds."""
        figure, goal, all_ = statistics.median(self.figures), self.goal, self.measured
        return {
            "path": self.path,
            "clients": self.clients,
            "unit": self.unit,
            "figure": round(figure, 3),
            "figures": [round(figure, 3) for figure in self.figures],
            "goal": goal.bound if goal else None,
            "stretch": goal.stretch if goal else None,
            "lower_is_better": goal.lower_is_better if goal else None,
            "reached": goal.judge(figure) if goal else None,
            "operations_per_second": round(statistics.median(one.rate for one in all_), 1) if all_ else None,
            "client_cpu_us": round(statistics.median(one.cpu_each for one in all_), 1) if all_ else None,
            "statements": self.statements,
        }


def markdown(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table for people, as a page has it."""
    head, *body = (f"| {' | '.join(map(str, row))} |" for row in (columns, *rows))
    return "\n".join([title, "", head, "|" + "---|" * len(columns), *body])


def span(figures: Sequence[float]) -> str:
    """Return the median, and in brackets the lowest and the highest."""
    return f"{statistics.median(figures):.2f} ({min(figures):.2f}-{max(figures):.2f})"


def load() -> float:
    """Return the load of the last minute."""
    return round(os.getloadavg()[0], 1)


def machine(postgresql: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    cpus, cpu = Path("/proc/cpuinfo"), platform.processor()
    if cpus.exists():
        lines = (line.partition(":") for line in cpus.read_text(encoding="utf-8").splitlines())
        cpu = next((value.strip() for name, _, value in lines if name.strip() == "model name"), platform.machine())
    about = {"cpus": os.cpu_count(), "cpu": cpu, "python": platform.python_version(), "postgresql": postgresql}
    return about | {package: version(package) for package in ("sqlalchemy", "psycopg", "asyncpg")}


class Options(argparse.ArgumentParser):
    """Options of a program; a number may have another default where QUICK is set in the environment."""

    def number(self, name: str, what: str, default: float, quick: float | None = None) -> None:
        """Add a number, which must be positive."""
        number = quick if IS_QUICK and quick is not None else default
        self.add_argument(f"--{name}", type=type(default), default=number, help=f"{what} (default: %(default)s)")

    def read(self) -> argparse.Namespace:
        """Read the command line."""
        options = self.parse_args()
        if any(value <= 0 for value in vars(options).values() if type(value) in {int, float}):
            self.error("every number is positive")
        return options


def tell(what: str) -> None:
    """Say what begins now."""
    print(what, file=sys.stderr, flush=True)


def run(
    name: str, measure: Callable[[], dict[str, Any]], table: Callable[[dict[str, Any]], str], *, as_json: bool = False
) -> dict[str, Any]:
    """Measure, write down as `results/NAME.json`, and print. Exits with 1 where an answer was not the right one."""
    try:
        text = json.dumps(measure(), indent=1)
    except KeyboardInterrupt:
        sys.exit(130)
    except _FAILURES as error:
        sys.exit(f"error: {error}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    if as_json:
        print(json.dumps(found))
    else:
        shown = "\n\n".join([table(found), *found.get("notes", [found.get("note", "")])])
        Console(width=None if sys.stdout.isatty() else 150).print(Markdown(shown))
    return found
