"""Check what passkeys need: their table, the package, and pages whose browsers have passkeys of the domain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold import certificates
from twofold.cli.doctor.check import Check
from twofold.cli.shown import counted
from twofold.errors import ConfigurationError
from twofold.passkeys import ceremony
from twofold.passkeys.policy import Policy
from twofold.passkeys.relying_party import RelyingParty
from twofold.schema import commands, place, spec
from twofold.schema.failures import as_mfa_errors
from twofold.schema.history import PASSKEYS, is_there
from twofold.settings import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.terminal import Terminal
    from twofold.settings import Settings


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
        yield from _of_the_settings(terminal.settings)
        yield from _left_behind(terminal)
        yield from _of_other_domains(terminal)
        yield from _of_other_models(terminal)
        yield from _of_the_roots(terminal.settings)
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


def _of_the_settings(settings: Settings) -> Iterator[Check]:
    """Find what keeps every passkey from answering: no package, or a page whose browsers refuse to ask for one."""
    party = RelyingParty.of(settings)
    if party is None:
        return
    try:
        ceremony.require_library()
    except ConfigurationError as error:
        yield Check("passkeys", "wrong", str(error))
    for origin in party.astray:
        message = f"Pages of {origin} cannot ask for passkeys of {party.id}: no browser lets them."
        step = "Set TWOFOLD_RP_ID to the domain that all of TWOFOLD_ORIGINS, or else TWOFOLD_PUBLIC_URL, end with."
        yield Check("passkeys", "wrong", message, step)
    if settings.passkey_aaguids and settings.passkey_attestation == "none":
        message = "TWOFOLD_PASSKEY_AAGUIDS believes what browsers say: whoever changes that registers any model."
        step = "TWOFOLD_PASSKEY_ATTESTATION=required, with TWOFOLD_PASSKEY_ROOTS, has makers vouch for them."
        yield Check("passkeys", "note", message, step)


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


def _of_other_models(terminal: Terminal) -> Iterator[Check]:
    """Find passkeys of models that are not on the list: it is asked when one is registered, and not at a login."""
    models = parts(terminal.settings.passkey_aaguids)
    if not models:
        return
    with as_mfa_errors(), terminal.engine.connect() as connection:
        columns = [sa.column(name, sa.String()) for name in ("user_id", "aaguid", "revoked_at")]
        passkeys = sa.table(PASSKEYS.names[0], *columns, schema=place.ours(connection))
        is_other = sa.func.coalesce(passkeys.c.aaguid, "").not_in(models)
        number = sa.select(sa.func.count(passkeys.c.user_id.distinct())).where(
            passkeys.c.revoked_at.is_(None), is_other
        )
        users = connection.scalar(number) or 0
    if users:
        message = (
            f"{counted(users, 'user')} with passkeys of models that are not in TWOFOLD_PASSKEY_AAGUIDS: they go on."
        )
        step = "They were registered before, or adopted; their owners, or `twofold users reset`, end them."
        yield Check("passkeys", "note", message, step)


def _of_the_roots(settings: Settings) -> Iterator[Check]:
    """Find roots that are over: no maker whose chain ends there can vouch for a new passkey any more."""
    roots = Policy.of(settings).roots
    if over := certificates.ended(roots, datetime.now(UTC)):
        message = (
            f"{len(over)} of {counted(len(roots), 'root')} in TWOFOLD_PASSKEY_ROOTS ended, the last on "
            f"{max(over):%Y-%m-%d}: what is over lets no new passkey in."
        )
        step = "Put the roots that their makers use now into TWOFOLD_PASSKEY_ROOTS, and take the old ones out."
        yield Check("passkeys", "wrong" if len(over) == len(roots) else "note", message, step)
