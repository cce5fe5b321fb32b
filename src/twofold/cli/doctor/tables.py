"""Check the users' column, the tables, the recorded revision and, on PostgreSQL, row-level security."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.account import hiding
from twofold.cli.doctor.check import Check
from twofold.cli.shown import counted
from twofold.metadata import UsersColumn
from twofold.schema import commands, founding, place, spec
from twofold.schema.failures import as_mfa_errors
from twofold.schema.history import EVERY, FOUR, HOSTS, OURS
from twofold.schema.users.referenced import obstacle
from twofold.schema.users.users import as_spelled, parent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.terminal import Terminal
    from twofold.schema.catalog.relation import Relation

_NAMED = 3
_OWN_USERS = {"id", "subject", "created_at"}
_OURS = {"users", HOSTS, *(one.version_table for one in EVERY), *OURS}
_ANEW = f"DELETE FROM {spec.VERSION_TABLE}; then twofold db upgrade"  # noqa: S608 -- Shown, not executed.


def users(terminal: Terminal) -> Iterator[Check]:
    """Check that a foreign key from `user_id` can reference the users' column."""
    column = UsersColumn.parse(terminal.settings.users)
    with as_mfa_errors(), terminal.engine.connect() as connection:
        found = parent(connection, column)
        column = as_spelled(column, found)
        remedy = founding.remedy(connection, column) if found is None else None
    if (in_the_way := obstacle(column, found, terminal.engine.dialect.name)) is not None:
        yield Check("users", "wrong", in_the_way.sentence, remedy or in_the_way.step)
    elif found is not None:
        kind = "the primary key" if found.primary_key == (column.column,) else "unique"
        yield Check("users", "ok", f"{column} is {kind} ({found.columns[column.column].type}).")
        yield from _made_for_nobody(terminal, found)


def _made_for_nobody(terminal: Terminal, users: Relation) -> Iterator[Check]:
    """Note a `users` table that an upgrade made and nobody fills: the host's users may be in another table."""
    if users.name != "users" or set(users.columns) != _OWN_USERS:
        return
    with as_mfa_errors(), terminal.engine.connect() as connection:
        inspector, here = sa.inspect(connection), place.ours(connection)
        others = sorted({*inspector.get_table_names(here)} - _OURS)
        if not others or connection.scalar(sa.select(sa.literal(1)).select_from(sa.table("users")).limit(1)):
            return
    named = ", ".join(others[:_NAMED]) + (", …" if len(others) > _NAMED else "")
    yield Check(
        "users",
        "note",
        f"users was made by `twofold db upgrade` and is empty, beside other tables: {named}.",
        "If your users are in one of them: twofold db downgrade, drop users, set TWOFOLD_USERS, and upgrade again.",
    )


def schema(terminal: Terminal) -> Iterator[Check]:
    """Check that the four tables conform to the revision."""
    report = commands.verify(terminal.engine, terminal.settings)
    if report.conforms:
        yield Check("schema", "ok", "The four tables conform to the revision.")
        return
    with as_mfa_errors(), terminal.engine.connect() as connection:
        is_recorded = spec.REVISION in FOUR.every(connection)
    if report.nothing_there:
        # Alembic skips a revision that is recorded as applied, so the record has to go first.
        step = _ANEW if is_recorded else "twofold db upgrade"
        yield Check("schema", "wrong", "The four tables are not there.", step)
        return
    number = counted(len(report.drift), "difference")
    named = "; ".join(f"{one.table}: {one.what}: {one.found}" for one in report.drift[:_NAMED])
    more = "; ..." if len(report.drift) > _NAMED else ""
    yield Check("schema", "wrong", f"The tables differ from the revision: {number}. {named}{more}", "twofold db verify")


def revision(terminal: Terminal) -> Iterator[Check]:
    """Check that the recorded revision is the one that the tables conform to."""
    with as_mfa_errors(), terminal.engine.connect() as connection:
        found, elsewhere = FOUR.every(connection), FOUR.elsewhere(connection)
    unknown = [one for one in found if one not in FOUR.revisions]
    if len(found) > 1:
        message = f"{spec.VERSION_TABLE} has {len(found)} rows, and a history has one: {', '.join(found)}."
        yield Check("revision", "wrong", message, _ANEW)
    elif unknown:
        message = f"{spec.VERSION_TABLE} records {unknown[0]}, which is no revision of this version of Twofold."
        yield Check("revision", "wrong", message, f"A newer Twofold made it: install that one. Else: {_ANEW}")
    elif spec.REVISION in found:
        yield Check("revision", "ok", f"Revision {spec.REVISION} is recorded.")
    elif spec.REVISION in elsewhere:
        yield Check("revision", "ok", f"Revision {spec.REVISION} is recorded in your own {HOSTS}.")
    else:
        message = f"The tables conform to revision {spec.REVISION}, which {spec.VERSION_TABLE} does not record."
        step = "twofold db upgrade, unless your own history made them (docs/hosts.md)"
        yield Check("revision", "note", message, step)


def row_security(terminal: Terminal) -> Iterator[Check]:
    """Check, on PostgreSQL, that no row-level security policy hides rows of Twofold from the current role."""
    if terminal.engine.dialect.name != "postgresql":
        return
    with as_mfa_errors(), terminal.engine.connect() as connection:
        role = connection.scalar(sa.text("SELECT current_user"))
        bound = hiding.bound(connection)
    if bound:
        message = f"Row security of {', '.join(bound)} binds the role {role}: a hidden row is as good as none."
        step = (
            "ALTER TABLE ... DISABLE ROW LEVEL SECURITY, or a role with BYPASSRLS for Twofold. Where the role is that "
            f"of your application, name the tenant there {hiding.WAYS}."
        )
        yield Check("row security", "wrong", message, step)
    else:
        yield Check("row security", "ok", "No row is hidden from this role.")
