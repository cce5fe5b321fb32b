"""How a passkey ends: one by one, and all of a user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold import proof
from twofold.account import sealed, store
from twofold.account.attempt import Fact
from twofold.account.row import new_epoch
from twofold.arguments import identity
from twofold.errors import LastFactor
from twofold.kinds import Kind
from twofold.passkeys import held
from twofold.passkeys.relying_party import RelyingParty
from twofold.request import printable

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import Verified

REASON_LIMIT = 255


def revoked(work: Attempt, verified: Verified, passkey_id: int, reason: str, request: Any) -> Account | None:
    """Revoke one passkey; the state after it. None where there is none of this id."""
    identity("passkey_id", passkey_id, "Passkey")
    account = proof.fresh(work, verified, "passkeys.revoke", request)
    account, passkeys = held.required(work, account, request)
    ending = next((one for one in passkeys if one.id == passkey_id), None)
    if ending is None:
        return None
    left = [one for one in passkeys if one.id != passkey_id]
    if account.secret is None and not held.usable(RelyingParty.of(work.settings), left):
        raise LastFactor
    table, why = sealed.required_passkeys(work), printable(reason, REASON_LIMIT)
    statement = sa.update(table).where(table.c.id == passkey_id, table.c.revoked_at.is_(None))
    work.write(statement.values(revoked_at=work.now, revoked_reason=why))
    after = account._replace(passkeys_digest=sealed.passkeys_digest(left), epoch=new_epoch())
    fact = Fact(Kind.PASSKEY_REVOKED, details={"passkey": ending.name, "reason": why})
    return store.save(work, account, after, fact, request)


def all_revoked(work: Attempt, verified: Verified, reason: str, request: Any) -> tuple[Account | None, int]:
    """Revoke every passkey of a user whose app goes on; the state after it, and how many there were.

    None where there is nothing to end; what was altered ends, and counts as none.
    """
    account = proof.fresh(work, verified, "passkeys.revoke", request)
    if account.secret is None:
        raise LastFactor
    account, number = tell_altered(work, account, request)
    if account.passkeys_digest is None:
        return None, 0
    after = ended(work, account, reason)._replace(epoch=new_epoch())
    fact = Fact(Kind.PASSKEY_REVOKED, details={"passkeys": number, "reason": printable(reason, REASON_LIMIT)})
    return store.save(work, account, after, fact, request), number


def tell_altered(work: Attempt, account: Account, request: Any) -> tuple[Account, int]:
    """Write the alarm of altered passkeys, before they are ended; the state after it, and how many there are."""
    work.need_lock()
    account, passkeys = held.compared(work, account, sealed.passkeys(work, account), request)
    return account, len(passkeys or ())


def ended(work: Attempt, account: Account, reason: str) -> Account:
    """Revoke every passkey of a user; the state that says so."""
    work.need_lock()
    if (table := sealed.passkey_table(work, account)) is not None:
        statement = sa.update(table).where(table.c.user_id == account.user_id, table.c.revoked_at.is_(None))
        work.write(statement.values(revoked_at=work.now, revoked_reason=printable(reason, REASON_LIMIT)))
    return account._replace(passkeys_digest=None)
