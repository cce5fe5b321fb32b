"""The audit log as it is read: the latest lines of a user, all lines in order, and the proof that none was altered."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold import provenance
from twofold.account import chain, reading, sealed
from twofold.account.attempt import Conflict
from twofold.arguments import batch, whole
from twofold.errors import MissingKey, NotAdopted, Tampered, WrongKey
from twofold.events.anchor import Anchor
from twofold.kinds import Kind
from twofold.outcomes import ChainReport, Event
from twofold.tokens import Tombstone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import UserId

    Kids = Callable[[], Collection[str]]

_PAGE = 1000
LARGEST = 2**62
"""No count of ours comes this far."""


def recent(work: Attempt, user_id: UserId, *, limit: int = 20, before: int | None = None) -> tuple[Event, ...]:
    """The latest events of a user, the newest first, at most 1000.

    `before` is the `seq` that the page before ended with.
    """
    events, stored = work.schema.tables.events, work.stored(user_id)
    query = sa.select(events).where(events.c.user_id == stored, events.c.seq.is_not(None))
    if before is not None:
        query = query.where(events.c.seq < whole("before", before))
    query = query.order_by(events.c.seq.desc()).limit(batch(limit, _PAGE))
    return tuple(_event(row) for row in read(work, query))


def export(work: Attempt, *, after: int = 0, limit: int = _PAGE) -> tuple[Event, ...]:
    """The events of all users in the order of their ids, those after the id `after`, at most 1000.

    Give the last id back as `after` for the next page. An id may become visible a moment after a larger one, so
    whoever must miss none asks again a little behind.
    """
    events = work.schema.tables.events
    query = (
        sa.select(events).where(events.c.id > whole("after", after)).order_by(events.c.id).limit(batch(limit, _PAGE))
    )
    return tuple(_event(row) for row in read(work, query))


def verify(work: Attempt, user_id: UserId, *, in_use: Collection[str] | None = None) -> ChainReport:
    """Follow a user's chain from the first event to the head in the user's row; name the first line that does not fit.

    Rows of backup codes and trusted devices that are not those that the row names break it, too.

    Where events were pruned, the first is the one behind the last that went, which a `pruned` line in the chain names.

    A line or a row that holds the check value of another key than everything else was altered; `in_use` names the keys
    of which something is written, where it is known. Raises MissingKey where nothing that can be read was altered, and
    a line or the row cannot be read: its key is not configured, or is another one of that name (WrongKey). Raises
    UnknownUser.
    """
    counted = _counted(work, user_id)
    # Asked for once at most, and for most users never.
    kids: Kids = cache(lambda: provenance.kids_in_use(work) if in_use is None else in_use)
    try:
        report = _followed(work, user_id, kids)
    except Tampered as error:
        report = _broken(user_id, 0, 0, None, str(error))
    if not report.is_intact and _counted(work, user_id) != counted:
        # The lines are of one moment and the row of a later one: somebody wrote in between.
        raise Conflict
    return report


def _counted(work: Attempt, user_id: UserId) -> Sequence[Any]:
    secrets = work.schema.tables.secrets
    return work.rows(sa.select(secrets.c.event_count).where(secrets.c.user_id == work.stored(user_id)))


def _followed(work: Attempt, user_id: UserId, kids: Kids) -> ChainReport:
    lines = _lines(work, user_id)
    first = next(lines, None)
    start, previous = (0, None) if first is None else _start(work, first)
    last, unread = start, None
    for row in (first, *lines) if first else ():
        try:
            problem = misfit(work, row, last, previous)
        except MissingKey as error:
            # It has its number, and what follows it can still be proven.
            problem = f"event {row.seq} was altered: {_ODD}" if _is_altered(error, kids) else None
            unread = unread or type(error)(f"Event {row.seq} cannot be read. {error}", error.kid)
        if problem:
            return _broken(user_id, start, last, min(row.seq, last + 1), problem)
        previous, last = row.mac, row.seq
        if row.event_type == Kind.PRUNED and (through := Anchor.read(row.event_details).through) > start:
            problem = (
                f"event {start + 1} was put in: the first one has the number {through + 1}, the others were pruned"
            )
            return _broken(user_id, start, last, start + 1, problem)
    report = _against_the_row(work, user_id, start, last, previous, kids)
    if unread and report.is_intact:
        raise unread
    return report


_ODD = "it does not name the key of the others"


def _is_altered(error: MissingKey, kids: Kids) -> bool:
    """Whether what names another key of that name was altered, since others that name it do not."""
    return isinstance(error, WrongKey) and error.kid in kids()


def _start(work: Attempt, first: Any) -> tuple[int, str | None]:
    """Number and MAC of the event before the first that is there, as a `pruned` line names it; 0 and None else.

    That line need not be proven here: it stands in the chain that is followed.
    """
    events = work.schema.tables.events
    query = sa.select(events.c.event_details).where(
        events.c.user_id == first.user_id, events.c.seq > 0, events.c.event_type == Kind.PRUNED
    )
    named: list[tuple[int, str | None]] = [(0, None)]
    for details in work.connection.execute(query.order_by(events.c.seq.desc())).scalars():
        with suppress(Tampered):
            named.append(Anchor.read(details)[:2])
    fitting = (one for one in named if _may_follow(work, first, *one))
    return next(fitting, None) or max(named, key=itemgetter(0))


def _may_follow(work: Attempt, row: Any, last: int, previous: str | None) -> bool:
    """Whether a line follows that event, as far as it can be read."""
    try:
        return misfit(work, row, last, previous) is None
    except MissingKey:
        return True


def misfit(work: Attempt, row: Any, last: int, previous: str | None) -> str | None:
    """What is wrong with a line that is to follow the event `last` with the MAC `previous`; None where it does.

    Raises MissingKey.
    """
    if row.seq <= last:
        return f"event {row.seq} was put in: the first one has the number {last + 1}"
    if row.seq != last + 1:
        return f"event {last + 1} is missing"
    if not _fits(work, link(row), previous, row.mac):
        return f"event {row.seq} was altered, or does not follow the one before"
    return None


def link(row: Any) -> chain.Link:
    """A row of the log as its MAC covers it."""
    return chain.Link(
        user_id=row.user_id,
        seq=row.seq,
        event_type=row.event_type,
        event_status=row.event_status,
        event_details=row.event_details,
        ip_address=row.ip_address,
        user_agent=row.user_agent,
        device_fingerprint=row.device_fingerprint,
        created_at=row.created_at,
    )


def end(work: Attempt, user_id: UserId) -> tuple[int, str | None]:
    """The number and the MAC of the last event that is there, or 0 and None."""
    events = work.schema.tables.events
    query = sa.select(events.c.seq, events.c.mac).where(events.c.user_id == work.stored(user_id), events.c.seq > 0)
    row = work.connection.execute(query.order_by(events.c.seq.desc()).limit(1)).first()
    return (row.seq, row.mac) if row else (0, None)


def set_aside(work: Attempt, stored: UserId) -> None:
    """Take the number from lines behind which no other fits: somebody wrote them to end the log for ever."""
    events = work.schema.tables.events
    endless = sa.update(events).where(events.c.user_id == stored, events.c.seq >= LARGEST)
    work.write(endless.values(seq=None))


def tombstone(work: Attempt, user_id: UserId) -> Tombstone:
    """Where the chain of a user ends who is about to be erased, and whether the user's row agrees."""
    count, mac = end(work, user_id)
    if not isinstance(count, int):
        # SQLite keeps whatever is written into a column.
        count, mac = 0, None
    try:
        account = _found(work, user_id)
        known = (account.event_count, account.event_head) if account else (0, None)
    except (Tampered, MissingKey, NotAdopted):
        known = None
    return Tombstone(work.stored(user_id), count, mac, known == (count, mac), work.now)


