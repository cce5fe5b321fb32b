"""`twofold events checkpoint FILE`, killed again and again: `python -m tests.attacks.dying_keeper FILE`.

Every child is the real command. It dies by SIGKILL in the middle of the line behind the one where the child before it
died. The parent prints how many died until one came through.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys

from tests.brought import bring
from twofold.cli import main

_MOST = 20


def die_in(number: int, file: str) -> None:
    """Write the lines before that one, then half of it."""
    write, lines = os.write, itertools.count(1)

    def write_and_die(descriptor: int, data: bytes) -> int:
        if next(lines) == number:
            write(descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, data)

    os.write = write_and_die  # type: ignore[assignment]
    main(["events", "checkpoint", file, "--batch", "1"])


def run(file: str) -> None:
    """Fork children until one comes through."""
    bring("events", "verify", "--json")
    for number in range(1, _MOST):
        pid = os.fork()
        if pid == 0:
            die_in(number, file)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            sys.stdout.write(f"{number - 1} died\n")
            sys.exit(os.waitstatus_to_exitcode(status))
        # What the dead have left is what the next one finds.
        with open(file, "rb") as left:  # noqa: PTH123
            assert not left.read().endswith(b"\n")


if __name__ == "__main__":
    run(sys.argv[1])
