"""Long commands: batch after batch, with a bar, until all is done or Ctrl-C stops them between two batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import typer

from twofold.cli.failures import INTERRUPTED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twofold.cli.terminal import Terminal

T = TypeVar("T")

STOPPED = "Stopped; every finished batch is kept. Run the same command to go on."


class _Batch(Protocol):
    @property
    def last_id(self) -> Any:
        """Where the next batch begins; None behind the last one."""
        ...


B = TypeVar("B", bound=_Batch)


def each(ask: Callable[[Any], B]) -> Iterator[B]:
    """Ask for one batch after the other, each behind the one before, until there is none."""
    after: Any = 0
    while after is not None:
        batch = ask(after)
        yield batch
        after = batch.last_id


def take(terminal: Terminal, what: str, total: int, batches: Iterable[T], done: Callable[[T], int]) -> bool:
    """Take the batches with a bar, where `done` counts the rows of each; whether somebody stopped it before its end."""
    with terminal.progress(what, total) as step:
        try:
            for batch in batches:
                step(done(batch))
        except KeyboardInterrupt:
            return True
    return False


def leave(*, is_stopped: bool, has_left: bool) -> None:
    """End with the exit code of a command that was stopped, or that left rows alone."""
    if is_stopped or has_left:
        raise typer.Exit(INTERRUPTED if is_stopped else REFUSED)
