"""TOTP of one user: begin, confirm, judge a code, disable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from twofold import account as accounts
from twofold import proof, trusted_devices
from twofold.account import Fact, Work
from twofold.backup_codes import factor as backup_codes
from twofold.budget import remaining
from twofold.errors import AlreadyEnrolled, EnrollmentExpired, MissingKey, Reason, Tampered
from twofold.events.kinds import Kind, Status
from twofold.keyring import canonical
from twofold.outcomes import Enrolled
from twofold.refusal import refuse
from twofold.state import Account
from twofold.totp import algorithm
from twofold.totp.provisioning import Enrollment, base32, uri

if TYPE_CHECKING:
    from twofold.outcomes import UserId, Verified
    from twofold.settings import Settings


class Match(NamedTuple):
    """A code that is right and unused: the step that it spends."""

    step: int


def is_code(account: Account, code: object) -> bool:
    """Whether this has the form of a code of the user's app."""
    return algorithm.is_code(code, _parameters(account))


def adopted(work: Work, account: Account, secret: bytes) -> Account:
    """The state with a secret of before Twofold in force, sealed."""
    return account._replace(secret=_seal(work, account, "secret", secret, _parameters(account)))


def judge(work: Work, account: Account, code: str, request: Any = None) -> Match | Reason:
    """Compare a code with the secret in force.

    Nothing is written but the alarm of a key that is missing or a seal that is broken.
    """
    secret, parameters = _open(work, account, request)
    match = _match(work, secret, parameters, code)
    # RFC 6238 §5.2 asks for single use; refusing every older step as well closes the replay through the window.
    if isinstance(match, Match) and account.last_used_step is not None and match.step <= account.last_used_step:
        ahead = account.last_used_step - algorithm.step_at(work.now.timestamp(), parameters)
        # A step that no code can be of now was accepted earlier: the clock stood further ahead then.
        return Reason.CLOCK_WENT_BACK if ahead > work.settings.window else Reason.CODE_ALREADY_USED
    return match


def spend(work: Work, account: Account, match: Match, challenge: int) -> Account:
    """The state after the code was accepted, for that challenge: its step is used, the budget is whole again."""
    return account._replace(
        last_used_step=match.step,
        last_challenge=challenge,
        last_used_at=work.now,
        failed_attempts=0,
        last_failed_at=None,
        locked_until=None,
    )


def begin(
    work: Work,
    user_id: UserId,
    *,
    account_name: str,
    verified: Verified | None = None,
    session: str | None = None,
    request: Any = None,
) -> Enrollment:
    """Start an enrolment: make a secret that waits for its confirmation. It has no effect until then.

    `account_name` is what the app shows beside the issuer, as `ada@example.com`. Beginning again replaces the waiting
    secret. A user with a confirmed factor passes a fresh `verified`, and the old secret stays in force until the new
    one is confirmed. With a `session`, a value that only this session of the host has, no other one can read or
    confirm the secret. Raises AlreadyEnrolled without `verified`, Stale where it is too old, UnknownUser.
    """
    account = accounts.find(work, user_id)
    if account and account.is_enabled:
        if verified is None:
            raise AlreadyEnrolled
        account = proof.fresh(work, verified)
        if account.user_id != work.schema.stored(user_id):
            raise AlreadyEnrolled
    parameters = _new_parameters(work.settings)
    secret = algorithm.generate_secret(parameters.algorithm)
    before = account or Account(work.schema.stored(user_id))
    after = before._replace(
        pending_secret=_seal(work, before, "pending_secret", secret, parameters, session), pending_at=work.now
    )
    fact = Fact(Kind.TOTP_BEGUN, details={"replaces": True} if before.is_enabled else {})
    enrollment = _enrollment(work, after, secret, parameters, account_name)
    accounts.save(work, account, after, fact, request)
    return enrollment


def pending(work: Work, user_id: UserId, *, account_name: str, session: str | None = None) -> Enrollment:
    """The secret that waits for confirmation, to be shown once more.

    Raises EnrollmentExpired where none does, or not for this `session`.
    """
    account = _waiting(work, accounts.find(work, user_id))
    secret, parameters = _open_pending(work, account, session)
    return _enrollment(work, account, secret, parameters, account_name)


def confirm(work: Work, user_id: UserId, code: str, *, session: str | None = None, request: Any = None) -> Enrolled:
    """Prove that the app has the secret, with a code. From now on every login is challenged.

    The code is spent. Backup codes are made and returned, once; all trusted devices are revoked. Raises Rejected for
    a wrong code, which counts, and EnrollmentExpired where no secret waits, or not for this `session`.
    """
    account = _waiting(work, accounts.find(work, user_id))
    if remaining(account.locked_until, work.now):
        raise refuse(work, account, Reason.WAITING, "enrollment", request=request)
    secret, parameters = _open_pending(work, account, session)
    match = _match(work, secret, parameters, code)
    if isinstance(match, Reason):
        raise refuse(work, account, match, "enrollment", request=request)
    # A challenge or a proof of the factor before this one ends with it.
    after = spend(work, account, match, account.event_count)._replace(
        secret=_seal(work, account, "secret", secret, parameters),
        pending_secret=None,
        pending_at=None,
        algorithm=parameters.algorithm,
        digits=parameters.digits,
        period=parameters.period,
        is_enabled=True,
        is_verified=True,
        enabled_at=work.now,
        disabled_at=None,
    )
    codes, replacing = backup_codes.new_batch(work, after)
    revoking = trusted_devices.revoking_all(work, after, "the authenticator app was set up")
    details = backup_codes.issuing(work, after, codes) | {"replaced": account.is_enabled}
    saved = accounts.save(
        work, account, after, Fact(Kind.TOTP_CONFIRMED, details=details), request, (*replacing, *revoking)
    )
    return Enrolled(codes, proof.issue(work, user_id, saved, "totp"))


