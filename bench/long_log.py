"""What an answer costs a user with a very long log, beside one with ten events: `make bench-log`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pyotp.totp import TOTP
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from bench import report, server
from bench.people import BROWSER, Answer, Browser, Clock, Person, settings
from bench.report import Goal
from tests.databases import BACKENDS, Database, migrate
from tests.servers import installed_mariadb
from twofold import MFA, Challenge, MFAError, Rejected
from twofold.account import chain
from twofold.account.row import Account
from twofold.account.statements import Schema
from twofold.database import create_engine
from twofold.kinds import Kind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from twofold.keyring import Keyring

_RESULTS = Path(__file__).with_name("results") / "log.json"
_GOAL = Goal(1.2, is_time=True)
_SHORT = 10
_BATCH = 5000
_ACCEPTED = {"factor": "totp", "occasion": "login"}


@dataclass
class Operation:
    """One line of the figures: seconds of the user with the short log and of the one with the long log, by rounds."""

    database: str
    name: str
    short: list[float] = field(default_factory=list[float])
    long: list[float] = field(default_factory=list[float])

    @property
    def ratios(self) -> list[float]:
        """Long to short in each round."""
        return [long / short for short, long in zip(self.short, self.long, strict=True)]

    def plain(self) -> dict[str, Any]:
        """The line as JSON has it."""
        ratio = statistics.median(self.ratios)
        return {
            "database": self.database,
            "operation": self.name,
            "short_ms": round(statistics.median(self.short) * 1000, 3),
            "long_ms": round(statistics.median(self.long) * 1000, 3),
            "ratio": round(ratio, 3),
            "ratios": [round(each, 3) for each in self.ratios],
            "reached": _GOAL.judge(ratio),
        }


class Member:
    """A user whom the library enrolled, and the answers that are measured: each prepares, and returns its seconds."""

    def __init__(self, mfa: MFA, engine: sa.Engine, clock: Clock) -> None:
        self._mfa, self._clock = mfa, clock
        with engine.begin() as connection:
            number = connection.execute(sa.text("SELECT COUNT(*) FROM users")).scalar_one()
            values = {"subject": f"ada{number}@example.com", "now": str(clock.now.replace(tzinfo=None))}
            connection.execute(sa.text("INSERT INTO users (subject, created_at) VALUES (:subject, :now)"), values)
            self.user_id: int = connection.execute(sa.text("SELECT MAX(id) FROM users")).scalar_one()
        app = TOTP(mfa.totp.begin(self.user_id, account_name="ada@example.com", request=BROWSER).secret)
        enrolled = mfa.totp.confirm(self.user_id, app.at(clock.now), request=BROWSER)
        device = mfa.trusted_devices.trust(enrolled.verified, request=BROWSER)
        self._person = Person(self.user_id, app, Browser(self.user_id, device.token))
        self._codes = iter(enrolled.backup_codes)

    def renew(self) -> None:
        """Take a new batch of backup codes."""
        self._clock.forward()
        verified = self._mfa.reverify(self.user_id, self._person.app.at(self._clock.now), request=BROWSER)
        self._codes = iter(self._mfa.backup_codes.regenerate(verified, request=BROWSER))
        self._clock.forward()

    def challenge(self) -> float:
        """A login that is asked for a code."""
        return _timed(self._challenged)

    def recognize(self) -> float:
        """A login with the cookie of a trusted device."""
        browser = self._person.browser
        return _timed(lambda: browser.begin(self._mfa), browser.end)

    def verify(self) -> float:
        """The right code of the app."""
        return self._answer(self._person.answer(self._challenged(), self._clock.now, is_right=True))

    def refuse(self) -> float:
        """A wrong code of the app."""
        return self._answer(self._person.answer(self._challenged(), self._clock.now, is_right=False))

    def spend(self) -> float:
        """A backup code."""
        return self._answer(Answer(self._challenged(), next(self._codes), is_right=True))

    def status(self) -> float:
        """What a page of the user's settings shows."""
        return _timed(lambda: self._mfa.status(self.user_id))

    def _challenged(self) -> str:
        asked = self._mfa.challenge(self.user_id, request=BROWSER)
        if not isinstance(asked, Challenge):
            raise TypeError("an enrolled user was not challenged")
        return asked.token

    def _answer(self, answer: Answer) -> float:
        def begin() -> object:
            try:
                return answer.begin(self._mfa)
            except Rejected as rejected:
                return rejected

        return _timed(begin, answer.end)


