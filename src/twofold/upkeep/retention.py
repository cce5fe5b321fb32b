"""Retention: events older than a moment go, and the chains stay whole.

What goes is a beginning of a user's chain, proven before it goes, in the transaction that writes a `pruned` event in
its place, so that the newest line always stays. That event names the last one that went, by number and MAC, so that
whoever follows the chain can begin there. No decision rests on a line, so none changes when it goes. What cannot be
proven is evidence, and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from twofold import provenance
from twofold.account import reading, store
from twofold.account.attempt import Conflict, Fact
from twofold.arguments import batch
from twofold.errors import ConfigurationError, Tampered
from twofold.events import anchor as anchors
from twofold.events import log
from twofold.events.anchor import Anchor
from twofold.kinds import Kind
from twofold.upkeep import legacy
from twofold.upkeep.batches import LARGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import UserId


class Place(NamedTuple):
    """Where a search for old events has come to."""

    kind: str
    at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Prunable:
    """Users who have events older than a moment, and where the search goes on: None behind the last of them."""

    users: tuple[UserId, ...]
    after: Place | None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went of one user with one batch: `events` of the chain, and `unchained` lines of before Twofold."""

    events: int
    unchained: int
    has_more: bool

    def __bool__(self) -> bool:
        return bool(self.events or self.unchained)


def prunable(work: Attempt, before: datetime, *, after: Place | None = None, limit: int = LARGEST) -> Prunable:
    """The next users who have events older than `before`; `limit` such events are looked at, at most 1000.

    Give `after` back until it is None. A user may come more than once, and one whose old events are all `pruned` ones
    does not come. Raises ConfigurationError for a moment without a time zone, or one to come; WrongKey or MissingKey
    where users have rows, and not one of them was written under the configured keys.
    """
    _check(work, before)
    if after is not None and not isinstance(after, Place):
        raise TypeError(f"after is the Place of a Prunable, not {type(after).__name__}.")
    if after is None:
        provenance.require_keys(work)
    events = work.schema.tables.events
    kind = after.kind if after else _next_kind(work, None)
    while kind is not None:
        query = sa.select(events.c.user_id, events.c.created_at, events.c.id)
        query = query.where(events.c.event_type == kind, events.c.created_at < before)
        if after is not None:
            behind = (events.c.created_at > after.at) | (events.c.id > after.id)
            query = query.where(events.c.created_at >= after.at, behind)
        query = query.order_by(events.c.created_at, events.c.id).limit(batch(limit, LARGEST))
        if rows := log.read(work, query):
            users = tuple(dict.fromkeys(row.user_id for row in rows))
            return Prunable(users, Place(kind, rows[-1].created_at, rows[-1].id))
        kind, after = _next_kind(work, kind), None
    return Prunable((), None)


def how_many(work: Attempt, before: datetime) -> int:
    """How many events are older than `before`, those apart that say what was pruned."""
    _check(work, before)
    events, found = work.schema.tables.events, 0
    kind = _next_kind(work, None)
    while kind is not None:
        query = sa.select(sa.func.count()).where(events.c.event_type == kind, events.c.created_at < before)
        found += work.connection.execute(query).scalar_one()
        kind = _next_kind(work, kind)
    return found


def prune(work: Attempt, user_id: UserId, before: datetime) -> Pruned:
    """Delete the beginning of a user's log that is older than `before`, at most a thousand events; `has_more` tells.

    Each batch is one transaction on one user: it leaves a `pruned` event, and `events.verify` goes on finding every
    other change.

    Raises Tampered where what is to go was altered or the user's row was: it stays, as evidence. Raises MissingKey
    where the key of a line is not configured, UnknownUser, ConfigurationError like `prunable`.
    """
    _check(work, before)
    work.need_lock()
    account = _chained(work, user_id)
    going, anchor = ([], Anchor()) if account is None else _beginning(work, account, before)
    unchained = _unchained(work, user_id, before)
    pruned = Pruned(len(going), len(unchained), LARGEST in {len(going), len(unchained)})
    if not pruned:
        return pruned
    if account is not None:
        counts = {"events": len(going), "unchained": len(unchained), "before": before.isoformat()}
        store.save(work, account, account, Fact(Kind.PRUNED, details=anchor.details() | counts))
    _delete(work, [*(line.id for line in going), *unchained])
    return pruned


