"""The story of a login: whether a second factor is needed, and whether it was given."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from twofold import proof as proofs
from twofold import tokens
from twofold.account import answered, reading, store
from twofold.account.attempt import Fact
from twofold.budget import Budget
from twofold.errors import ConfigurationError, NotEnrolled, Reason, Rejected, UnknownUser
from twofold.kinds import Kind
from twofold.log_volume import noted
from twofold.login import factors
from twofold.outcomes import Challenge, Cleared, UserId, Verified, factor_of
from twofold.passkeys import asking
from twofold.refusal import Unspent, clock_set_right, refuse
from twofold.trusted_devices import endings
from twofold.trusted_devices.recognition import recognize
from twofold.trusted_devices.series import is_token

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import Factor, Means
    from twofold.refusal import Occasion
    from twofold.trusted_devices.recognition import Untrusted


def challenge(
    work: Attempt, user_id: UserId, *, device_token: str | None = None, request: Any = None
) -> Challenge | Cleared:
    """Ask, after the first factor, whether a second one is needed.

    Returns a Challenge, whose token is answered with `verify`; or Cleared, which is falsy, for a user who is not
    enrolled and for a trusted device, whose rotated token then goes back into its cookie. Raises UnknownUser.
    """
    is_read = is_token(device_token) and work.settings.device_limit > 0
    token = device_token if is_read else None
    seen = reading.read_login(work, user_id, None if token is None else "devices")
    account = seen.account
    if account is None:
        return Cleared(user_id, "not_enrolled")
    if not account.is_enabled:
        after, fact = noted(work, account, Fact(Kind.CLEARED, details={"because": "not_enrolled"}))
        store.save(work, account, after, fact, request)
        return Cleared(user_id, "not_enrolled")
    untrusted = None
    if token is not None:
        recognition = recognize(work, user_id, account, seen.devices, token, request)
        if recognition.is_trusted:
            return Cleared(user_id, "trusted_device", recognition.device)
        account, untrusted = recognition.account, recognition.untrusted
    account, usable = asking.usable(work, account, seen.passkeys, request)
    after, fact = noted(work, account, _asked(untrusted))
    issued = store.save(work, account, after, fact, request)
    expires_at = work.now + work.settings.challenge_lifetime
    signed = tokens.ChallengeToken(user_id, issued.version, expires_at, account.enabled_at)
    token = tokens.write_challenge(work.keyring, signed)
    options = usable.options(work, account, token)
    has: dict[Factor, bool] = {
        "passkeys": options is not None,
        "totp": account.secret is not None,
        "backup_codes": seen.has_codes,
    }
    return Challenge(user_id, token, tuple(factor for factor in has if has[factor]), expires_at, options)


_CHALLENGED = Fact(Kind.CHALLENGED)


def _asked(untrusted: Untrusted | None) -> Fact:
    """The line of a challenge; where the browser brought a token, it says why that was not enough."""
    if untrusted is None:
        return _CHALLENGED
    device, details = untrusted.device, {"untrusted": untrusted.why}
    if device is None:
        return Fact(Kind.CHALLENGED, details=details)
    named = details | {"device": device.device_name or "A browser"}
    return Fact(Kind.CHALLENGED, details=named, device_fingerprint=device.device_fingerprint)


def verify(work: Attempt, challenge_token: str, code: str, *, request: Any = None) -> Verified:
    """Answer a challenge with a code of the app, a backup code, or the JSON of what a passkey signed.

    By being accepted, the code and the challenge are spent. Raises Rejected for everything else; a wrong code counts
    against the user's budget.
    """
    read, seen, account = asked(work, challenge_token, code, request)
    # Whoever was erased begins with the number one again, so the number alone does not name a challenge.
    is_live = account.last_challenge < read.serial <= account.version and account.enabled_at == read.enabled_at
    if not is_live or read.expires_at <= work.now:
        raise refuse(work, account, Reason.CHALLENGE_EXPIRED, "login", about=read.serial, request=request)
    return _prove(work, read.user_id, account, seen, code, "login", request, challenge=read.serial)


def asked(
    work: Attempt, challenge_token: str, code: str, request: Any
) -> tuple[tokens.ChallengeToken, reading.Login, Account]:
    """A challenge, the row of the user whom it asks, and what is read with it to judge this code.

    Raises Rejected where it says nothing about today, or there is nobody any more to be asked.
    """
    read = tokens.read_challenge(work.keyring, challenge_token)
    if read is None or read.expires_at + work.settings.challenge_lifetime <= work.now:
        # A token of long ago says nothing about today, and would only let its holder fill the log.
        raise Rejected(Reason.CHALLENGE_EXPIRED)
    try:
        seen = _seen(work, read.user_id, code)
    except UnknownUser:
        # The user was deleted in the middle of the login.
        raise Rejected(Reason.NOT_ENROLLED) from None
    account = seen.account
    if account is None:
        raise Rejected(Reason.NOT_ENROLLED)
    if not account.is_enabled:
        raise refuse(work, account, Reason.NOT_ENROLLED, "login", request=request)
    return read, seen, account


def require_counting(work: Attempt) -> None:
    """Raise ConfigurationError where the caller could take back that a guess was made."""
    if not work.may_guess:
        raise ConfigurationError(
            "A failure that the caller can roll back does not count; verify outside of within(), or say may_guess=True."
        )


def reverify(work: Attempt, user_id: UserId, code: str, *, request: Any = None) -> Verified:
    """Ask for a code in a live session, before something sensitive; or for what a passkey signed (`passkeys.ask`).

    Raises Rejected, and NotEnrolled without a factor.
    """
    seen = _seen(work, user_id, code)
    account = seen.account
    if account is None or not account.is_enabled:
        raise NotEnrolled
    # In a session that is open no challenge is spent.
    return _prove(work, user_id, account, seen, code, "step_up", request, challenge=account.last_challenge)


def _seen(work: Attempt, user_id: UserId, code: str) -> reading.Login:
    companions = factors.companions(code)
    if companions is None:
        return reading.Login(reading.find(work, user_id))
    return reading.read_login(work, user_id, companions)


def _prove(
    work: Attempt,
    user_id: UserId,
    account: Account,
    seen: reading.Login,
    code: str,
    occasion: Occasion,
    request: Any,
    *,
    challenge: int,
) -> Verified:
    require_counting(work)
    answer = factors.read(account, code, occasion)
    if answer is None:
        # Neither counted nor logged: what was typed cannot be a code, so nobody has guessed.
        raise Rejected(Reason.MALFORMED)
    account = clock_set_right(work, account, request)
    if answer.is_guessable and (closed := Budget.of(work.settings).closed(account, work.now)):
        raise refuse(work, account, closed, occasion, factor=answer.factor, request=request)
    spent = answer.spend(work, seen, account, challenge, request)
    if isinstance(spent, Unspent):
        account = spent.account
        if spent.reason is Reason.PASSKEY_CLONED:
            # Whoever has the copy may have signed in before, and had a browser trusted.
            account, _ = endings.all_revoked(work, account, "a passkey may have been copied", request)
        raise refuse(
            work,
            account,
            spent.reason,
            occasion,
            factor=answer.factor,
            is_guessable=answer.is_guessable,
            why=spent.why,
            request=request,
        )
    # Of an answer to a challenge is kept what knows it again, should its own be lost (`repeat`).
    known = answered.written(work.keyring, account.user_id, challenge, spent.means, code)
    after = spent.account.changed(last_answer=known if occasion == "login" else None)
    saved = store.save(work, account, after, _accepted(spent.means, occasion), request, spent.change)
    return proofs.issue(work, user_id, saved, spent.means)


@lru_cache
def _accepted(means: Means, occasion: Occasion) -> Fact:
    """The line of an answer that was accepted. There are few, so that each is written as JSON once."""
    details: dict[str, Any] = {"factor": factor_of(means), "occasion": occasion}
    if details["factor"] == "passkeys":
        details |= {"is_synced": "synced" in means, "user_verified": "user" in means}
    return Fact(Kind.CODE_ACCEPTED, details=details)
