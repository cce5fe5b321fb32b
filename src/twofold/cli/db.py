"""`twofold db`: bring the four tables into the database, take them out, say whether they are as they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import typer

from twofold.cli import adopt, write_revision
from twofold.cli.shown import Table
from twofold.cli.terminal import Terminal, command, noun
from twofold.errors import ConfigurationError
from twofold.schema import commands, place, spec
from twofold.schema.conformity.findings import Verdict
from twofold.schema.failures import as_mfa_errors

if TYPE_CHECKING:
    from twofold.schema.conformity.findings import Finding, Report

app = noun("db")
write_revision.register(app)
adopt.register(app)

PENDING, BLOCKED = 2, 3
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
)
def upgrade(
    terminal: Terminal,
    *,
    with_users: Annotated[
        bool,
        typer.Option("--with-users", help="Make an empty users table, too, where other tables are and none is users."),
    ] = False,
) -> None:
    """Make the four tables, or record those that are there and conform. What differs is refused and left as it is.

    In a database without tables, a users table is made as well. Where there are tables, and TWOFOLD_USERS names none of
    them, nothing is made, and those are listed whose key would do.
    """
    engine = terminal.founding_engine
    before = commands.current(engine)
    makes_users = before is None and commands.founds(engine, terminal.settings, with_users=with_users)
    commands.upgrade(engine, terminal.settings, with_users=with_users)
    after = commands.current(engine)
    references = commands.referenced(engine, terminal.settings)
    sentences = [f"The database is at revision {after}" + (" already." if after == before else ".")]
    sentences.append(f"user_id references {references}.")
    if makes_users:
        sentences.append(_MADE_USERS)
    made = {"revision": after, "before": before, "changed": after != before, "references": references}
    terminal.answer(made | {"made_users": makes_users}, *sentences)


@command(app, "twofold db downgrade", "twofold db downgrade --yes")
def downgrade(terminal: Terminal, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove the four tables and every enrolment in them. The users' table stays. There is no way back but a backup.

    Where something else hangs on the tables, such as a view or a foreign key in any schema, it is named, and nothing is
    dropped.
    """
    before = commands.current(terminal.engine)
    if before != spec.REVISION:
        terminal.answer(
            {"revision": before, "before": before, "changed": False, "rows": {}},
            f"Revision {spec.REVISION} is not recorded in this database; there is nothing to take back.",
        )
        return
    along = commands.going_along(terminal.engine)
    rows = _rows(terminal.engine)
    counted = ", ".join(f"{number} in {name}" for name, number in rows.items())
    terminal.note(f"This drops the four tables with all their rows: {counted}.")
    for one in along:
        terminal.note(f"With {one.table} goes {one.name}.")
    terminal.confirm("Every second factor in this database is lost with them. Go on?", yes=yes)
    commands.downgrade(terminal.engine, terminal.settings, spec.USERS_REVISION)
    after = commands.current(terminal.engine)
    payload = {"revision": after, "before": before, "changed": True, "rows": rows}
    terminal.answer(payload, "The four tables are gone; the users are untouched.")


@command(app, "twofold db current", "twofold db current --json")
def current(terminal: Terminal) -> None:
    """Show the revision that the database has recorded. `verify` says whether that is the truth."""
    found = commands.current(terminal.engine)
    note = "" if found == spec.REVISION else f" (the newest is {spec.REVISION})"
    payload = {"revision": found, "head": spec.REVISION, "is_head": found == spec.REVISION}
    terminal.answer(payload, f"{found or 'none'}{note}")


@command(app, "twofold db verify", "twofold db verify || exit 1   # in a deployment, before the application starts")
def verify(terminal: Terminal) -> None:
    """Compare the live tables with the revision, column by column; read the catalog and change nothing.

    Exit 0: they conform. Exit 2: tables are missing, or differ in what can be repaired. Exit 3: somebody has to decide.
    """
    report = commands.verify(terminal.engine, terminal.settings)
    recorded = commands.current(terminal.engine)
    code = _exit_code(report, is_founded=_is_founded(terminal))
    payload: dict[str, Any] = {
        "conforms": report.conforms,
        "verdict": {0: "conforms", PENDING: "pending", BLOCKED: "blocked"}[code],
        "revision": recorded,
        "missing": report.missing,
        "findings": report.findings,
    }
    shown = [_table(report.findings)] if report.findings else []
    terminal.answer(payload, *shown, _sentence(report, recorded, code))
    if code:
        raise typer.Exit(code)


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
    if code == BLOCKED:
        return "The tables differ in ways that somebody has to decide about; see `you decide` above."
    if report.nothing_there:
        return "The tables are not there yet. Next: twofold db upgrade"
    if report.only_missing_tables:
        return "Some tables are missing. Next: twofold db upgrade"
    if code == PENDING:
        return "The tables differ; all of it can be repaired. Next: twofold db adopt"
    if recorded != spec.REVISION:
        return (
            f"The tables conform to revision {spec.REVISION}, which {spec.VERSION_TABLE} does not record. "
            "Unless your own history made them (docs/hosts.md), next: twofold db upgrade"
        )
    return f"The tables conform to revision {spec.REVISION}."


def _table(findings: tuple[Finding, ...]) -> Table:
    shown = Table("table", "what", "found", "expected", "verdict")
    for finding in sorted(findings, key=lambda one: (-one.verdict.rank, one.table, one.what)):
        shown.add_row(finding.table, finding.what, finding.found, finding.expected, _WORDS.get(finding.verdict, ""))
    return shown


def _rows(engine: sa.Engine) -> dict[str, int]:
    """How many rows each of the tables holds that are there."""
    with as_mfa_errors(), engine.connect() as connection:
        schema = place.ours(connection)
        there = set(sa.inspect(connection).get_table_names(schema))
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(sa.table(name, schema=schema))).scalar_one()
            for name in spec.NAMES
            if name in there
        }
