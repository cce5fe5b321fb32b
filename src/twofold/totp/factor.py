"""TOTP of one user: begin, prove a secret that waits, judge and spend a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from twofold import budget, proof
from twofold.account import reading, store
from twofold.account.attempt import Fact
from twofold.account.row import Account, new_epoch
from twofold.errors import EnrollmentExpired, MissingKey, Reason, Tampered
from twofold.keyring import canonical
from twofold.kinds import Kind, Status
from twofold.log_volume import noted
from twofold.refusal import Spent, Unspent
from twofold.totp import algorithm
from twofold.totp.provisioning import Enrollment, base32, label, uri
from twofold.typed import one_form

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.account.attempt import Attempt
    from twofold.account.reading import Login
    from twofold.outcomes import UserId, Verified
    from twofold.settings import Settings


class Answer(NamedTuple):
    """A code of the app that somebody typed."""

    code: str

    @property
    def factor(self) -> Literal["totp"]:
        """Whose code it is."""
        return "totp"

    @property
    def is_guessable(self) -> bool:
        """Six digits can be guessed, so they wait while the budget says so."""
        return True

    def spend(
        self,
        work: Attempt,
        seen: Login,  # noqa: ARG002
        account: Account,
        challenge: int,
        request: Any,
    ) -> Spent | Unspent:
        """Judge the code; the state after its step was spent for that challenge, or why not."""
        step = judge(work, account, self.code, request)
        if isinstance(step, Reason):
            return Unspent(step, account)
        return Spent(spend(work, account, step, challenge), None, "totp")


def is_code(account: Account, code: object) -> bool:
    """Whether the user has an app, and this has the form of one of its codes."""
    return account.secret is not None and algorithm.is_code(code, _parameters(account))


def adopted(work: Attempt, account: Account, secret: bytes) -> Account:
    """The state with a secret of before Twofold in force, sealed."""
    return account._replace(secret=_seal(work, account, "secret", secret, _parameters(account)))


def judge(work: Attempt, account: Account, code: str, request: Any = None) -> int | Reason:
    """Compare a code with the secret in force; the step that it spends, or why it is not accepted.

    Nothing is written but the alarm of a key that is missing or a seal that is broken.
    """
    secret, parameters = _open(work, account, request)
    step = _match(work, secret, parameters, code)
    # RFC 6238 §5.2 asks for single use; refusing every older step as well closes the replay through the window.
    if isinstance(step, int) and account.last_used_step is not None and step <= account.last_used_step:
        ahead = account.last_used_step - algorithm.step_at(work.now.timestamp(), parameters)
        # A step that no code can be of now was accepted earlier: the clock stood further ahead then.
        return Reason.CLOCK_WENT_BACK if ahead > work.settings.window else Reason.CODE_ALREADY_USED
    return step


def spend(work: Attempt, account: Account, step: int, challenge: int) -> Account:
    """The state after the code was accepted, for that challenge: its step is used, the budget is whole again."""
    return budget.succeeded(account, step, challenge, work.now)


def begin(
    work: Attempt,
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
    one is confirmed; the day behind the new one's name keeps an app from overwriting the old one. With a `session`, a
    value that only this session of the host has, no other one can read or confirm the secret. Raises AlreadyEnrolled
    without `verified`, Stale where it is too old, UnknownUser.
    """
    account = proof.beginner(work, user_id, verified, "totp.begin", request)
    parameters = _new_parameters(work.settings)
    secret = algorithm.generate_secret(parameters.algorithm)
    before = account or Account(work.stored(user_id))
    after = before._replace(
        pending_secret=_seal(work, before, "pending_secret", secret, parameters, session),
        pending_at=work.now,
        setup_tries=0,
    )
    after, line = noted(work, after, Fact(Kind.TOTP_BEGUN, details={"replaces": True} if before.secret else {}))
    enrollment = _enrollment(work, after, secret, parameters, account_name)
    store.save(work, account, after, line, request)
    return enrollment


def pending(work: Attempt, user_id: UserId, *, account_name: str, session: str | None = None) -> Enrollment:
    """The secret that waits for confirmation, to be shown once more.

    Raises EnrollmentExpired where none does, or not for this `session`.
    """
    account = waiting(work, reading.find(work, user_id))
    secret, parameters = _open_pending(work, account, session)
    return _enrollment(work, account, secret, parameters, account_name)


