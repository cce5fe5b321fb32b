"""Databases that refuse to commit, so many times and for a reason that can be chosen.

PostgreSQL refuses by itself: a deferred trigger raises at the COMMIT, and at the end of a statement that commits alone.
SQLite is busy by itself too: somebody reads while the COMMIT wants the whole file, without a write-ahead log. On
MariaDB a wire answers in the server's place, and the server has rolled back.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine as create_awaited

from tests.attacks.cutting import Refuse, cutting
from tests.attacks.scenes import hosted
from twofold.database import create_async_engine, create_engine
from twofold.metadata import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.attacks.scenes import Scene
    from tests.databases import Database
    from twofold.hook import OnEvent

ALWAYS: Final = 10**9
# The patience of an operation whose COMMIT is always refused, in seconds.
DEADLINE: Final = 0.1
REASONS: Final[dict[str, tuple[str, ...]]] = {
    "sqlite": ("busy", "another"),
    "postgresql": ("deadlock", "serialization failure", "lock timeout", "another"),
    "mariadb": ("certification", "lock timeout", "changed since", "another"),
}


class Refusing(Protocol):
    """A database that can be told to refuse."""

    def arm(self, reason: str, times: int) -> None:
        """Refuse the next so many COMMITs."""

    def disarm(self) -> int:
        """Refuse no more; how many were refused."""
        ...


class RefusingPostgreSQL:
    """A trigger counts by a sequence, which no rollback takes back."""

    _STATES: Final = {
        "deadlock": "40P01",
        "serialization failure": "40001",
        "lock timeout": "55P03",
        # The disk is full.
        "another": "53100",
    }

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._times = 0
        self._run("CREATE TABLE refusal (times BIGINT, state TEXT)", "INSERT INTO refusal VALUES (0, '')")
        self._run("CREATE SEQUENCE refusals")
        self._run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE told refusal; BEGIN"
            " SELECT * INTO told FROM refusal;"
            " IF told.times > 0 AND nextval('refusals') <= told.times THEN"
            " RAISE EXCEPTION 'refused by the test' USING ERRCODE = told.state; END IF;"
            " RETURN NULL; END $$"
        )
        for name in NAMES:
            self._run(
                f"CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE OR DELETE ON {name}"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
            )

    def _run(self, *statements: str) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def arm(self, reason: str, times: int) -> None:
        self._times = times
        self._run(
            "ALTER SEQUENCE refusals RESTART", f"UPDATE refusal SET times = {times}, state = '{self._STATES[reason]}'"
        )

    def disarm(self) -> int:
        self._run("UPDATE refusal SET times = 0")
        with self._engine.connect() as connection:
            last, is_called = connection.exec_driver_sql("SELECT last_value, is_called FROM refusals").one()
        return min(self._times, last if is_called else 0)


class RefusingMariaDB:
    """The wire between the library and the server answers."""

    _DEEDS: Final = {
        # What the nodes of a Galera cluster say to the slower one of two.
        "certification": Refuse(1213, "40001"),
        # The server has not rolled back: that is left to the client.
        "lock timeout": Refuse(1205, server=""),
        "changed since": Refuse(1020),
        "another": Refuse(1105),
    }

    def __init__(self, wire: Any) -> None:
        self._wire = wire

    def arm(self, reason: str, times: int) -> None:
        self._wire.arm(self._DEEDS[reason], times)

    def disarm(self) -> int:
        self._wire.disarm()
        return int(self._wire.done)


class RefusingSQLite:
    """Asked whether a COMMIT may be, it takes the lock that makes the COMMIT fail, or denies it."""

    def __init__(self, path: str) -> None:
        self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._reader.execute("PRAGMA journal_mode = DELETE")
        self._is_denied, self._times, self._made = False, 0, 0

    def arm(self, reason: str, times: int) -> None:
        self._is_denied, self._times, self._made = reason == "another", times, 0

    def disarm(self) -> int:
        self._times = 0
        self._let_go()
        return self._made

    def close(self) -> None:
        """Close the reader's connection."""
        self._reader.close()

    def _let_go(self) -> None:
        if self._reader.in_transaction:
            self._reader.execute("ROLLBACK")

    def _judge(self, action: int, what: str | None, *_: str | None) -> int:
        if action != sqlite3.SQLITE_TRANSACTION:
            return sqlite3.SQLITE_OK
        self._let_go()
        if what != "COMMIT" or self._times == 0:
            return sqlite3.SQLITE_OK
        self._times, self._made = self._times - 1, self._made + 1
        if self._is_denied:
            return sqlite3.SQLITE_DENY
        self._reader.execute("BEGIN")
        self._reader.execute("SELECT id FROM users").fetchall()
        return sqlite3.SQLITE_OK

    def connect_args(self) -> dict[str, Any]:
        """What a host gives its driver."""
        judge = self._judge

        class Connection(sqlite3.Connection):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                self.execute("PRAGMA foreign_keys = ON")
                self.execute("PRAGMA busy_timeout = 20")
                self.set_authorizer(judge)

        return {"factory": Connection}


@dataclass(frozen=True)
class Stage:
    """One face of the library on a database that can refuse; the hurried scene has a short deadline."""

    scene: Scene
    hurried: Scene
    refusing: Refusing
    # The address of the refusing database, for programs; None where it is no matter of the address.
    url: str | None
    keys: str


@contextlib.contextmanager
def staged(database: Database, face: str, on_event: OnEvent | None = None) -> Iterator[Stage]:
    """Set the scene on a migrated database."""
    with contextlib.ExitStack() as open_:
        refusing: Refusing
        engine: sa.Engine | AsyncEngine
        if database.backend == "sqlite":
            database.dispose()
            path = database.url.removeprefix("sqlite:///")
            refusing = open_.enter_context(contextlib.closing(RefusingSQLite(path)))
            arguments = refusing.connect_args()
            url = None
            if face == "blocking":
                engine = sa.create_engine(database.url, connect_args=arguments)
            else:
                engine = create_awaited(f"sqlite+aiosqlite:///{path}", connect_args=arguments)
            behind = sa.create_engine(database.url, connect_args={"timeout": 0.1})
        else:
            behind = create_engine(database.url)
            if database.backend == "postgresql":
                refusing, url = RefusingPostgreSQL(behind), database.url
            else:
                wire = open_.enter_context(cutting(database.url))
                refusing, url = RefusingMariaDB(wire), wire.url
            engine = create_engine(url) if face == "blocking" else create_async_engine(url)
        open_.callback(behind.dispose)
        host = open_.enter_context(hosted(engine, on_event))
        yield Stage(host.scene(behind), host.scene(behind, deadline=DEADLINE), refusing, url, host.keys)