# A right code comes after each wrong one, so that nobody waits or is suspended.
_OPERATIONS: dict[str, Callable[[Member], float]] = {
    "challenge": Member.challenge,
    "challenge, trusted device": Member.recognize,
    "verify, wrong code": Member.refuse,
    "verify": Member.verify,
    "verify, backup code": Member.spend,
    "status": Member.status,
}


def fill(engine: sa.Engine, keyring: Keyring, user_id: int, length: int, now: datetime) -> None:
    """Let the log of a user be so long, by the library's own chain, and seal the row that counts it."""
    with engine.begin() as connection:
        schema = Schema.of(connection, "users.id")
        secrets, events = schema.tables.secrets, schema.tables.events
        row = connection.execute(sa.select(*schema.state).where(secrets.c.user_id == user_id)).one()
        account = Account(*row)
        for first in range(account.event_count + 1, length + 1, _BATCH):
            lines: list[dict[str, Any]] = []
            for seq in range(first, min(first + _BATCH, length + 1)):
                kind, details = (Kind.CODE_ACCEPTED, _ACCEPTED) if seq % 2 else (Kind.CHALLENGED, {})
                link = chain.Link(
                    user_id,
                    seq,
                    str(kind),
                    str(Status.SUCCESS),
                    chain.details_text(details),
                    BROWSER.ip_address,
                    BROWSER.user_agent,
                    None,
                    now - timedelta(minutes=length - seq),
                )
                head = chain.mac(keyring, link, account.event_head)
                account = account._replace(event_count=seq, event_head=head, version=account.version + 1)
                lines.append(link._asdict() | {"mac": head})
            connection.execute(sa.insert(events), lines)
        sealed = {"state_mac": keyring.mac("state", account.message())}
        written = {"event_count": account.event_count, "event_head": account.event_head, "version": account.version}
        connection.execute(sa.update(secrets).where(secrets.c.user_id == user_id).values(written | sealed))


def measure(
    database: str, engine: sa.Engine, options: argparse.Namespace, told: Callable[[str], None]
) -> list[Operation]:
    """Measure every answer of both users by turns. Raises RuntimeError where a log does not verify afterwards."""
    clock, chosen = Clock(), settings().model_copy(update={"backup_code_count": options.samples})
    mfa = MFA(engine, chosen, clock=clock)
    keyring = mfa._runtime.keyring  # noqa: SLF001
    told(f"{database}: {options.events:,} events")
    long = Member(mfa, engine, clock)
    fill(engine, keyring, long.user_id, options.events, clock.now)
    clock.forward()
    found = [Operation(database, name) for name in _OPERATIONS]
    members: list[Member] = [long]
    for number in range(options.rounds + 1):
        told(f"{database}: round {number} of {options.rounds}" if number else f"{database}: warming up")
        # A new one in each round, whose log is short every time.
        short = Member(mfa, engine, clock)
        fill(engine, keyring, short.user_id, _SHORT, clock.now)
        members.append(short)
        long.renew()
        for operation, seconds in zip(found, _round(short, long, options.samples, clock), strict=True):
            if number:
                operation.short.append(statistics.median(seconds[0]))
                operation.long.append(statistics.median(seconds[1]))
    told(f"{database}: following the chains")
    for member in members:
        told_of = mfa.events.verify(member.user_id)
        if not told_of.is_intact:
            raise RuntimeError(f"the log of user {member.user_id} is not intact: {told_of.problem}")
    return found


def _round(short: Member, long: Member, samples: int, clock: Clock) -> list[tuple[list[float], list[float]]]:
    """The seconds of each operation: those of the short log, and those of the long one."""
    found = [(list[float](), list[float]()) for _ in _OPERATIONS]
    for number in range(samples):
        for (shorts, longs), perform in zip(found, _OPERATIONS.values(), strict=True):
            for member, seconds in ((short, shorts), (long, longs)) if number % 2 else ((long, longs), (short, shorts)):
                seconds.append(perform(member))
            clock.forward()
    return found


def _timed(call: Callable[[], Any], judged: Callable[[Any], None] | None = None) -> float:
    began = time.perf_counter()
    answer = call()
    taken = time.perf_counter() - began
    if judged is not None:
        judged(answer)
    return taken


