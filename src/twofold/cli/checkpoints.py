"""`twofold events checkpoint` and `tombstone`, and the comparison of `twofold events verify --against FILE`.

Checkpoints are made and compared without TWOFOLD_KEYS, so that they can be kept where those keys are not.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path  # noqa: TC003 -- Typer reads the annotations.
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.account.runtime import read_keys
from twofold.account.statements import Schema
from twofold.checkpoints import heads, ledger, signing
from twofold.checkpoints.checkpoint import Checkpoint, Heads
from twofold.cli.keys import write_key_file
from twofold.cli.shown import counted
from twofold.cli.terminal import Terminal, command
from twofold.errors import ConfigurationError, MFAError
from twofold.key_files import read_key_file, read_public_file
from twofold.schema.failures import as_mfa_errors
from twofold.tokens import Tombstone, read_tombstone

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from twofold.outcomes import ChainReport, UserId
    from twofold.settings import Settings

_CLOCKS_APART = timedelta(hours=1)
_HELP = "The file of the checkpoints."


class Unfounded(MFAError):
    """A line given as a tombstone has no valid signature, or a moment in the future; nothing was appended."""


def checkpoint(
    terminal: Terminal,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help=f"{_HELP} Made where there is none.", show_default=False)
    ] = None,
    *,
    new_key: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Make a key instead: the private half here, the public one printed.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Users in one line.")] = 1000,
) -> None:
    """Sign where every user's chain of events ends, and append it to a file that you keep away from the database.

    Needs TWOFOLD_CHECKPOINT_KEY or TWOFOLD_CHECKPOINT_KEY_FILE, and not TWOFOLD_KEYS. A run that was stopped is begun
    anew by the next one.
    """
    if (file is None) is (new_key is None):
        raise typer.BadParameter("name the file of the checkpoints, or --new-key PATH.")
    if new_key is not None:
        _make_key(terminal, new_key)
        return
    assert file is not None  # noqa: S101 -- One of the two is given.
    with ledger.opened(file, private_key(terminal.settings)) as opened:
        if opened.contents.unfinished:
            terminal.note(f"Took away {counted(opened.contents.unfinished, 'line')} of a run that did not finish.")
        made, line = _append_checkpoint(terminal, opened, batch)
    shown = f"{counted(made.users, 'user')} at {made.at:%Y-%m-%d %H:%M:%S} UTC, line {line}."
    terminal.answer({"file": str(file), "at": made.at, "users": made.users, "line": line}, shown)


def tombstone(
    terminal: Terminal, file: Annotated[Path, typer.Argument(metavar="FILE", help=f"{_HELP} It must be there.")]
) -> None:
    """Append the tombstones of erased users, which `mfa.erase` returned, from standard input, one on each line.

    Checkpoints of before then tell these users from deleted ones. Needs the keys, which prove a tombstone, those for
    audits too, and the checkpoint key. What is in the file already is passed over, so the same lines can be given
    again.

    Exit 1 where a line is no tombstone that can be taken; nothing is appended then.
    """
    keyring, key, given = read_keys(terminal.settings), private_key(terminal.settings), list[Tombstone]()
    for number, line in enumerate(sys.stdin, start=1):
        if not line.strip():
            continue
        found = read_tombstone(keyring, line.strip())
        if found is None:
            raise Unfounded(
                f"Line {number} is no tombstone that a key in TWOFOLD_KEYS or TWOFOLD_AUDIT_KEYS has signed."
            )
        if found.at > datetime.now(UTC) + _CLOCKS_APART:
            # A tombstone excuses that the user is missing from checkpoints before it: those still to be made as well.
            raise Unfounded(f"Line {number} is a tombstone of {found.at:%Y-%m-%d %H:%M} UTC, which is to come.")
        given.append(found)
    with ledger.reading(file), ledger.opened(file, key) as opened:
        known = set(opened.contents.tombstones)
        fresh = [found for found in dict.fromkeys(given) if found not in known]
        for found in fresh:
            opened.append(found)
    terminal.answer({"file": str(file), "added": len(fresh), "known": len(given) - len(fresh)}, _added(given, fresh))


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of comparing a file of `checkpoints` with a database; the last one, made at `last_at`, saw `users`.

    `erased` users have a tombstone, and `unfinished` lines are of a run that was stopped. For `pruned` users the event
    that the last checkpoint names was pruned since, so it proves nothing any more.
    """

    checkpoints: int
    last_at: datetime
    users: int
    erased: int
    unfinished: int
    pruned: int
    broken: tuple[ChainReport, ...]


