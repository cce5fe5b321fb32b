"""An adoption written down, for whoever may not change tables and hands it to somebody who may.

The scripts are for psql, mariadb and sqlite3. Each stops at its first error, and what was done before it stays; the
plan that is computed then has what is left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema.adoption.perform import STRICT, UNLIMITED
from twofold.schema.conformity.findings import Verdict
from twofold.schema.history import HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.schema.plan.plan import Plan, Step

_RUNS = {
    "postgresql": "psql --no-psqlrc --file adopt.sql DATABASE",
    "sqlite": "sqlite3 FILE < adopt.sql",
    "mariadb": "mariadb DATABASE < adopt.sql",
}
_WAITS = {"postgresql": "2s", "mariadb": "2"}
_CLAUSES = re.compile(r", ALGORITHM=\w+, LOCK=\w+$")
_PAGE = """\
DO $$
DECLARE
    this_after bigint;
    this_last bigint;
    this_highest bigint;
BEGIN
    SELECT min(id) - 1, max(id) INTO this_after, this_highest FROM {table};
    WHILE this_after < this_highest LOOP
        this_last := ({find});
        {change};
        COMMIT;
        this_after := this_last;
    END LOOP;
END
$$"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the script is to be run: the kind of database, its name, and the schemas by which its names are found."""

    dialect: str
    database: str
    schemas: tuple[str, ...] = ()


def place(connection: sa.Connection) -> Place:
    """Where the tables of this connection are."""
    match connection.dialect.name:
        case "postgresql":
            quote = connection.dialect.identifier_preparer.quote
            found = connection.execute(sa.text("SELECT current_database(), current_schemas(false)")).one()
            return Place("postgresql", str(found[0]), tuple(quote(str(schema)) for schema in found[1]))
        case "sqlite":
            return Place("sqlite", str(connection.engine.url.database))
        case _:
            return Place("mariadb", str(connection.scalar(sa.text("SELECT database()"))))


def written(plan: Plan, where: Place) -> str:
    """The plan as a script, with every heavy step in it. A plan with blockers has none."""
    parts = [_head(plan, where), *_before(plan, where)]
    for number, step in enumerate(plan.steps, 1):
        parts.append("\n".join((*_about(number, len(plan.steps), step), *_statements(step, where.dialect))))
    if not plan.is_recorded:
        parts.append("\n".join(("-- The revision is recorded.", *_recorded(plan, where.dialect))))
    parts.append(_after(plan))
    return "\n\n".join(parts) + "\n"


def _head(plan: Plan, where: Place) -> str:
    made = [step.table for step in plan.steps if step.kind == "table"]
    lines = [
        f"From tables that exist to revision {plan.history.revision}: {len(plan.steps)} steps for {where.database}.",
        f"Run it with: {_RUNS[where.dialect]}",
        "It was written from the catalog of that moment. It stops at the first error, and what it did before stays:",
        f"write it anew then ({plan.history.twofold('adopt')} --sql), and run that one.",
    ]
    if where.dialect == "postgresql":
        lines.append("It has transactions of its own, so not with --single-transaction, and not through a pooler.")
    if made and where.dialect == "postgresql":
        lines.append(f"{', '.join(made)} will belong to whoever runs this: SET ROLE to the owner of the others first.")
    return "\n".join(f"-- {line}" for line in lines)


def _before(plan: Plan, where: Place) -> Iterator[str]:
    match where.dialect:
        case "postgresql":
            yield "\\set ON_ERROR_STOP on"
            yield f"SET search_path = {', '.join(where.schemas)};"
            yield (
                "-- A statement gives up rather than have logins queue behind it.\n"
                f"SET lock_timeout = '{_WAITS['postgresql']}';\n"
                f"-- What takes long lets people go on, or says so above it.\n{UNLIMITED['postgresql']};"
            )
        case "sqlite":
            yield ".bail on"
            if any(step.style == "rebuild" for step in plan.steps):
                yield (
                    "-- Rows that a statement would lose or orphan fail the CHECK, and undo their transaction.\n"
                    "CREATE TEMP TABLE twofold_held (what TEXT, holds INTEGER CHECK (holds));\n"
                    "PRAGMA foreign_keys = OFF;\nPRAGMA legacy_alter_table = ON;"
                )
        case _:
            yield (
                "-- A statement gives up rather than have logins queue behind it.\n"
                f"SET SESSION lock_wait_timeout = {_WAITS['mariadb']};\n"
                f"-- No NULL becomes an empty text, and no number another one.\n{STRICT};\n"
                f"-- What takes long says so above it.\n{UNLIMITED['mariadb']};"
            )


