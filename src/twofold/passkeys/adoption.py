"""Bring a passkey along from a table that a host made by hand, so that nobody has to register again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twofold import base64url
from twofold.account import reading, sealed, store
from twofold.account.attempt import Fact
from twofold.account.row import Account, new_epoch
from twofold.browsers import given
from twofold.errors import Reason, Rejected
from twofold.kinds import Kind
from twofold.naming import checked
from twofold.passkeys import ceremony, held, listing
from twofold.passkeys.registering import is_somebodys, written
from twofold.passkeys.relying_party import RelyingParty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.outcomes import Passkey, UserId


def adopt(
    work: Attempt,
    user_id: UserId,
    *,
    credential_id: bytes,
    public_key: bytes,
    user_handle: bytes,
    can_sync: bool,
    name: str,
    sign_count: int = 0,
    is_synced: bool = False,
    transports: Sequence[str] = (),
    request: Any = None,
) -> Passkey:
    """Take over a passkey that was registered elsewhere, for the domain of TWOFOLD_RP_ID. Every login asks from now on.

    `credential_id` and `user_handle` are the raw bytes, `public_key` is in COSE (RFC 9052 §7), `sign_count` the counter
    of the last answer, `can_sync` its flag BE and `is_synced` its flag BS. `name` is 1 to 64 characters. The same one
    once more, for the same user, changes nothing. Nobody has proven anything by this, so it makes no backup codes.
    Raises ValueError for what is no such passkey, Rejected where it is somebody else's or was revoked, UnknownUser, and
    Tampered where the user's passkeys were altered.
    """
    if not 0 <= sign_count < 2**32 or not 0 < len(credential_id) <= 1023 or not 0 < len(user_handle) <= 64:
        raise ValueError("A counter has 32 bits, an id 1 to 1023 bytes, and a user handle 1 to 64 (WebAuthn Level 3).")
    party, called = RelyingParty.required(work.settings), given(checked(name))
    try:
        algorithm = ceremony.algorithm_of(public_key)
    except ceremony.Refused as error:
        raise ValueError(f"public_key is no key of a passkey: {error}.") from None
    account = reading.find(work, user_id)
    before = account or Account(work.stored(user_id))
    before, others = held.required(work, before, request)
    keys = held.keys(work.keyring, party.id, credential_id)
    if (mine := next((one for one in others if one.credential_key in keys), None)) is not None:
        return listing.one(work, mine)
    if is_somebodys(work, party.id, credential_id):
        raise Rejected(Reason.PASSKEY_REFUSED)
    made = ceremony.Made(
        credential_id=credential_id,
        public_key=public_key,
        algorithm=algorithm,
        sign_count=sign_count,
        backup_eligible=can_sync,
        backup_state=is_synced,
        user_verified=False,
        transports=ceremony.transports(list(transports)),
        aaguid=None,
        attestation_format=None,
    )
    passkey = written(work, before, party.id, base64url.written(user_handle), made, called)
    after = before._replace(passkeys_digest=sealed.passkeys_digest([*others, passkey]))
    if not before.is_enabled:
        # An app whose set-up was begun without a factor is not confirmed beside one.
        after = after._replace(is_enabled=True, is_verified=True, pending_secret=None, pending_at=None)
        after = after._replace(enabled_at=work.now, disabled_at=None)
        after = after._replace(last_challenge=before.version, proofs_after=before.version, epoch=new_epoch())
    details = {"passkey": passkey.name, "is_synced": is_synced, "adopted": True}
    store.save(work, account, after, Fact(Kind.PASSKEY_REGISTERED, details=details), request)
    return listing.one(work, passkey)