def disable(work: Work, verified: Verified, *, request: Any = None) -> None:
    """End the second factor of the user who proved it a moment ago: secret, backup codes and trusted devices go.

    Raises Stale where `verified` is too old.
    """
    account = proof.fresh(work, verified)
    ended, also = ending(work, account, "the second factor was turned off")
    accounts.save(work, account, ended, Fact(Kind.TOTP_DISABLED), request, also)


def ending(work: Work, account: Account, reason: str) -> tuple[Account, accounts.Also]:
    """The state without any factor, and the statements that remove backup codes and revoke devices."""
    ended = Account(
        user_id=account.user_id,
        last_used_step=account.last_used_step,
        last_challenge=account.event_count,
        last_used_at=account.last_used_at,
        event_count=account.event_count,
        event_head=account.event_head,
        enabled_at=account.enabled_at,
        disabled_at=work.now,
    )
    return ended, (*backup_codes.deleting_all(work, account), *trusted_devices.revoking_all(work, account, reason))


def resealed(work: Work, account: Account) -> Account:
    """The state with its secret sealed under the active key.

    A secret that waits may be bound to a session that only its owner has; it is left as it is, and dropped once
    expired.
    """
    secret = account.secret
    if secret is not None:
        secret = _seal(work, account, "secret", *_open(work, account))
    try:
        waiting = _waiting(work, account).pending_secret
    except EnrollmentExpired:
        waiting = None
    return account._replace(secret=secret, pending_secret=waiting)


def _waiting(work: Work, account: Account | None) -> Account:
    if account is None or account.pending_secret is None or account.pending_at is None:
        raise EnrollmentExpired
    if work.now - account.pending_at > work.settings.enrollment_lifetime:
        raise EnrollmentExpired
    return account


def _match(work: Work, secret: bytes, parameters: algorithm.Parameters, code: str) -> Match | Reason:
    if not algorithm.is_code(code, parameters):
        return Reason.WRONG_CODE
    now = algorithm.step_at(work.now.timestamp(), parameters)
    step = algorithm.matching_step(secret, code, step=now, window=work.settings.window, parameters=parameters)
    return Reason.WRONG_CODE if step is None else Match(step)


def _parameters(account: Account) -> algorithm.Parameters:
    return algorithm.Parameters(account.algorithm, account.digits, account.period)  # type: ignore[arg-type]


def _new_parameters(settings: Settings) -> algorithm.Parameters:
    return algorithm.Parameters(settings.algorithm, settings.digits, settings.period)


def _seal(
    work: Work,
    account: Account,
    column: str,
    secret: bytes,
    parameters: algorithm.Parameters,
    session: str | None = None,
) -> str:
    return work.keyring.seal(secret, _context(account, column, parameters, session))


def _context(account: Account, column: str, parameters: algorithm.Parameters, session: str | None) -> bytes:
    """Where a secret belongs; sealed with it, it opens nowhere else."""
    return canonical(
        "user_mfa_secrets",
        column,
        account.user_id,
        parameters.algorithm,
        parameters.digits,
        parameters.period,
        session,
    )


def _open(work: Work, account: Account, request: Any = None) -> tuple[bytes, algorithm.Parameters]:
    parameters = _parameters(account)
    try:
        return work.keyring.open(account.secret or "", _context(account, "secret", parameters, None)), parameters
    except MissingKey:
        accounts.save(work, account, account, Fact(Kind.KEY_MISSING, Status.ALARM), request)
        raise
    except Tampered:
        accounts.save(work, account, account, Fact(Kind.SEAL_BROKEN, Status.ALARM), request)
        raise


def _open_pending(work: Work, account: Account, session: str | None) -> tuple[bytes, algorithm.Parameters]:
    # It was sealed with the parameters of the settings and for one session; where either is another now, one begins
    # again.
    parameters = _new_parameters(work.settings)
    try:
        sealed = account.pending_secret or ""
        return work.keyring.open(sealed, _context(account, "pending_secret", parameters, session)), parameters
    except Tampered:
        raise EnrollmentExpired from None


def _enrollment(
    work: Work, account: Account, secret: bytes, parameters: algorithm.Parameters, account_name: str
) -> Enrollment:
    text = uri(secret, issuer=work.settings.issuer, account=account_name, parameters=parameters)
    return Enrollment(base32(secret), text, (account.pending_at or work.now) + work.settings.enrollment_lifetime)