def waiting(work: Attempt, account: Account | None) -> Account:
    """The row of a user whose secret waits for its confirmation. Raises EnrollmentExpired for everybody else."""
    if account is None or account.pending_secret is None or account.pending_at is None:
        raise EnrollmentExpired
    if work.now - account.pending_at > work.settings.enrollment_lifetime:
        raise EnrollmentExpired
    return account


def confirmed(work: Attempt, account: Account, code: str, session: str | None) -> Account | Reason:
    """The state with the secret that waits in force, proven by a code, which is spent; or why not.

    Raises EnrollmentExpired where the secret does not wait for this `session`.
    """
    secret, parameters = _open_pending(work, account, session)
    step = _match(work, secret, parameters, one_form(code))
    if isinstance(step, Reason):
        return step
    # A challenge or a proof of the factor before this one ends with it.
    return budget.emptied(spend(work, account, step, account.version))._replace(
        secret=_seal(work, account, "secret", secret, parameters),
        pending_secret=None,
        pending_at=None,
        setup_tries=0,
        last_answer=None,
        algorithm=parameters.algorithm,
        digits=parameters.digits,
        period=parameters.period,
        is_enabled=True,
        is_verified=True,
        proofs_after=account.version,
        epoch=new_epoch(),
        enabled_at=work.now,
        disabled_at=None,
    )


def resealed(work: Attempt, account: Account) -> Account:
    """The state with its secret sealed under the active key.

    A secret that waits may be bound to a session that only its owner has; it is left as it is, and dropped once
    expired.
    """
    secret = account.secret
    if secret is not None:
        secret = _seal(work, account, "secret", *_open(work, account))
    try:
        pending = waiting(work, account).pending_secret
    except EnrollmentExpired:
        pending = None
    return account._replace(secret=secret, pending_secret=pending)


def _match(work: Attempt, secret: bytes, parameters: algorithm.Parameters, code: str) -> int | Reason:
    if not algorithm.is_code(code, parameters):
        return Reason.MALFORMED
    now = algorithm.step_at(work.now.timestamp(), parameters)
    step = algorithm.matching_step(secret, code, step=now, window=work.settings.window, parameters=parameters)
    return Reason.WRONG_CODE if step is None else step


def _parameters(account: Account) -> algorithm.Parameters:
    return algorithm.Parameters(account.algorithm, account.digits, account.period)  # type: ignore[arg-type]


def _new_parameters(settings: Settings) -> algorithm.Parameters:
    return algorithm.Parameters(settings.algorithm, settings.digits, settings.period)


def _seal(
    work: Attempt,
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


def _open(work: Attempt, account: Account, request: Any = None) -> tuple[bytes, algorithm.Parameters]:
    parameters = _parameters(account)
    try:
        return work.keyring.open(account.secret or "", _context(account, "secret", parameters, None)), parameters
    except MissingKey:
        # Whoever asks guesses nothing, and may ask until the key is back.
        after, line = noted(work, account, Fact(Kind.KEY_MISSING, Status.ALARM))
        store.save(work, account, after, line, request)
        raise
    except Tampered:
        store.save(work, account, account, Fact(Kind.SEAL_BROKEN, Status.ALARM), request)
        raise


def _open_pending(work: Attempt, account: Account, session: str | None) -> tuple[bytes, algorithm.Parameters]:
    # It was sealed with the parameters of the settings and for one session; where either is another now, one begins
    # again.
    parameters = _new_parameters(work.settings)
    try:
        sealed = account.pending_secret or ""
        return work.keyring.open(sealed, _context(account, "pending_secret", parameters, session)), parameters
    except Tampered:
        raise EnrollmentExpired from None


def _enrollment(
    work: Attempt, account: Account, secret: bytes, parameters: algorithm.Parameters, account_name: str
) -> Enrollment:
    begun = account.pending_at or work.now
    name = label(account_name, _ending(account, begun))
    text = uri(secret, issuer=work.settings.issuer, account=name, parameters=parameters)
    expires_at = begun + work.settings.enrollment_lifetime
    return Enrollment(base32(secret), text, expires_at, name or work.settings.issuer, *parameters)


def _ending(account: Account, begun: datetime) -> str:
    """What tells the account in the app from the one that is in force: some apps have one entry for each name.

    The day; and the time of day where the one in force is of the same day, and may be called so already.
    """
    if account.secret is None:
        return ""
    is_of_today = account.enabled_at is not None and account.enabled_at.date() == begun.date()
    return f" ({begun:%Y-%m-%d %H.%M})" if is_of_today else f" ({begun:%Y-%m-%d})"
