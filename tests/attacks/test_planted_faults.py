"""The machine that finds no hole finds each of the faults that are planted for it, within ten minutes.

It is the machine that is tried here, and no part of the library: in the suite two faults do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.faults import FAULTS
from tests.attacks.hunting import hunt
from tests.attacks.worlds import Worlds
from tests.length import IS_WHOLE, LENGTH

if TYPE_CHECKING:
    from tests.databases import Sources

# Found within seconds each; the others take up to a minute or two, which `make attack` takes.
QUICK = (
    "digests_are_lost",
    "digests_are_made_anew",
    "digests_are_not_compared",
    "passkeys_are_not_compared",
    "older_hashes_stay_bare",
)
TEN_MINUTES = 600.0


@pytest.mark.parametrize("fault", FAULTS if LENGTH >= 10 else QUICK if IS_WHOLE else QUICK[-2:])
def test_the_machine_finds_a_fault_in_the_seal(databases: Sources, fault: str) -> None:
    with FAULTS[fault](), databases.database("sqlite", migrated=True) as database:
        worlds = Worlds(database, "blocking")
        found = hunt(worlds, TEN_MINUTES)
        worlds.close()
    assert found is not None
