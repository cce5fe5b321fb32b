"""A command, killed again and again: `python -m tests.schema.killed structure`, `midst` or `rows`.

TWOFOLD_DATABASE_URL names the database. Every child is the real command. It dies by SIGKILL at the first place where
none before it died. The parent prints how many died until one came through.

The places of `structure`, which is `twofold db adopt`, are behind every step, and inside of a step behind the first
statement of a kind on a table; those of `midst`, which is the same on SQLite, are in long statements while they run.
Those of `rows`, which is `twofold secrets import-legacy`, are behind every statement that writes, before every commit,
and between two batches.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from tests.brought import bring
from twofold.cli import main
from twofold.schema import adoption

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database
    from twofold.schema.plan.plan import Step

    Die = Callable[[str], None]

TWOFOLD = Path(sys.executable).with_name("twofold")
ARGUMENTS = ["db", "adopt", "--apply", "--yes", "--data", "later", "--allow", "heavy", "--json"]
IMPORT = ["secrets", "import-legacy", "--batch", "5", "--json"]
_READING = {"structure": ["db", "adopt"], "midst": ["db", "adopt"], "rows": ["secrets", "import-legacy", "--dry-run"]}
_CHANGES = ("ALTER", "CREATE", "DROP", "INSERT", "REINDEX", "UPDATE", "DELETE", "WITH")
_MOST = 300
# Thousands of instructions of SQLite: a statement that has run so many has written some of its rows, and not all.
_LONG = 20


def environment(database: Database, **settings: str) -> dict[str, str]:
    """What a child needs to know."""
    given = {"database_url": database.url, **settings}
    return {**os.environ, **{f"TWOFOLD_{name.upper()}": value for name, value in given.items()}}


def structure(die: Die) -> None:
    """Adopt the tables."""

    @event.listens_for(sa.Engine, "after_cursor_execute")
    def after(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if _changes(statement):
            die(f"inside {' '.join(statement.split()[:3])}")

    module: Any = adoption
    perform = module.perform

    def perform_and_die(connection: sa.Connection, step: Step, *rest: Any) -> None:
        perform(connection, step, *rest)
        die(f"behind {step}")

    module.perform = perform_and_die
    main(ARGUMENTS)


def midst(die: Die) -> None:
    """Adopt the tables of a SQLite database, which says in the course of a statement that it goes on."""
    running, ticks = "", 0

    @event.listens_for(sa.Engine, "before_cursor_execute")
    def before(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal running, ticks
        running, ticks = " ".join(statement.split()[:3]), 0

    @event.listens_for(sa.Engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.set_progress_handler(goes_on, 1000)

    def goes_on() -> int:
        nonlocal ticks
        ticks += 1
        if ticks > _LONG and _changes(running):
            die(f"in the midst of {running}")
        return 0

    main(ARGUMENTS)


def rows(die: Die) -> None:
    """Bring the rows along."""
    places, is_between = itertools.count(1), False

    @event.listens_for(sa.Engine, "after_cursor_execute")
    def after(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if _changes(statement):
            die(f"{next(places)}, behind a statement")

    @event.listens_for(sa.Engine, "commit")
    def before_commit(_connection: sa.Connection) -> None:
        nonlocal is_between
        die(f"{next(places)}, before a commit")
        is_between = True

    @event.listens_for(sa.Engine, "before_cursor_execute")
    def before(*_: Any) -> None:
        nonlocal is_between
        if is_between:
            die(f"{next(places)}, between two batches")
        is_between = False

    main(IMPORT)


def _changes(statement: str) -> bool:
    return statement.lstrip().upper().startswith(_CHANGES)


def run(command: Callable[[Die], None]) -> int:
    """Fork children until one comes through."""
    died: set[str] = set()
    while len(died) < _MOST:
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reads)

            def die(place: str, told: int = writes) -> None:
                if place not in died:
                    os.write(told, place.encode())
                    os.kill(os.getpid(), signal.SIGKILL)

            command(die)
        os.close(writes)
        with os.fdopen(reads) as told:
            place = told.read()
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            sys.stdout.write(f"{len(died)}\n")
            return os.waitstatus_to_exitcode(status)
        died.add(place)
    return 1


if __name__ == "__main__":
    bring(*_READING[sys.argv[1]])
    sys.exit(run({"structure": structure, "midst": midst, "rows": rows}[sys.argv[1]]))