@contextlib.contextmanager
def _sqlite() -> Iterator[sa.Engine]:
    with tempfile.TemporaryDirectory(prefix="twofold-bench-") as folder:
        url = f"sqlite:///{folder}/twofold.db"
        migrate(Database(url, "sqlite"))
        yield create_engine(url)


@contextlib.contextmanager
def _postgresql() -> Iterator[sa.Engine]:
    with server.started() as running:
        url = running.create("twofold")
        yield sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))


@contextlib.contextmanager
def _mariadb() -> Iterator[sa.Engine]:
    with installed_mariadb() as installed, installed.running():
        migrate(Database(installed.url, "mariadb"))
        yield sa.create_engine(sa.make_url(installed.url).set(drivername="mariadb+pymysql"))


_DATABASES: dict[str, tuple[str, Callable[[], contextlib.AbstractContextManager[sa.Engine]]]] = {
    "sqlite": ("SQLite", _sqlite),
    "postgresql": ("PostgreSQL", _postgresql),
    "mariadb": ("MariaDB", _mariadb),
}


def as_table(found: Sequence[Operation], about: dict[str, Any]) -> Table:
    """The operations as a person reads them."""
    title = "{rounds} rounds of {samples}, {cpus} CPUs with a load of {load[0]}-{load[1]}, Python {python}"
    caption = (
        "One client, milliseconds: the median of each round, then the median over the rounds. Both users take turns, "
        "so the ratio is the figure: the median (lowest-highest) of those of the rounds. Every log was followed from "
        "its first event to its last afterwards, and is intact."
    )
    table = Table(title=title.format(**about), title_justify="left", caption=caption, caption_justify="left")
    for name in ("operation", f"{_SHORT} events", f"{about['events']:,} events", "ratio", f"goal {_GOAL}"):
        table.add_column(name, justify="left" if name == "operation" else "right")
    for each in found:
        line, ratios = each.plain(), each.ratios
        ratio = f"{line['ratio']:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        name = f"{each.database}: {each.name}"
        table.add_row(name, f"{line['short_ms']:.2f}", f"{line['long_ms']:.2f}", ratio, line["reached"])
    return table


def _options() -> argparse.Namespace:
    quick = bool(os.environ.get("QUICK"))
    parser = argparse.ArgumentParser(
        prog="python -m bench.long_log",
        description=__doc__,
        epilog="With QUICK=1 in the environment it takes a minute.",
    )
    events = 10_000 if quick else 300_000
    parser.add_argument("--events", type=int, default=events, help="events of the long log (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2 if quick else 9, help="rounds (default: %(default)s)")
    parser.add_argument(
        "--samples", type=int, default=20, help="operations of a kind in a round, for each user (default: %(default)s)"
    )
    parser.add_argument(
        "--databases", nargs="+", choices=list(_DATABASES), default=list(BACKENDS), help="default: those installed"
    )
    options = parser.parse_args()
    if options.events <= _SHORT or options.rounds <= 0 or not 0 < options.samples <= 50:
        parser.error(f"the long log is longer than {_SHORT}, there is a round, and there are 1 to 50 samples")
    return options


def main() -> int:
    """Measure, print and write down; 0 when every answer was the right one and every log is intact, fast or not."""
    options, found = _options(), list[Operation]()
    about = {"events": options.events, "rounds": options.rounds, "samples": options.samples, **report.machine("")}
    about["load"] = [round(os.getloadavg()[0], 1)]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
            task = progress.add_task("", total=None)

            def told(what: str) -> None:
                progress.update(task, description=what)
                progress.refresh()

            for name, opened in (_DATABASES[each] for each in options.databases):
                told(f"{name}: starting")
                with opened() as engine:
                    found += measure(name, engine, options, told)
                    engine.dispose()
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, OSError, AssertionError, MFAError, SQLAlchemyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    about["load"].append(round(os.getloadavg()[0], 1))
    _RESULTS.parent.mkdir(exist_ok=True)
    plain = {"machine": about, "operations": [each.plain() for each in found]}
    _RESULTS.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    Console(width=None if sys.stdout.isatty() else 140).print(as_table(found, about))
    return 0


if __name__ == "__main__":
    sys.exit(main())
