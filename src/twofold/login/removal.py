"""Remove passkeys: the trust of browsers ends with them, since whoever holds one may have given it.

Tests: `tests/passkeys/test_story.py`, `tests/attacks/test_passkeys.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twofold.passkeys import endings as passkeys
from twofold.trusted_devices import endings as devices

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.outcomes import Verified


def revoke(
    work: Attempt,
    verified: Verified,
    passkey_id: int,
    *,
    reason: str = "revoked by its owner",
    request: Any = None,
) -> bool:
    """Revoke one passkey of the user who proved a factor a moment ago. False where there is none of this id.

    Sessions of before end (`status.epoch`), and so does the trust of every device: one of them may be that of whoever
    has the passkey now. Raises LastFactor where no app and no other passkey could answer after it, Stale, TypeError for
    what is no int, and Tampered, with an alarm, where the passkeys are not what the user's row says: then `revoke_all`,
    or `mfa.disable`, ends them.
    """
    account = passkeys.revoked(work, verified, passkey_id, reason, request)
    if account is None:
        return False
    devices.distrusted(work, account, "a passkey was revoked", request)
    return True


def revoke_all(
    work: Attempt, verified: Verified, *, reason: str = "revoked by their owner", request: Any = None
) -> int:
    """Revoke every passkey of a user whose app goes on; return how many there were. What was altered ends, too.

    Sessions of before and the trust of every device end, as with `revoke`. Raises LastFactor for a user without an app:
    `mfa.disable` ends everything. Raises Stale.
    """
    account, number = passkeys.all_revoked(work, verified, reason, request)
    if account is not None:
        devices.distrusted(work, account, "the passkeys were revoked", request)
    return number
