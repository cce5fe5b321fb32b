"""The passkeys of a user, as their owner sees them, and the names that they give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.account import reading, sealed, store
from twofold.account.attempt import Fact
from twofold.arguments import identity
from twofold.browsers import given
from twofold.errors import Tampered
from twofold.kinds import Kind
from twofold.naming import checked
from twofold.outcomes import Passkey
from twofold.passkeys import held
from twofold.passkeys.relying_party import RelyingParty

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.account.statements import HeldPasskey
    from twofold.outcomes import UserId


def list_(work: Attempt, user_id: UserId) -> tuple[Passkey, ...]:
    """The passkeys that a user has registered, the newest first, with those that are suspended or revoked.

    None of them is active while they are not what the user's row says. Raises Tampered where they do not read.
    """
    account = reading.find(work, user_id)
    table = None if account is None else sealed.passkey_table(work, account)
    if account is None or table is None:
        return ()
    passkeys = sealed.passkeys(work, account)
    is_intact = sealed.compared_passkeys(work, account, passkeys).is_intact
    usable = held.usable(RelyingParty.of(work.settings), passkeys or ()) if is_intact else []
    active = {passkey.id for passkey in usable}
    query = sa.select(table).where(table.c.user_id == account.user_id)
    try:
        rows = work.rows(query.order_by(table.c.created_at.desc(), table.c.id.desc()))
    except sealed.UNREADABLE:
        raise Tampered("A passkey of this user holds what none can; end them with revoke_all or disable.") from None
    return tuple(_seen(row, is_active=row.id in active) for row in rows)


def one(work: Attempt, passkey: HeldPasskey) -> Passkey:
    """One that is in force, as its owner sees it."""
    table = sealed.required_passkeys(work)
    row = work.connection.execute(sa.select(table).where(table.c.id == passkey.id)).one()
    return _seen(row, is_active=True)


def _seen(row: sa.Row[*tuple[Any, ...]], *, is_active: bool) -> Passkey:
    """One passkey, from its row."""
    return Passkey(
        id=row.id,
        name=row.name,
        is_active=is_active,
        is_synced=row.backup_state,
        verifies_user=row.user_verified,
        transports=tuple((row.transports or "").split(",")) if row.transports else (),
        aaguid=row.aaguid,
        rp_id=row.rp_id,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        suspended_at=row.suspended_at,
        revoked_at=row.revoked_at,
        revoked_reason=row.revoked_reason,
    )


def count(work: Attempt, account: Account) -> int | None:
    """How many can answer a challenge now; None where they are not those that the user's row names."""
    passkeys = sealed.passkeys(work, account)
    if passkeys is None or not sealed.compared_passkeys(work, account, passkeys).is_intact:
        return None
    return len(held.usable(RelyingParty.of(work.settings), passkeys))


def elsewhere(work: Attempt, account: Account) -> list[str]:
    """The other domains that this user has passkeys of: no login asks for these here, and one may elsewhere."""
    if account.passkeys_digest is None:
        return []
    party, passkeys = RelyingParty.of(work.settings), sealed.passkeys(work, account) or ()
    others = {one.rp_id for one in passkeys if one.suspended_at is None}
    return sorted(others - {party.id} if party else others)


def rename(work: Attempt, user_id: UserId, passkey_id: int, name: str, *, request: Any = None) -> bool:
    """Give one passkey of this user the name that its owner calls it by. False where it is revoked, or none of theirs.

    `name` is 1 to 64 characters, as for `trusted_devices.rename`. Raises ValueError for another name and TypeError for
    what is no int or no text, before anything is read; Tampered, with an alarm, where the passkeys are not what the
    user's row says.
    """
    name = given(checked(name))
    identity("passkey_id", passkey_id, "Passkey")
    account = reading.find(work, user_id)
    if account is None:
        return False
    account, passkeys = held.required(work, account, request)
    passkey = next((one for one in passkeys if one.id == passkey_id), None)
    if passkey is None:
        return False
    if passkey.name != name:
        table = sealed.required_passkeys(work)
        work.write(sa.update(table).where(table.c.id == passkey.id, table.c.revoked_at.is_(None)).values(name=name))
        fact = Fact(Kind.PASSKEY_RENAMED, details={"passkey": name, "before": passkey.name})
        store.save(work, account, account, fact, request)
    return True
