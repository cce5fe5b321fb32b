"""TOTP of one user: begin, confirm, judge a code, disable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from twofold import account as accounts
from twofold import proof, trusted_devices
from twofold.account import Account, Fact, Work
from twofold.backup_codes import factor as backup_codes
from twofold.budget import remaining
from twofold.errors import AlreadyEnrolled, EnrollmentExpired, MissingKey, Reason, Tampered
from twofold.events.kinds import Kind, Status
from twofold.outcomes import Enrolled
from twofold.refusal import refuse
from twofold.totp import algorithm
from twofold.totp.provisioning import Enrollment, base32, uri

if TYPE_CHECKING:
    from twofold.outcomes import UserId, Verified
    from twofold.settings import Settings


@dataclass(frozen=True, slots=True)
class Match:
    """A code that is right and unused: the step that it spends."""

    step: int


def judge(work: Work, account: Account, code: str, *, pending: bool = False, request: Any = None) -> Match | Reason:
    """Compare a code with the secret in force, or with the pending one.

    Nothing is written but the alarm of a key that is missing or a seal that is broken.
    """
    secret, parameters = _open(work, account, pending=pending, request=request)
    if not algorithm.is_code(code, parameters):
        return Reason.WRONG_CODE
    step = algorithm.matching_step(
        secret,
        code,
        step=algorithm.step_at(work.now.timestamp(), parameters),
        window=work.settings.window,
        parameters=parameters,
    )
    if step is None:
        return Reason.WRONG_CODE
    # RFC 6238 §5.2 asks for single use; refusing every older step as well closes the replay through the window.
    if not pending and account.last_used_step is not None and step <= account.last_used_step:
        return Reason.CODE_ALREADY_USED
    return Match(step)


def spend(work: Work, account: Account, match: Match) -> Account:
    """The state after the code was accepted: its step is used, the budget is whole again."""
    return replace(
        account,
        last_used_step=match.step,
        last_used_at=work.now,
        failed_attempts=0,
        last_failed_at=None,
        locked_until=None,
    )


def begin(
    work: Work, user_id: UserId, *, account_name: str, verified: Verified | None = None, request: Any = None
) -> Enrollment:
    """Start an enrolment: make a secret that waits for its confirmation. It has no effect until then.

    `account_name` is what the app shows beside the issuer, as `ada@example.com`. Beginning again replaces the waiting
    secret. A user with a confirmed factor passes a fresh `verified`, and the old secret stays in force until the new
    one is confirmed. Raises AlreadyEnrolled without it, Stale where it is too old, UnknownUser.
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
    after = replace(
        before, pending_secret=_seal(work, before, "pending_secret", secret, parameters), pending_at=work.now
    )
    fact = Fact(Kind.TOTP_BEGUN, details={"replaces": True} if before.is_enabled else {})
    accounts.save(work, account, after, fact, request)
    return _enrollment(work, after, secret, parameters, account_name)


def pending(work: Work, user_id: UserId, *, account_name: str) -> Enrollment:
    """The secret that waits for confirmation, to be shown once more. Raises EnrollmentExpired where none does."""
    account = _waiting(work, accounts.find(work, user_id))
    secret, parameters = _open(work, account, pending=True)
    return _enrollment(work, account, secret, parameters, account_name)


def confirm(work: Work, user_id: UserId, code: str, *, request: Any = None) -> Enrolled:
    """Prove that the app has the secret, with a code. From now on every login is challenged.

    The code is spent. Backup codes are made and returned, once; all trusted devices are revoked. Raises Rejected for
    a wrong code, which counts, and EnrollmentExpired where no secret waits.
    """
    account = _waiting(work, accounts.find(work, user_id))
    if remaining(account.locked_until, work.now):
        raise refuse(work, account, Reason.WAITING, "enrollment", request=request)
    match judge(work, account, code, pending=True, request=request):
        case Reason() as reason:
            raise refuse(work, account, reason, "enrollment", request=request)
        case Match() as match:
            pass
    secret, parameters = _open(work, account, pending=True)
    after = replace(
        spend(work, account, match),
        secret=_seal(work, account, "secret", secret, parameters),
        pending_secret=None,
        pending_at=None,
        algorithm=parameters.algorithm,
        digits=parameters.digits,
        period=parameters.period,
        is_enabled=True,
        is_verified=True,
        # A challenge or a proof of the factor before this one ends with it.
        last_challenge=account.event_count,
        enabled_at=work.now,
        disabled_at=None,
    )
    codes, replacing = backup_codes.new_batch(work, after)
    revoking = trusted_devices.revoking_all(work, after, "the authenticator app was set up")
    details = {"backup_codes": len(codes), "replaced": account.is_enabled}
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
    """The state with its secrets sealed under the active key."""
    secret = account.secret and _seal(work, account, "secret", *_open(work, account, pending=False))
    waiting = account.pending_secret
    if waiting is not None:
        try:
            waiting = _seal(work, account, "pending_secret", *_open(work, account, pending=True))
        except EnrollmentExpired:
            waiting = None
    return replace(account, secret=secret, pending_secret=waiting)


def _waiting(work: Work, account: Account | None) -> Account:
    if account is None or account.pending_secret is None or account.pending_at is None:
        raise EnrollmentExpired
    if work.now - account.pending_at > work.settings.enrollment_lifetime:
        raise EnrollmentExpired
    return account


def _new_parameters(settings: Settings) -> algorithm.Parameters:
    return algorithm.Parameters(settings.algorithm, settings.digits, settings.period)


def _seal(work: Work, account: Account, column: str, secret: bytes, parameters: algorithm.Parameters) -> str:
    return work.keyring.seal(secret, _context(account, column, parameters))


def _context(account: Account, column: str, parameters: algorithm.Parameters) -> bytes:
    return account.context(column, algorithm=parameters.algorithm, digits=parameters.digits, period=parameters.period)


def _open(work: Work, account: Account, *, pending: bool, request: Any = None) -> tuple[bytes, algorithm.Parameters]:
    if pending:
        # A pending secret was sealed with the parameters of the settings; if those have changed since, one begins
        # again.
        column, sealed, parameters = "pending_secret", account.pending_secret, _new_parameters(work.settings)
    else:
        parameters = algorithm.Parameters(account.algorithm, account.digits, account.period)  # type: ignore[arg-type]
        column, sealed = "secret", account.secret
    try:
        return work.keyring.open(sealed or "", _context(account, column, parameters)), parameters
    except MissingKey:
        accounts.save(work, account, account, Fact(Kind.KEY_MISSING, Status.ALARM), request)
        raise
    except Tampered:
        if pending:
            raise EnrollmentExpired from None
        accounts.save(work, account, account, Fact(Kind.SEAL_BROKEN, Status.ALARM), request)
        raise


def _enrollment(
    work: Work, account: Account, secret: bytes, parameters: algorithm.Parameters, account_name: str
) -> Enrollment:
    text = uri(secret, issuer=work.settings.issuer, account=account_name, parameters=parameters)
    return Enrollment(base32(secret), text, (account.pending_at or work.now) + work.settings.enrollment_lifetime)
