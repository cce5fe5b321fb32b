"""`twofold db adopt`, killed again and again: `python -m tests.schema.killed`, with TWOFOLD_DATABASE_URL set.

Every child is the real command. It dies by SIGKILL behind the first step that none before it died behind, or inside of
a step, at the first statement of a kind on a table. The parent prints how many died until one came through.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from twofold.cli import main
from twofold.schema import adoption

if TYPE_CHECKING:
    from twofold.schema.plan import Step

ARGUMENTS = ["db", "adopt", "--apply", "--yes", "--data", "later", "--allow", "heavy", "--json"]
_CHANGES = ("ALTER", "CREATE", "DROP", "INSERT", "REINDEX", "UPDATE", "DELETE")
_MOST = 300


def child(died: set[str], told: int) -> None:
    """Run the command, and die at the first place where nobody has died yet."""

    def die(place: str) -> None:
        if place not in died:
            os.write(told, place.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(sa.Engine, "after_cursor_execute")
    def after(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith(_CHANGES):
            die(f"inside {' '.join(statement.split()[:3])}")

    module: Any = adoption
    perform = module.perform

    def perform_and_die(connection: sa.Connection, step: Step, *rest: Any) -> None:
        perform(connection, step, *rest)
        die(f"behind {step}")

    module.perform = perform_and_die
    main(ARGUMENTS)


def run() -> int:
    """Fork children until one comes through."""
    died: set[str] = set()
    while len(died) < _MOST:
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reads)
            child(died, writes)
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
    sys.exit(run())
