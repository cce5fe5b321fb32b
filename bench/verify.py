"""What a login costs beside the same statements sent by pgbench: `make bench`, or `make bench QUICK=1`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from bench import doors, passkeys, server
from bench.clients import Clients, Run, Tasks, Threads
from bench.pgbench import Pgbench
from bench.population import Population, settings
from bench.raw_drivers import Driver, SQLite, own_microseconds, own_verification
from bench.report import Options, Row, machine, run, table, tell
from twofold import MFA, AsyncMFA, Settings
from twofold.database import create_engine
from twofold.testing import Clock

_NOTE = (
    "The ratio is the figure: each is taken against the limit in the same round, then the median (lowest-highest) over "
    "the rounds. The rates are those of this machine at this hour, with client and server on the same cores."
)
# psycopg prepares a statement when it is executed for the sixth time on a connection.
_WARM_UP = 8
_OWN = 1000


@dataclass
class Heat:
    """Paths that are measured by turns, by as many clients; the first is the limit of the others."""

    clients: int
    paths: list[tuple[Run, Row]]
    rates: list[float] = field(default_factory=list[float])

    def warm_up(self, most: int) -> None:
        """Prepare the statements on every connection, and learn how fast each path is."""
        number = min(_WARM_UP * self.clients, most)
        for path, _ in self.paths:
            path(number)
        self.rates = [path(number).rate for path, _ in self.paths]

    def round(self, seconds: float, most: int, *, is_reversed: bool) -> None:
        """Measure each path once, for about so many seconds."""
        (limit, limit_row), *paths = self.paths
        before = limit(max(round(self.rates[0] * seconds), 1))
        limit_row.add(before, before)
        pairs = list(zip(paths, self.rates[1:], strict=True))
        for (path, row), rate in reversed(pairs) if is_reversed else pairs:
            row.add(path(min(max(round(rate * seconds), 16), most)), before)


def _faces(url: sa.URL, clients: int, chosen: Settings, clock: Clock) -> tuple[sa.Engine, Clients]:
    """Return so many clients of the library on one database, and the engine beneath them."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url.render_as_string())
    elif url.get_driver_name() == "asyncpg":
        awaited = create_async_engine(url, pool_size=clients, max_overflow=0)
        faces = [AsyncMFA(awaited, chosen, clock=clock)] * clients
        return awaited.sync_engine, Tasks(asyncio.Runner(), faces, awaited.dispose)
    else:
        engine = sa.create_engine(url, pool_size=clients, max_overflow=0)
    return engine, Threads([MFA(engine, chosen, clock=clock)] * clients, engine.dispose)


def _on_postgresql(options: argparse.Namespace, clock: Clock, open_: contextlib.ExitStack) -> tuple[list[Heat], str]:
    """Start the server, enrol its users, and return the heats with one client and with many."""
    chosen, running = settings(), open_.enter_context(server.started())
    running.create("twofold")
    psycopg, asyncpg = (running.database("twofold", f"postgresql+{driver}") for driver in ("psycopg", "asyncpg"))
    engine, clients = _faces(psycopg, 1, chosen, clock)
    people = Population(engine, MFA(engine, chosen, clock=clock), clock, options.users)
    # The last event is what pgbench repeats, and has to be one of a verification.
    people.verify(clients, 1, is_right=True)
    # A database that somebody is connected to cannot be copied.
    clients.close()
    pgbench = Pgbench(running, running.create("pgbench", migrated=False, template="twofold"), people.ids)
    open_.callback(pgbench.close)
    running.settle("twofold", "pgbench")
    heats: list[Heat] = []
    for number, sync_goal in ((1, 0.55), (options.clients, 0.38)):
        heat = Heat(number, [(partial(pgbench.run, number), Row("pgbench, select + folded write", number))])
        for name, url, goal in (("MFA, psycopg", psycopg, sync_goal), ("AsyncMFA, asyncpg", asyncpg, 0.4)):
            clients = _faces(url, number, chosen, clock)[1]
            open_.callback(clients.close)
            for what, path, wanted in (
                ("verify", partial(people.verify, is_right=True), goal),
                ("verify, wrong code", partial(people.verify, is_right=False), None),
                ("challenge, trusted device", people.recognize, goal),
            ):
                heat.paths.append((partial(path, clients), Row(f"{name}: {what}", number, wanted)))
        for url in (psycopg, asyncpg):
            alone = Driver(url.set(database="pgbench"), number, people.ids)
            open_.callback(alone.close)
            row = Row(f"{url.get_driver_name()} alone, the same statements", number)
            heat.paths.append((alone.run, row))
        heats.append(heat)
    heats += [Heat(doors.CLIENTS, paths) for paths in doors.paths(running, open_)]
    return heats, running.version()


