"""Check the users' column, the tables, the recorded revision and, on PostgreSQL, row-level security."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.account import hiding
from twofold.cli.doctor.check import Check
from twofold.cli.shown import counted
from twofold.metadata import UsersColumn
from twofold.passkeys.relying_party import RelyingParty
from twofold.schema import commands, founding, place, spec
from twofold.schema.failures import as_mfa_errors
from twofold.schema.history import EVERY, FOUR, HOSTS, OURS, PASSKEYS, is_there
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


def passkeys(terminal: Terminal) -> Iterator[Check]:
    """Check the table of passkeys and its recorded revision, where the database has either; it need not."""
    report = commands.verify(terminal.engine, terminal.settings, history=PASSKEYS)
    with as_mfa_errors(), terminal.engine.connect() as connection:
        is_recorded = PASSKEYS.revision in (*PASSKEYS.every(connection), *PASSKEYS.elsewhere(connection))
    if report.conforms:
        message = "The table of passkeys conforms to its revision."
        if is_recorded:
            yield Check("passkeys", "ok", message)
        else:
            step = f"{PASSKEYS.twofold('upgrade')}, unless your own history made it (docs/hosts.md)"
            yield Check("passkeys", "note", f"{message} {PASSKEYS.version_table} does not record it.", step)
        yield from _left_behind(terminal)
        yield from _of_other_domains(terminal)
    elif not commands.has(terminal.engine, PASSKEYS):
        # A table of this name may be the application's own.
        if terminal.settings.rp_id or terminal.settings.origins:
            name = "TWOFOLD_RP_ID" if terminal.settings.rp_id else "TWOFOLD_ORIGINS"
            message = f"{name} is set and the table of passkeys is not there: none are offered."
            yield Check("passkeys", "note", message, PASSKEYS.twofold("upgrade"))
    elif report.nothing_there:
        step = f"DELETE FROM {PASSKEYS.version_table}; then {PASSKEYS.twofold('upgrade')}"  # noqa: S608 -- Shown, not executed.
        yield Check("passkeys", "wrong", "The table of passkeys is recorded and not there.", step)
    else:
        number = counted(len(report.drift), "difference")
        message = f"The table of passkeys differs from its revision: {number}."
        yield Check("passkeys", "wrong", message, PASSKEYS.twofold("verify"))


def _left_behind(terminal: Terminal) -> Iterator[Check]:
    """Find passkeys whose users have no row in the four tables, as after those were made anew: they are refused."""
    with as_mfa_errors(), terminal.engine.connect() as connection:
        here = place.ours(connection)
        rows = sa.table(spec.NAMES[0], sa.column("user_id"), schema=here)
        if not is_there(connection, rows.name):
            return
        passkeys = sa.table(PASSKEYS.names[0], sa.column("user_id"), schema=here)
        alone = ~sa.exists().where(rows.c.user_id == passkeys.c.user_id)
        number = connection.scalar(sa.select(sa.func.count(passkeys.c.user_id.distinct())).where(alone)) or 0
    if number:
        message = f"{counted(number, 'user')} with passkeys and without a row in {rows.name}: each is refused."
        step = f"twofold users repair ID; where the four tables were made anew: {PASSKEYS.twofold('downgrade')}"
        yield Check("passkeys", "wrong", message, step)


def _of_other_domains(terminal: Terminal) -> Iterator[Check]:
    """Find passkeys of a domain that no login asks for, as after a setting was changed or taken away."""
    party = RelyingParty.of(terminal.settings)
    with as_mfa_errors(), terminal.engine.connect() as connection:
        columns = [sa.column(name, sa.String()) for name in ("user_id", "rp_id", "revoked_at", "suspended_at")]
        passkeys = sa.table(PASSKEYS.names[0], *columns, schema=place.ours(connection))
        live = sa.and_(passkeys.c.revoked_at.is_(None), passkeys.c.suspended_at.is_(None))
        number = sa.func.count(passkeys.c.user_id.distinct())
        counts = sa.select(passkeys.c.rp_id, number).where(live).group_by(passkeys.c.rp_id).order_by(passkeys.c.rp_id)
        others = [
            (domain, users) for domain, users in connection.execute(counts) if party is None or domain != party.id
        ]
    asked = f"logins ask for those of {party.id} alone" if party else "no login asks for one, since no domain is set"
    for domain, users in others:
        message = f"{counted(users, 'user')} with passkeys of {domain}: {asked}."
        step = f"TWOFOLD_RP_ID={domain} with its TWOFOLD_ORIGINS brings them back; else their owners make new ones."
        yield Check("passkeys", "note", message, step)


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
