"""`twofold events prune`, killed again and again: `python -m tests.attacks.dying_pruner`.

Every child is the real command. It dies by SIGKILL behind one write more than the child before it, or before the
commit. After each, another child proves the chains. The parent prints how many died until one came through.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy import event

from tests.brought import bring
from twofold.account.lock_wait import BOUND
from twofold.cli import main

_MOST = 200


def die_at(place: int) -> NoReturn:
    """Prune, up to that place."""
    places, has_written = itertools.count(1), False

    def reached() -> None:
        if next(places) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    def executed(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        nonlocal has_written
        if statement.removeprefix(BOUND).startswith(("INSERT", "UPDATE", "DELETE")):
            has_written = True
            reached()

    def committing(_connection: Any) -> None:
        nonlocal has_written
        if has_written:
            has_written = False
            reached()

    event.listen(sa.Engine, "after_cursor_execute", executed)
    event.listen(sa.Engine, "commit", committing)
    main(["events", "prune", "--older-than", "365", "--yes", "--json"])
    os._exit(0)


def ended(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def run() -> None:
    """Fork children until one comes through."""
    bring("events", "verify", "--json")
    for place in range(1, _MOST):
        pid = os.fork()
        if pid == 0:
            die_at(place)
        code = ended(pid)
        pid = os.fork()
        if pid == 0:
            main(["events", "verify", "--json"])
        assert ended(pid) == 0, f"broken after place {place}"
        if code != -signal.SIGKILL:
            sys.stdout.write(f"{place - 1} died\n")
            sys.exit(code)


if __name__ == "__main__":
    run()