def _on_sqlite(options: argparse.Namespace, clock: Clock, open_: contextlib.ExitStack) -> Heat:
    """Make a file, enrol its users, and return the heat on it."""
    chosen, engine = settings(), open_.enter_context(server.migrated("sqlite"))
    people = Population(engine, MFA(engine, chosen, clock=clock), clock, options.users)
    clients = _faces(engine.url, 1, chosen, clock)[1]
    open_.callback(clients.close)
    row = Row("MFA, SQLite: verify", 1, 0.45)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    own = Path(str(engine.url.database))
    loop = SQLite(Path(shutil.copyfile(own, own.with_name("loop.db"))), people.ids)
    open_.callback(loop.close)
    limit = Row("sqlite3, the same statements in a loop", 1)
    return Heat(1, [(loop.run, limit), (partial(people.verify, clients, is_right=True), row)])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start the servers, enrol the users, and measure every row in every round."""
    began, clock = time.monotonic(), Clock()
    with contextlib.ExitStack() as open_:
        tell(f"Enrolling {2 * options.users:,} users")
        heats, version = _on_postgresql(options, clock, open_)
        heats.append(_on_sqlite(options, clock, open_))
        own = own_verification()
        own_row = Row("the library's own CPU in a verification", 1, 60, lower_is_better=True, unit="µs")
        own_microseconds(own, _OWN)
        of_passkeys = passkeys.ratio(open_)
        passkey_row = Row("a passkey / bare signature + code of the app: CPU", goal=2, lower_is_better=True)
        tell("Warming up")
        for heat in heats:
            heat.warm_up(options.users)
        longest = 0.0
        for number in range(options.rounds):
            round_began = time.monotonic()
            # On a busy machine fewer rounds are measured, and the table tells how many.
            if number and round_began + longest > began + options.within:
                break
            tell(f"Round {number + 1} of {options.rounds}")
            for heat in heats:
                heat.round(options.seconds, options.users, is_reversed=number % 2 == 1)
            own_row.figures.append(own_microseconds(own, _OWN))
            passkey_row.figures.append(of_passkeys())
            longest = max(longest, time.monotonic() - round_began)
    rows = [*_with_comparisons([row for heat in heats for _, row in heat.paths]), own_row, passkey_row]
    columns = ("path", "clients", "figure, median (range)", "goal", "a second", "CPU, µs")
    shown = [
        (row.path, row.clients, *row.shown(), *(f"{number:,.0f}" if number else "" for number in numbers))
        for row in rows
        for numbers in [(row.median("rate"), row.median("cpu_each"))]
    ]
    found = table(machine(version), f"{len(own_row.figures)} rounds.", columns, shown)
    return found | {"notes": [_NOTE], "rows": [row.plain() for row in rows]}


def _with_comparisons(rows: Sequence[Row]) -> list[Row]:
    """Return all rows, and behind some how they compare with others of the same rounds.

    Wrong codes with right ones, by their rates; and the CPU of one client with that of the driver alone.
    """
    known, shown = {(row.path, row.clients): row for row in rows}, list[Row]()
    for row in rows:
        shown.append(row)
        name, is_wrong, _ = row.path.partition(", wrong code")
        if is_wrong:
            right = known[name, row.clients]
            figures = [wrong / right for wrong, right in zip(row.figures, right.figures, strict=True)]
            shown.append(Row(f"{name}: wrong / right", row.clients, 0.9, figures=figures))
        driver, is_alone, _ = row.path.partition(" alone, ")
        if is_alone and row.clients == 1:
            path = f"{'MFA' if driver == 'psycopg' else 'AsyncMFA'}, {driver}: verify"
            pairs = zip(known[path, 1].measured, row.measured, strict=True)
            figures = [library.cpu_each / alone.cpu_each for library, alone in pairs]
            shown.append(Row(f"{path}: CPU / driver alone", goal=2.2, lower_is_better=True, figures=figures))
    return shown


def main() -> None:
    """Measure, print and write down; fails unless everything was judged and written as it should be, fast or not."""
    options = Options("python -m bench.verify", description=__doc__)
    options.number("users", "users with an app", 1000, 300)
    options.number("clients", "clients beside one", 16)
    options.number("rounds", "rounds over all rows", 9, 3)
    options.number("seconds", "about the length of one measurement", 0.5, 0.1)
    options.number("within", "seconds after which no round begins", 290.0, 55.0)
    chosen = options.read()
    if chosen.users < chosen.clients * 10:
        options.error("a client needs ten users of its own")
    run("latest", measure, chosen)


if __name__ == "__main__":
    main()
