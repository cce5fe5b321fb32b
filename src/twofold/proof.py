"""Proofs: that the second factor was given, and how long that counts.

Tests: `tests/test_login.py`, `tests/attacks/test_stale_proofs.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from twofold import tokens
from twofold.account import reading, store
from twofold.account.attempt import Fact
from twofold.errors import AlreadyEnrolled, Stale, UnknownUser
from twofold.kinds import Kind, Status
from twofold.log_volume import noted
from twofold.moments import CLOCKS_APART
from twofold.outcomes import Verified, factor_of, spelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import Means, UserId

Managing = Literal[
    "totp.begin",
    "totp.disable",
    "passkeys.begin",
    "passkeys.revoke",
    "disable",
    "backup_codes.regenerate",
    "trusted_devices.trust",
    "password_changed",
]
"""What only a fresh proof allows, by the names of the operations."""

# RFC 8176 has no word for a code on paper, so that one is private. A synced passkey is a key in software.
_AMR: dict[Means, tuple[str, ...]] = {
    "totp": ("pwd", "otp", "mfa"),
    "backup_codes": ("pwd", "backup_code", "mfa"),
    "passkeys": ("pwd", "hwk", "mfa"),
    "passkeys.user": ("pwd", "hwk", "user", "mfa"),
    "passkeys.synced": ("pwd", "swk", "mfa"),
    "passkeys.synced.user": ("pwd", "swk", "user", "mfa"),
}


def issue(work: Attempt, user_id: UserId, account: Account, means: Means, given_at: datetime | None = None) -> Verified:
    """Sign that the factor was given at that moment, or now, for the enrolment that is in force."""
    at, enabled_at = given_at or work.now, account.enabled_at or work.now
    token = tokens.ProofToken(user_id, means, at, enabled_at, account.version)
    return _verified(token, tokens.write_proof(work.keyring, token))


def _verified(read: tokens.ProofToken, token: str) -> Verified:
    return Verified(read.user_id, factor_of(read.means), read.at, _AMR[read.means], token)


def proof(work: Attempt, token: str, *, user_id: UserId | None = None, max_age: timedelta | None = None) -> Verified:
    """Read back the proof that `verify`, `reverify` or `confirm` gave, while it is younger than `max_age`.

    Give `user_id`, whoever is signed in: the proof of somebody else is Stale. A host may hold as text what the database
    holds as a number; it is the same user. The default age is TWOFOLD_PROOF_MAX_AGE. Raises Stale for a proof that is
    older, forged, of a user who is not there, or of a factor that was disabled, reset or replaced since, or given
    before the password was changed. A trusted device gives no proof (NIST SP 800-63B-4 §5.1). Read from the primary: a
    standby, which may not know yet of a changed password, is refused with DatabaseUnavailable.
    """
    read = tokens.read_proof(work.keyring, token)
    oldest = work.settings.proof_max_age if max_age is None else max_age
    if read is None or _is_out_of_time(work, read, oldest):
        raise Stale
    if user_id is not None and spelled(user_id) != spelled(read.user_id):
        raise Stale
    account = _found(reading.find_current, work, read)
    if account is None or _has_ended(read, account):
        raise Stale
    return _verified(read, token)


def beginner(
    work: Attempt, user_id: UserId, verified: Verified | None, operation: Managing, request: Any
) -> Account | None:
    """The row of a user who begins a factor, who proved the one in force a moment ago, where there is one.

    None for a user without a row. Raises AlreadyEnrolled without the proof, or for somebody else's, and Stale.
    """
    account = reading.find(work, user_id)
    if account is None or not account.is_enabled:
        return account
    if verified is None:
        raise AlreadyEnrolled
    account = fresh(work, verified, operation, request)
    if account.user_id != work.stored(user_id):
        raise AlreadyEnrolled
    return account


def fresh(work: Attempt, verified: Verified, operation: Managing, request: Any = None) -> Account:
    """The row of the user who proved the factor a moment ago. Raises Stale for everybody else.

    Only the signature of the token counts, not what else the caller put into the value. One that is genuine and does
    not allow this any more may be a stolen session's, so it leaves a line; one that is made up leaves none. Raises
    TypeError for what is no Verified, as a token out of a session is: `proof` turns it into one.
    """
    if not isinstance(verified, Verified):
        raise TypeError(f"verified is what verify, reverify, confirm or proof returned, not {type(verified).__name__}.")
    read = tokens.read_proof(work.keyring, verified.token)
    account = None if read is None else _found(reading.find, work, read)
    if read is None or account is None or read.user_id != verified.user_id:
        raise Stale
    if _has_ended(read, account):
        raise _refused(work, account, operation, "ended", request)
    if _is_out_of_time(work, read, work.settings.proof_max_age):
        raise _refused(work, account, operation, "out_of_time", request)
    return account


def _found(find: Callable[[Attempt, UserId], Account | None], work: Attempt, read: tokens.ProofToken) -> Account | None:
    """The row of the user whom a proof names; None where the user was deleted since, or is another tenant's."""
    try:
        return find(work, read.user_id)
    except UnknownUser:
        return None


def _is_out_of_time(work: Attempt, read: tokens.ProofToken, oldest: timedelta) -> bool:
    """Whether it was given too long ago, or at a moment that is still to come."""
    return not -CLOCKS_APART <= work.now - read.at <= oldest


def _has_ended(read: tokens.ProofToken, account: Account) -> bool:
    """Whether the factor, or the password, is another one since.

    What ends proofs is a number in the row; one above the row's version is of a row that was put back since.
    """
    is_standing = account.proofs_after < read.serial <= account.version
    return not (account.is_enabled and account.enabled_at == read.enabled_at and is_standing)


def _refused(
    work: Attempt, account: Account, operation: Managing, reason: Literal["ended", "out_of_time"], request: Any
) -> Stale:
    fact = Fact(Kind.MANAGEMENT_REFUSED, Status.REFUSED, {"operation": operation, "reason": reason})
    after, line = noted(work, account, fact)
    store.save(work, account, after, line, request)
    return Stale()
