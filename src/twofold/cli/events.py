"""`twofold events`: read the audit log, prove that nobody altered it, take it elsewhere."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path  # noqa: TC003 -- Typer reads the annotations.
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from twofold.cli import checkpoints
from twofold.cli.failures import REFUSED
from twofold.cli.keys import counted
from twofold.cli.terminal import Terminal, as_json, command, noun
from twofold.errors import MissingKey, UnknownUser
from twofold.outcomes import ChainReport, Event
from twofold.request import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.operator import Operator
    from twofold.outcomes import UserId

app = noun("events")


@command(app, "twofold events list 42", "twofold events list 42 --limit 100 --before 118")
def list_(
    terminal: Terminal,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user, as users.id holds it.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    before: Annotated[
        int | None, typer.Option(min=1, metavar="SEQ", help="Only what came before this one.", show_default=False)
    ] = None,
) -> None:
    """Show the latest events of a user, the newest first."""
    found = terminal.mfa.events.recent(terminal.mfa.user(user), limit=limit, before=before)
    more = f"Older ones: --before {found[-1].seq}" if len(found) == limit and found[-1].seq > 1 else None
    people = (_table(found),) if found else ("No events.",)
    terminal.answer({"events": found}, *people, *((more,) if more else ()))


@command(
    app,
    "twofold events verify 42",
    "twofold events verify && echo intact",
    "twofold events verify --against checkpoints.jsonl --public-key checkpoint.pub",
)
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

    Exit 1 where a chain is broken, or a file of checkpoints was changed.
    """
    if against is not None:
        if user is not None:
            raise typer.BadParameter("--against is about all users; leave USER out.")
        _compare(terminal, against, public_key)
        return
    if public_key is not None:
        raise typer.BadParameter("--public-key goes with --against FILE.")
    mfa = terminal.mfa
    if user is not None:
        reports = [_report(mfa, mfa.user(user))]
    else:
        reports = []
        with terminal.progress("Verifying", mfa.how_many_users()) as step:
            for user_id in _everybody(mfa):
                try:
                    reports.append(_report(mfa, user_id))
                except UnknownUser:
                    continue  # The user was erased a moment ago.
                finally:
                    step(1)
    broken = [report for report in reports if not report.is_intact]
    lines = sum(report.length for report in reports)
    summary = f"{lines} events of {len(reports)} users: " + (f"{len(broken)} broken." if broken else "intact.")
    shown = [f"user {printable(str(bad.user_id), 255)}: {bad.problem}" for bad in broken]
    terminal.answer(
        {"is_intact": not broken, "users": len(reports), "events": lines, "broken": broken}, *shown, summary
    )
    if broken:
        raise typer.Exit(REFUSED)


@command(app, "twofold events export > events.jsonl", "twofold events export --after 120000")
def export(
    terminal: Terminal,
    *,
    after: Annotated[int, typer.Option(min=0, metavar="ID", help="Only what has a larger id.")] = 0,
) -> None:
    """Write the events of all users in the order of their ids, one JSON object a line.

    To follow the log, give the last `id` back as --after. An id may become visible a moment after a larger one, so
    whoever must miss none asks again a little behind.
    """
    while page := terminal.mfa.events.export(after=after):
        for event in page:
            typer.echo(as_json(event))
        after = page[-1].id


def _compare(terminal: Terminal, against: Path, public_key: Path | None) -> None:
    found = checkpoints.compare(terminal, against, public_key)
    shown = [f"user {printable(str(bad.user_id), 255)}: {bad.problem}" for bad in found.broken]
    if found.unfinished:
        shown.append("The file ends with heads that no checkpoint closes: a run goes on, or was stopped.")
    shown.append(
        f"{counted(found.checkpoints, 'checkpoint')}, the last at {found.last_at:%Y-%m-%d %H:%M:%S} UTC "
        f"with {counted(found.users, 'user')}: " + (f"{len(found.broken)} broken." if found.broken else "intact.")
    )
    answer = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    terminal.answer({"is_intact": not found.broken} | answer, *shown)
    if found.broken:
        raise typer.Exit(REFUSED)


def _everybody(mfa: Operator) -> Iterator[UserId]:
    after: UserId | None = None
    while page := mfa.users(after=after):
        yield from page
        after = page[-1]


def _report(mfa: Operator, user_id: UserId) -> ChainReport:
    try:
        return mfa.events.verify(user_id)
    except MissingKey as error:
        # One line under an unknown key, which anybody can forge, must not hide what is wrong with the others.
        return ChainReport(user_id, is_intact=False, length=0, problem=str(error))


def _table(events: tuple[Event, ...]) -> Table:
    shown = Table("seq", "when (UTC)", "what", "status", "details", "address", "browser")
    for event in events:
        details = ", ".join(f"{name}: {json.dumps(value).strip(chr(34))}" for name, value in event.details.items())
        cells = (
            event.seq,
            f"{event.at:%Y-%m-%d %H:%M:%S}",
            event.kind,
            event.status,
            details,
            event.ip_address,
            event.user_agent,
        )
        shown.add_row(*(printable(str(cell), 120) if cell else "" for cell in cells))
    return shown


checkpoints.register(app)
