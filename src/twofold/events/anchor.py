"""What a `pruned` line says of the lines that went: where they ended, so that the chain can be followed from there.

It stands in the chain like every other line, so nobody without the keys can write one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import sqlalchemy as sa

from twofold.errors import Tampered
from twofold.kinds import Kind

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account


class Anchor(NamedTuple):
    """The number of the last event that went, and its MAC."""

    through: int = 0
    mac: str | None = None

    @classmethod
    def read(cls, details: str | None) -> Self:
        """What the details of a `pruned` line say. Raises Tampered where they do not read."""
        try:
            fields = json.loads(details or "")
            return cls(int(fields["through"]), fields["mac"])
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Tampered from None

    def details(self) -> dict[str, Any]:
        """The same as details."""
        return self._asdict()


def newest(work: Attempt, account: Account) -> tuple[int, Anchor]:
    """The newest anchor of a user's log and the number of its line; 0 and an empty one where nothing was pruned.

    Raises Tampered where it does not read.
    """
    events = work.schema.tables.events
    query = sa.select(events.c.seq, events.c.event_details).where(
        events.c.user_id == account.user_id,
        events.c.seq.between(1, account.event_count),
        events.c.event_type == Kind.PRUNED,
    )
    row = work.connection.execute(query.order_by(events.c.seq.desc()).limit(1)).first()
    return (0, Anchor()) if row is None else (row.seq, Anchor.read(row.event_details))
