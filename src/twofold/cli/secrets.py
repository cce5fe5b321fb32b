"""`twofold secrets`: bring what an application kept before Twofold into its care."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from twofold.cli import batches
from twofold.cli.operator import Operator
from twofold.cli.shown import counted
from twofold.cli.terminal import Terminal, command, noun
from twofold.key_files import read_key_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.settings import Settings
    from twofold.upkeep.legacy import Adopted

app = noun("secrets")

FernetKeys = Annotated[
    Path | None,
    typer.Option(help="A file with the Fernet keys of the old secrets, a line each. Or TWOFOLD_LEGACY_FERNET_KEY."),
]

REMAINS = "Backups, write-ahead logs and replicas still hold the values that stood there before."


@command(
    app,
    "twofold secrets import-legacy --dry-run",
    "twofold secrets import-legacy --legacy-fernet-key-file old.key",
)
def import_legacy(
    terminal: Terminal,
    *,
    legacy_fernet_key_file: FernetKeys = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Open every secret, write nothing.")] = False,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Rows in one transaction.")] = 100,
) -> None:
    """Seal plain and Fernet secrets and hash raw device cookies, while logins go on.

    Nobody enrols again. It can be stopped at any time and run again. Exit 1 where secrets could not be opened; they are
    listed and left as they are.
    """
    mfa = Operator(terminal.engine, with_fernet_keys(terminal.settings, legacy_fernet_key_file))
    brought = bring(terminal, mfa, batch=batch, trial=dry_run)
    done, left, is_stopped = brought.done, brought.left, brought.is_stopped
    remaining = mfa.legacy.survey().backup_codes
    people = list(sentences(brought, trial=dry_run))
    if remaining:
        people.append(f"{counted(remaining, 'short backup code')} of before work until they are regenerated.")
    result = {"done": done, "left": left, "is_stopped": is_stopped, "is_dry_run": dry_run, "backup_codes": remaining}
    terminal.answer(result, *people)
    batches.leave(is_stopped=is_stopped, has_left=bool(left))


@dataclass(slots=True)
class Brought:
    """What came of it: rows adopted, users whose secret does not open, and whether somebody stopped it."""

    done: int = 0
    left: list[str] = field(default_factory=list[str])
    is_stopped: bool = False


def bring(terminal: Terminal, mfa: Operator, *, batch: int = 100, trial: bool = False) -> Brought:
    """Adopt every legacy row, batch by batch, with a bar."""
    brought = Brought()

    def count(adopted: Adopted) -> int:
        brought.done += adopted.done
        brought.left += adopted.left
        return adopted.done + len(adopted.left)

    what, total = "Opening" if trial else "Sealing", mfa.legacy.survey().rows
    adoptions = batches.each(lambda after: mfa.legacy.adopt(after=after, limit=batch, trial=trial))
    brought.is_stopped = batches.take(terminal, what, total, adoptions, count)
    return brought


def sentences(brought: Brought, *, trial: bool = False) -> Iterator[str]:
    """The same in sentences."""
    rows = counted(brought.done, "row")
    yield f"{rows} would be adopted." if trial else f"Adopted {rows}."
    if brought.is_stopped:
        yield batches.STOPPED
    if brought.left:
        yield f"Left as they are, since their secret does not open: {counted(len(brought.left), 'user')}:"
        yield from (f"  {user}" for user in brought.left)
        yield "Give the key of the old secrets with --legacy-fernet-key-file, or reset these users."
    if brought.done and not trial:
        yield REMAINS


def with_fernet_keys(settings: Settings, file: Path | None) -> Settings:
    """The settings with the Fernet keys of a file, one on each line. Raises ConfigurationError without the file."""
    if file is None:
        return settings
    return settings.model_copy(update={"legacy_fernet_key": SecretStr(",".join(read_key_file(file)))})
