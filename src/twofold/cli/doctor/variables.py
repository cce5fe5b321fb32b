"""Variables that no setting reads: misspelt, or somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.cli.doctor.check import Check
from twofold.settings import unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.terminal import Terminal


def variables(terminal: Terminal) -> Iterator[Check]:
    """Every `TWOFOLD_*` of the environment and of the `.env` file is a setting."""
    found = unread(terminal.env_file)
    misspelt = {name: meant for name, meant in found.items() if meant is not None}
    for name, meant in misspelt.items():
        message = f"{name} is no setting, and what it says is ignored: did you mean {meant}?"
        yield Check("variables", "wrong", message, f"Set {meant}, or take {name} out.")
    others = sorted(found.keys() - misspelt.keys())
    if others:
        message = f"Not read, since there are no such settings: {', '.join(others)}."
        yield Check("variables", "note", message, "docs/settings.md lists every setting.")
    if not found:
        yield Check("variables", "ok", "Every TWOFOLD_* is a setting.")
