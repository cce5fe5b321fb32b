"""What every program of the bench does: it reads options, judges figures, writes results down and shows them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
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


@dataclass
class Row:
    """One figure: in each round a measurement, and what it is measured against in the same round.

    The goal is what it must reach: so much, or so little where lower is better.
    """

    path: str
    clients: int = 1
    goal: float | None = None
    lower_is_better: bool = False
    unit: str = "ratio"
    figures: list[float] = field(default_factory=list[float])
    measured: list[Measured] = field(default_factory=list["Measured"])

    def add(self, measured: Measured, limit: Measured) -> None:
        """Add a round: the rate in parts of the limit's."""
        self.measured.append(measured)
        self.figures.append(measured.rate / limit.rate)

    def median(self, what: str) -> float | None:
        """Return the median of the rounds' `rate` or `cpu_each`, which is the client's in microseconds."""
        return round(statistics.median(getattr(one, what) for one in self.measured), 1) if self.measured else None

    def plain(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        about = {each.name: getattr(self, each.name) for each in fields(Row) if each.name != "measured"}
        figure = round(statistics.median(self.figures), 3)
        about |= {"figure": figure, "figures": [round(each, 3) for each in self.figures], "reached": self._reached()}
        return about | {"operations_per_second": self.median("rate"), "client_cpu_us": self.median("cpu_each")}

    def shown(self) -> tuple[str, str]:
        """Return the figure as the median with the lowest and the highest, and how far the goal is reached."""
        median = statistics.median(self.figures)
        figure = f"{median:.2f} ({min(self.figures):.2f}-{max(self.figures):.2f})"
        goal = f"{'≤' if self.lower_is_better else '≥'} {self.goal:g}: {self._reached()}" if self.goal else ""
        return figure if self.unit == "ratio" else f"{median:.0f} {self.unit}", goal

    def _reached(self) -> str | None:
        if self.goal is None:
            return None
        sign = -1 if self.lower_is_better else 1
        return "yes" if statistics.median(self.figures) * sign >= self.goal * sign else "NO"


def _load() -> float:
    return round(os.getloadavg()[0], 1)


_LOAD = _load()


def machine(postgresql: str = "", **more: Any) -> dict[str, Any]:
    """Return what the figures depend on, with the load of the minute before the program began, and of the last."""
    cpus = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpus.read_text(encoding="utf-8") if cpus.exists() else "")
    about = {"cpus": os.cpu_count(), "cpu": model[1] if model else platform.machine(), "load": [_LOAD, _load()]}
    about |= {"python": platform.python_version(), "postgresql": postgresql}
    return about | {package: version(package) for package in ("sqlalchemy", "psycopg", "asyncpg")} | more


def table(
    about: dict[str, Any], what: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *more: str
) -> dict[str, Any]:
    """Return the machine and the table for people, as a page has it, whose title says `what` the figures are."""
    postgresql = f"PostgreSQL {about['postgresql']}, " if about["postgresql"] else ""
    title = (
        "{cpus} cores ({cpu}), load {load[0]} at the beginning, client and server together; Python {python}, {}"
        "SQLAlchemy {sqlalchemy}, psycopg {psycopg}, asyncpg {asyncpg}; "
    ).format(postgresql, **about)
    head, *body = (f"| {' | '.join(map(str, row))} |" for row in (columns, *rows))
    return {"machine": about, "table": "\n".join([title + what, "", head, "|" + "---|" * len(columns), *body, *more])}


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
    name: str, measure: Callable[[argparse.Namespace], dict[str, Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """Measure, write down as `results/NAME.json`, and print. Exits with 1 where an answer was not the right one."""
    try:
        found = measure(options)
    except KeyboardInterrupt:
        sys.exit(130)
    except _FAILURES as error:
        sys.exit(f"error: {error}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(f"{json.dumps(found, indent=1)}\n", encoding="utf-8")
    shown = "\n\n".join([found["table"], *found.get("notes", ())])
    Console(width=None if sys.stdout.isatty() else 150).print(Markdown(shown))
    return found
