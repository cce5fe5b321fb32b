"""Verifications per second through the library, beside pgbench with the same two statements: `make bench`."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from bench import report, server
from bench.clients import Clients, Measured, Tasks, Threads
from bench.people import Clock, People, settings
from bench.pgbench import Pgbench
from bench.report import Row
from twofold import MFA, MFAError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# psycopg prepares a statement when it is executed for the sixth time on a connection.
_WARM_UP = 8


class Bench:
    """The rows of one number of clients: pgbench, and the two faces with wrong and with right codes."""

    def __init__(self, clients: int, people: People, clock: Clock, pgbench: Pgbench, faces: Sequence[Clients]) -> None:
        self._clients, self._people, self._clock, self._pgbench = clients, people, clock, pgbench
        self._limit = Row(clients, "pgbench", "-", 2)
        self._faces = [(face, Row(clients, face.face, "wrong"), Row(clients, face.face, "right")) for face in faces]
        self.rows = [self._limit, *(row for _, *rows in self._faces for row in rows)]

    def warm_up(self) -> None:
        """Read the schema, prepare the statements on every connection, count them, and learn how fast each row is."""
        number = _WARM_UP * self._clients
        self._rate = self._pgbench.run(self._clients, number).rate
        self._rates = dict[str, float]()
        for face, wrong, right in self._faces:
            self._log_in(face, self._clients)
            with face.statements() as sent:
                _, measured = self._log_in(face, number)
            wrong.statements = right.statements = len(sent) / number / 2
            self._rates[face.face] = measured.rate

    def round(self, seconds: float, *, is_reversed: bool, told: Callable[[], None]) -> None:
        """Measure every row once, for about so many seconds each."""

        def limit() -> None:
            measured = self._pgbench.run(self._clients, round(self._rate * seconds))
            for row in self.rows:
                row.limits.append(measured)
            self._limit.measured.append(measured)

        def library(face: Clients, *rows: Row) -> None:
            number = min(max(round(self._rates[face.face] * seconds), self._clients), len(self._people.ids))
            for row, measured in zip(rows, self._log_in(face, number), strict=True):
                row.measured.append(measured)

        steps: list[Callable[[], None]] = [limit, *(partial(library, *each) for each in self._faces)]
        for step in reversed(steps) if is_reversed else steps:
            step()
            told()

    def _log_in(self, face: Clients, number: int) -> tuple[Measured, Measured]:
        """So many logins, their challenges issued beforehand: a wrong code each, and then the right one."""
        logins = self._people.challenged(number)
        wrong = face.verify([(login.challenge, login.wrong(self._clock.now)) for login in logins], is_right=False)
        self._clock.forward()
        right = face.verify([(login.challenge, login.right(self._clock.now)) for login in logins], is_right=True)
        self._clock.forward()
        return wrong, right


def measure(options: argparse.Namespace, progress: Progress) -> tuple[list[Row], dict[str, object]]:
    """Start the server, enrol the users, and measure every row in every round."""
    began, clock, chosen, numbers = time.monotonic(), Clock(), settings(), sorted({1, options.clients})
    task = progress.add_task("Starting PostgreSQL", total=None)
    with contextlib.ExitStack() as open_:
        running = open_.enter_context(server.started())
        url = sa.make_url(running.create("twofold")).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url)
        open_.callback(engine.dispose)
        progress.update(task, description="Enrolling users", total=options.users)

        def told() -> None:
            progress.advance(task)
            progress.refresh()

        people = People(engine, MFA(engine, chosen, clock=clock), clock, options.users, told)
        # A database that somebody is connected to cannot be copied.
        engine.dispose()
        copied = running.copy("pgbench", "twofold")
        running.settle("twofold", "pgbench")
        pgbench = Pgbench(running, copied, people.ids)
        open_.callback(pgbench.close)
        benches: list[Bench] = []
        for number in numbers:
            faces: list[Clients] = [face(url, number, chosen, clock) for face in (Threads, Tasks)]
            for face in faces:
                open_.callback(face.close)
            benches.append(Bench(number, people, clock, pgbench, faces))
        task = progress.add_task("Warming up", total=len(benches))
        for bench in benches:
            bench.warm_up()
            told()
        task = progress.add_task("Measuring", total=options.rounds * len(benches) * 3)
        longest = 0.0
        for number in range(options.rounds):
            round_began = time.monotonic()
            # On a busy machine fewer rounds are measured, and the JSON tells how many.
            if number and round_began + longest > began + options.within:
                break
            for bench in benches:
                bench.round(options.seconds, is_reversed=number % 2 == 1, told=told)
            longest = max(longest, time.monotonic() - round_began)
        return [row for bench in benches for row in bench.rows], report.machine(running.version())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description=__doc__)
    parser.add_argument(
        "--users", type=int, default=1000, help="users with an authenticator app (default: %(default)s)"
    )
    parser.add_argument("--clients", type=int, default=16, help="clients beside one (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all rows (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="about the length of one measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--within", type=float, default=85, help="seconds after which no round begins (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.parse_args()
    if min(options.clients, options.rounds, options.seconds) <= 0 or options.users < options.clients * 10:
        parser.error("every number is positive, and a client needs ten users of its own")
    return options


def main() -> int:
    """Measure and print; 0 when every verification was judged and written as it should be."""
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
    if options.json:
        print(report.as_json(rows, about))
    else:
        Console(width=None if sys.stdout.isatty() else 120).print(report.as_table(rows, about))
    return 0


if __name__ == "__main__":
    sys.exit(main())