def _found(work: Attempt, user_id: UserId) -> Account | None:
    """Read a user's row; whoever only looks at the log, or ends it, takes nobody into care."""
    return reading.find(replace(work, adopt=_left_alone), user_id)


def _left_alone(_work: Attempt, _user_id: UserId) -> Account:
    raise NotAdopted


def _against_the_row(
    work: Attempt, user_id: UserId, start: int, last: int, head: str | None, kids: Kids
) -> ChainReport:
    try:
        account = _found(work, user_id)
    except MissingKey as error:
        if not _is_altered(error, kids):
            raise
        return _broken(user_id, start, last, None, f"the user's row was altered: {_ODD}")
    except Tampered:
        return _broken(user_id, start, last, None, "the user's row was altered or removed")
    except NotAdopted:
        # Lines without a number prove nothing, and this user has no others.
        account = None
    count, known = (account.event_count, account.event_head) if account else (0, None)
    if count > last:
        return _broken(user_id, start, last, last + 1, f"event {last + 1} is missing; the row counts {count}")
    if count < last:
        return _broken(user_id, start, last, count + 1, f"event {count + 1} is not counted by the user's row")
    if head != known:
        return _broken(user_id, start, last, last, "the last event is not the one that the user's row names")
    if account and (altered := _altered(work, account)):
        return _broken(
            user_id, start, last, None, f"the user's rows in {altered} are not those that the user's row names"
        )
    return ChainReport(user_id, is_intact=True, length=last - start, pruned=start)


def _altered(work: Attempt, account: Account) -> str | None:
    """The first table whose rows of this user are not those that the user's row names."""
    if not sealed.compared_codes(work, account, sealed.codes(work, account)).is_intact:
        return "mfa_backup_codes"
    if not sealed.compared_devices(work, account, sealed.devices(work, account)).is_intact:
        return "mfa_device_trusts"
    return None


def _broken(user_id: UserId, start: int, last: int, first_bad: int | None, problem: str) -> ChainReport:
    length = last - start
    return ChainReport(user_id, is_intact=False, length=length, first_bad=first_bad, problem=problem, pruned=start)


def _lines(work: Attempt, user_id: UserId) -> Iterator[Any]:
    # A line without a number is one of before Twofold, and proves nothing; one below the first was put in.
    events, stored = work.schema.tables.events, work.stored(user_id)
    further = events.c.seq.is_not(None)
    while True:
        query = sa.select(events).where(events.c.user_id == stored, further)
        page = read(work, query.order_by(events.c.seq).limit(_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        further = events.c.seq > page[-1].seq


def read(work: Attempt, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Any]:
    """Lines of the log. Raises Tampered where a column holds what Twofold cannot have written into it."""
    try:
        return work.connection.execute(query).all()
    except sealed.UNREADABLE:
        raise Tampered("A line of the log holds no moment of time; look into it.") from None


def _fits(work: Attempt, link: chain.Link, previous: str | None, mac: str | None) -> bool:
    try:
        return mac is not None and chain.fits(work.keyring, link, previous, mac)
    except MissingKey:
        raise
    except Tampered:
        return False


def _event(row: Any) -> Event:
    return Event(
        id=row.id,
        user_id=row.user_id,
        seq=row.seq or 0,
        kind=row.event_type,
        status=row.event_status,
        details=chain.details_of(row.event_details),
        ip_address=row.ip_address,
        user_agent=row.user_agent,
        device_fingerprint=row.device_fingerprint,
        at=row.created_at,
    )
