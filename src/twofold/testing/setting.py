"""Keys and settings of a moment, which no other test has."""

from __future__ import annotations

from typing import Any

from twofold.keyring import generate_key
from twofold.settings import Settings


def keys() -> str:
    """Make a key for one test, as `TWOFOLD_KEYS` holds it."""
    return generate_key("test")


def settings(**given: Any) -> Settings:
    """Make settings with a key of their own, and the defaults unless said otherwise; no `.env` file is read."""
    made: dict[str, Any] = {"_env_file": None, "keys": keys()} | given
    return Settings(**made)
