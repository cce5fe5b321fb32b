"""`twofold events verify`: follow the chains with the keys, or compare the database with signed checkpoints.

A chain is intact, or altered, or cannot be read for want of a key. The three are never taken for one another.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- Typer reads the annotations.
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twofold.cli import checkpoints
from twofold.cli.failures import REFUSED
from twofold.cli.shown import counted
from twofold.cli.terminal import Terminal, command
from twofold.errors import MissingKey, UnknownUser, WrongKey
from twofold.outcomes import spelled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from twofold.cli.operator import Operator
    from twofold.outcomes import ChainReport, UserId

UNREADABLE = 2
"""The exit code where nothing that can be read was altered, and some of it cannot be read."""

# Where everything is altered, the first ones say as much as all of them.
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command to its noun."""
    command(
        app,
        "twofold events verify 42",
        "twofold events verify && echo intact",
        "twofold events verify --against checkpoints.jsonl --public-key checkpoint.pub",
    )(verify)


def verify(
    terminal: Terminal,
    user: Annotated[
        str | None, typer.Argument(metavar="USER", help="One user. Default: all of them.", show_default=False)
    ] = None,
    *,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Look for the heads of these checkpoints instead.", show_default=False),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --against: the public checkpoint key. Else that of your own.", show_default=False
        ),
    ] = None,
) -> None:
    """Follow the chain of events of one user or of all, and name the first line that does not fit.

    With --against, compare the database with signed checkpoints: who was cut off, rewritten, set back or deleted since.
    That needs no TWOFOLD_KEYS, and does not replace the other.

    Exit 1 where a chain was altered, or a file of checkpoints was changed. Exit 2 where nothing was altered that can be
    read, and some of it cannot be read without a key.
    """
    if against is not None:
        if user is not None:
            raise typer.BadParameter("--against is about all users; leave USER out.")
        _compare(terminal, against, public_key)
        return
    if public_key is not None:
        raise typer.BadParameter("--public-key goes with --against FILE.")
    found = _Found()
    mfa, in_use = terminal.mfa, terminal.mfa.kids_in_use()
    if user is not None:
        found.add(mfa, mfa.user(user), in_use)
    else:
        with terminal.progress("Verifying", mfa.how_many_users()) as step:
            for user_id in _everybody(mfa):
                try:
                    found.add(mfa, user_id, in_use)
                except UnknownUser:
                    continue  # The user was erased a moment ago.
                finally:
                    step(1)
    terminal.answer(found.payload(), *found.sentences())
    if found.broken or found.unreadable:
        raise typer.Exit(REFUSED if found.broken else UNREADABLE)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A user of whom something was written under a key that is not configured, or under another one of its name."""

    user_id: UserId
    key: str
    is_wrong_key: bool
    problem: str


@dataclass(slots=True)
class _Found:
    """What became of the chains: so many users and events, those that were altered, and those that cannot be read."""

    users: int = 0
    events: int = 0
    pruned: int = 0
    broken: list[ChainReport] = field(default_factory=list["ChainReport"])
    unreadable: list[Unreadable] = field(default_factory=list[Unreadable])

    def add(self, mfa: Operator, user_id: UserId, in_use: Collection[str]) -> None:
        """Follow the chain of one user."""
        try:
            report = mfa.events.verify(user_id, in_use=in_use)
        except MissingKey as error:
            self.users += 1
            self.unreadable.append(Unreadable(user_id, error.kid, isinstance(error, WrongKey), str(error)))
            return
        self.users += 1
        self.events += report.length
        self.pruned += report.pruned
        if not report.is_intact:
            self.broken.append(report)

    def payload(self) -> dict[str, Any]:
        """The same for programs: numbers, and the first ones."""
        return {
            "is_intact": not self.broken and not self.unreadable,
            "users": self.users,
            "events": self.events,
            "pruned": self.pruned,
            "broken_users": len(self.broken),
            "broken": self.broken[:_SHOWN],
            "unreadable_users": len(self.unreadable),
            "unreadable": self.unreadable[:_SHOWN],
        }

    def sentences(self) -> Iterator[str]:
        """The same in sentences."""
        yield from shortened([(one.user_id, one.problem) for one in self.broken])
        yield from shortened([(one.user_id, one.problem) for one in self.unreadable])
        for (key, is_wrong), number in Counter((one.key, one.is_wrong_key) for one in self.unreadable).items():
            which = f"the key {key!r} that wrote it, and not the one of that name" if is_wrong else f"the key {key!r}"
            yield f"Without {which}, not all of {counted(number, 'user')} can be read: `twofold keys status`."
        parts = [f"{len(self.broken):,} altered"] if self.broken else []
        parts += [f"{len(self.unreadable):,} cannot be read without a key"] if self.unreadable else []
        pruned = f" {counted(self.pruned, 'older event')} had been pruned." if self.pruned else ""
        read = f"{counted(self.events, 'event')} of {counted(self.users, 'user')}"
        yield f"{read}: {', '.join(parts) or 'intact'}.{pruned}"


def shortened(problems: Sequence[tuple[UserId, str | None]]) -> Iterator[str]:
    """The first of these users with what is wrong, and the number of the others."""
    yield from (f"user {spelled(user_id)}: {problem}" for user_id, problem in problems[:_SHOWN])
    if len(problems) > _SHOWN:
        yield f"… and {len(problems) - _SHOWN:,} more"


def _compare(terminal: Terminal, against: Path, public_key: Path | None) -> None:
    found = checkpoints.compare(terminal, against, public_key)
    shown = list(shortened([(bad.user_id, bad.problem) for bad in found.broken]))
    if found.unfinished:
        shown.append("The file ends with heads that no checkpoint closes: a run goes on, or was stopped.")
    if found.pruned:
        shown.append(
            f"The last heads of {counted(found.pruned, 'user')} went with events that were pruned since, so that this "
            "file says nothing about them: `twofold events verify` proves what is left, with the keys."
        )
    shown.append(
        f"{counted(found.checkpoints, 'checkpoint')}, the last at {found.last_at:%Y-%m-%d %H:%M:%S} UTC "
        f"with {counted(found.users, 'user')}: " + (f"{len(found.broken)} broken." if found.broken else "intact.")
    )
    answer = {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    terminal.answer({"is_intact": not found.broken} | answer, *shown)
    if found.broken:
        raise typer.Exit(REFUSED)


def _everybody(mfa: Operator) -> Iterator[UserId]:
    after: UserId | None = None
    while page := mfa.users(after=after):
        yield from page
        after = page[-1]