def _about(number: int, total: int, step: Step) -> Iterator[str]:
    heavy = f" Heavy: {', '.join(step.kinds)}." if step.verdict is Verdict.HEAVY else ""
    yield f"-- {number} of {total}. {step}.{heavy}".replace("\n", " ")
    yield from (f"-- lock: {lock}" for lock in step.locks)
    if step.alternatives:
        yield "-- MariaDB picks the way. Where it has to copy the table, writers wait; with LOCK=NONE it refuses to."


def _statements(step: Step, dialect: str) -> Iterator[str]:
    """One step as the client of the database takes it."""
    match step.style:
        case "transaction" if dialect == "mariadb":
            yield from _ended(step.statements)
        case "transaction":
            yield from _in_transaction(dialect, *step.statements)
        case "batches":
            find, change, *following = step.statements
            yield from _ended([_PAGE.format(table=step.table, find=_named(find), change=_named(change))])
            yield from _in_transaction(dialect, *following)
        case "concurrently":
            build, *constraints = step.statements
            yield "SET lock_timeout = '60s';  -- It waits for transactions that began before, and nobody waits for it."
            yield from _ended([build])
            yield f"SET lock_timeout = '{_WAITS['postgresql']}';"
            if constraints:
                yield from _in_transaction(dialect, *constraints)
        case "rebuild":
            yield from _in_transaction(dialect, *_guarded(step))
        case "online":
            yield from _ended([_CLAUSES.sub("", step.statements[0]) if step.alternatives else step.statements[0]])


def _ended(statements: list[str] | tuple[str, ...]) -> Iterator[str]:
    for statement in statements:
        spaced = statement.replace("\n\t", "\n    ")
        yield f"{spaced};"


def _in_transaction(dialect: str, *statements: str) -> Iterator[str]:
    return _ended(("BEGIN IMMEDIATE" if dialect == "sqlite" else "BEGIN", *statements, "COMMIT"))


def _named(statement: str) -> str:
    """The parameters of a batch as the variables of the loop."""
    return statement.replace(":after", "this_after").replace(":last", "this_last")


def _guarded(step: Step) -> Iterator[str]:
    """A rebuild of SQLite, with a look at the rows before the old table goes, and at the references afterwards."""
    new = f"twofold_new_{step.table}"
    for statement in step.statements:
        if statement == f"DROP TABLE {step.table}":
            same = f"(SELECT count(*) FROM {new}) = (SELECT count(*) FROM {step.table})"  # noqa: S608 - our names.
            yield f"INSERT INTO twofold_held SELECT 'rows of {step.table}', {same}"
        yield statement
    whole = f"NOT EXISTS (SELECT 1 FROM pragma_foreign_key_check('{step.table}'))"  # noqa: S608 - our names.
    yield f"INSERT INTO twofold_held SELECT 'references of {step.table}', {whole}"


def _recorded(plan: Plan, dialect: str) -> Iterator[str]:
    table = plan.history.version_table
    key = f"version_num VARCHAR(32) NOT NULL, CONSTRAINT {table}_pkc PRIMARY KEY (version_num)"
    statements = [
        f"CREATE TABLE IF NOT EXISTS {table} ({key})",
        f"DELETE FROM {table}",  # noqa: S608 - our names, here and below.
        f"INSERT INTO {table} (version_num) VALUES ('{plan.history.revision}')",  # noqa: S608
    ]
    statements += [f"DELETE FROM {HOSTS} WHERE version_num = '{one}'" for one in plan.elsewhere]  # noqa: S608
    yield from _ended(statements) if dialect == "mariadb" else _in_transaction(dialect, *statements)


def _after(plan: Plan) -> str:
    """What follows, with rights on rows alone."""
    lines = [f"Afterwards: {plan.history.twofold('verify')}"]
    if plan.legacy_rows:
        lines.append(
            f"Then the rows of before, of {plan.legacy_rows} users, for whom nobody is let in until then: "
            "twofold db adopt --apply, which needs the keys and rights on rows alone."
        )
    return "\n".join(f"-- {line}" for line in lines)
