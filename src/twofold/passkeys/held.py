"""The passkeys that a user holds: found again by their ids, opened, and named to a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from twofold.account import sealed, store
from twofold.errors import MissingKey, Tampered
from twofold.keyring import canonical
from twofold.passkeys.relying_party import descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.account.statements import HeldPasskey
    from twofold.keyring import Keyring
    from twofold.outcomes import UserId
    from twofold.passkeys.relying_party import RelyingParty


class Passkeys(NamedTuple):
    """The passkeys that are not revoked, and the state after an alarm; None where they are not what the row says."""

    account: Account
    held: Sequence[HeldPasskey] | None


def compared(work: Attempt, account: Account, passkeys: Sequence[HeldPasskey] | None, request: Any) -> Passkeys:
    """Compare passkeys with what the user's row says of them, and tell of those that were altered."""
    comparison = sealed.compared_passkeys(work, account, passkeys)
    if passkeys is not None and comparison.is_intact:
        return Passkeys(account, passkeys)
    return Passkeys(store.alarm(work, account, "mfa_passkeys", comparison, request), None)


def required(work: Attempt, account: Account, request: Any) -> tuple[Account, Sequence[HeldPasskey]]:
    """Read the passkeys, to change one among them. Raises Tampered, with an alarm, where they were altered."""
    account, passkeys = compared(work, account, sealed.passkeys(work, account), request)
    if passkeys is None:
        raise Tampered("The passkeys of this user were changed outside Twofold; end them with revoke_all or disable.")
    return account, passkeys


def keys(keyring: Keyring, rp_id: str, credential_id: bytes) -> tuple[str, ...]:
    """What `credential_key` of a passkey may hold, the one under the active key first."""
    return keyring.macs("passkeys", canonical("passkey", rp_id, credential_id))


class Sealed(NamedTuple):
    """What a row holds of a passkey's id and key: it opens in no other user's row, and the key beside no other id."""

    credential_key: str
    credential_id: str
    public_key: str

    @classmethod
    def of(cls, keyring: Keyring, user_id: UserId, rp_id: str, credential_id: bytes, public_key: bytes) -> Sealed:
        """Seal both under the active key."""
        return cls(
            keys(keyring, rp_id, credential_id)[0],
            keyring.seal(credential_id, _context("credential_id", user_id, rp_id)),
            keyring.seal(public_key, _context("public_key", user_id, rp_id, credential_id)),
        )


def credential_id(work: Attempt, account: Account, passkey: HeldPasskey) -> bytes:
    """Open the id that browsers know a passkey by. Raises MissingKey, and Tampered."""
    return work.keyring.open(passkey.credential_id, _context("credential_id", account.user_id, passkey.rp_id))


def public_key(work: Attempt, account: Account, passkey: HeldPasskey, credential_id: bytes) -> bytes:
    """Open the public key of the passkey that has this id. Raises MissingKey, and Tampered."""
    context = _context("public_key", account.user_id, passkey.rp_id, credential_id)
    return work.keyring.open(passkey.public_key, context)


def resealed(work: Attempt, account: Account, passkey: HeldPasskey) -> HeldPasskey:
    """The passkey as the active key would have written it. Raises MissingKey, and Tampered."""
    raw = credential_id(work, account, passkey)
    key = public_key(work, account, passkey, raw)
    return passkey._replace(**Sealed.of(work.keyring, account.user_id, passkey.rp_id, raw, key)._asdict())


def descriptors(work: Attempt, account: Account, passkeys: Iterable[HeldPasskey]) -> list[dict[str, Any]]:
    """How a browser is told of these. One whose key is missing now is left out: the others can answer."""
    named: list[dict[str, Any]] = []
    for passkey in passkeys:
        try:
            named.append(descriptor(credential_id(work, account, passkey), passkey.transports))
        except (MissingKey, Tampered):
            continue
    return named


def usable(party: RelyingParty | None, passkeys: Iterable[HeldPasskey]) -> list[HeldPasskey]:
    """Those that may answer a challenge now: of the domain that is asked for, and not suspended."""
    if party is None:
        return []
    return [passkey for passkey in passkeys if passkey.rp_id == party.id and passkey.suspended_at is None]


def _context(column: str, user_id: UserId, rp_id: str, credential_id: bytes | None = None) -> bytes:
    return canonical("mfa_passkeys", column, user_id, rp_id, credential_id)
