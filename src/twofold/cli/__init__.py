"""The command line `twofold`: one file per noun, every command a plain function over the library.

Tests: `tests/cli`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXTRA = {"typer", "rich"}
_MISCONFIGURED = 78


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, those of the process by default, and end the process."""
    try:
        from twofold.cli.program import app
    except ModuleNotFoundError as error:
        # The program is installed with every extra, and with none.
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        message = f"The command line needs {error.name}, which is not installed: pip install 'twofold[cli]'."
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            print(json.dumps({"error": "ConfigurationError", "message": message}))
        else:
            print(f"error: {message}", file=sys.stderr)
        sys.exit(_MISCONFIGURED)
    app(arguments)
