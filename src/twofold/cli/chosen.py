"""`--passkeys`: which history a command of `twofold db` means."""

from __future__ import annotations

from typing import Annotated

import typer

from twofold.schema.history import FOUR, PASSKEYS, History

Passkeys = Annotated[bool, typer.Option("--passkeys", help="Mean the table of passkeys, which has its own history.")]


def chosen(*, passkeys: bool) -> History:
    """The history of the four tables, or that of the table of passkeys."""
    return PASSKEYS if passkeys else FOUR