def _check(work: Attempt, before: datetime) -> None:
    if not isinstance(before, datetime):
        raise TypeError(f"before is a datetime, not {type(before).__name__}.")
    if before.tzinfo is None:
        raise ConfigurationError("Say in which time zone the moment is before which events go.")
    if before > work.now:
        raise ConfigurationError("The moment before which events go is still to come.")


def _next_kind(work: Attempt, kind: str | None) -> str | None:
    """The next type of event that there is, whoever named it: one look into the index that begins with the type."""
    column = work.schema.tables.events.c.event_type
    query = sa.select(sa.func.min(column))
    found = work.connection.execute(query if kind is None else query.where(column > kind)).scalar_one()
    return _next_kind(work, found) if found == Kind.PRUNED else found


def _chained(work: Attempt, user_id: UserId) -> Account | None:
    """The row of a user who has a chain; None for one of before Twofold."""
    return None if legacy.is_legacy(work, user_id) else reading.find(work, user_id)


def _beginning(work: Attempt, account: Account, before: datetime) -> tuple[Sequence[Any], Anchor]:
    """The lines that are to go, proven, and the anchor that takes their place. Raises Tampered, MissingKey."""
    events = work.schema.tables.events
    query = sa.select(events).where(events.c.user_id == account.user_id, events.c.seq.is_not(None))
    lines = log.read(work, query.order_by(events.c.seq).limit(LARGEST))
    going = list(takewhile(lambda line: line.created_at < before, lines))
    seq, anchor = anchors.newest(work, account)
    _prove(work, account, seq, anchor)
    if len(going) < LARGEST and all(line.event_type == Kind.PRUNED for line in going):
        # Where nothing but such events is old, one of them would take the place of another, for ever.
        return [], anchor
    length, mac = anchor.through, anchor.mac
    for line in going:
        if problem := log.misfit(work, line, length, mac):
            raise Tampered(f"Nothing was pruned: {problem}.")
        length, mac = line.seq, line.mac
    return going, Anchor(length, mac)


def _prove(work: Attempt, account: Account, seq: int, anchor: Anchor) -> None:
    """Raise Tampered unless the line that says what was pruned before is one of ours: its word is taken along."""
    if seq == 0:
        return
    events = work.schema.tables.events
    query = sa.select(events).where(events.c.user_id == account.user_id, events.c.seq.in_((seq - 1, seq)))
    *before, line = log.read(work, query.order_by(events.c.seq))
    mac = before[0].mac if before else anchor.mac
    if problem := log.misfit(work, line, seq - 1, mac):
        raise Tampered(f"Nothing was pruned: {problem}.")


def _unchained(work: Attempt, user_id: UserId, before: datetime) -> Sequence[int]:
    events = work.schema.tables.events
    query = sa.select(events.c.id).where(
        events.c.user_id == work.stored(user_id), events.c.seq.is_(None), events.c.created_at < before
    )
    return work.connection.execute(query.order_by(events.c.id).limit(LARGEST)).scalars().all()


def _delete(work: Attempt, ids: Sequence[int]) -> None:
    """Delete what was looked at, and nothing else: where it is not all there, somebody else was faster.

    MariaDB locks what it passes on its way to many lines, and others could write none; on its way to one it passes
    nothing.
    """
    column = work.schema.tables.events.c.id
    one_by_one = work.connection.dialect.name in {"mysql", "mariadb"}
    parts = [[line] for line in ids] if one_by_one else [ids]
    delete = sa.delete(column.table).where(column.in_(sa.bindparam("ids", expanding=True)))
    if sum(work.write(delete, {"ids": part}).rowcount for part in parts) != len(ids):
        raise Conflict
