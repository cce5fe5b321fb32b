"""What revision b1f04c7d29ae does, for Twofold's own history and for a host's.

Frozen: a file that `twofold db write-revision --passkeys` wrote calls these two for ever.
"""

from __future__ import annotations

from twofold.schema import making
from twofold.schema.history import PASSKEYS


def upgrade(users: str) -> None:
    """Create the table. Where it exists it has to conform, or nothing is changed; the four tables come before it."""
    making.upgrade(PASSKEYS, users)


def downgrade() -> None:
    """Drop the table, and with it every passkey.

    Where anything else hangs on it, in whichever schema, it is named, and nothing is dropped.
    """
    making.downgrade(PASSKEYS)
