"""What an answer costs a user with a very long log, beside one with ten events: `make bench-log`."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bench import server
from bench.population import BROWSER, LATER, Person, add_users, enrol, settings
from bench.report import Options, Row, machine, run, table, tell
from tests.databases import BACKENDS
from twofold import MFA
from twofold.account import chain
from twofold.account.row import Account
from twofold.account.statements import Schema
from twofold.keyring import Keyring
from twofold.kinds import Kind, Status
from twofold.testing import Clock

_NOTE = "Both users take turns, so the ratio is the figure. Every log was followed to its end, and is intact."
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
_SHORT = 10
_BATCH = 5000
_ACCEPTED = {"factor": "totp", "occasion": "login"}
# A right code comes after each wrong one, so that nobody waits or is suspended.
_OPERATIONS = [
    *("challenge", "challenge, trusted device", "verify, wrong code", "verify", "verify, backup code", "status")
]


def fill(engine: sa.Engine, keyring: Keyring, user_id: int, length: int, now: datetime) -> None:
    """Let the log of a user be so long, by the library's own chain, and seal the row that counts it."""
    with engine.begin() as connection:
        schema = Schema.of(connection, "users.id")
        secrets, browser = schema.tables.secrets, (BROWSER.ip_address, BROWSER.user_agent, None)
        account = Account(*connection.execute(sa.select(*schema.state).where(secrets.c.user_id == user_id)).one())
        for first in range(account.event_count + 1, length + 1, _BATCH):
            lines: list[dict[str, Any]] = []
            for seq in range(first, min(first + _BATCH, length + 1)):
                kind, details = (Kind.CODE_ACCEPTED, _ACCEPTED) if seq % 2 else (Kind.CHALLENGED, {})
                what = (str(kind), str(Status.SUCCESS), chain.details_text(details))
                link = chain.Link(user_id, seq, *what, *browser, now - timedelta(minutes=length - seq))
                head = chain.mac(keyring, link, account.event_head)
                account = account._replace(event_count=seq, event_head=head, version=account.version + 1)
                lines.append(link._asdict() | {"mac": head})
            connection.execute(sa.insert(schema.tables.events), lines)
        written = {name: getattr(account, name) for name in ("event_count", "event_head", "version")}
        written["state_mac"] = keyring.mac("state", account.message())
        connection.execute(sa.update(secrets).where(secrets.c.user_id == user_id).values(written))


@dataclass
class Answers(Row):
    """An answer, and in each round the seconds that it took the user with the short log, and the other."""

    goal: float | None = 1.2
    lower_is_better: bool = True
    seconds: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def milliseconds(self) -> list[float]:
        """Return the medians of both."""
        return [round(statistics.median(each) * 1000, 3) for each in zip(*self.seconds, strict=True)]


def measured(database: str, engine: sa.Engine, options: argparse.Namespace) -> list[Answers]:
    """Measure every answer of both users by turns. Raises RuntimeError where a log does not verify afterwards."""
    clock = Clock()
    mfa = MFA(engine, settings(backup_code_count=options.samples), clock=clock)

    def member(events: int) -> Person:
        person = enrol(mfa, clock, add_users(engine, 1))[0]
        fill(engine, mfa._runtime.keyring, person.user_id, events, clock.now)  # noqa: SLF001
        clock.forward(LATER)
        return person

    tell(f"{database}: {options.events:,} events")
    people, rows = [member(options.events)], {name: Answers(f"{database}: {name}") for name in _OPERATIONS}
    for number in range(options.rounds + 1):
        tell(f"{database}: round {number} of {options.rounds}" if number else f"{database}: warming up")
        # A new one in each round, whose log is short every time.
        long, short = people[0], member(_SHORT)
        people.append(short)
        verified = mfa.reverify(long.user_id, long.app.at(clock.now), request=BROWSER)
        long.backup_codes[:] = mfa.backup_codes.regenerate(verified, request=BROWSER)
        clock.forward(LATER)
        samples = {(name, person.user_id): list[float]() for name in _OPERATIONS for person in (short, long)}
        for sample in range(options.samples):
            for name in _OPERATIONS:
                for person in (short, long) if sample % 2 else (long, short):
                    samples[name, person.user_id].append(person.seconds(name, mfa, clock.now))
                clock.forward(LATER)
        for name, row in rows.items() if number else ():
            shorts, longs = (statistics.median(samples[name, person.user_id]) for person in (short, long))
            row.seconds.append((shorts, longs))
            row.figures.append(longs / shorts)
    tell(f"{database}: following the chains")
    for person in people:
        followed = mfa.events.verify(person.user_id)
        if not followed.is_intact:
            raise RuntimeError(f"the log of user {person.user_id} is not intact: {followed.problem}")
    return list(rows.values())


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure on each database that was chosen."""
    rows = list[Answers]()
    for backend in options.databases:
        tell(f"{_NAMES[backend]}: starting")
        with server.migrated(backend) as engine:
            rows += measured(_NAMES[backend], engine, options)
    about = machine(events=options.events, rounds=options.rounds, samples=options.samples)
    what = f"{options.rounds} rounds of {options.samples}; milliseconds of one client."
    columns = ("operation", f"{_SHORT} events", f"{options.events:,} events", "ratio, median (range)", "goal")
    shown = [(row.path, *(f"{each:.2f}" for each in row.milliseconds()), *row.shown()) for row in rows]
    return table(about, what, columns, shown) | {"notes": [_NOTE], "rows": [row.plain() for row in rows]}


def main() -> None:
    """Measure, print and write down; fails unless every answer is the right one and every log is intact."""
    options = Options("python -m bench.long_log", description=__doc__)
    options.number("events", "events of the long log", 300_000, 10_000)
    options.number("rounds", "rounds", 9, 2)
    options.number("samples", "operations of a kind in a round, for each user", 20)
    options.add_argument("--databases", nargs="+", choices=list(BACKENDS), default=list(BACKENDS))
    chosen = options.read()
    if chosen.events <= _SHORT or chosen.samples > 50:
        options.error(f"the long log is longer than {_SHORT}, and there are at most 50 samples")
    run("log", measure, chosen)


if __name__ == "__main__":
    main()
