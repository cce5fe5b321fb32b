"""Runs commands as they are typed, one after the other until one fails; importing everything once is what takes long.

`python typed.py "alembic upgrade head" "twofold db verify"`; what each says stands under its own line.
"""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import entry_points


def run(command: str) -> int | str | None:
    """Run the program of a command in this process, as the script of that name would."""
    sys.argv = shlex.split(command)
    (program,) = entry_points(group="console_scripts", name=sys.argv[0])
    try:
        program.load()()
    except SystemExit as end:
        return end.code
    return 0


if __name__ == "__main__":
    for line in sys.argv[1:]:
        sys.stdout.write(f"$ {line}\n")
        sys.stdout.flush()
        if failed := run(line):
            sys.stdout.write(f"exit {failed}\n")
            sys.exit(failed)
