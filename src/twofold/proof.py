"""Proofs: that the second factor was given, and how long that counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twofold import tokens
from twofold.account import store
from twofold.errors import Stale
from twofold.outcomes import Verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import Factor, UserId

# The processes of one deployment may disagree by so much; a proof of a later moment is none.
_CLOCKS_APART = timedelta(minutes=1)

# RFC 8176 has no word for a code on paper, so that one is private.
_AMR: dict[Factor, tuple[str, ...]] = {"totp": ("pwd", "otp", "mfa"), "backup_codes": ("pwd", "backup_code", "mfa")}


def issue(work: Attempt, user_id: UserId, account: Account, factor: Factor) -> Verified:
    """Sign that the factor was given now, for the enrolment that is in force."""
    enabled_at = account.enabled_at or work.now
    token = tokens.ProofToken(user_id, factor, work.now, enabled_at, account.version)
    signed = tokens.write_proof(work.keyring, token)
    return Verified(user_id, factor, work.now, _AMR[factor], signed)


def proof(work: Attempt, token: str, *, max_age: timedelta | None = None) -> Verified:
    """Read back the proof that `verify`, `reverify` or `confirm` gave, while it is younger than `max_age`.

    The default age is TWOFOLD_PROOF_MAX_AGE. Raises Stale for a proof that is older, forged, or of a factor that was
    disabled, reset or replaced since, or given before the password was changed. A trusted device gives no proof (NIST
    SP 800-63B-4 §5.1). Read from the primary: a standby, which may not know yet of a changed password, is refused with
    DatabaseUnavailable.
    """
    return _read(work, token, max_age, store.find_current)[1]


def fresh(work: Attempt, verified: Verified) -> Account:
    """The row of the user who proved the factor a moment ago. Raises Stale for everybody else.

    Only the signature of the token counts, not what else the caller put into the value. Raises TypeError for what is no
    Verified, as a token out of a session is: `proof` turns it into one.
    """
    if not isinstance(verified, Verified):
        raise TypeError(f"verified is what verify, reverify, confirm or proof returned, not {type(verified).__name__}.")
    account, proven = _read(work, verified.token, None, store.find)
    if proven.user_id != verified.user_id:
        raise Stale
    return account


def _read(
    work: Attempt,
    token: str,
    max_age: timedelta | None,
    find: Callable[[Attempt, UserId], Account | None],
) -> tuple[Account, Verified]:
    read = tokens.read_proof(work.keyring, token)
    if read is None:
        raise Stale
    age = work.now - read.at
    if age < -_CLOCKS_APART or age > (work.settings.proof_max_age if max_age is None else max_age):
        raise Stale
    account = find(work, read.user_id)
    if account is None or not account.is_enabled:
        raise Stale
    # What ends proofs is a number in the row; one above the row's version is of a row that was put back since.
    is_standing = account.proofs_after < read.serial <= account.version
    if account.enabled_at != read.enabled_at or not is_standing:
        raise Stale
    return account, Verified(read.user_id, read.factor, read.at, _AMR[read.factor], token)
