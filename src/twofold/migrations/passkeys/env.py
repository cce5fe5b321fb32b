"""What Alembic runs for the history of the table of passkeys."""

from __future__ import annotations

from twofold.schema import environment
from twofold.schema.history import PASSKEYS

environment.run(PASSKEYS)
