"""`twofold db adopt`: what it would take to bring existing tables to the revision, and on request the doing of it."""

from __future__ import annotations

import itertools
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

from twofold.cli.chosen import Passkeys, chosen
from twofold.cli.operator import Operator
from twofold.cli.secrets import Brought, FernetKeys, bring, sentences, with_fernet_keys
from twofold.cli.shown import Table, counted
from twofold.cli.terminal import Doing, Terminal, command
from twofold.errors import ConfigurationError, SchemaDrift
from twofold.schema import adoption, locking
from twofold.schema.conformity.findings import Verdict
from twofold.schema.history import FOUR
from twofold.schema.plan.plan import HEAVY
from twofold.schema.plan.waits import waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twofold.schema.history import History
    from twofold.schema.plan.plan import Plan, Step

PENDING, BLOCKED, LOCKED = 2, 3, 4
_CODES = {"conforms": 0, "pending": PENDING, "blocked": BLOCKED}
_INSTANT = "An instant is half a second at most, on MariaDB a second: without a lock by then, a step tries again later."
_MENTIONED = (
    "SELECT *, INSERT without columns, or a result of fixed types may break; a row that it writes is not sealed."
)
_KINDS = "; ".join(f"{name}: {text}" for name, text in HEAVY.items())


def register(app: typer.Typer) -> None:
    """Add the command to its noun."""
    command(
        app,
        "twofold db adopt",
        "twofold db adopt --apply --allow timestamps --allow not-null",
        "twofold db adopt --sql > adopt.sql",
        "twofold db adopt --passkeys",
    )(adopt)


def adopt(
    terminal: Terminal,
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Carry the plan out.")] = False,
    sql: Annotated[
        bool,
        typer.Option("--sql", help="Write the plan as a script for psql, mariadb or sqlite3, heavy steps and all."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="KIND", help=f"Allow heavy steps: heavy for all, or one kind. {_KINDS}."),
    ] = None,
    leave_history: Annotated[
        bool,
        typer.Option("--leave-history", help="Record nothing: your own Alembic history has the tables."),
    ] = False,
    data: Annotated[
        Literal["now", "later"],
        typer.Option(
            help="Bring secrets and cookies along after the structure, or later: twofold secrets import-legacy."
        ),
    ] = "now",
    legacy_fernet_key_file: FernetKeys = None,
    passkeys: Passkeys = False,
) -> None:
    """Show what brings existing tables to the revision: every difference, the SQL, the locks, the size of the tables.

    With --apply it is done, step by step, while logins go on; a run that was interrupted is finished by the next one.
    No table, column or row is lost, and nothing at all is changed unless the whole plan can be carried out.

    With --sql it is written as a script instead, for whoever may change tables where you may not.

    After the structure come the rows: secrets are sealed and raw cookies hashed, so that nobody enrols again.
    Passkeys of a table of your own are brought along by `mfa.passkeys.adopt` (docs/passkeys.md).

    Exit 0: the tables conform and are recorded. Exit 2: there is something to do, or to allow. Exit 3: somebody has to
    decide. Exit 4: a lock did not come in time; run it again.
    """
    allowed, history = _allowed(allow), chosen(passkeys=passkeys)
    if sql:
        _write(terminal, history, apply=apply, leave_history=leave_history)
        return
    plan = adoption.plan(
        terminal.engine, terminal.settings, allow=allowed, leave_history=leave_history, history=history
    )
    brings = data == "now" and bool(plan.legacy_rows)
    is_done = plan.is_done and not brings
    if not apply or is_done or plan.blocked or plan.refused:
        terminal.answer(_payload(plan, ()), *_shown(plan), "", _sentence(plan, brings=brings))
        if code := _CODES[plan.verdict] or (PENDING if brings else 0):
            raise typer.Exit(code)
        return
    if not terminal.is_json:
        terminal.answer(None, *_shown(plan))
    # Without keys nothing can be sealed, and that is better known before anything is changed.
    settings = with_fernet_keys(terminal.settings, legacy_fernet_key_file)
    mfa = Operator(terminal.engine, settings) if data == "now" and history is FOUR else None
    if mfa is not None:
        # Where a column is not there yet, no row of ours is either.
        with suppress(SchemaDrift):
            mfa.require_keys()
    terminal.confirm(_question(plan, brings=brings), yes=yes)
    try:
        with _bar(terminal, len(plan.steps)) as tell:
            adopted = adoption.apply(
                terminal.engine,
                terminal.settings,
                allow=allowed,
                leave_history=leave_history,
                on_progress=tell,
                history=history,
            )
    except locking.LockTimeout as error:
        terminal.note(f"error: {error}")
        if terminal.is_json:
            terminal.answer({"error": "LockTimeout", "message": str(error)})
        raise typer.Exit(LOCKED) from None
    brought = Brought() if mfa is None else bring(terminal, mfa)
    legacy_rows = adoption.legacy_rows(terminal.engine) if history is FOUR else 0
    after = plan.carried_out(adopted.report, legacy_rows)
    people = [_done(history), *_of_rows(brought, is_later=history is FOUR and mfa is None)]
    rows = {"adopted": brought.done, "left": brought.left}
    terminal.answer(_payload(after, adopted.steps) | {"rows": rows}, *people)
    if brought.left or brought.is_stopped:
        raise typer.Exit(PENDING)


