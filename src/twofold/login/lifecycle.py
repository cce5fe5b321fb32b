"""What begins and ends a user's second factor, and what concerns all factors of a user at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold import budget, provenance, tokens
from twofold import proof as proofs
from twofold.account import reading, sealed, shown, store
from twofold.account.attempt import Evidence, Fact
from twofold.account.row import Account, new_epoch
from twofold.backup_codes import factor as backup_codes
from twofold.budget import Budget
from twofold.errors import ConfigurationError, LastFactor, NotEnrolled, Reason, Rejected, Stale, Tampered, UnknownUser
from twofold.events import log
from twofold.kinds import Kind
from twofold.kinds import Status as Log
from twofold.log_volume import noted
from twofold.outcomes import Enrolled, Erased, Status, UserId, Verified
from twofold.passkeys import endings as passkey_endings
from twofold.passkeys import listing as passkeys
from twofold.request import printable
from twofold.totp import factor as totp
from twofold.trusted_devices import endings, listing

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt

SETUP_TRIES = 10
"""Wrong codes that end a set-up: it has to be begun again."""


def confirm(work: Attempt, user_id: UserId, code: str, *, session: str | None = None, request: Any = None) -> Enrolled:
    """Prove that the app has the secret, with a code. From now on every login is challenged.

    The code is spent. Backup codes are made and returned, once; all trusted devices are revoked. With a `session`,
    `backup_codes.shown` gives them to it again for ten minutes. Raises Rejected for a wrong code, ten of which end the
    set-up, and EnrollmentExpired where no secret waits, or not for this `session`.
    """
    if not work.may_guess:
        raise ConfigurationError(
            "A failure that the caller can roll back does not count; confirm outside of within(), "
            "or say may_guess=True."
        )
    account = totp.waiting(work, reading.find(work, user_id))
    after = totp.confirmed(work, account, code, session)
    if isinstance(after, Reason):
        raise _refuse_setup(work, account, after, request)
    alarmed = _tell_altered(work, account, request)
    if alarmed is not account:
        # The alarm was written in between, so the next state follows that one.
        account = alarmed
        after = totp.confirmed(work, account, code, session)
        if isinstance(after, Reason):
            raise _refuse_setup(work, account, after, request)
    after, codes = backup_codes.replaced(work, after, session)
    after = endings.ended(work, after, "the authenticator app was set up")
    fact = Fact(Kind.TOTP_CONFIRMED, details={"backup_codes": len(codes), "replaced": account.secret is not None})
    saved = store.save(work, account, after, fact, request)
    return Enrolled(codes, proofs.issue(work, user_id, saved, "totp"))


def _refuse_setup(work: Attempt, account: Account, reason: Reason, request: Any) -> Rejected:
    """Count a wrong code against this set-up alone: its secret is new, and no login waits for it. The tenth ends it.

    What has the form of no code is a mistake of typing here as well, and no guess.
    """
    if reason is Reason.MALFORMED:
        return Rejected(reason)
    tries = account.setup_tries + 1
    after = account._replace(setup_tries=tries)
    if tries >= SETUP_TRIES:
        after = after._replace(pending_secret=None, pending_at=None)
    details = {"reason": reason, "occasion": "enrollment", "tries": tries}
    after, line = noted(work, after, Fact(Kind.CODE_REFUSED, Log.REFUSED, details))
    store.save(work, account, after, line, request)
    return Rejected(reason)


def disable(work: Attempt, verified: Verified, *, request: Any = None) -> None:
    """End the app of the user who proved a factor a moment ago.

    Where the user has no passkey that can answer, the second factor as a whole ends: backup codes go, too. Sessions of
    before (`status.epoch`) and the trust of every device end either way. Raises Stale where `verified` is too old.
    Raises LastFactor where the passkeys are of a domain that the settings do not name, and Tampered, with an alarm,
    where they are not what the user's row says, since none of them may go on; `mfa.disable` ends everything.
    """
    account = proofs.fresh(work, verified, "totp.disable", request)
    left = passkeys.count(work, account)
    if left is None:
        passkey_endings.tell_altered(work, account, request)
        raise Tampered("The passkeys of this user were changed outside Twofold; end them with passkeys.revoke_all.")
    if not left and (domains := passkeys.elsewhere(work, account)):
        # A job without the settings of the web would end what its owner signs in with.
        raise LastFactor(
            f"This user has passkeys of {', '.join(domains)}, and no login asks for them here: set TWOFOLD_RP_ID or "
            "TWOFOLD_PUBLIC_URL as the application has it. mfa.disable ends everything."
        )
    if not left:
        _end(work, account, Fact(Kind.TOTP_DISABLED), "the second factor was turned off", request)
        return
    after = budget.emptied(account)._replace(secret=None, pending_secret=None, pending_at=None, epoch=new_epoch())
    saved = store.save(work, account, after, Fact(Kind.TOTP_DISABLED, details={"passkeys": left}), request)
    endings.distrusted(work, saved, "the authenticator app was removed", request)


def disable_all(work: Attempt, verified: Verified, *, request: Any = None) -> None:
    """End every factor of the user who proved one a moment ago: the next login needs none.

    App, passkeys, backup codes and trusted devices go. Raises Stale where `verified` is too old.
    """
    account = proofs.fresh(work, verified, "disable", request)
    _end(work, account, Fact(Kind.DISABLED), "the second factor was turned off", request)


def status(work: Attempt, user_id: UserId) -> Status:
    """How a user stands. Raises UnknownUser, and Tampered where the row is not what was written.

    Where backup codes or trusted devices are not those that the row names, `altered` says so and they count as none.
    """
    account = reading.find(work, user_id) or Account(work.stored(user_id))
    limits = Budget.of(work.settings)
    waits = limits.remaining(account, work.now)
    level = limits.level(account.failure_level, account.failure_level_at, work.now)
    waiting_since = account.pending_at
    codes, devices = backup_codes.count(work, account), listing.count(work, account)
    keys = passkeys.count(work, account)
    altered = (("mfa_backup_codes", codes), ("mfa_device_trusts", devices), ("mfa_passkeys", keys))
    return Status(
        user_id=user_id,
        is_enrolled=account.is_enabled,
        is_pending=waiting_since is not None and work.now - waiting_since <= work.settings.enrollment_lifetime,
        enabled_at=account.enabled_at if account.is_enabled else None,
        last_used_at=account.last_used_at,
        failed_attempts=account.failed_attempts,
        waiting_until=work.now + waits if waits else None,
        is_suspended=account.is_enabled and limits.is_suspended(account.failed_attempts),
        exhausted_until=work.now + limits.until_room(level) if limits.is_full(level) else None,
        epoch=account.epoch,
        backup_codes_remaining=codes or 0,
        algorithm=account.algorithm,
        digits=account.digits,
        period=account.period,
        backup_codes_kept=account.shown_codes == shown.KEPT,
        trusted_devices=devices or 0,
        has_app=account.is_enabled and account.secret is not None,
        passkeys=keys or 0,
        altered=tuple(name for name, number in altered if number is None),
    )


def reset(work: Attempt, user_id: UserId, *, by: str, reason: str, request: Any = None) -> None:
    """Remove the second factor of a user who lost it; the next login needs none.

    Secret, passkeys, backup codes and trusted devices go. `by` names the operator and `reason` says why; both are
    recorded. Raises NotEnrolled where there is nothing to remove.
    """
    fact = _by_operator(Kind.RESET, by, reason)
    account = reading.find(work, user_id)
    if account is None or not (account.is_enabled or account.pending_secret):
        raise NotEnrolled
    _end(work, account, fact, "the second factor was reset", request)


def repair(
    work: Attempt, user_id: UserId, *, by: str, reason: str, keys_lost: bool = False, request: Any = None
) -> None:
    """Take a row back into service that was altered behind the library's back, by removing the factor like `reset`.

    Nothing of the row is believed. The chain goes on after the last event that is there; `events.verify` keeps naming
    what was altered before. Raises NotEnrolled where there is nothing of this user. Raises WrongKey or MissingKey, and
    changes nothing, where not one row was written under the configured keys: under the right ones this row may be
    whole. `keys_lost` says that these are lost for good.
    """
    fact = _by_operator(Kind.REPAIRED, by, reason)
    version = _lock(work, user_id)
    if not keys_lost:
        provenance.require_keys(work, user_id)
    stored = work.stored(user_id)
    if version is None and not work.connection.execute(work.schema.traces, {"user": stored}).one()[1]:
        raise NotEnrolled
    seq, mac = log.end(work, user_id)
    if seq >= log.LARGEST:
        log.set_aside(work, stored)
        seq, mac = log.end(work, user_id)
    # A version that somebody wrote to run out of numbers is none.
    version = version if version is not None and 0 <= version < log.LARGEST else 0
    seen = Account(stored, event_count=seq, event_head=mac, version=max(version, seq))
    after = seen._replace(
        last_challenge=seen.version, proofs_after=seen.version, disabled_at=work.now, epoch=new_epoch()
    )
    sealed.current_passkeys(work)
    after = _ended(work, after, "the second factor was reset")
    store.save_over(work, seen, after, fact, request)


def password_changed(work: Attempt, user_id: UserId, *, verified: Verified | None = None, request: Any = None) -> int:
    """Tell Twofold that the password was changed: devices are revoked, waiting challenges, set-ups and proofs end.

    With a fresh `verified` of this user, by a backup code for example, the failures of before are forgotten, too:
    whoever guessed had the old password. Returns how many devices were trusted until now. Raises Stale where
    `verified` is too old or somebody else's.
    """
    account = reading.find(work, user_id)
    if account is None:
        if verified is not None:
            # Whoever proved a factor has a row.
            raise Stale
        return 0
    if verified is not None:
        account = proofs.fresh(work, verified, "password_changed", request)
        if account.user_id != work.stored(user_id):
            raise Stale
    account, number = endings.tell_altered(work, account, request)
    after = shown.ended(account)._replace(
        last_challenge=account.version,
        proofs_after=account.version,
        pending_secret=None,
        pending_at=None,
        last_answer=None,
        epoch=new_epoch(),
    )
    if verified is not None:
        after = budget.emptied(after)
    after = endings.ended(work, after, "the password was changed")
    store.save(work, account, after, Fact(Kind.PASSWORD_CHANGED, details={"devices": number}), request)
    return number


def erase(work: Attempt, user_id: UserId) -> Erased:
    """Delete everything that Twofold's tables hold of a user, the events too, when the account ends.

    Returns a tombstone, by which a checkpoint of before tells the user from one who was deleted. Raises UnknownUser.
    Raises WrongKey or MissingKey, and deletes nothing, where not one row was written under the configured keys.
    """
    _lock(work, user_id)
    stored = work.stored(user_id)
    tombstone = log.tombstone(work, user_id)
    if not tombstone.is_intact:
        provenance.require_keys(work, user_id)
    sealed.current_passkeys(work)
    for table in reversed((work.schema.tables.secrets, *work.schema.others)):
        work.write(sa.delete(table).where(table.c.user_id == stored))
    work.evidence = Evidence(stored, "erasure")
    return Erased(user_id, tombstone.count, work.now, tokens.write_tombstone(work.keyring, tombstone))


def _lock(work: Attempt, user_id: UserId) -> int | None:
    """Lock a user's row whatever it holds, and return its version; None where there is none. Raises UnknownUser."""
    work.need_lock()
    stored, secrets = work.stored(user_id), work.schema.tables.secrets
    if stored not in work.connection.execute(work.schema.known, {"user": stored}).scalars().all():
        raise UnknownUser
    rows = work.rows(sa.select(secrets.c.version).where(secrets.c.user_id == stored))
    # SQLite keeps whatever is written into a column.
    return None if not rows else rows[0][0] if isinstance(rows[0][0], int) else 0


