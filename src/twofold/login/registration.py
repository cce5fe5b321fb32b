"""Confirm a passkey: where it is the first factor of its user, everything that begins with one begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twofold import budget, proof
from twofold.account import answered, store
from twofold.account.attempt import Fact
from twofold.account.row import new_epoch
from twofold.backup_codes import factor as backup_codes
from twofold.kinds import Kind
from twofold.log_volume import noted
from twofold.outcomes import Registered
from twofold.passkeys import listing, registering
from twofold.passkeys.factor import means_of
from twofold.trusted_devices import endings

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.outcomes import UserId


def confirm(
    work: Attempt,
    user_id: UserId,
    credential: str,
    *,
    name: str | None = None,
    session: str | None = None,
    request: Any = None,
) -> Registered:
    """Take in the passkey that `passkeys.begin` asked for: the JSON text of what the browser brings.

    `name` is what its owner calls it; without it the browser's is taken. Where it is the user's first factor, every
    login is challenged from now on: backup codes are made and returned, once, and all trusted devices are revoked. The
    same credential once more, whose answer was lost, is answered the same again, without codes: `backup_codes.shown`
    gives them to its `session`. Raises EnrollmentExpired where none was asked for, or not for this `session` and user,
    Rejected for what does not hold, and for a passkey that is somebody's already, and TooManyPasskeys.
    """
    asked = registering.asked(work, user_id, credential, session, request)
    if asked.again is not None:
        passkey = registering.known(work, asked, request)
        after, line = noted(work, asked.account, Fact(Kind.ANSWER_REPEATED, details={"factor": "passkeys"}))
        saved = store.save(work, asked.account, after, line, request)
        given_at = asked.account.last_used_at
        return Registered(listing.one(work, passkey), (), proof.issue(work, user_id, saved, asked.again, given_at))
    made = registering.made(work, asked, request)
    means = means_of(is_synced=made.backup_eligible, user_verified=made.user_verified)
    seen, codes = asked.account, tuple[str, ...]()
    if not seen.is_enabled:
        seen = backup_codes.tell_altered(work, seen, request)
        seen = endings.tell_altered(work, seen, request)[0]
    seen, digest, passkey = registering.added(work, asked._replace(account=seen), made, name, request)
    known = answered.written(work.keyring, seen.user_id, asked.token.serial, means, credential)
    spent = max(seen.last_challenge, asked.token.serial)
    after = seen._replace(passkeys_digest=digest, last_challenge=spent, last_used_at=work.now, last_answer=known)
    details: dict[str, Any] = {"passkey": passkey.name, "is_synced": passkey.backup_state}
    if not after.is_enabled:
        after = budget.emptied(after)._replace(
            is_enabled=True,
            is_verified=True,
            pending_secret=None,
            pending_at=None,
            last_challenge=after.version,
            proofs_after=after.version,
            epoch=new_epoch(),
            enabled_at=work.now,
            disabled_at=None,
        )
        after, codes = backup_codes.replaced(work, after, session)
        after = endings.ended(work, after, "a passkey was set up")
        details["backup_codes"] = len(codes)
    saved = store.save(work, seen, after, Fact(Kind.PASSKEY_REGISTERED, details=details), request)
    return Registered(listing.one(work, passkey), codes, proof.issue(work, user_id, saved, means))
