"""Adoption: tables that exist are brought to the revision while logins go on, and then recorded.

There is no file of what was done: each run computes its plan from the catalog, so one that was killed anywhere is
finished by the next one. It is computed once, in the turn in which it is carried out, and the catalog is read again at
the end, to say that all of it took effect. Nothing is changed unless everything can be: a plan with one blocker, or
with one heavy step that nobody allowed, is refused whole. No table and no row is ever dropped, and of columns, keys and
indexes only those that a step has replaced, with the same values in them.

Tests: `tests/schema`, `tests/cli/test_db.py`.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from twofold import pooler
from twofold.errors import ConfigurationError, SchemaDrift
from twofold.schema import commands, locking
from twofold.schema.adoption.perform import perform, prepare
from twofold.schema.adoption.planner import TRIES, of_before, survey
from twofold.schema.adoption.progress import watched
from twofold.schema.adoption.script import place, written
from twofold.schema.failures import as_mfa_errors
from twofold.schema.history import FOUR, History, leave
from twofold.schema.plan.plan import HEAVY
from twofold.schema.sight import Moved, Sight, reading, steady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import sqlalchemy as sa

    from twofold.schema.conformity.findings import Report
    from twofold.schema.plan.plan import Plan, Step
    from twofold.settings import Settings


_THROUGH_A_POOLER = (
    "A pooler gives each transaction another connection, and the lock that keeps two runs apart would stay behind on "
    "one of them. Adopt over an address of the server itself; nothing was changed."
)


class Refused(SchemaDrift):
    """The plan cannot be carried out whole, so nothing was changed; `plan` says why."""

    def __init__(self, plan: Plan) -> None:
        of = plan.history
        asked = (f"{step}: needs {' '.join(f'--allow {kind}' for kind in step.kinds)}" for step in plan.refused)
        differences = [*map(str, plan.blocked), *asked]
        super().__init__(
            f"{of.about.capitalize()} {of.agree('were', 'was')} not adopted; nothing was changed.", differences
        )
        self.plan = plan


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is: `done` of `total` steps are, `step` is at work, and `share` of it is done if anybody knows."""

    done: int
    total: int
    step: Step
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """The steps that were taken, and the report of the tables as they are now: they conform."""

    steps: tuple[Step, ...]
    report: Report


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


def plan(
    engine: sa.Engine,
    settings: Settings,
    *,
    allow: Iterable[str] = (),
    leave_history: bool = False,
    history: History = FOUR,
) -> Plan:
    """What `apply` would do. Reads the catalog, and a bounded number of rows; changes nothing.

    What only trying tells is tried on an empty temporary table, or on SQLite in memory.

    `leave_history` says that the host's own Alembic history has the tables, so that nothing is recorded or moved.
    """
    with as_mfa_errors(), reading(engine) as connection:
        return survey(connection, settings, kinds(allow), leave_history=leave_history, history=history)


def script(
    engine: sa.Engine, settings: Settings, *, leave_history: bool = False, history: History = FOUR
) -> tuple[Plan, str]:
    """The plan, and the script of it for psql, mariadb or sqlite3, with every heavy step. Changes nothing.

    Raises Refused where somebody has to decide first, ConfigurationError where the database is empty.
    """
    with as_mfa_errors(), reading(engine) as connection:
        every = frozenset(HEAVY)
        found = survey(connection, settings, every, leave_history=leave_history, for_another_role=True, history=history)
        if found.blocked:
            raise Refused(found)
        if found.is_for_upgrade:
            raise ConfigurationError(
                "The database is empty, so there is nothing to adopt: "
                f"`{history.alembic('upgrade head --sql')}` writes its script."
            )
        return found, written(found, place(connection))


def apply(
    engine: sa.Engine,
    settings: Settings,
    *,
    allow: Iterable[str] = (),
    leave_history: bool = False,
    on_progress: Callable[[Progress], None] = _silent,
    after_structure: Sequence[Callable[[sa.Engine, Settings], None]] = (),
    history: History = FOUR,
) -> Adopted:
    """Carry the plan out, one step in one transaction, and record the revision.

    `after_structure` is called, in order, once the tables are as they should be and before the revision is recorded:
    the place for what brings their rows along. Each callable has to be one that can be called again after a crash.

    Raises Refused, with nothing changed, where the plan cannot be carried out whole; ConfigurationError where a pooler
    gives each transaction another connection; LockTimeout where others hold what
    a step needs for a minute. What was done before stays done, and the next run goes on from there.
    """
    with as_mfa_errors():
        if pooler.changes_connections(engine):
            raise ConfigurationError(_THROUGH_A_POOLER)
    allowed = kinds(allow)

    def planned(connection: sa.Connection) -> Plan:
        found = survey(connection, settings, allowed, leave_history=leave_history, history=history)
        if found.blocked or found.refused:
            raise Refused(found)
        return found

    with as_mfa_errors(), engine.connect() as connection:
        try:
            prepare(connection)
            with locking.hold(connection):
                found, done = _structure(engine, connection, planned, on_progress)
        finally:
            # What this session was told must not reach whoever would get the connection next.
            connection.invalidate()
    for action in after_structure:
        action(engine, settings)
    return Adopted(done, _record(engine, settings, found))


def legacy_rows(engine: sa.Engine) -> int:
    """How many users have a row that Twofold never wrote, in tables that conform."""
    with as_mfa_errors(), engine.connect() as connection:
        return of_before(connection, is_sealed=True)


def _structure(
    engine: sa.Engine,
    connection: sa.Connection,
    planned: Callable[[sa.Connection], Plan],
    on_progress: Callable[[Progress], None],
) -> tuple[Plan, tuple[Step, ...]]:
    """Take every step of a plan. Where somebody else changes the schema meanwhile, go on with a new one."""

    def tell(done: int, total: int, step: Step, share: float | None) -> None:
        on_progress(Progress(done, total, step, share))

    taken: list[Step] = []
    for _ in range(TRIES):
        steady(connection)
        sight = Sight(connection)
        try:
            found = planned(connection)
        except Refused as refused:
            if not taken:
                raise
            message = "Others have changed the tables meanwhile, and what is left cannot be done. What was done stays."
            raise SchemaDrift(message, refused.differences) from None
        connection.rollback()
        total = len(taken) + len(found.steps)
        try:
            for step in found.steps:
                at_work = partial(tell, len(taken), total, step)
                # A step in batches knows itself how far it has come.
                watch = nullcontext() if step.style == "batches" else watched(engine, connection, at_work)
                with watch:
                    perform(connection, step, found.allowed, sight, at_work)
                taken.append(step)
                tell(len(taken), total, step, 1.0)
        except Moved:
            connection.rollback()
            continue
        connection.rollback()
        return found, tuple(taken)
    raise locking.LockTimeout("Others change the schema all the time. What was done stays; run it again later.")


def _record(engine: sa.Engine, settings: Settings, found: Plan) -> Report:
    """The ordinary upgrade verifies and records; what was recorded before is verified all the same."""
    report, history = None, found.history
    if found.records and found.recorded != history.revision:
        report = commands.upgrade(engine, settings, history=history)
    if report is None:
        report = commands.verify(engine, settings, history=history)
        report.raise_if_drifted()
    if found.elsewhere:
        with as_mfa_errors(), engine.begin() as connection:
            leave(connection, found.elsewhere)
    return report
