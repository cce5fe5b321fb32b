"""`twofold db write-revision`: the tables as a revision of the host's own history."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- Typer reads the annotations.
from typing import Annotated

import typer

from twofold.cli.chosen import Passkeys, chosen
from twofold.cli.terminal import Terminal, command
from twofold.schema import hosting


def write_revision(
    terminal: Terminal,
    *,
    after: Annotated[
        str, typer.Option(metavar="REVISION", help="Your newest revision, as `alembic heads` shows it, or head.")
    ],
    folder: Annotated[Path, typer.Option(metavar="PATH", help="Where your revisions are.")],
    passkeys: Passkeys = False,
) -> None:
    """Write a revision file into your own Alembic history that makes the four tables, and drops them on the way down.

    For one history instead of two: your `alembic upgrade head` then brings the tables, and `twofold db upgrade` is not
    needed. The file names the users' key of TWOFOLD_USERS. No database is asked, and no file is overwritten.

    With --passkeys it is a revision that makes the table of passkeys, to stand behind the one with the four.
    """
    history = chosen(passkeys=passkeys)
    users = terminal.settings.users
    file = hosting.write_revision(folder, after, users, history=history)
    payload = {"file": str(file), "revision": history.revision, "users": users}
    terminal.answer(payload, f"{file} is written; user_id references {users}.", "Next: alembic upgrade head")


def register(app: typer.Typer) -> None:
    """Add the command to `twofold db`."""
    command(
        app,
        "twofold db write-revision --after head --folder migrations/versions",
        "twofold db write-revision --after 3f1c7a90b2de --folder migrations/versions",
        "twofold db write-revision --passkeys --after head --folder migrations/versions",
    )(write_revision)
