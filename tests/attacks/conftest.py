"""Who attacks: an intruder in the database, and a crowd that comes all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.crowd import WAYS, Crowd
from tests.attacks.intruder import Intruder
from tests.people import Clock, plain_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database


@pytest.fixture
def intruder(migrated: Database) -> Intruder:
    return Intruder(migrated.engine())


@pytest.fixture
def isolation() -> str | None:
    """The isolation level of the host's engine; a test that names some runs at each of them."""
    return None


@pytest.fixture
def crowd(migrated: Database, keys: str, clock: Clock, face: str, isolation: str | None) -> Iterator[Crowd]:
    """Threads on the blocking face, tasks on the awaited one."""
    with WAYS[face](migrated.url, plain_settings(keys=keys, deadline=60), clock, isolation) as gathered:
        yield gathered
