"""What an answer costs a user with a very long log, beside one with ten events: `make bench-log`."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from bench import server
from bench.population import BROWSER, Clock, Person, add_users, enrol, settings
from bench.report import Goal, Options, load, machine, markdown, run, span, tell
from tests.databases import BACKENDS
from twofold import MFA
from twofold.account import chain
from twofold.account.row import Account
from twofold.account.statements import Schema
from twofold.keyring import Keyring
from twofold.kinds import Kind, Status

RESULT = "log"
_NOTE = "Both users take turns, so the ratio is the figure. Every log was followed to its end, and is intact."
_GOAL = Goal(1.2, lower_is_better=True)
_SHORT = 10
_BATCH = 5000
_ACCEPTED = {"factor": "totp", "occasion": "login"}


# A right code comes after each wrong one, so that nobody waits or is suspended.
_OPERATIONS = (
    "challenge",
    "challenge, trusted device",
    "verify, wrong code",
    "verify",
    "verify, backup code",
    "status",
)


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


def measured(database: str, engine: sa.Engine, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure every answer of both users by turns. Raises RuntimeError where a log does not verify afterwards."""
    clock = Clock()
    mfa = MFA(engine, settings(backup_code_count=options.samples), clock=clock)

    def member(events: int) -> Person:
        person = enrol(mfa, clock, add_users(engine, 1))[0]
        fill(engine, mfa._runtime.keyring, person.user_id, events, clock.now)  # noqa: SLF001
        clock.forward()
        return person

    tell(f"{database}: {options.events:,} events")
    people, rounds = [member(options.events)], {name: list[tuple[float, float]]() for name in _OPERATIONS}
    for number in range(options.rounds + 1):
        tell(f"{database}: round {number} of {options.rounds}" if number else f"{database}: warming up")
        # A new one in each round, whose log is short every time.
        long, short = people[0], member(_SHORT)
        people.append(short)
        verified = mfa.reverify(long.user_id, long.app.at(clock.now), request=BROWSER)
        long.backup_codes[:] = mfa.backup_codes.regenerate(verified, request=BROWSER)
        clock.forward()
        samples = {(name, person.user_id): list[float]() for name in _OPERATIONS for person in (short, long)}
        for sample in range(options.samples):
            for name in _OPERATIONS:
                for person in (short, long) if sample % 2 else (long, short):
                    samples[name, person.user_id].append(person.seconds(name, mfa, clock.now))
                clock.forward()
        for name in _OPERATIONS if number else ():
            shorts, longs = (statistics.median(samples[name, person.user_id]) for person in (short, long))
            rounds[name].append((shorts, longs))
    tell(f"{database}: following the chains")
    for person in people:
        followed = mfa.events.verify(person.user_id)
        if not followed.is_intact:
            raise RuntimeError(f"the log of user {person.user_id} is not intact: {followed.problem}")
    return [_plain(database, name, seconds) for name, seconds in rounds.items()]


def _plain(database: str, operation: str, seconds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    ratios = [long / short for short, long in seconds]
    return {
        "database": database,
        "operation": operation,
        "short_ms": round(statistics.median(short for short, _ in seconds) * 1000, 3),
        "long_ms": round(statistics.median(long for _, long in seconds) * 1000, 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "reached": _GOAL.judge(statistics.median(ratios)),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure on each database that was chosen."""
    before, found = load(), list[dict[str, Any]]()
    for name, opened in (server.ENGINES[each] for each in options.databases):
        tell(f"{name}: starting")
        with opened() as engine:
            found += measured(name, engine, options)
            engine.dispose()
    about = {"events": options.events, "rounds": options.rounds, "samples": options.samples, **machine("")}
    return {"machine": about | {"load": [before, load()]}, "note": _NOTE, "operations": found}


def table(found: dict[str, Any]) -> str:
    """Return what was measured as a page has it."""
    title = (
        "{cpus} cores, load {load[0]} at the beginning, Python {python}, {rounds} rounds of {samples}; milliseconds of "
        "one client."
    )
    columns = ("operation", "10 events", f"{found['machine']['events']:,} events", "ratio, median (range)", "goal")
    rows: list[tuple[str, ...]] = []
    for row in found["operations"]:
        milliseconds = (f"{row[name]:.2f}" for name in ("short_ms", "long_ms"))
        goal = f"≤ {_GOAL.bound:g}: {row['reached']}"
        rows.append((f"{row['database']}: {row['operation']}", *milliseconds, span(row["ratios"]), goal))
    return markdown(title.format(**found["machine"]), columns, rows)


def main() -> int:
    """Measure, print and write down; 0 when every answer was the right one and every log is intact, fast or not."""
    options = Options("python -m bench.long_log", description=__doc__)
    options.number("events", "events of the long log", 300_000, 10_000)
    options.number("rounds", "rounds", 9, 2)
    options.number("samples", "operations of a kind in a round, for each user", 20)
    options.add_argument("--databases", nargs="+", choices=list(server.ENGINES), default=list(BACKENDS))
    chosen = options.read()
    if chosen.events <= _SHORT or chosen.samples > 50:
        options.error(f"the long log is longer than {_SHORT}, and there are at most 50 samples")
    run(RESULT, partial(measure, chosen), table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
