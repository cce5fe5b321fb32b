"""Databases whose COMMIT is cut off, on every driver: by a wire, or by SQLite's own connection."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.attacks.cutting import Cut, Deed, cutting
from tests.attacks.scenes import hosted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.attacks.scenes import Scene
    from tests.databases import Database
    from twofold.hook import OnEvent

DRIVERS: Final = {
    "pysqlite": "sqlite",
    "aiosqlite": "sqlite",
    "psycopg": "postgresql",
    "psycopg_async": "postgresql",
    "asyncpg": "postgresql",
    "pymysql": "mariadb",
    "asyncmy": "mariadb",
}
AWAITED: Final = frozenset({"aiosqlite", "psycopg_async", "asyncpg", "asyncmy"})
# The patience of an operation that cannot find out, in seconds.
DEADLINE: Final = 0.4


class Losing(Protocol):
    """A database whose COMMITs can be cut off."""

    done: int

    def arm(self, deed: Deed, times: int = 1, *, then_away: bool = False, later: float = 0.25) -> None:
        """Cut the next so many COMMITs; `then_away` lets nobody in after that."""

    def disarm(self) -> None:
        """Lose nothing any more."""


class LosingSQLite:
    """Its connections break at the COMMIT, and it is done or not."""

    def __init__(self) -> None:
        self._cut: Deed = Cut.AFTER
        self._times, self.done = 0, 0
        self._is_away_afterwards = self._is_away = False
        # Happens when a COMMIT was cut off, before its client knows.
        self.meanwhile: Callable[[], object] = bool

    def arm(self, deed: Deed, times: int = 1, *, then_away: bool = False, later: float = 0.25) -> None:
        self._cut, self._times, self.done = deed, times, 0
        self._is_away_afterwards, self._is_away = then_away, False

    def disarm(self) -> None:
        self._times, self._is_away = 0, False

    def connect_args(self) -> dict[str, Any]:
        """What a host gives its driver."""
        losing = self

        class Connection(sqlite3.Connection):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                if losing._is_away:
                    raise sqlite3.OperationalError("unable to open database file")
                super().__init__(*arguments, **options)
                self.execute("PRAGMA foreign_keys = ON")

            def commit(self) -> None:
                if not (self.in_transaction and losing._is_next()):
                    super().commit()
                    return
                if losing._cut is Cut.AFTER:
                    super().commit()
                else:
                    self.rollback()
                losing.meanwhile()
                # What SQLAlchemy takes for a connection that is lost.
                raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

        return {"factory": Connection}

    def _is_next(self) -> bool:
        if self._times == 0:
            return False
        self._times, self.done = self._times - 1, self.done + 1
        self._is_away = self._is_away_afterwards and self._times == 0
        return True


@dataclass(frozen=True)
class Losers:
    """The library over a database that loses COMMITs; the hurried scene has a short deadline."""

    scene: Scene
    hurried: Scene
    losing: Losing
    # The address of the losing database, for programs; None where it is no matter of the address.
    url: str | None
    keys: str


@contextlib.contextmanager
def lost_at(database: Database, driver: str, on_event: OnEvent | None = None) -> Iterator[Losers]:
    """Set the scene on a migrated database and one driver."""
    with contextlib.ExitStack() as open_:
        losing: Losing
        url, options = None, dict[str, Any]()
        if database.backend == "sqlite":
            losing = in_file = LosingSQLite()
            options = {"connect_args": in_file.connect_args()}
            address = sa.make_url(database.url)
            behind = sa.create_engine(address)
        else:
            losing = wire = open_.enter_context(cutting(database.url))
            address, url = sa.make_url(wire.url), wire.url
            behind = database.engine()
        open_.callback(behind.dispose)
        address = address.set(drivername=f"{database.backend}+{driver}")
        engine = create_async_engine(address, **options) if driver in AWAITED else sa.create_engine(address, **options)
        host = open_.enter_context(hosted(engine, on_event))
        yield Losers(host.scene(behind), host.scene(behind, deadline=DEADLINE), losing, url, host.keys)
