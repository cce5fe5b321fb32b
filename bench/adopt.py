"""How long `twofold db adopt` keeps logins waiting on big tables: `make adopt-bench`."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from bench import server
from bench.report import Options, machine, run, table, tell
from tests.schema.incident import models, stamp
from twofold.keyring import generate_key

_BASELINE = 5.0
_LIMIT = 1.0
# The command line, with its log on standard error and a moment before each line.
_CLI_WITH_LOG = """import logging; from twofold.cli import main
logging.basicConfig(level=logging.INFO, format="%(created)f %(message)s"); main()"""
# Behind the last step the ordinary upgrade has its turn, and Alembic speaks first.
_STEP = re.compile(r"(?P<moment>[\d.]+) (Adopting: (?P<step>.+)|Context impl .+)")


@dataclass(frozen=True, slots=True)
class Login:
    """One login: the moment at which it began, the seconds that it took, and what it failed by."""

    began: float
    took: float
    error: str | None = None

    def within(self, begin: float, end: float) -> float:
        """For how many seconds of a span it was under way."""
        return max(0.0, min(self.began + self.took, end) - max(self.began, begin))


class Older:
    """An application of before Twofold: it reads the user, the row, the browser and a code, counts, and writes a line.

    Its moments are UTC without a zone, so it tells the server that its session is in UTC. Either it prepares statements
    and takes back no column whose type will change, since a plan that was prepared must not change what it returns
    (SQLSTATE 0A000); or it takes back everything, as ORMs do, and prepares nothing.
    """

    _COUNT = (
        "UPDATE user_mfa_secrets SET failed_attempts = 0, last_used_at = %(now)s, updated_at = %(now)s "
        "WHERE user_id = %(user)s"
    )
    _SEEN = (
        "UPDATE mfa_device_trusts SET usage_count = usage_count + 1, last_used_at = %(now)s "
        "WHERE trust_token = %(cookie)s"
    )
    _LOG = (
        "INSERT INTO mfa_events (user_id, event_type, event_status, event_details, ip_address, user_agent, created_at) "
        "VALUES (%(user)s, 'login', 'success', '{}', '192.0.2.1', 'Firefox', %(now)s)"
    )

    def __init__(self, url: str, *, prepares: bool) -> None:
        self.connection = psycopg.connect(url, options="-c timezone=UTC")
        narrow = ("subject", "secret, is_enabled, failed_attempts", "device_name", "is_used")
        user, row, device, code = narrow if prepares else ("*",) * 4
        self._statements = (
            f"SELECT {user} FROM users WHERE id = %(user)s",  # noqa: S608 - names from here.
            f"SELECT {row} FROM user_mfa_secrets WHERE user_id = %(user)s",  # noqa: S608
            f"SELECT {device} FROM mfa_device_trusts WHERE trust_token = %(cookie)s",  # noqa: S608
            f"SELECT {code} FROM mfa_backup_codes WHERE code_hash = %(code)s",  # noqa: S608
            self._COUNT,
            self._SEEN,
            self._LOG if prepares else f"{self._LOG} RETURNING id",
        )
        if not prepares:
            self.connection.prepare_threshold = None

    def log_in(self, user_id: int) -> None:
        """One login, from the beginning to the commit."""
        values = {
            "user": user_id,
            "now": datetime.now(UTC).replace(tzinfo=None),
            "cookie": hashlib.md5(f"cookie{user_id}".encode(), usedforsecurity=False).hexdigest(),
            "code": hashlib.sha256(f"1-{user_id}".encode()).hexdigest(),
        }
        with self.connection.transaction():
            for statement in self._statements:
                self.connection.execute(statement.encode(), values)


@contextmanager
def going_on(applications: Sequence[Older], people: int, pause: float) -> Iterator[list[Login]]:
    """Log in for the length of the block, in a thread for each application, with so many seconds between two logins.

    Everybody's turn comes once before anybody's comes again. The logins are in the value, also behind the block.
    """
    # A stride that has no factor in common with the number of people meets all of them, far from one another.
    stride = next(one for one in itertools.count(people * 3 // 5) if math.gcd(one, people) == 1)
    turns, over, logins = itertools.count(1), threading.Event(), list[Login]()

    def loop(application: Older) -> None:
        with application.connection:
            while not over.wait(pause):
                began, error = time.time(), None
                try:
                    application.log_in(next(turns) * stride % people + 1)
                except psycopg.Error as caught:
                    error = f"{type(caught).__name__}: {str(caught).partition(chr(10))[0]}"
                logins.append(Login(began, time.time() - began, error))

    with ThreadPoolExecutor(len(applications)) as threads:
        try:
            loops = [threads.submit(loop, application) for application in applications]
            yield logins
        finally:
            over.set()
    for each in loops:
        each.result()


def adopted(options: argparse.Namespace, url: str) -> list[dict[str, Any]]:
    """Run `twofold db adopt`, beside the logins of the application of before; return what each step cost."""
    older = [Older(url, prepares=number % 2 == 0) for number in range(options.threads)]
    with going_on(older, options.users, options.pause / 1000) as seen:
        before = time.time()
        time.sleep(_BASELINE)
        marks = [("before: logins alone", before), ("plan", time.time()), *_steps(url)]
        end = time.time()
    ends = [*(begin for _, begin in marks[1:]), end]
    return [lock_waits(what, begin, end, seen) for (what, begin), end in zip(marks, ends, strict=True)]


def _steps(url: str) -> Iterator[tuple[str, float]]:
    """Run the command to its end; each step that it takes, and the moment at which it began. Raises RuntimeError."""
    arguments = ["db", "adopt", "--apply", "--yes", "--allow", "heavy", "--data", "later", "--json"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}
    own |= {"TWOFOLD_DATABASE_URL": url, "TWOFOLD_KEYS": generate_key("bench")}
    program, said = [sys.executable, "-c", _CLI_WITH_LOG, *arguments], list[str]()
    with subprocess.Popen(program, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            if begun := _STEP.fullmatch(line.strip()):
                what = begun["step"] or "verify and record"
                tell(what)
                yield what, float(begun["moment"])
            else:
                said.append(line)
    if process.returncode:
        raise RuntimeError(f"twofold {' '.join(arguments)}: exit {process.returncode}\n{''.join(said)}")


def lock_waits(what: str, begin: float, end: float, seen: Sequence[Login]) -> dict[str, Any]:
    """Return what the logins saw of a piece of the run. One that waited through two pieces waited in both."""
    begun = [login for login in seen if begin <= login.began < end]
    return {
        "what": what,
        "seconds": round(end - begin, 3),
        "longest_stall_seconds": round(max((login.within(begin, end) for login in seen), default=0.0), 3),
        "longest_login_seconds": round(max((login.took for login in begun), default=0.0), 3),
        "logins": len(begun),
        "errors": dict(Counter(login.error for login in begun if login.error)),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start the server, make the tables, bring them along, and prove that no row is gone."""
    with server.started() as running:
        url = running.create("adoption", migrated=False)
        engine = sa.create_engine(running.database("adoption", "postgresql+psycopg"))
        tell(f"{options.users:,} people of before")
        with engine.begin() as connection:
            models().create_all(connection)
            stamp(connection)
        for statement in server.statements(Path(__file__).with_suffix(".sql")):
            server.fill(engine, statement, people=options.users, codes=2, events=3)
        tell("settling")
        running.settle("adoption")
        before = server.rows(engine)
        spans = adopted(options, url)
        after = server.rows(engine)
        engine.dispose()
        if any(after[name] < number for name, number in before.items()):
            raise RuntimeError(f"rows are gone: {before} became {after}")
        about = machine(running.version(), people=options.users, rows=before)
    longest, errors = max(one["longest_login_seconds"] for one in spans), Counter[str]()
    shown: list[tuple[object, ...]] = []
    for one in spans:
        errors.update(one["errors"])
        stall, failed = f"{one['longest_stall_seconds'] * 1000:,.0f} ms", sum(one["errors"].values()) or ""
        shown.append((one["what"], f"{one['seconds']:,.2f}", stall, f"{one['logins']:,}", failed))
    notes = [f"The longest login took {longest:.3f} s; {errors.total()} failed."]
    notes += [f"{number} times: {error}" for error, number in errors.most_common(5)]
    columns = ("step", "seconds", "longest stall", "logins", "errors")
    found = table(about, f"{options.users:,} people.", columns, shown)
    return found | {"notes": notes, "longest_login_seconds": longest, "spans": spans}


def main() -> int:
    """Measure and print; 0 when every login succeeded and none waited longer than a second."""
    options = Options("python -m bench.adopt", description=__doc__)
    options.number("users", "people in the tables", 100_000, 10_000)
    options.number("threads", "logins at the same time", 4)
    options.number("pause", "milliseconds between two logins of a thread", 10.0)
    found = run("adopt", measure, options.read())
    return int(found["longest_login_seconds"] > _LIMIT or any(span["errors"] for span in found["spans"]))


if __name__ == "__main__":
    sys.exit(main())
