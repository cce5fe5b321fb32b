"""Backup codes of one user: issue a batch, judge and spend a code, count what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import sqlalchemy as sa

from twofold import proof
from twofold.account import reading, sealed, store
from twofold.account.attempt import Fact
from twofold.account.digests import as_older, has_older
from twofold.account.row import new_epoch
from twofold.account.statements import HeldCode
from twofold.account.store import Change
from twofold.backup_codes import codec, showing
from twofold.errors import Reason, Tampered
from twofold.kinds import Kind
from twofold.refusal import Spent, Unspent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import UserId, Verified


class Answer(NamedTuple):
    """A backup code that somebody typed. One of before Twofold is short enough to be guessed, and waits like TOTP."""

    spellings: tuple[str, ...]
    is_older: bool = False

    @property
    def factor(self) -> Literal["backup_codes"]:
        """Whose code it is."""
        return "backup_codes"

    @property
    def is_guessable(self) -> bool:
        """A code of 125 bits cannot be guessed, so it stays good during a wait: the owner has a way in."""
        return self.is_older

    def spend(
        self, work: Attempt, seen: reading.Login, account: Account, challenge: int, request: Any
    ) -> Spent | Unspent:
        """Look the code up among those of its owner; the state after it was spent for that challenge, or why not."""
        codes = seen.codes
        if codes is None:
            # Its form let it pass for a code of the app, so the codes were not read with the row.
            work.need_lock()
            codes = sealed.codes(work, account)
        comparison = sealed.compared_codes(work, account, codes)
        if codes is None or not comparison.is_intact:
            return Unspent(Reason.ALTERED, store.alarm(work, account, "mfa_backup_codes", comparison, request))
        digests = {
            digest
            for code in self.spellings
            for digest in codec.digests(work.keyring, account.user_id, code, is_older=self.is_older)
        }
        held = next((code for code in codes if code.code_hash in digests), None)
        if held is None or (held.expires_at is not None and held.expires_at <= work.now):
            return Unspent(Reason.WRONG_CODE, account)
        if held.is_used:
            return Unspent(Reason.CODE_ALREADY_USED, account)
        left = [code for code in codes if code.id != held.id]
        after = account._replace(
            last_used_at=work.now, last_challenge=challenge, codes_digest=_digest_of(account, left)
        )
        return Spent(after, Change(work.schema.spend, (work.now, held.id)), self.factor)


def read(text: object) -> Answer | None:
    """What was typed, as a backup code; None for what has not the form of one."""
    canonical = codec.canonical(text)
    if canonical is not None:
        return Answer((canonical,))
    older = codec.older_spellings(text)
    return Answer(older, is_older=True) if older else None


def _digest_of(account: Account, left: Sequence[HeldCode]) -> str | None:
    """What the row says of those that are left: codes of before Twofold stay what they are."""
    digest = sealed.codes_digest(left)
    return as_older(digest) if has_older(account.codes_digest) else digest


def tell_altered(work: Attempt, account: Account, request: Any) -> Account:
    """Tell of codes that are not those that the user's row names, before they are ended or replaced; the state then."""
    work.need_lock()
    comparison = sealed.compared_codes(work, account, sealed.codes(work, account))
    return store.alarm(work, account, "mfa_backup_codes", comparison, request)


def replaced(work: Attempt, account: Account, session: str | None) -> tuple[Account, tuple[str, ...]]:
    """Put a new batch in the place of every older one; the state that seals it, and the codes to show.

    This session may see them again for a while; without one nobody may.
    """
    account = ended(work, account)
    codes = work.schema.tables.codes
    issued = codec.generate(work.settings.backup_code_count)
    rows = [
        {
            "user_id": account.user_id,
            "code_hash": codec.digests(work.keyring, account.user_id, code.replace("-", ""))[0],
            "is_used": False,
            "created_at": work.now,
        }
        for code in issued
    ]
    written = work.write(sa.insert(codes).returning(codes.c.id, codes.c.code_hash), rows)
    held = sorted(HeldCode(row.id, row.code_hash, None, is_used=False) for row in written)
    if {code.code_hash for code in held} != {row["code_hash"] for row in rows}:
        # A trigger of somebody else changed what was written.
        raise Tampered("The backup codes that the database wrote are not the ones that it was given.")
    after = account._replace(codes_digest=sealed.codes_digest(held))
    return showing.sealed(work, after, issued, session), issued


def ended(work: Attempt, account: Account) -> Account:
    """Remove every code of a user; the state that says so."""
    work.need_lock()
    codes = work.schema.tables.codes
    work.write(sa.delete(codes).where(codes.c.user_id == account.user_id))
    return account._replace(codes_digest=None, shown_codes=None)


def count(work: Attempt, account: Account) -> int | None:
    """How many codes still work; None where they are not those that the user's row names."""
    codes = sealed.codes(work, account)
    if codes is None or not sealed.compared_codes(work, account, codes).is_intact:
        return None
    return sum(not code.is_used and (code.expires_at is None or code.expires_at > work.now) for code in codes)


class Older(NamedTuple):
    """How many users have live codes of before Twofold, and how many those have who have most."""

    users: int
    most: int


def older(work: Attempt) -> Older:
    """Count what is short enough to be guessed, adopted or not."""
    secrets, codes = work.schema.tables.secrets, work.schema.tables.codes
    adopted = secrets.c.codes_digest.startswith(as_older(""))
    live = codes.c.is_used.is_(sa.false()) & (codes.c.expires_at.is_(None) | (codes.c.expires_at > work.now))
    each = (
        sa.select(sa.func.count().label("number"))
        .select_from(codes.outerjoin(secrets, secrets.c.user_id == codes.c.user_id))
        .where(live, adopted | codes.c.code_hash.not_like("v1:%"))
        .group_by(codes.c.user_id)
        .subquery()
    )
    users, most = work.connection.execute(
        sa.select(sa.func.count(), sa.func.max(each.c.number)).select_from(each)
    ).one()
    return Older(int(users), int(most or 0))


def regenerate(
    work: Attempt, verified: Verified, *, session: str | None = None, request: Any = None
) -> tuple[str, ...]:
    """Replace all backup codes of the user who proved a factor a moment ago; the old ones are void.

    The new ones are returned once. With a `session`, a value that only this session of the host has, `shown` gives them
    to it again for ten minutes, and so does this, for half a minute: a form that comes twice makes codes once. Raises
    Stale where `verified` is too old (NIST SP 800-63B-4 §3.1.2.1).
    """
    account = proof.fresh(work, verified, "backup_codes.regenerate", request)
    account = tell_altered(work, account, request)
    again = showing.made_just_now(work, account, session)
    if again is not None:
        return again
    after, codes = replaced(work, account, session)
    after = after._replace(epoch=new_epoch())
    fact = Fact(Kind.BACKUP_CODES_REGENERATED, details={"backup_codes": len(codes)})
    store.save(work, account, after, fact, request)
    return codes


def remaining(work: Attempt, user_id: UserId) -> int:
    """How many backup codes a user has left; 0 for one who is not enrolled, or whose codes were altered."""
    account = reading.find(work, user_id)
    return count(work, account) or 0 if account else 0
