"""`twofold db`: bring the tables into the database, take them out, say whether they are as they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import typer

from twofold.cli import adopt, write_revision
from twofold.cli.chosen import Passkeys, chosen
from twofold.cli.shown import Table
from twofold.cli.terminal import Terminal, command, noun
from twofold.errors import ConfigurationError
from twofold.schema import commands, place, spec
from twofold.schema.conformity.findings import Verdict
from twofold.schema.failures import as_mfa_errors
from twofold.schema.history import FOUR, PASSKEYS

if TYPE_CHECKING:
    from twofold.schema.conformity.findings import Finding, Report
    from twofold.schema.history import History

app = noun("db")
write_revision.register(app)
adopt.register(app)

PENDING, BLOCKED = 2, 3
_LOST = "Every second factor in this database is lost with them."
_MADE_USERS = (
    "There was no table users, so an empty one was made, with a key of integers. If your users are in another table: "
    "`twofold db downgrade`, drop users, set TWOFOLD_USERS to their key, as table.column, and upgrade again."
)
_WORDS = {
    Verdict.TOLERATED: "fine as it is",
    Verdict.ADDITIVE: "can be added",
    Verdict.HEAVY: "needs a rewrite",
    Verdict.BLOCKED: "you decide",
}


@command(
    app,
    "twofold db upgrade",
    "TWOFOLD_USERS=accounts.uuid twofold db upgrade",
    "twofold db upgrade --database-url sqlite:///app.db",
    "twofold db upgrade --passkeys",
)
def upgrade(
    terminal: Terminal,
    *,
    with_users: Annotated[
        bool,
        typer.Option("--with-users", help="Make an empty users table, too, where other tables are and none is users."),
    ] = False,
    passkeys: Passkeys = False,
) -> None:
    """Make the four tables, or record those that are there and conform. What differs is refused and left as it is.

    In a database without tables and views, a users table is made as well. Where there are some, and TWOFOLD_USERS names
    none of them, nothing is made, and those are listed whose key would do.

    With --passkeys it makes the table of passkeys beside the four, or records it where it is there and conforms.
    """
    history = chosen(passkeys=passkeys)
    if passkeys and with_users:
        raise typer.BadParameter("--with-users goes with the four tables, which come before that of passkeys.")
    engine = terminal.engine if passkeys else terminal.founding_engine
    before = commands.current(engine, history=history)
    makes_users = before is None and not passkeys and commands.founds(engine, terminal.settings, with_users=with_users)
    commands.upgrade(engine, terminal.settings, with_users=with_users, history=history)
    after = commands.current(engine, history=history)
    references = commands.referenced(engine, terminal.settings)
    subject = "The table of passkeys" if passkeys else "The database"
    sentences = [f"{subject} is at revision {after}" + (" already." if after == before else ".")]
    sentences.append(f"user_id references {references}.")
    if makes_users:
        sentences.append(_MADE_USERS)
    made = {"revision": after, "before": before, "changed": after != before, "references": references}
    terminal.answer(made | {"made_users": makes_users}, *sentences)


@command(app, "twofold db downgrade", "twofold db downgrade --yes", "twofold db downgrade --passkeys")
def downgrade(
    terminal: Terminal,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    passkeys: Passkeys = False,
) -> None:
    """Remove the four tables and every enrolment in them. The users' table stays. There is no way back but a backup.

    Where something else hangs on the tables, such as a view or a foreign key in any schema, it is named, and nothing is
    dropped.

    The table of passkeys stays, and its rows are named. With --passkeys it goes, and the four stay.
    """
    history = chosen(passkeys=passkeys)
    before = commands.current(terminal.engine, history=history)
    if before != history.revision:
        terminal.answer(
            {"revision": before, "before": before, "changed": False, "rows": {}},
            f"Revision {history.revision} is not recorded in this database; there is nothing to take back.",
        )
        return
    along = commands.going_along(terminal.engine, history=history)
    left = commands.left_behind(terminal.engine, history=history)
    rows = _rows(terminal.engine, history)
    counted = ", ".join(f"{number} in {name}" for name, number in rows.items())
    what = "the table of passkeys with all its rows" if passkeys else "the four tables with all their rows"
    terminal.note(f"This drops {what}: {counted}.")
    for one in along:
        terminal.note(one.farewell)
    for sentence in left:
        terminal.note(sentence)
    lost = "Every passkey in this database is lost with it." if passkeys else _LOST
    terminal.confirm(f"{lost} Go on?", yes=yes)
    commands.downgrade(terminal.engine, terminal.settings, "base" if passkeys else spec.USERS_REVISION, history=history)
    after = commands.current(terminal.engine, history=history)
    payload: dict[str, Any] = {"revision": after, "before": before, "changed": True, "rows": rows}
    payload |= {"left_behind": left} if left else {}
    gone = "The table of passkeys is gone; the four tables" if passkeys else "The four tables are gone; the users"
    terminal.answer(payload, f"{gone} are untouched.")


@command(app, "twofold db current", "twofold db current --json")
def current(terminal: Terminal, *, passkeys: Passkeys = False) -> None:
    """Show the revision that the database has recorded. `verify` says whether that is the truth."""
    history = chosen(passkeys=passkeys)
    found = commands.current(terminal.engine, history=history)
    is_head = found == history.revision
    note = "" if is_head else f" (the newest is {history.revision})"
    payload = {"revision": found, "head": history.revision, "is_head": is_head}
    terminal.answer(payload, f"{found or 'none'}{note}")


@command(app, "twofold db verify", "twofold db verify || exit 1   # in a deployment, before the application starts")
def verify(terminal: Terminal, *, passkeys: Passkeys = False) -> None:
    """Compare the live tables with the revision, column by column; read the catalog and change nothing.

    Where the database has the table of passkeys, that is compared as well; with --passkeys it alone.

    Exit 0: they conform. Exit 2: tables are missing, or differ in what can be repaired. Exit 3: somebody has to decide.
    """
    first = _compared(terminal, chosen(passkeys=passkeys))
    found, payload = [first], first.payload
    if not passkeys and commands.has(terminal.engine, PASSKEYS):
        found.append(_compared(terminal, PASSKEYS))
        payload |= {"passkeys": found[1].payload}
    findings = tuple(finding for one in found for finding in one.report.findings)
    shown = [_table(findings)] if findings else []
    terminal.answer(payload, *shown, *(one.sentence for one in found))
    if code := max(one.code for one in found):
        raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Compared:
    """How the tables of a history are, with what is recorded of it, and the exit code that says so."""

    report: Report
    recorded: str | None
    code: int

    @property
    def payload(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "conforms": self.report.conforms,
            "verdict": {0: "conforms", PENDING: "pending", BLOCKED: "blocked"}[self.code],
            "revision": self.recorded,
            "missing": self.report.missing,
            "findings": self.report.findings,
        }

    @property
    def sentence(self) -> str:
        """The same for people, with the next step."""
        return _sentence(self.report, self.recorded, self.code)


def _compared(terminal: Terminal, history: History) -> _Compared:
    report = commands.verify(terminal.engine, terminal.settings, history=history)
    recorded = commands.current(terminal.engine, history=history)
    is_founded = history is FOUR and _is_founded(terminal)
    return _Compared(report, recorded, _exit_code(report, is_founded=is_founded))


def _exit_code(report: Report, *, is_founded: bool) -> int:
    """0 conforms, 2 an upgrade or a plan can bring it there, 3 a person has to decide."""
    if report.conforms:
        return 0
    blocked = [finding for finding in report.drift if finding.verdict is Verdict.BLOCKED]
    # Where nothing is there at all, the first revision makes the users table too.
    return BLOCKED if blocked and not (report.nothing_there and is_founded) else PENDING


def _is_founded(terminal: Terminal) -> bool:
    """Whether an upgrade would make the users, too."""
    try:
        return commands.founds(terminal.engine, terminal.settings)
    except ConfigurationError:
        return False


def _sentence(report: Report, recorded: str | None, code: int) -> str:
    history = report.history
    tables = history.about.capitalize()
    differ, conform = history.agree("differ", "differs"), history.agree("conform", "conforms")
    if code == BLOCKED:
        return f"{tables} {differ} in ways that somebody has to decide about; see `you decide` above."
    if report.nothing_there:
        return f"{tables} {history.agree('are', 'is')} not there yet. Next: {history.twofold('upgrade')}"
    if report.only_missing_tables:
        return f"Some tables are missing. Next: {history.twofold('upgrade')}"
    if code == PENDING:
        return f"{tables} {differ}; all of it can be repaired. Next: {history.twofold('adopt')}"
    if recorded != history.revision:
        return (
            f"{tables} {conform} to revision {history.revision}, which {history.version_table} does not record. "
            f"Unless your own history made {history.agree('them', 'it')} (docs/hosts.md), "
            f"next: {history.twofold('upgrade')}"
        )
    return f"{tables} {conform} to revision {history.revision}."


def _table(findings: tuple[Finding, ...]) -> Table:
    shown = Table("table", "what", "found", "expected", "verdict")
    for finding in sorted(findings, key=lambda one: (-one.verdict.rank, one.table, one.what)):
        shown.add_row(finding.table, finding.what, finding.found, finding.expected, _WORDS.get(finding.verdict, ""))
    return shown


def _rows(engine: sa.Engine, history: History) -> dict[str, int]:
    """How many rows each of the tables holds that are there."""
    with as_mfa_errors(), engine.connect() as connection:
        schema = place.ours(connection)
        there = set(sa.inspect(connection).get_table_names(schema))
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(sa.table(name, schema=schema))).scalar_one()
            for name in history.names
            if name in there
        }
