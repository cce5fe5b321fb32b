"""Adoption: tables that exist are brought to the revision while logins go on, and then recorded.

There is no file of what was done: after every step the plan is computed anew from the catalog, so a run that was
killed anywhere is finished by the next one. Nothing is changed unless everything can be: a plan with one blocker, or
with one heavy step that nobody allowed, is refused whole. No table and no row is ever dropped, and of columns, keys and
indexes only those that a step has replaced, with the same values in them.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from twofold import pooler
from twofold.errors import ConfigurationError, SchemaDrift
from twofold.schema import commands, history, turn
from twofold.schema.perform import perform, prepare
from twofold.schema.plan import HEAVY
from twofold.schema.progress import watched
from twofold.schema.sentences import as_mfa_errors
from twofold.schema.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import sqlalchemy as sa

    from twofold.schema.plan import Plan, Step
    from twofold.settings import Settings


_THROUGH_A_POOLER = (
    "A pooler gives each transaction another connection, and the lock that keeps two runs apart would stay behind on "
    "one of them. Adopt over an address of the server itself; nothing was changed."
)


class Refused(SchemaDrift):
    """The plan cannot be carried out whole, so nothing was changed; `plan` says why."""

    def __init__(self, plan: Plan) -> None:
        asked = (f"{step}: needs {' '.join(f'--allow {kind}' for kind in step.kinds)}" for step in plan.refused)
        differences = [*map(str, plan.blocked), *asked]
        super().__init__("The tables were not adopted; nothing was changed.", differences)
        self.plan = plan


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: `done` of `total` steps are, `step` is at work, and `share` of it is done if anybody knows."""

    done: int
    total: int
    step: Step
    share: float | None = None


def _silent(_progress: Progress) -> None:
    """Tell nobody."""


def kinds(named: Iterable[str]) -> frozenset[str]:
    """The heavy kinds that `--allow` names; `heavy` is all of them. Raises ConfigurationError for any other word."""
    found: set[str] = set()
    for name in named:
        if name != "heavy" and name not in HEAVY:
            raise ConfigurationError(f"--allow takes heavy, or one of {', '.join(HEAVY)}.")
        found |= set(HEAVY) if name == "heavy" else {name}
    return frozenset(found)


def plan(engine: sa.Engine, settings: Settings, *, allow: Iterable[str] = (), leave_history: bool = False) -> Plan:
    """What `apply` would do. Reads the catalog, and a bounded number of rows; changes nothing.

    What only trying tells is tried on an empty temporary table, or on SQLite in memory.

    `leave_history` says that the host's own Alembic history has the tables, so that nothing is recorded or moved.
    """
    with as_mfa_errors(), engine.connect() as connection:
        return survey(connection, settings, kinds(allow), leave_history=leave_history)


def apply(
    engine: sa.Engine,
    settings: Settings,
    *,
    allow: Iterable[str] = (),
    leave_history: bool = False,
    on_progress: Callable[[Progress], None] = _silent,
    after_structure: Sequence[Callable[[sa.Engine, Settings], None]] = (),
) -> tuple[Step, ...]:
    """Carry the plan out, one step in one transaction, and record the revision; returns the steps that were taken.

    `after_structure` is called, in order, once the tables are as they should be and before the revision is recorded:
    the place for what brings their rows along. Each callable has to be one that can be called again after a crash.

    Raises Refused, with nothing changed, where the plan cannot be carried out whole; ConfigurationError where a pooler
    gives each transaction another connection; LockTimeout where others hold what
    a step needs for a minute. What was done before stays done, and the next run goes on from there.
    """
    first = plan(engine, settings, allow=allow, leave_history=leave_history)
    if first.blocked or first.refused:
        raise Refused(first)
    with as_mfa_errors():
        if pooler.changes_connections(engine):
            raise ConfigurationError(_THROUGH_A_POOLER)
    with as_mfa_errors(), engine.connect() as connection:
        try:
            prepare(connection)
            with turn.hold(connection):
                done = _structure(engine, connection, settings, first, on_progress)
        finally:
            # What this session was told must not reach whoever would get the connection next.
            connection.invalidate()
    for action in after_structure:
        action(engine, settings)
    _record(engine, settings, leave_history=leave_history)
    return done


def _structure(
    engine: sa.Engine,
    connection: sa.Connection,
    settings: Settings,
    first: Plan,
    on_progress: Callable[[Progress], None],
) -> tuple[Step, ...]:
    """Take the first step of the plan until there is none."""

    def steps() -> tuple[Step, ...]:
        return survey(connection, settings, first.allowed, with_rows=False).steps

    def tell(done: int, total: int, step: Step, share: float | None) -> None:
        on_progress(Progress(done, total, step, share))

    taken: list[Step] = []
    while todo := steps():
        connection.rollback()
        step, total = todo[0], len(taken) + len(todo)
        if taken and step == taken[-1]:
            raise SchemaDrift(f"The step had no effect and is not repeated: {step}.")
        at_work = partial(tell, len(taken), total, step)
        # A step in batches knows itself how far it has come.
        watch = nullcontext() if step.style == "batches" else watched(engine, connection, at_work)
        with watch:
            perform(connection, step, first.allowed, steps, at_work)
        taken.append(step)
        tell(len(taken), total, step, 1.0)
    connection.rollback()
    return tuple(taken)


def _record(engine: sa.Engine, settings: Settings, *, leave_history: bool) -> None:
    """The ordinary upgrade verifies and records; what was recorded before is verified all the same."""
    if leave_history:
        commands.verify(engine, settings).raise_if_drifted()
        return
    commands.upgrade(engine, settings)
    commands.verify(engine, settings).raise_if_drifted()
    with as_mfa_errors(), engine.begin() as connection:
        history.leave(connection, history.elsewhere(connection))
