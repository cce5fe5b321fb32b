"""`twofold secrets`: bring what an application kept before Twofold into its care."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- The parser reads the annotation.
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from twofold.cli.failures import INTERRUPTED, REFUSED
from twofold.cli.keys import counted
from twofold.cli.operator import Operator
from twofold.cli.terminal import Terminal, command, noun
from twofold.errors import ConfigurationError
from twofold.request import printable

if TYPE_CHECKING:
    from twofold.settings import Settings

app = noun("Secrets, cookies and codes of before Twofold.")

REMAINS = "Backups, write-ahead logs and replicas still hold the values that stood there before."


@command(
    app,
    "twofold secrets import-legacy --dry-run",
    "twofold secrets import-legacy --legacy-fernet-key-file old.key",
)
def import_legacy(
    terminal: Terminal,
    *,
    legacy_fernet_key_file: Annotated[
        Path | None,
        typer.Option(help="A file with the Fernet keys of the old secrets, a line each. Or TWOFOLD_LEGACY_FERNET_KEY."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Open every secret, write nothing.")] = False,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Rows in one transaction.")] = 100,
) -> None:
    """Seal plain and Fernet secrets and hash raw device cookies, while logins go on.

    Nobody enrols again. It can be stopped at any time and run again. Exit 1 where secrets could not be opened; they are
    listed and left as they are.
    """
    mfa = Operator(terminal.engine, with_fernet_keys(terminal.settings, legacy_fernet_key_file))
    before = mfa.legacy.survey()
    done, left, after, is_stopped = 0, list[str](), 0, False
    with terminal.progress("Opening" if dry_run else "Sealing", before.rows) as step:
        try:
            while True:
                adopted = mfa.legacy.adopt(after=after, limit=batch, trial=dry_run)
                done += adopted.done
                left += adopted.left
                step(adopted.done + len(adopted.left))
                if adopted.last_id is None:
                    break
                after = adopted.last_id
        except KeyboardInterrupt:
            is_stopped = True
    people = [f"{counted(done, 'row')} would be adopted." if dry_run else f"Adopted {counted(done, 'row')}."]
    if is_stopped:
        people.append("Stopped; every finished batch is kept. Run the same command to go on.")
    if left:
        people.append(f"Left as they are, since their secret does not open: {counted(len(left), 'user')}:")
        people += [f"  {printable(user, 255)}" for user in left]
        people.append("Give the key of the old secrets with --legacy-fernet-key-file, or reset these users.")
    if done and not dry_run:
        people.append(REMAINS)
    remaining = mfa.legacy.survey().backup_codes
    if remaining:
        people.append(f"{counted(remaining, 'short backup code')} of before work until they are regenerated.")
    result = {"done": done, "left": left, "is_stopped": is_stopped, "is_dry_run": dry_run, "backup_codes": remaining}
    terminal.answer(result, *people)
    if is_stopped or left:
        raise typer.Exit(INTERRUPTED if is_stopped else REFUSED)


def with_fernet_keys(settings: Settings, file: Path | None) -> Settings:
    """The settings with the Fernet keys of a file, one on each line. Raises ConfigurationError without the file."""
    if file is None:
        return settings
    try:
        lines = file.read_text(encoding="ascii", errors="replace").split()
    except OSError as error:
        raise ConfigurationError(f"The key file {file} cannot be read ({type(error).__name__}).") from None
    return settings.model_copy(update={"legacy_fernet_key": SecretStr(",".join(lines))})
