"""What a process that forks children brings for all of them, so that none of them begins with an import."""

from __future__ import annotations

import contextlib
import io
import sys

from twofold.cli import main


def bring(*reading: str) -> None:
    """Run a command that only reads: the program, the driver, and what both import at their first statement."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(reading)
    sys.stdout.flush()
