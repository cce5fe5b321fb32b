"""The front door: the story of a login, and what concerns all factors of a user at once.

`MFA` and `AsyncMFA` have the same operations, bound from the same functions. Each runs in a short transaction of its
own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa

from twofold import account as accounts
from twofold import legacy, rotation, tokens, trusted_devices
from twofold import proof as proofs
from twofold.account import Fact, Work
from twofold.backup_codes import codec
from twofold.backup_codes import factor as backup_codes
from twofold.budget import Budget
from twofold.budget import remaining as remaining_wait
from twofold.errors import ConfigurationError, NotEnrolled, Reason, Rejected
from twofold.events import log, retention
from twofold.events.kinds import Kind
from twofold.operation import Awaited, Blocking, Core, Operation
from twofold.outcomes import Challenge, Cleared, Erased, Status, UserId, Verified
from twofold.refusal import refuse
from twofold.request import printable
from twofold.state import Account
from twofold.totp import factor as totp

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from twofold.outcomes import Factor
    from twofold.refusal import Occasion
    from twofold.settings import Settings


def challenge(
    work: Work, user_id: UserId, *, device_token: str | None = None, request: Any = None
) -> Challenge | Cleared:
    """Ask, after the first factor, whether a second one is needed.

    Returns a Challenge, whose token is answered with `verify`; or Cleared, which is falsy, for a user who is not
    enrolled and for a trusted device, whose rotated token then goes back into its cookie. Raises UnknownUser.
    """
    account, beside = legacy.found(work, user_id, trusted_devices.beside(work, user_id, device_token))
    if account is None:
        return Cleared(user_id, "not_enrolled")
    if not account.is_enabled:
        accounts.save(work, account, account, Fact(Kind.CLEARED, details={"because": "not_enrolled"}), request)
        return Cleared(user_id, "not_enrolled")
    account, device, is_trusted = trusted_devices.recognize(work, account, device_token, request, beside[1:])
    if is_trusted:
        return Cleared(user_id, "trusted_device", device)
    has_codes = beside[0] if beside else backup_codes.count(work, account)
    factors: tuple[Factor, ...] = ("totp", "backup_codes") if has_codes else ("totp",)
    issued = accounts.save(work, account, account, Fact(Kind.CHALLENGED), request)
    expires_at = work.now + work.settings.challenge_lifetime
    signed = tokens.ChallengeToken(user_id, issued.event_count, expires_at, account.enabled_at)
    return Challenge(user_id, tokens.write_challenge(work.keyring, signed), factors, expires_at)


def verify(work: Work, challenge_token: str, code: str, *, request: Any = None) -> Verified:
    """Answer a challenge with a code of the app or a backup code.

    By being accepted, the code and the challenge are spent. Raises Rejected for everything else; a wrong code counts
    against the user's budget.
    """
    read = tokens.read_challenge(work.keyring, challenge_token)
    if read is None:
        raise Rejected(Reason.CHALLENGE_EXPIRED)
    account = accounts.find(work, read.user_id)
    if account is None:
        raise Rejected(Reason.NOT_ENROLLED)
    if not account.is_enabled:
        raise refuse(work, account, Reason.NOT_ENROLLED, "login", request=request)
    if read.expires_at + work.settings.challenge_lifetime <= work.now:
        # A token of long ago says nothing about today, and would only let its holder fill the log.
        raise Rejected(Reason.CHALLENGE_EXPIRED)
    # Whoever was erased begins with the number one again, so the number alone does not name a challenge.
    is_live = account.last_challenge < read.serial <= account.event_count and account.enabled_at == read.enabled_at
    if not is_live or read.expires_at <= work.now:
        raise refuse(work, account, Reason.CHALLENGE_EXPIRED, "login", request=request)
    return _prove(work, read.user_id, account, code, "login", request, serial=read.serial)


def reverify(work: Work, user_id: UserId, code: str, *, request: Any = None) -> Verified:
    """Ask for a code in a live session, before something sensitive.

    Raises Rejected, and NotEnrolled without a factor.
    """
    return _prove(work, user_id, accounts.require(work, user_id), code, "step_up", request)


def status(work: Work, user_id: UserId) -> Status:
    """How a user stands. Raises UnknownUser, and Tampered where the row is not what was written."""
    account = accounts.find(work, user_id) or Account(work.schema.stored(user_id))
    waits = remaining_wait(account.locked_until, work.now) is not None
    waiting_since = account.pending_at
    return Status(
        user_id=user_id,
        is_enrolled=account.is_enabled,
        is_pending=waiting_since is not None and work.now - waiting_since <= work.settings.enrollment_lifetime,
        enabled_at=account.enabled_at if account.is_enabled else None,
        last_used_at=account.last_used_at,
        failed_attempts=account.failed_attempts,
        waiting_until=account.locked_until if waits else None,
        is_suspended=account.is_enabled and Budget.of(work.settings).is_suspended(account.failed_attempts),
        backup_codes_remaining=backup_codes.count(work, account),
        trusted_devices=trusted_devices.count(work, account),
    )


def reset(work: Work, user_id: UserId, *, by: str, reason: str, request: Any = None) -> None:
    """Remove the second factor of a user who lost it; the next login needs none.

    Secret, backup codes and trusted devices go. `by` names the operator and `reason` says why; both are recorded.
    Raises NotEnrolled where there is nothing to remove.
    """
    account = accounts.find(work, user_id)
    if account is None or not (account.is_enabled or account.pending_secret):
        raise NotEnrolled
    _end(work, account, Kind.RESET, by, reason, request)


def repair(work: Work, user_id: UserId, *, by: str, reason: str, request: Any = None) -> None:
    """Take a row back into service that was altered behind the library's back, by removing the factor like `reset`.

    The chain goes on after the last event that is there; `events.verify` keeps naming what was altered before.
    Raises NotEnrolled where there is neither a row nor an event.
    """
    work.need_transaction()
    secrets = work.schema.tables.secrets
    found = accounts.find(work, user_id, trusting=True)
    seq, mac = log.end(work, user_id)
    if found is None and seq == 0:
        raise NotEnrolled
    account = (found or Account(work.schema.stored(user_id)))._replace(event_count=seq, event_head=mac)
    anchor = {"event_count": seq, "event_head": mac, "updated_at": work.now}
    if found is None:
        row = anchor | {"user_id": account.user_id, "created_at": work.now}
        work.connection.execute(sa.insert(secrets).values(row))
    else:
        work.connection.execute(sa.update(secrets).where(secrets.c.user_id == account.user_id).values(anchor))
    _end(work, account, Kind.REPAIRED, by, reason, request)


def password_changed(work: Work, user_id: UserId, *, request: Any = None) -> int:
    """Tell Twofold that the password was changed: devices are revoked, waiting challenges end.

    Returns how many devices were trusted until now.
    """
    account = accounts.find(work, user_id)
    if account is None:
        return 0
    number = trusted_devices.count(work, account)
    after = account._replace(last_challenge=account.event_count)
    fact = Fact(Kind.PASSWORD_CHANGED, details={"devices": number})
    also = trusted_devices.revoking_all(work, account, "the password was changed")
    accounts.save(work, account, after, fact, request, also)
    return number


def erase(work: Work, user_id: UserId) -> Erased:
    """Delete everything that the four tables hold of a user, the events too, when the account ends.

    Returns a tombstone, by which a checkpoint of before tells the user from one who was deleted. Raises UnknownUser.
    """
    work.need_transaction()
    stored = work.schema.stored(user_id)
    accounts.find(work, user_id, trusting=True)
    tombstone = log.tombstone(work, user_id)
    for table in reversed(tuple(work.schema.tables)):
        work.connection.execute(sa.delete(table).where(table.c.user_id == stored))
    return Erased(user_id, tombstone.count, work.now, tokens.write_tombstone(work.keyring, tombstone))


def _prove(
    work: Work,
    user_id: UserId,
    account: Account,
    code: str,
    occasion: Occasion,
    request: Any,
    *,
    serial: int | None = None,
) -> Verified:
    if not work.may_guess:
        raise ConfigurationError(
            "A failure that the caller can roll back does not count; verify outside of within(), or say may_guess=True."
        )
    is_totp = totp.is_code(account, code)
    canonical = None if is_totp else codec.canonical(code)
    older = codec.legacy(code) if canonical is None and not is_totp else None
    factor: Factor = "totp" if canonical is None and older is None else "backup_codes"
    also: accounts.Also = ()
    # In a session that is open no challenge is spent.
    spent = account.last_challenge if serial is None else serial
    details: dict[str, Any] = {"factor": factor, "occasion": occasion}
    if canonical is not None:
        # A code of 125 bits cannot be guessed, so it stays good during a wait and after a suspension: the owner has a
        # way in. Two rows are written, so nothing is looked up before there is a transaction.
        work.need_transaction()
        match = backup_codes.judge(work, account, canonical)
        if isinstance(match, Reason):
            raise refuse(work, account, match, occasion, factor=factor, request=request)
        after, also = backup_codes.spend(work, account, match, spent)
        details |= {"codes": match.mark}
    else:
        if Budget.of(work.settings).is_suspended(account.failed_attempts):
            raise refuse(work, account, Reason.SUSPENDED, occasion, request=request)
        if remaining_wait(account.locked_until, work.now):
            raise refuse(work, account, Reason.WAITING, occasion, request=request)
        # A backup code of before Twofold is short enough to be guessed, so it has waited like a code of the app.
        judged = (
            totp.judge(work, account, code, request)
            if older is None
            else backup_codes.judge(work, account, older, is_legacy=True)
        )
        if isinstance(judged, Reason):
            raise refuse(work, account, judged, occasion, factor=factor, request=request)
        if isinstance(judged, totp.Match):
            after = totp.spend(work, account, judged, spent)
        else:
            after, also = backup_codes.spend(work, account, judged, spent)
            details |= {"codes": judged.mark}
    fact = Fact(Kind.CODE_ACCEPTED, details=details)
    saved = accounts.save(work, account, after, fact, request, also)
    return proofs.issue(work, user_id, saved, factor)


def _end(work: Work, account: Account, kind: Kind, by: str, reason: str, request: Any) -> None:
    details = {"by": printable(by, 255), "reason": printable(reason, 255)}
    if not all(details.values()):
        raise ConfigurationError("Removing somebody's second factor needs a name (by) and a reason.")
    ended, also = totp.ending(work, account, "the second factor was reset")
    accounts.save(work, account, ended, Fact(kind, details=details), request, also)


class _Login:
    """The operations of a login and of a whole user."""

    challenge = Operation(challenge)
    verify = Operation(verify)
    reverify = Operation(reverify)
    proof = Operation(proofs.proof)
    status = Operation(status)
    reset = Operation(reset)
    repair = Operation(repair)
    password_changed = Operation(password_changed)
    erase = Operation(erase)


class _Totp:
    begin = Operation(totp.begin)
    pending = Operation(totp.pending)
    confirm = Operation(totp.confirm)
    disable = Operation(totp.disable)


class _BackupCodes:
    regenerate = Operation(backup_codes.regenerate)
    remaining = Operation(backup_codes.remaining)


class _TrustedDevices:
    trust = Operation(trusted_devices.trust)
    list = Operation(trusted_devices.list_)
    revoke = Operation(trusted_devices.revoke)
    revoke_all = Operation(trusted_devices.revoke_all)


class _Events:
    recent = Operation(log.recent)
    verify = Operation(log.verify)
    export = Operation(log.export)
    prunable = Operation(retention.prunable)
    prune = Operation(retention.prune)


class _Legacy:
    survey = Operation(legacy.survey)
    adopt = Operation(legacy.adopt)


class _Keys:
    status = Operation(rotation.status)
    rotate = Operation(rotation.rotate)


class BlockingTotp(_Totp, Blocking):
    """TOTP, on `MFA`."""


class BlockingBackupCodes(_BackupCodes, Blocking):
    """Backup codes, on `MFA`."""


class BlockingTrustedDevices(_TrustedDevices, Blocking):
    """Trusted devices, on `MFA`."""


class BlockingEvents(_Events, Blocking):
    """The audit log, on `MFA`."""


class BlockingKeys(_Keys, Blocking):
    """Key rotation, on `MFA`."""


class BlockingLegacy(_Legacy, Blocking):
    """Rows of before Twofold, on `MFA`."""


class AwaitedLegacy(_Legacy, Awaited):
    """Rows of before Twofold, on `AsyncMFA`."""


class AwaitedTotp(_Totp, Awaited):
    """TOTP, on `AsyncMFA`."""


class AwaitedBackupCodes(_BackupCodes, Awaited):
    """Backup codes, on `AsyncMFA`."""


class AwaitedTrustedDevices(_TrustedDevices, Awaited):
    """Trusted devices, on `AsyncMFA`."""


class AwaitedEvents(_Events, Awaited):
    """The audit log, on `AsyncMFA`."""


class AwaitedKeys(_Keys, Awaited):
    """Key rotation, on `AsyncMFA`."""


class MFA(_Login, Blocking):
    """Multi-factor authentication over an SQLAlchemy `Engine`.

    `clock` returns the moment, aware; it is there for tests. Raises ConfigurationError where keys are missing or weak.
    """

    def __init__(self, engine: sa.Engine, settings: Settings, *, clock: Callable[[], datetime] | None = None) -> None:
        self._open(Core.of(settings, clock), engine)

    def _open(self, core: Core, source: sa.Engine | sa.Connection) -> None:
        super().__init__(core, source)
        self.totp = BlockingTotp(core, source)
        self.backup_codes = BlockingBackupCodes(core, source)
        self.trusted_devices = BlockingTrustedDevices(core, source)
        self.events = BlockingEvents(core, source)
        self.keys = BlockingKeys(core, source)
        self.legacy = BlockingLegacy(core, source)

    def within(self, connection: sa.Connection, *, may_guess: bool = False) -> Self:
        """The same operations in the caller's transaction: they count when the caller commits, failures too.

        For "create the user and enrol in one go". A caller who rolls back forgets wrong codes, so `verify` and
        `reverify` raise ConfigurationError here, unless `may_guess` says that this is a test.
        """
        joined = type(self).__new__(type(self))
        joined._open(replace(self._core, may_guess_within=may_guess), connection)  # noqa: SLF001
        return joined


class AsyncMFA(_Login, Awaited):
    """Multi-factor authentication over an SQLAlchemy `AsyncEngine`: the operations of `MFA`, awaited."""

    def __init__(self, engine: AsyncEngine, settings: Settings, *, clock: Callable[[], datetime] | None = None) -> None:
        self._open(Core.of(settings, clock), engine)

    def _open(self, core: Core, source: AsyncEngine | AsyncConnection) -> None:
        super().__init__(core, source)
        self.totp = AwaitedTotp(core, source)
        self.backup_codes = AwaitedBackupCodes(core, source)
        self.trusted_devices = AwaitedTrustedDevices(core, source)
        self.events = AwaitedEvents(core, source)
        self.keys = AwaitedKeys(core, source)
        self.legacy = AwaitedLegacy(core, source)

    def within(self, connection: AsyncConnection, *, may_guess: bool = False) -> Self:
        """The same operations in the caller's transaction; see `MFA.within`."""
        joined = type(self).__new__(type(self))
        joined._open(replace(self._core, may_guess_within=may_guess), connection)  # noqa: SLF001
        return joined