def compare(terminal: Terminal, file: Path, public_key: Path | None) -> Compared:
    """Verify a file by its signatures, then look for each of its heads in the database.

    Raises Altered where the file is not what was written, ConfigurationError where it cannot be read or holds no
    checkpoint.
    """
    key = _public_key(terminal.settings, public_key)
    broken: dict[UserId, ChainReport] = {}
    pruned: dict[UserId, bool] = {}
    with ledger.reading(file) as stream:
        contents = ledger.survey(stream, key)
        if not contents.checkpoints:
            raise ConfigurationError(f"There is no finished checkpoint in {file}.")
        with terminal.progress("Comparing", sum(one.users for one in contents.checkpoints)) as step:
            for seen, line in ledger.heads(stream, key, contents):
                with _connected(terminal) as (connection, schema):
                    for report in heads.compared(connection, schema, line.heads, contents.erased_since(seen)):
                        pruned[report.user_id] = report.pruned > 0
                        if not report.is_intact:
                            broken.setdefault(report.user_id, report)
                step(len(line.heads))
    last = contents.checkpoints[-1]
    return Compared(
        len(contents.checkpoints),
        last.at,
        last.users,
        len({found.user_id for found in contents.tombstones}),
        contents.unfinished,
        sum(pruned.values()),
        tuple(broken.values()),
    )


def _append_checkpoint(terminal: Terminal, opened: ledger.Ledger, batch: int) -> tuple[Checkpoint, str]:
    """Append the heads of all users, then the checkpoint that closes them; return it and the hash of its line."""
    users, begun_at, after = 0, datetime.now(UTC), None
    with _connected(terminal) as (connection, schema):
        total = heads.how_many(connection, schema)
    with terminal.progress("Reading", total) as step:
        while True:
            # A connection for each page: one for all of them would keep a snapshot open until the last user is read.
            with _connected(terminal) as (connection, schema):
                page = heads.page(connection, schema, after=after, limit=batch)
            if not page:
                break
            opened.append(Heads(page))
            users += len(page)
            after = page[-1].user_id
            step(len(page))
    made = Checkpoint(begun_at, datetime.now(UTC), users)
    return made, opened.append(made)


@contextmanager
def _connected(terminal: Terminal) -> Iterator[tuple[sa.Connection, Schema]]:
    with as_mfa_errors(), terminal.engine.connect() as connection:
        yield connection, Schema.of(connection, terminal.settings.users)


def _make_key(terminal: Terminal, path: Path) -> None:
    private = signing.generate_key()
    write_key_file(path, private)
    public = str(signing.PrivateKey.parse(private).public)
    terminal.note(f"The private key is in {path}: TWOFOLD_CHECKPOINT_KEY_FILE. This is the public one:")
    terminal.answer({"file": str(path.absolute()), "public_key": public}, public)


def private_key(settings: Settings) -> signing.PrivateKey:
    """The checkpoint key that the settings name. Raises ConfigurationError."""
    if settings.checkpoint_key is not None:
        return signing.PrivateKey.parse(settings.checkpoint_key.get_secret_value())
    if settings.checkpoint_key_file is not None:
        return signing.PrivateKey.parse("\n".join(read_key_file(settings.checkpoint_key_file)))
    raise ConfigurationError(
        "There is no checkpoint key; make one with `twofold events checkpoint --new-key PATH` "
        "and set TWOFOLD_CHECKPOINT_KEY_FILE."
    )


def _public_key(settings: Settings, file: Path | None) -> signing.PublicKey:
    if file is not None:
        return signing.PublicKey.parse("\n".join(read_public_file(file)))
    if settings.checkpoint_key is None and settings.checkpoint_key_file is None:
        raise ConfigurationError("There is no checkpoint key of your own; name the public one with --public-key FILE.")
    return private_key(settings).public


def _added(given: list[Tombstone], fresh: list[Tombstone]) -> str:
    known = len(given) - len(fresh)
    return f"{counted(len(fresh), 'tombstone')} added." + (f" {known} had been there." if known else "")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(
        app,
        "twofold events checkpoint --new-key checkpoint.key > checkpoint.pub",
        "twofold events checkpoint /mnt/worm/checkpoints.jsonl",
    )(checkpoint)
    command(app, "twofold events tombstone checkpoints.jsonl < tombstones.txt")(tombstone)
