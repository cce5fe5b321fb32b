"""What a login costs beside the same statements sent by pgbench: `make bench`, or `make bench QUICK=1`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from bench import report, server
from bench.bare import Asyncpg, Psycopg
from bench.browsers import Browsers
from bench.clients import Tasks, Threads
from bench.lanes import Lane, Recognizing, Verifying
from bench.limits import Loop, Served
from bench.own import Own
from bench.people import Clock, People, settings
from bench.pgbench import Pgbench
from bench.report import Goal, Row
from tests.databases import Database, migrate
from twofold import MFA, MFAError
from twofold.database import create_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.clients import Clients
    from bench.limits import Limit

_RESULTS = Path(__file__).with_name("results") / "latest.json"
# psycopg prepares a statement when it is executed for the sixth time on a connection.
_WARM_UP = 8
_OWN = 1000


@dataclass
class Heat:
    """Lanes that are measured by turns against one limit."""

    limit: Limit
    limit_row: Row
    lanes: list[tuple[Lane, Row]] = field(default_factory=list[tuple["Lane", Row]])
    rates: list[float] = field(default_factory=list[float])
    limit_rate: float = 0.0

    def warm_up(self, clients: int, most: int) -> None:
        """Prepare the statements on every connection, and learn how fast each lane is."""
        number = min(_WARM_UP * clients, most)
        self.limit_rate = self.limit.run(number).rate
        for lane, _ in self.lanes:
            lane.run(number)
            self.rates.append(lane.run(number).rate)

    def round(self, seconds: float, most: int, told: Callable[[], None], *, is_reversed: bool) -> None:
        """Measure the limit and each lane once, for about so many seconds each."""
        before = self.limit.run(max(round(self.limit_rate * seconds), 1))
        found = [(before, self.limit_row)]
        lanes = list(zip(self.lanes, self.rates, strict=True))
        for (lane, row), rate in reversed(lanes) if is_reversed else lanes:
            found.append((lane.run(min(max(round(rate * seconds), 16), most)), row))
            told()
        for measured, row in found:
            row.add(measured, before)


def _postgresql(
    open_: contextlib.ExitStack, options: argparse.Namespace, clock: Clock, told: Callable[[], None]
) -> tuple[list[tuple[int, Heat]], str]:
    """The server, its users, and the lanes on it."""
    chosen = settings()
    running = open_.enter_context(server.started())
    url = sa.make_url(running.create("twofold")).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url)
    open_.callback(engine.dispose)
    people = People(engine, MFA(engine, chosen, clock=clock), clock, options.users, told)
    # The last event is what pgbench repeats, and has to be one of a verification.
    first = Threads(engine, 1, chosen, clock)
    Verifying(first, people, clock, is_right=True).run(1)
    # A database that somebody is connected to cannot be copied.
    engine.dispose()
    copied = running.copy("pgbench", "twofold")
    running.settle("twofold", "pgbench")
    pgbench = Pgbench(running, copied, people.ids)
    open_.callback(pgbench.close)
    awaited = url.set(drivername="postgresql+asyncpg")

    def opened(clients: Clients) -> Clients:
        open_.callback(clients.close)
        return clients

    def threads(clients: int) -> Threads:
        return Threads(sa.create_engine(url, pool_size=clients, max_overflow=0), clients, chosen, clock)

    def tasks(clients: int) -> Tasks:
        return Tasks(awaited, clients, chosen, clock)

    heats: list[tuple[int, Heat]] = []
    for number, sync_goal in ((1, Goal(0.55, 0.65)), (options.clients, Goal(0.38, 0.50))):
        faces: dict[str, tuple[Callable[[int], Clients], Goal]] = {
            "MFA, psycopg": (threads, sync_goal),
            "AsyncMFA, asyncpg": (tasks, Goal(0.40, 0.50)),
        }
        heat = Heat(Served(pgbench, number), Row("pgbench, select + folded write", number, statements=2))
        for name, (made, goal) in faces.items():
            right = Row(f"{name}: verify", number, goal)
            wrong = Row(f"{name}: verify, wrong code", number)
            device = Row(f"{name}: challenge, trusted device", number, goal)

            def lanes(clients: Clients) -> list[Lane]:
                answers = [Verifying(clients, people, clock, is_right=is_right) for is_right in (True, False)]
                return [*answers, Recognizing(clients, people, clock)]

            # An engine that was listened to once is never as fast again, so that another one is counted.
            counted = made(1)
            for lane, row in zip(lanes(counted), (right, wrong, device), strict=True):
                row.statements = _statements(counted, lane)
            counted.close()
            heat.lanes += zip(lanes(opened(made(number))), (right, wrong, device), strict=True)
        bare: dict[str, type[Psycopg | Asyncpg]] = {"psycopg": Psycopg, "asyncpg": Asyncpg}
        for name, driver in bare.items():
            alone = driver(sa.make_url(copied), number, people.ids)
            open_.callback(alone.close)
            heat.lanes.append((alone, Row(f"{name} alone, the same statements", number, statements=2)))
        if number > 1:
            browsers = Browsers(awaited.render_as_string(hide_password=False), number, chosen, clock)
            open_.callback(browsers.close)
            over_http = Row("JSON over HTTP, one worker: verify", number, Goal(0.25, 0.35))
            heat.lanes.append((Verifying(browsers, people, clock, is_right=True), over_http))
        heats.append((number, heat))
    return heats, running.version()


def _sqlite(
    open_: contextlib.ExitStack, options: argparse.Namespace, clock: Clock, told: Callable[[], None]
) -> tuple[int, Heat]:
    """A file, its users, and the lane on it."""
    chosen, folder = settings(), Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="twofold-bench-")))
    own, copied = folder / "twofold.db", folder / "loop.db"
    migrate(Database(f"sqlite:///{own}", "sqlite"))
    engine = create_engine(f"sqlite:///{own}")
    people = People(engine, MFA(engine, chosen, clock=clock), clock, options.users, told)
    clients, counted = (Threads(create_engine(f"sqlite:///{own}"), 1, chosen, clock) for _ in range(2))
    open_.callback(clients.close)
    row = Row("MFA, SQLite: verify", 1, Goal(0.45, 0.70))
    lane = Verifying(clients, people, clock, is_right=True)
    # The commit is none of the driver's statements, and of the loop's.
    row.statements = _statements(counted, Verifying(counted, people, clock, is_right=True)) + 1
    counted.close()
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    shutil.copyfile(own, copied)
    loop = Loop(copied, people.ids)
    open_.callback(loop.close)
    return 1, Heat(loop, Row("sqlite3, the same statements in a loop", 1, statements=5), [(lane, row)])


def _statements(clients: Clients, lane: Lane) -> float:
    """How many statements an operation sends."""
    lane.run(1)
    with clients.statements() as sent:
        lane.run(2)
    return len(sent) / 2


def measure(options: argparse.Namespace, progress: Progress) -> tuple[list[Row], dict[str, object]]:
    """Start the servers, enrol the users, and measure every row in every round."""
    about = report.machine("")
    about["load"] = round(os.getloadavg()[0], 1)
    began, clock = time.monotonic(), Clock()
    task = progress.add_task("Enrolling users", total=options.users * 2)

    def told() -> None:
        progress.advance(task)
        progress.refresh()

    with contextlib.ExitStack() as open_:
        heats, about["postgresql"] = _postgresql(open_, options, clock, told)
        heats.append(_sqlite(open_, options, clock, told))
        own, own_row = Own(), Row("the library's own CPU in a verification", 1, Goal(60, 35, is_time=True), "µs")
        own.microseconds(_OWN)
        task = progress.add_task("Warming up", total=len(heats))
        for number, heat in heats:
            heat.warm_up(number, options.users)
            told()
        task = progress.add_task("Measuring", total=options.rounds * sum(len(heat.lanes) for _, heat in heats))
        longest = 0.0
        for number in range(options.rounds):
            round_began = time.monotonic()
            # On a busy machine fewer rounds are measured, and the table tells how many.
            if number and round_began + longest > began + options.within:
                break
            for _, heat in heats:
                heat.round(options.seconds, options.users, told, is_reversed=number % 2 == 1)
            own_row.figures.append(own.microseconds(_OWN))
            longest = max(longest, time.monotonic() - round_began)
    rows = [row for _, heat in heats for row in (heat.limit_row, *(row for _, row in heat.lanes))]
    return [*_with_wrong_beside_right(rows), own_row], about


def _with_wrong_beside_right(rows: list[Row]) -> list[Row]:
    """All rows, and after each of wrong codes how it compares with the right ones of the same rounds."""
    known = {(row.path, row.clients): row for row in rows}
    shown: list[Row] = []
    for row in rows:
        shown.append(row)
        name, found, _ = row.path.partition(", wrong code")
        if found:
            right = known[name, row.clients]
            figures = [wrong / right for wrong, right in zip(row.figures, right.figures, strict=True)]
            shown.append(Row(f"{name}: wrong / right", row.clients, Goal(0.9), figures=figures))
    return shown


def _options() -> argparse.Namespace:
    is_quick = os.environ.get("QUICK") == "1"
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description=__doc__)
    parser.add_argument(
        "--users", type=int, default=300 if is_quick else 1000, help="users with an app (default: %(default)s)"
    )
    parser.add_argument("--clients", type=int, default=16, help="clients beside one (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3 if is_quick else 9, help="rounds over all rows (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.1 if is_quick else 0.5,
        help="about the length of one measurement (default: %(default)s)",
    )
    parser.add_argument(
        "--within",
        type=float,
        default=55 if is_quick else 290,
        help="seconds after which no round begins (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.parse_args()
    if min(options.clients, options.rounds, options.seconds) <= 0 or options.users < options.clients * 10:
        parser.error("every number is positive, and a client needs ten users of its own")
    return options


def main() -> int:
    """Measure, print and write down; 0 when everything was judged and written as it should be, fast or not."""
    options = _options()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        # Redrawn between the measurements only, since a thread that draws takes its time from them.
        with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
            rows, about = measure(options, progress)
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, OSError, MFAError, psycopg.Error, SQLAlchemyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = report.as_plain(rows, about)
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(found))
    else:
        Console(width=None if sys.stdout.isatty() else 140).print(report.as_table(rows, about))
    return 0


if __name__ == "__main__":
    sys.exit(main())
