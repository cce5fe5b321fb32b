"""`twofold events`: read the audit log, prove that nobody altered it, take it elsewhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli import batches, checkpoints, verify
from twofold.cli.shown import Table, counted
from twofold.cli.terminal import Terminal, as_json, command, noun
from twofold.errors import MissingKey, Tampered, UnknownUser
from twofold.outcomes import Event, UserId, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.operator import Operator
    from twofold.upkeep.retention import Place

app = noun("events")

_CELL = 120


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


@command(
    app,
    "twofold events prune --older-than 400 --dry-run",
    "twofold events prune --older-than 400",
    "twofold events prune --older-than 400 --yes --json",
)
def prune(
    terminal: Terminal,
    *,
    older_than: Annotated[int, typer.Option(min=1, max=36500, metavar="DAYS", help="Keep what is younger than this.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many would go, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the events that are older than so many days, for good, while logins go on. The chains stay whole.

    PCI DSS 10.5.1 asks for twelve months of history. What is to go is proven first: a log that was altered is left
    alone, as evidence. Make a checkpoint before and after. It can be stopped at any time and run again.

    Exit 1 where the events of somebody were left alone.
    """
    mfa, before = terminal.mfa, datetime.now(UTC) - timedelta(days=older_than)
    found, day = mfa.how_many_old_events(before), f"{before:%Y-%m-%d %H:%M} UTC"
    if dry_run:
        terminal.answer(
            {"is_dry_run": True, "before": before, "found": found},
            f"{counted(found, 'event')} of before {day} would go, where their chains are intact. Nothing is removed.",
        )
        return
    # What is refused later on is not asked about.
    mfa.require_keys()
    if found:
        terminal.confirm(f"Remove {counted(found, 'event')} of before {day} for good?", yes=yes)
    removed, users, left = 0, set[UserId](), dict[UserId, str]()

    def count(pruned: tuple[UserId, int]) -> int:
        nonlocal removed
        user_id, went = pruned
        removed += went
        users.add(user_id)
        return went

    is_stopped = batches.take(terminal, "Pruning", found, _pruned(mfa, before, left), count)
    people = [f"Removed {counted(removed, 'event')} of {counted(len(users), 'user')}, of before {day}."]
    if is_stopped:
        people.append(batches.STOPPED)
    if left:
        people.append(f"Left alone, since they cannot be proven; look into {counted(len(left), 'user')}:")
        people += [f"  user {spelled(user_id)}: {problem}" for user_id, problem in left.items()]
    problems = [{"user_id": user_id, "problem": problem} for user_id, problem in left.items()]
    result = {"is_dry_run": False, "before": before, "removed": removed, "users": len(users), "left": problems}
    terminal.answer(result | {"is_stopped": is_stopped}, *people)
    batches.leave(is_stopped=is_stopped, has_left=bool(left))


def _pruned(mfa: Operator, before: datetime, left: dict[UserId, str]) -> Iterator[tuple[UserId, int]]:
    """Prune one user after the other, a batch at a time; who cannot be pruned is put into `left`, and passed over."""
    after: Place | None = None
    while (page := mfa.events.prunable(before, after=after)).after is not None:
        after = page.after
        for user_id in page.users:
            has_more = user_id not in left
            while has_more:
                try:
                    pruned = mfa.events.prune(user_id, before)
                except UnknownUser:
                    break  # The user was erased a moment ago.
                except (Tampered, MissingKey) as error:
                    left[user_id] = str(error)
                    break
                if pruned:
                    yield user_id, pruned.events + pruned.unchained
                has_more = pruned.has_more


def _short(text: str) -> str:
    return text if len(text) <= _CELL else f"{text[: _CELL - 3]}..."


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
        shown.add_row(*(_short(str(cell)) if cell else "" for cell in cells))
    return shown


verify.register(app)
checkpoints.register(app)
