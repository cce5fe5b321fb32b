"""What a login costs when there are a million users and ten million events: `make bench-scale`."""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench import server
from bench.clients import stopwatch, timed
from bench.population import BROWSER, LATER, enrol, settings
from bench.report import IS_QUICK, Options, machine, run, table, tell
from twofold import MFA, tables
from twofold.keyring import generate_key
from twofold.testing import Clock

_EVENTS = 10
_LONG = 100_000
_LEGACY = 2000
_BATCH = 100
# Users whom the library enrols, and operations of a kind in a round.
_MEMBERS, _SAMPLES = 500, 100
_PRUNED = 50
_CHANCE = random.SystemRandom()
_NOTE = (
    "One client, milliseconds: the median of each round, then the median over the rounds. The databases are on one "
    "server and take turns in every round, so the last column is the figure."
)


class Crowd:
    """A database of one size: most users are rows of the server's making, some were enrolled by the library."""

    def __init__(self, running: server.Server, people: int, clock: Clock) -> None:
        self.people, self._clock = people, clock
        self.name, self._stride = f"crowd_{people}", people // _MEMBERS
        running.create(self.name)
        self.engine = sa.create_engine(running.database(self.name, "postgresql+psycopg"))
        keys = generate_key("k1"), generate_key("k2")
        there, back = (
            MFA(self.engine, settings(keys=",".join(order), backup_code_count=10), clock=clock)
            for order in (keys, keys[::-1])
        )
        # Rotation goes to and fro between the two keys, so that there is always something to re-seal.
        self._mfa, self._turns = there, itertools.cycle([back, there])
        *seeds, events, legacy = server.statements(Path(__file__).with_suffix(".sql"))
        tell(f"{people:,} users")
        for statement in seeds:
            self._execute(statement)
        # Indexes that are built when the rows are there take a fraction of the time.
        self._execute("UPDATE pg_index SET indisready = false WHERE indrelid = 'mfa_events'::regclass")
        for number in range(1, _EVENTS + 1):
            tell(f"{people:,} users: events, {number} of {_EVENTS} of each")
            self._execute(events, number=number)
        self._execute("REINDEX TABLE mfa_events")
        tell(f"{people:,} users: {_MEMBERS} of the library")
        members = enrol(self._mfa, clock, range(self._stride, people + 1, self._stride))
        clock.forward(LATER)
        rows = tables(sa.MetaData()).secrets
        first = sa.select(sa.func.min(rows.c.id))
        self._first_row, self._rows = self._number(first.where(rows.c.user_id % self._stride == 0)), len(members)
        self._execute(legacy)
        self._adopted = self._number(first.where(rows.c.state_mac.is_(None))) - 1
        # The members are to lie among all others, and not together at the end of the table.
        self._execute("CLUSTER user_mfa_secrets USING uq_user_mfa_secrets_user_id")
        running.settle(self.name)
        # Whose log is pruned has no trusted device in it any more, which is then looked up elsewhere.
        self._pruned, self._members = members[:_PRUNED], members[_PRUNED:]
        self._rotating, self._rotated = next(self._turns), self._first_row - 1

    def rows(self) -> dict[str, int]:
        """Count the rows of each table, and the bytes that all of them take with their indexes."""
        size = self._number(sa.select(sa.func.pg_database_size(sa.func.current_database())))
        return server.rows(self.engine) | {"bytes": size}

    def operations(self) -> Iterator[tuple[str, list[float]]]:
        """Do all that is measured; each operation, and the seconds that each of its samples took."""
        mfa, clock, samples = self._mfa, self._clock, range(_SAMPLES)
        for name in ("verify", "challenge", "challenge, trusted device"):
            members = _CHANCE.sample(self._members, min(len(samples), len(self._members)))
            clock.forward(LATER)
            yield name, [member.seconds(name, mfa, clock.now) for member in members]
        # Users with as many events as most have, and whose lines lie where all lines lie.
        anybody = [_CHANCE.randint(1, self.people) for _ in samples]
        users = [user if user % self._stride else user - 1 for user in anybody]
        yield "newest events of a user", [timed(mfa.events.recent, user).seconds for user in users]
        # The user behind the last has very many; the pages are far back.
        pages = [partial(mfa.events.recent, before=_CHANCE.randint(100, _LONG // 10)) for _ in samples]
        yield f"old events of {_LONG:,}", [timed(page, self.people + 1).seconds for page in pages]
        ancient = clock.now - timedelta(days=3650)
        yield "search, nothing to prune", [timed(mfa.events.prunable, ancient).seconds for _ in samples]
        members = _CHANCE.sample(self._pruned, min(len(samples), len(self._pruned)))
        for member in members:
            member.challenged(mfa)
        clock.forward(LATER)
        yield "prune the events of a user", [timed(mfa.events.prune, one.user_id, clock.now).seconds for one in members]
        taken, self._adopted = _batch(mfa.legacy.adopt, self._adopted)
        yield f"adopt {_BATCH} rows", taken
        # Behind the last batch, back to the key of before.
        if self._rotated + _BATCH >= self._first_row + self._rows:
            self._rotating, self._rotated = next(self._turns), self._first_row - 1
        taken, self._rotated = _batch(self._rotating.keys.rotate, self._rotated)
        yield f"rotate {_BATCH} rows", taken

    def _execute(self, statement: str, **more: int) -> None:
        gap = max(1, self.people * _EVENTS // _LONG)
        numbers = {"people": self.people, "events": _EVENTS, "codes": 2, "stride": self._stride, "gap": gap}
        texts = {"kid": "v1:k1:00000000:", "browser": BROWSER.user_agent}
        server.fill(self.engine, statement, **texts, legacy=_LEGACY, **numbers, **more)

    def _number(self, query: sa.Executable) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())


def _batch(call: Callable[..., Any], after: int) -> tuple[list[float], int]:
    """Do a batch behind a row; return the seconds that it took, and its last row."""
    watch = stopwatch()
    batch = call(after=after, limit=_BATCH)
    taken = watch(1).seconds
    if batch.done != _BATCH or batch.last_id is None:
        raise RuntimeError(f"{batch.done} of {_BATCH} rows were written")
    return [taken], batch.last_id


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start the server, make a crowd of every size, and measure every operation on each in every round."""
    clock, rounds = Clock(), dict[str, dict[int, list[float]]]()
    with server.started() as running:
        crowds = [Crowd(running, people, clock) for people in options.people]
        sizes = {crowd.people: crowd.rows() for crowd in crowds}
        for number in range(options.rounds + 1):
            tell(f"Round {number} of {options.rounds}" if number else "Warming up")
            for crowd in reversed(crowds) if number % 2 else crowds:
                for name, taken in crowd.operations():
                    found = rounds.setdefault(name, {}).setdefault(crowd.people, [])
                    found += [round(statistics.median(taken) * 1000, 3)] if number else []
        for crowd in crowds:
            crowd.engine.dispose()
        about = machine(running.version(), rows=sizes, rounds=options.rounds, samples=_SAMPLES)
    rows: list[tuple[str, ...]] = []
    for name, each in rounds.items():
        medians = [statistics.median(each[people]) for people in options.people]
        rows.append((name, *(f"{median:.2f}" for median in (*medians, medians[-1] / medians[0]))))
    notes = [
        f"{people:,} users: {size['mfa_events']:,} events, {size['bytes'] / 1e9:.1f} GB."
        for people, size in sizes.items()
    ]
    columns = ("operation", *(f"{people:,} users" for people in options.people), "largest / smallest")
    shown = table(about, f"{options.rounds} rounds; milliseconds of one client.", columns, rows)
    return shown | {"notes": [_NOTE, *notes], "milliseconds": rounds}


def main() -> None:
    """Measure and print; fails unless every operation did what it should."""
    options = Options("python -m bench.scale", description=__doc__)
    sizes = [10_000] if IS_QUICK else [10_000, 100_000, 1_000_000]
    options.add_argument("--people", type=int, nargs="+", default=sizes, help="users of each database")
    options.number("rounds", "rounds", 9, 2)
    chosen = options.read()
    chosen.people = sorted(set(chosen.people))
    if min(chosen.people) < 10 * _MEMBERS:
        options.error(f"there are at least {10 * _MEMBERS} users")
    if chosen.rounds >= _LEGACY // _BATCH:
        options.error(f"there are rows of before Twofold for {_LEGACY // _BATCH - 1} rounds")
    run("scale", measure, chosen)


if __name__ == "__main__":
    main()
