"""What Alembic runs for the history of the four tables."""

from __future__ import annotations

from twofold.schema import environment
from twofold.schema.history import FOUR

environment.run(FOUR)
