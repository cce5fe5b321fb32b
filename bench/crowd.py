"""A database with as many users as somebody asks for: most of them are rows of the server's making, some are real."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pyotp.totp import TOTP

from bench.people import BROWSER
from twofold import MFA, Challenge, Settings, tables
from twofold.keyring import generate_key
from twofold.schema import spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.people import Clock
    from bench.server import Server

EVENTS = 10
"""How many events each user has."""
LONG = 100_000
"""About how many events one user has who has very many."""
LEGACY = 2000
CHANCE = random.SystemRandom()
_CODES = 2
_THREADS = 4
_CONSTRAINTS = """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = 'mfa_events'::regclass AND contype = 'u'"""
_INDEXES = """SELECT relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = 'mfa_events'::regclass AND NOT indisprimary ORDER BY relname"""
_STATEMENTS = Path(__file__).with_suffix(".sql")


@dataclass
class Member:
    """A user whom the library enrolled: an app, and the cookie of a trusted device."""

    user_id: int
    app: TOTP
    device_token: str


class Crowd:
    """The database of one size. `seconds` tells what its parts took to make."""

    def __init__(self, server: Server, people: int, members: int, clock: Clock, told: Callable[[str], None]) -> None:
        self.people, self._clock, self._told = people, clock, told
        self.seconds: dict[str, float] = {}
        self.name = f"crowd_{people}"
        url = sa.make_url(server.create(self.name)).set(drivername="postgresql+psycopg")
        self.engine = sa.create_engine(url)
        keys = generate_key("k1"), generate_key("k2")
        self.mfa = MFA(self.engine, _settings(*keys), clock=clock)
        # Rotation goes to and fro between the two keys, so that there is always something to re-seal.
        self.rotating = itertools.cycle([MFA(self.engine, _settings(*keys[::-1]), clock=clock), self.mfa])
        self._stride = people // members
        self._seed()
        with self._timed("members"):
            ids = range(self._stride, people + 1, self._stride)
            with ThreadPoolExecutor(_THREADS) as threads:
                self.members = list(threads.map(self._enrolled, ids))
        clock.forward()
        rows = tables(sa.MetaData()).secrets
        first = sa.select(sa.func.min(rows.c.id))
        self.first_row = self._number(first.where(rows.c.user_id % self._stride == 0))
        with self._timed("legacy rows"):
            self._execute(self._statements[-1])
        self.first_legacy_row = self._number(first.where(rows.c.state_mac.is_(None)))
        with self._timed("order"), self.engine.connect() as connection:
            # The members are to lie among all others, and not together at the end of the table.
            connection.exec_driver_sql("CLUSTER user_mfa_secrets USING uq_user_mfa_secrets_user_id")
            connection.commit()
        with self._timed("settle"):
            server.settle(self.name)

    @property
    def long(self) -> int:
        """The user with very many events."""
        return self.people + 1

    @property
    def anybody(self) -> int:
        """A user whose events lie where all events lie."""
        user_id = CHANCE.randint(1, self.people)
        return user_id if user_id % self._stride else user_id - 1

    def rows(self) -> dict[str, int]:
        """How many rows each table has, and how many bytes all of them take with their indexes."""
        counts = {name: sa.select(sa.func.count()).select_from(sa.table(name)) for name in ("users", *spec.NAMES)}
        counts["bytes"] = sa.select(sa.func.pg_database_size(sa.func.current_database()))
        return {name: self._number(count) for name, count in counts.items()}

    def _seed(self) -> None:
        users, factors, codes, devices, events = self._statements[:-1]
        for what, statement in (("users", users), ("secrets", factors), ("codes", codes), ("devices", devices)):
            with self._timed(what):
                self._execute(statement)
        with self._timed("events"), self._without_indexes():
            for number in range(1, EVENTS + 1):
                self._told(f"{self.people:,} users: events, {number} of {EVENTS} of each")
                self._execute(events, number=number)

    def _enrolled(self, user_id: int) -> Member:
        mfa, now = self.mfa, self._clock.now
        app = TOTP(mfa.totp.begin(user_id, account_name="ada@example.com", request=BROWSER).secret)
        enrolled = mfa.totp.confirm(user_id, app.at(now), request=BROWSER)
        device = mfa.trusted_devices.trust(enrolled.verified, request=BROWSER)
        return Member(user_id, app, device.token)

    @property
    def _statements(self) -> list[str]:
        return _STATEMENTS.read_text(encoding="utf-8").strip().rstrip(";").split(";\n\n")

    def _execute(self, statement: str, **more: Any) -> None:
        """Run a statement of the file. The server is not asked to prove row by row that each user exists."""
        names = sa.text(statement).compile().params
        gap = max(1, self.people * EVENTS // LONG)
        numbers = {"people": self.people, "events": EVENTS, "codes": _CODES, "stride": self._stride, "gap": gap}
        texts = {"kid": "v1:k1:00000000:", "browser": BROWSER.user_agent}
        values = numbers | texts | {"legacy": LEGACY} | more
        with self.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.execute(sa.text(statement), {name: values[name] for name in names})

    def _number(self, query: sa.Executable) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        self._told(f"{self.people:,} users: {what}")
        began = time.monotonic()
        yield
        self.seconds[what] = round(time.monotonic() - began, 1)

    @contextlib.contextmanager
    def _without_indexes(self) -> Iterator[None]:
        """Build the indexes of the events when their rows are there, which takes a fraction of the time."""
        with self.engine.begin() as connection:
            before = connection.exec_driver_sql(_INDEXES).all()
            unique = connection.exec_driver_sql(_CONSTRAINTS).all()
            for name, _ in unique:
                connection.exec_driver_sql(f"ALTER TABLE mfa_events DROP CONSTRAINT {name}")
            others = connection.exec_driver_sql(_INDEXES).all()
            for name, _ in others:
                connection.exec_driver_sql(f"DROP INDEX {name}")
        yield
        self._told(f"{self.people:,} users: indexes of the events")
        with self.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
            for name, text in unique:
                connection.exec_driver_sql(f"ALTER TABLE mfa_events ADD CONSTRAINT {name} {text}")
            for _, text in others:
                connection.exec_driver_sql(text)
            if connection.exec_driver_sql(_INDEXES).all() != before:
                raise RuntimeError("The indexes of the events are not what the revision made.")


def challenged(crowd: Crowd, member: Member) -> str:
    """The token of a challenge, for a member whose browser shows no cookie."""
    asked = crowd.mfa.challenge(member.user_id, request=BROWSER)
    if not isinstance(asked, Challenge):
        raise TypeError("an enrolled user was not challenged")
    return asked.token


def _settings(*keys: str) -> Settings:
    made: dict[str, Any] = {"_env_file": None, "keys": ",".join(keys), "backup_code_count": 10}
    return Settings(**made)