def _by_operator(kind: Kind, by: str, reason: str) -> Fact:
    details = {"by": printable(by, 255), "reason": printable(reason, 255)}
    if not all(details.values()):
        raise ConfigurationError("Removing somebody's second factor needs a name (by) and a reason.")
    return Fact(kind, details=details)


def _tell_altered(work: Attempt, account: Account, request: Any) -> Account:
    account = backup_codes.tell_altered(work, account, request)
    return endings.tell_altered(work, account, request)[0]


def _ended(work: Attempt, account: Account, reason: str) -> Account:
    """End every row of a user in the other tables; the state that says so."""
    account = passkey_endings.ended(work, backup_codes.ended(work, account), reason)
    return endings.ended(work, account, reason)


def _end(work: Attempt, account: Account, fact: Fact, reason: str, request: Any) -> None:
    """End every factor. What was altered before is told first, and ends with the rest."""
    account = _tell_altered(work, account, request)
    account = passkey_endings.tell_altered(work, account, request)[0]
    after = Account(
        user_id=account.user_id,
        last_used_step=account.last_used_step,
        last_challenge=account.version,
        last_used_at=account.last_used_at,
        event_count=account.event_count,
        event_head=account.event_head,
        version=account.version,
        proofs_after=account.version,
        epoch=new_epoch(),
        enabled_at=account.enabled_at,
        disabled_at=work.now,
        lines_today=account.lines_today,
        lines_day=account.lines_day,
    )
    sealed.passkey_table(work, account)
    store.save(work, account, _ended(work, after, reason), fact, request)
