"""Backup codes of one user: issue a batch, judge and spend a code, count what is left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from twofold import account as accounts
from twofold import proof
from twofold.account import Change, Fact
from twofold.backup_codes import codec
from twofold.errors import Reason, Tampered
from twofold.events.anchor import Anchor
from twofold.events.kinds import Kind

if TYPE_CHECKING:
    from twofold.account import Also, Work
    from twofold.outcomes import UserId, Verified
    from twofold.state import Account


class Match(NamedTuple):
    """A code that is right and unused: the row that it spends, what that holds afterwards, and its mark in the log."""

    id: int
    spent: str
    mark: str


def judge(work: Work, account: Account, code: str, *, is_legacy: bool = False) -> Match | Reason:
    """Look a canonical code up among those of its owner."""
    codes = work.schema.tables.codes
    unused = (codec.legacy_digest(code),) if is_legacy else codec.digests(work.keyring, account.user_id, code)
    spent = codec.digests(work.keyring, account.user_id, code, is_spent=True)
    query = sa.select(codes.c.id, codes.c.code_hash, codes.c.is_used, codes.c.expires_at).where(
        codes.c.user_id == account.user_id, codes.c.code_hash.in_((*unused, *spent))
    )
    row = next(iter(work.rows(query)), None)
    if row is None or (row.expires_at is not None and row.expires_at <= work.now):
        return Reason.WRONG_CODE
    if row.is_used or row.code_hash in spent:
        return Reason.CODE_ALREADY_USED
    marks = codec.marks(work.keyring, account.user_id, code)
    return _said(work, account, set(marks)) or Match(row.id, spent[0], marks[0])


def spend(work: Work, account: Account, match: Match, challenge: int) -> tuple[Account, Also]:
    """The state after the code was accepted, for that challenge, and the statement that marks the code used.

    The two are written together, and the user's row decides the race.
    """
    codes = work.schema.tables.codes
    statement = sa.update(codes).where(codes.c.id == match.id, codes.c.is_used.is_(sa.false()))
    marking = statement.values(is_used=True, used_at=work.now, code_hash=match.spent)
    return account._replace(last_used_at=work.now, last_challenge=challenge), (Change(marking, is_exact=True),)


def new_batch(work: Work, account: Account) -> tuple[tuple[str, ...], Also]:
    """Make a batch of codes, and the statements that put it in place of every older one."""
    issued = codec.generate(work.settings.backup_code_count)
    insert = sa.insert(work.schema.tables.codes).values(
        [
            {
                "user_id": account.user_id,
                "code_hash": codec.digests(work.keyring, account.user_id, code.replace("-", ""))[0],
                "is_used": False,
                "created_at": work.now,
            }
            for code in issued
        ]
    )
    return issued, (*deleting_all(work, account), Change(insert))


def issuing(work: Work, account: Account, codes: tuple[str, ...]) -> dict[str, Any]:
    """What the event says that issues these codes."""
    marks = (codec.marks(work.keyring, account.user_id, code.replace("-", ""))[0] for code in codes)
    return {"backup_codes": len(codes), "codes": " ".join(marks)}


def deleting_all(work: Work, account: Account) -> Also:
    """The statement that removes every code of a user."""
    codes = work.schema.tables.codes
    return (Change(sa.delete(codes).where(codes.c.user_id == account.user_id)),)


def count(work: Work, account: Account) -> int:
    """How many codes still work."""
    codes = work.schema.tables.codes
    unexpired = sa.or_(codes.c.expires_at.is_(None), codes.c.expires_at > work.now)
    return len(
        work.rows(
            sa.select(codes.c.id).where(codes.c.user_id == account.user_id, codes.c.is_used.is_(sa.false()), unexpired)
        )
    )


def regenerate(work: Work, verified: Verified, *, request: Any = None) -> tuple[str, ...]:
    """Replace all backup codes of the user who proved a factor a moment ago; the old ones are void.

    The new ones are returned once. Raises Stale where `verified` is too old (NIST SP 800-63B-4 §3.1.2.1).
    """
    account = proof.fresh(work, verified)
    codes, replacing = new_batch(work, account)
    fact = Fact(Kind.BACKUP_CODES_REGENERATED, details=issuing(work, account, codes))
    accounts.save(work, account, account, fact, request, replacing)
    return codes


def remaining(work: Work, user_id: UserId) -> int:
    """How many backup codes a user has left; 0 for one who is not enrolled."""
    account = accounts.find(work, user_id)
    return count(work, account) if account else 0


def _said(work: Work, account: Account, marks: set[str]) -> Reason | None:
    """What the log has against a code whose row says that it is good: a row can be put back from an older copy.

    Raises Tampered where a line does not read.
    """
    events = work.schema.tables.events
    query = sa.select(events.c.event_type, events.c.event_details).where(
        events.c.user_id == account.user_id,
        events.c.seq.between(1, account.event_count),
        events.c.event_type.in_((Kind.TOTP_CONFIRMED, Kind.BACKUP_CODES_REGENERATED, Kind.CODE_ACCEPTED, Kind.PRUNED)),
        (events.c.event_type == Kind.PRUNED) | events.c.event_details.like('%"codes":%'),
    )
    anchor: Anchor | None = None
    for row in work.connection.execute(query.order_by(events.c.seq.desc())):
        if row.event_type == Kind.PRUNED:
            anchor = anchor or Anchor.read(row.event_details)
            continue
        try:
            said = set(json.loads(row.event_details)["codes"].split())
        except (ValueError, TypeError, AttributeError):
            raise Tampered from None
        if row.event_type != Kind.CODE_ACCEPTED:
            return Reason.WRONG_CODE if said.isdisjoint(marks) else None
        if not said.isdisjoint(marks):
            return Reason.CODE_ALREADY_USED
    if anchor is None:
        return None
    is_spent = marks.isdisjoint(anchor.codes) if anchor.codes is not None else not marks.isdisjoint(anchor.spent)
    return Reason.CODE_ALREADY_USED if is_spent else None
