"""How long `twofold db adopt` keeps logins waiting on big tables: `make adopt-bench`."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from bench import incident, report, server, stalls
from bench.logins import Application, Older, Ours, going_on
from bench.stalls import Span
from twofold import Settings
from twofold.keyring import generate_key

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator, Sequence

    from bench.logins import Login

_RESULTS = Path(__file__).with_name("results") / "adopt.json"
_BASELINE = 5.0
_LIMIT = 1.0
# Behind the last step the ordinary upgrade has its turn, and Alembic speaks first.
_STEP = re.compile(r"(?P<moment>[\d.]+) (Adopting: (?P<step>.+)|Context impl .+)")


class Run:
    """A database of before Twofold, and the commands that bring it along, watched by logins."""

    def __init__(self, options: argparse.Namespace, url: str, told: Callable[[str], None]) -> None:
        self._options, self._url, self._told = options, url, told
        keys = generate_key("bench")
        made: dict[str, Any] = {"_env_file": None, "keys": keys, "legacy_rows": True}
        self._settings = Settings(**made)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")},
            "TWOFOLD_DATABASE_URL": url,
            "TWOFOLD_KEYS": keys,
        }

    def structure(self) -> list[Span]:
        """`twofold db adopt`, beside the logins of the application of before."""
        older = [Older(self._url, prepares=number % 2 == 0) for number in range(self._options.threads)]
        with self._going_on(older) as logins:
            before = time.time()
            time.sleep(_BASELINE)
            arguments = ["db", "adopt", "--apply", "--yes", "--allow", "heavy", "--data", "later", "--json"]
            marks = [("before: logins alone", before), ("plan", time.time()), *self._steps(arguments)]
            end = time.time()
        ends = [*(begin for _, begin in marks[1:]), end]
        return [Span(what, begin, end, logins) for (what, begin), end in zip(marks, ends, strict=True)]

    def rows(self) -> Span:
        """`twofold secrets import-legacy`, beside logins through Twofold."""
        with self._going_on([Ours(self._url, self._settings) for _ in range(self._options.threads)]) as logins:
            begin = time.time()
            self._told("secrets import-legacy")
            list(self._steps(["secrets", "import-legacy", "--json"]))
            end = time.time()
        return Span("secrets import-legacy", begin, end, logins)

    def _going_on(self, applications: Sequence[Application]) -> contextlib.AbstractContextManager[list[Login]]:
        return going_on(applications, self._options.users, self._options.pause / 1000)

    def _steps(self, arguments: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Run a command to its end; each step that it takes, and the moment at which it began. Raises RuntimeError."""
        command = [sys.executable, "-m", "bench.told", *arguments]
        said: list[str] = []
        with subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                if begun := _STEP.fullmatch(line.strip()):
                    what = begun["step"] or "verify and record"
                    self._told(what)
                    yield what, float(begun["moment"])
                else:
                    said.append(line)
        if process.returncode:
            raise RuntimeError(f"twofold {' '.join(arguments)}: exit {process.returncode}\n{''.join(said)}")


def measure(options: argparse.Namespace, told: Callable[[str], None]) -> tuple[list[Span], dict[str, Any]]:
    """Start the server, make the tables, bring them along, and prove that no row is gone."""
    with server.started() as running:
        url = running.empty("adoption")
        engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
        began = time.monotonic()
        numbers = {"people": options.users, "codes": options.codes, "events": options.events}
        incident.happen(engine, lambda table: told(f"rows of {table}"), **numbers)
        told("settling")
        running.settle("adoption")
        seeding = time.monotonic() - began
        before = incident.rows(engine)
        run = Run(options, url, told)
        spans = run.structure()
        if options.rows:
            spans.append(run.rows())
        after = incident.rows(engine)
        engine.dispose()
        if any(after[table] < number for table, number in before.items()):
            raise RuntimeError(f"rows are gone: {before} became {after}")
        about = {
            "people": options.users,
            "rows": before,
            "seeding_seconds": round(seeding, 1),
            "load": round(os.getloadavg()[0], 1),
            **report.machine(running.version()),
        }
        return spans, about


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.adopt", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000, help="people in the tables (default: %(default)s)")
    parser.add_argument("--codes", type=int, default=2, help="backup codes of each (default: %(default)s)")
    parser.add_argument("--events", type=int, default=3, help="events of each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=4, help="logins at the same time (default: %(default)s)")
    parser.add_argument(
        "--pause", type=float, default=10, help="milliseconds between two logins of a thread (default: %(default)s)"
    )
    parser.add_argument("--rows", action="store_true", help="bring the rows along too, which takes longer")
    options = parser.parse_args()
    if min(options.users, options.codes, options.events, options.threads, options.pause) <= 0:
        parser.error("every number is positive")
    return options


def main() -> int:
    """Measure and print; 0 when every login succeeded and none waited longer than a second."""
    options = _options()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as progress:
            task = progress.add_task("Starting PostgreSQL", total=None)
            spans, about = measure(options, lambda what: progress.update(task, description=what))
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, OSError, psycopg.Error, SQLAlchemyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(stalls.as_json(spans, about))
    Console(width=None if sys.stdout.isatty() else 140).print(stalls.as_table(spans, about))
    return int(stalls.longest(spans) > _LIMIT or any(span.errors for span in spans))


if __name__ == "__main__":
    sys.exit(main())
