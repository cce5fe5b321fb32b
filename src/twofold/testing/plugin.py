"""Fixtures of pytest: a clock, keys, settings, a database in memory, and the library on it.

Every run of pytest imports this file, so nothing else is imported before a test asks for a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from twofold import MFA, Settings
    from twofold.testing import Clock


@pytest.fixture
def mfa_clock() -> Clock:
    """The moment of the test, to be turned."""
    from twofold.testing import Clock

    return Clock()


@pytest.fixture
def mfa_keys() -> str:
    """A key of this test alone, as TWOFOLD_KEYS holds it."""
    from twofold.testing import keys

    return keys()


@pytest.fixture
def mfa_settings(mfa_keys: str) -> Settings:
    """The defaults, with the keys of this test. Override it where the host has settings of its own."""
    from twofold.testing import settings

    return settings(keys=mfa_keys)


@pytest.fixture
def mfa_engine(mfa_settings: Settings) -> Iterator[sa.Engine]:
    """A database in memory with Twofold's own `users`. Override it with `engine(Base.metadata)`, or the host's own."""
    from twofold.testing import engine

    made = engine(users=mfa_settings.users)
    yield made
    made.dispose()


@pytest.fixture
def mfa(mfa_engine: sa.Engine, mfa_settings: Settings, mfa_clock: Clock) -> MFA:
    """The library on the database of this test, at its moment."""
    from twofold import MFA

    return MFA(mfa_engine, mfa_settings, clock=mfa_clock)
