"""What revision 769e76ff65d7 does, for Twofold's own history and for a host's.

Frozen, like the specification beside it: a file that `twofold db write-revision` wrote calls these two for ever.
"""

from __future__ import annotations

from twofold.schema import making
from twofold.schema.history import FOUR


def upgrade(users: str) -> None:
    """Create the tables that are missing. What exists has to conform, or nothing is changed."""
    making.upgrade(FOUR, users)


def downgrade() -> None:
    """Drop the tables, and with them every enrolment; their indexes go with them, under whatever name.

    Where anything else hangs on them, in whichever schema, it is named, and nothing is dropped.
    """
    making.downgrade(FOUR)
