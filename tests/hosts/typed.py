"""Types commands in a host's folder, one after the other until one fails, as a process that knows nothing of the test.

What each says stands under its own line.
"""

from __future__ import annotations

import os
import shlex
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path


def run(command: str) -> int | str | None:
    """Run the program of a command in this process, as the script of that name would."""
    sys.argv = shlex.split(command)
    (program,) = entry_points(group="console_scripts", name=sys.argv[0])
    try:
        program.load()()
    except SystemExit as end:
        return end.code
    return 0


def typed(_: Connection, folder: Path, environment: Mapping[str, str], said: Path, commands: Sequence[str]) -> None:
    """Be the process: stand in the folder, and write into a file whatever would be on the screen."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with said.open("wb") as screen:
        os.dup2(screen.fileno(), 1)
        os.dup2(screen.fileno(), 2)
    for line in commands:
        sys.stdout.write(f"$ {line}\n")
        sys.stdout.flush()
        if failed := run(line):
            sys.stdout.write(f"exit {failed}\n")
            sys.exit(failed)