def _allowed(kinds: list[str] | None) -> frozenset[str]:
    try:
        return adoption.kinds(kinds or ())
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


def _write(terminal: Terminal, history: History, *, apply: bool, leave_history: bool) -> None:
    """The script and nothing else on standard output, so that it can go into a file."""
    if apply:
        raise typer.BadParameter("--sql writes and --apply does: one of the two.")
    try:
        plan, script = adoption.script(terminal.engine, terminal.settings, leave_history=leave_history, history=history)
    except adoption.Refused as refusal:
        terminal.answer(_payload(refusal.plan, ()), *_shown(refusal.plan), "", _sentence(refusal.plan, brings=False))
        raise typer.Exit(BLOCKED) from None
    if terminal.is_json:
        terminal.answer(_payload(plan, ()) | {"script": script})
    else:
        typer.echo(script, nl=False)


def _payload(plan: Plan, done: tuple[Step, ...]) -> dict[str, Any]:
    return {
        "verdict": plan.verdict,
        "revision": plan.recorded,
        "elsewhere": plan.elsewhere,
        "findings": plan.report.findings,
        "steps": plan.steps,
        "waits": waits(plan),
        "blocked": plan.blocked,
        "mentioned": plan.mentioned,
        "not_allowed": sorted({kind for step in plan.refused for kind in step.kinds}),
        "sizes": dict(plan.sizes),
        "legacy_rows": plan.legacy_rows,
        "done": done,
    }


def _shown(plan: Plan) -> Iterator[str | Table]:
    if plan.sizes:
        yield _sizes(plan)
    for finding in plan.report.findings:
        is_fine = finding.verdict is Verdict.TOLERATED
        wanted = "fine as it is" if is_fine else f"expected: {finding.expected}"
        yield f"{finding.table}: {finding.what}: {finding.found} ({wanted})"
    yield from _grouped(plan)
    for blocker in plan.blocked:
        yield ""
        yield f"you decide: {blocker.table}: {blocker.what}: {blocker.problem}"
        yield f"  {blocker.remedy}"
        if blocker.query:
            yield f"  {blocker.query}"
    for mention in plan.mentioned:
        yield ""
        yield f"look at it: {mention}"
        yield f"  {_MENTIONED}"
    if plan.legacy_rows:
        yield ""
        yield f"After the structure: {counted(plan.legacy_rows, 'row')} of before Twofold, to be sealed."
    if plan.elsewhere:
        yield ""
        yield (
            f"Revision {', '.join(plan.elsewhere)} stands in your own alembic_version; your Alembic cannot find it. "
            f"It moves to {plan.history.version_table}; then stamp your history with the revision that it is really at."
        )


