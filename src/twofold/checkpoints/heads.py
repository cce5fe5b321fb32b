"""The heads of all chains as the database has them, and what has become of those that a checkpoint saw.

Reading needs no keys, and nothing but SELECT.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.checkpoints.checkpoint import Head
from twofold.errors import ConfigurationError, Tampered, UnknownUser
from twofold.events.anchor import Anchor
from twofold.kinds import Kind
from twofold.outcomes import ChainReport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twofold.account.statements import Schema
    from twofold.outcomes import UserId
    from twofold.tokens import Tombstone


def how_many(connection: sa.Connection, schema: Schema) -> int:
    """How many users have a row."""
    return connection.execute(sa.select(sa.func.count()).select_from(schema.tables.secrets)).scalar_one()


def page(connection: sa.Connection, schema: Schema, *, after: UserId | None, limit: int) -> tuple[Head, ...]:
    """The next heads in the order of the users' ids. Empty after the last one. Raises Tampered for what is no head."""
    secrets = schema.tables.secrets
    query = sa.select(secrets.c.user_id, secrets.c.event_count, secrets.c.event_head)
    if after is not None:
        query = query.where(secrets.c.user_id > after)
    rows = connection.execute(query.order_by(secrets.c.user_id).limit(limit))
    return tuple(Head(row.user_id, *_end(row)) for row in rows)


def compared(
    connection: sa.Connection, schema: Schema, heads: Sequence[Head], tombstones: Mapping[UserId, Sequence[Tombstone]]
) -> Iterator[ChainReport]:
    """What has become of each head. `tombstones` are those of after the heads were read.

    A head whose event was pruned since is not broken, and proves nothing any more: its report says how many were
    `pruned`. Raises ConfigurationError where the ids are of another kind than those of this database.
    """
    living: list[Head] = []
    for head in heads:
        if found := tombstones.get(head.user_id):
            problem = _wrongly_erased(head, found)
            yield _broken(head, 0, None, problem) if problem else _intact(head)
        else:
            living.append(head)
    rows, macs = _rows(connection, schema, living), _macs(connection, schema, living)
    anchors = _anchors(connection, schema, [head for head in living if head.count and head.user_id not in macs])
    for head in living:
        row, mac, anchor = rows.get(head.user_id), macs.get(head.user_id), anchors.get(head.user_id, Anchor())
        if mac is None and head.count == anchor.through:
            mac = anchor.mac
        is_pruned = mac is None and head.count < anchor.through
        if row is None or (head.count and mac != head.mac and not is_pruned):
            length = _length(connection, schema, head)
            yield _broken(head, length, *_lost(head, row, mac, length))
        elif not _goes_on(row, head):
            problem = f"the user's row was set back: it counts {row.event_count} events, and there were {head.count}"
            yield _broken(head, head.count, None, problem)
        else:
            yield _intact(head, anchor.through if is_pruned else 0)


def _wrongly_erased(head: Head, tombstones: Sequence[Tombstone]) -> str | None:
    first = min(tombstones, key=lambda tombstone: tombstone.at)
    if first.count < head.count or (first.count == head.count and first.mac != head.mac):
        return f"was erased with {first.count} events, and there had been {head.count}"
    return None if first.is_intact else "was erased when row and events did not agree any more"


def _goes_on(row: Any, head: Head) -> bool:
    try:
        count, mac = _end(row)
    except Tampered:
        return False
    return count > head.count or (count, mac) == (head.count, head.mac)


def _lost(head: Head, row: Any, mac: str | None, length: int) -> tuple[int | None, str]:
    """The first event that is not what it was, and what has become of it."""
    if row is None and length == 0:
        return (1 if head.count else None), f"is gone with {head.count} events, and no tombstone says why"
    if row is None:
        return None, "the user's row is gone"
    if mac is None:
        missing = min(length + 1, head.count)
        return missing, f"event {missing} is missing; there were {head.count}"
    return head.count, f"event {head.count} is not the one that was there: it or one before it was rewritten"


def _broken(head: Head, length: int, first_bad: int | None, problem: str) -> ChainReport:
    return ChainReport(head.user_id, is_intact=False, length=length, first_bad=first_bad, problem=problem)


def _intact(head: Head, pruned: int = 0) -> ChainReport:
    return ChainReport(head.user_id, is_intact=True, length=head.count, pruned=pruned)


def _rows(connection: sa.Connection, schema: Schema, heads: Sequence[Head]) -> dict[UserId, Any]:
    secrets = schema.tables.secrets
    columns = (secrets.c.user_id, secrets.c.event_count, secrets.c.event_head)
    users = [_stored(schema, head) for head in heads]
    found = connection.execute(sa.select(*columns).where(secrets.c.user_id.in_(users)))
    return {row.user_id: row for row in found}


def _macs(connection: sa.Connection, schema: Schema, heads: Sequence[Head]) -> dict[UserId, str | None]:
    """The MAC that each chain has now where its head was."""
    events = schema.tables.events
    places = [(_stored(schema, head), head.count) for head in heads]
    query = sa.select(events.c.user_id, events.c.mac).where(sa.tuple_(events.c.user_id, events.c.seq).in_(places))
    return {row.user_id: row.mac for row in connection.execute(query)}


def _anchors(connection: sa.Connection, schema: Schema, heads: Sequence[Head]) -> dict[UserId, Anchor]:
    """The newest `pruned` line of each user. Without the keys nobody can tell whether it is one of ours."""
    events = schema.tables.events
    query = sa.select(events.c.user_id, events.c.seq, events.c.event_details).where(
        events.c.user_id.in_([_stored(schema, head) for head in heads]),
        events.c.seq > 0,
        events.c.event_type == Kind.PRUNED,
    )
    found: dict[UserId, Anchor] = {}
    for row in connection.execute(query.order_by(events.c.seq)):
        with suppress(Tampered):
            anchor = Anchor.read(row.event_details)
            # Nothing says of events that came after it that they went.
            if anchor.through < row.seq:
                found[row.user_id] = anchor
    return found


def _length(connection: sa.Connection, schema: Schema, head: Head) -> int:
    events = schema.tables.events
    last = sa.select(sa.func.max(events.c.seq)).where(events.c.user_id == head.user_id, events.c.seq > 0)
    return connection.execute(last).scalar_one() or 0


def _stored(schema: Schema, head: Head) -> UserId:
    try:
        return schema.stored(head.user_id)
    except UnknownUser:
        raise ConfigurationError("The ids in this file are none of this database's: it is of another one.") from None


def _end(row: Any) -> tuple[int, str | None]:
    # SQLite keeps whatever is written into a column.
    match row.event_count, row.event_head:
        case int(count), None:
            return count, None
        case int(count), str(mac) if mac.isascii():
            return count, mac
        case _:
            raise Tampered(f"The row of user {row.user_id!r} holds no number of events; look into it.")