def _grouped(plan: Plan) -> Iterator[str | Table]:
    """The steps of each table under its name, and then who waits for all of them."""
    numbered = enumerate(plan.steps, 1)
    for table, steps in itertools.groupby(numbered, key=lambda one: one[1].table):
        of_table = list(steps)
        yield ""
        yield f"{table}: {counted(len(of_table), 'step')}"
        for number, step in of_table:
            yield from _step(number, step)
    if plan.steps:
        yield ""
        yield _waits(plan)
        yield _INSTANT


def _waits(plan: Plan) -> Table:
    shown = Table("table", "who waits", "how long", "steps")
    for wait in waits(plan):
        numbers = ", ".join(map(str, wait.steps))
        shown.add_row(wait.table, wait.who, wait.how_long(plan.sizes.get(wait.table)), numbers)
    return shown


def _step(number: int, step: Step) -> Iterator[str]:
    yield ""
    yield f"{number}. {step.what} ({step.verdict}, {', '.join(step.kinds)})"
    yield from (f"   {line}" for statement in step.statements for line in f"{statement};".splitlines())
    yield from (f"   lock: {lock}" for lock in step.locks)


def _question(plan: Plan, *, brings: bool) -> str:
    """What is about to happen, in one question."""
    parts = [f"carry out {counted(len(plan.steps), 'step')}"] if plan.steps else []
    if not plan.is_recorded:
        parts.append(f"record revision {plan.history.revision}")
    if brings:
        parts.append(f"seal {counted(plan.legacy_rows, 'row')} of before Twofold")
    first, *others = parts or ["verify once more"]
    return f"{', '.join([first[0].upper() + first[1:], *others])}?"


def _sentence(plan: Plan, *, brings: bool) -> str:
    if plan.blocked:
        return "Somebody has to decide about what is named above; until then nothing is changed."
    if plan.is_done and brings:
        return f"{_done(plan.history)} Next, for the rows: twofold db adopt --apply"
    if plan.is_done:
        return _done(plan.history)
    heavy = sorted({kind for step in plan.steps if step.verdict is Verdict.HEAVY for kind in step.kinds})
    lead = "Some steps are heavy, and have to be allowed" if plan.refused else "Nothing was changed yet"
    following = " ".join([f"{plan.history.twofold('adopt')} --apply", *(f"--allow {kind}" for kind in heavy)])
    return f"{lead}. Next: {following}"


def _done(history: History) -> str:
    conform = history.agree("conform", "conforms")
    return f"{history.about.capitalize()} {conform} to revision {history.revision}, and it is recorded."


def _of_rows(brought: Brought, *, is_later: bool) -> list[str]:
    if is_later:
        return ["The rows are left for later. Next: twofold secrets import-legacy"]
    return list(sentences(brought)) if brought != Brought() else []


def _sizes(plan: Plan) -> Table:
    # SQLite does not know what a table takes.
    has_bytes = any(size.bytes is not None for size in plan.sizes.values())
    shown = Table("table", "rows, about", *(["MiB"] if has_bytes else []))
    for name, size in plan.sizes.items():
        mebibytes = "" if size.bytes is None else f"{size.bytes / (1 << 20):.1f}"
        shown.add_row(name, "" if size.rows is None else f"{size.rows:,}", *([mebibytes] if has_bytes else []))
    return shown


@contextmanager
def _bar(terminal: Terminal, total: int) -> Iterator[Callable[[adoption.Progress], None]]:
    """A bar over all steps, and one for the step at work, which moves as far as the database says."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    is_hidden = terminal.is_json or not sys.stderr.isatty()
    columns = (
        SpinnerColumn(),
        Doing(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=is_hidden) as bar:
        steps = bar.add_task("steps", total=total)
        work = bar.add_task("", total=None)

        def tell(progress: adoption.Progress) -> None:
            bar.update(steps, completed=progress.done, total=progress.total)
            share = None if progress.share is None else round(progress.share * 100)
            bar.update(
                work,
                description=str(progress.step),
                completed=share or 0,
                total=None if share is None else 100,
            )

        yield tell
