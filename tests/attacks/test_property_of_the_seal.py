"""Whoever writes SQL and has no key opens no door that an exact return to an earlier moment would not open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.attacks.seal_machine import Machine
from tests.attacks.worlds import Worlds
from tests.fuzz.strange import often
from tests.length import IS_WHOLE, LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database


@pytest.fixture
def worlds(migrated: Database, face: str) -> Iterator[Worlds]:
    made = Worlds(migrated, face)
    yield made
    made.close()


@pytest.mark.begun_first
@pytest.mark.requirement("R21", "R34", "R35", "R64", "R72", "R75", "R78", "R102")
@pytest.mark.attack("A8", "A9", "A12", "A21", "A30")
def test_whatever_is_done_by_sql_opens_no_door(worlds: Worlds, backend: str) -> None:
    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(lambda legacy_rows: worlds.open(legacy_rows=legacy_rows))

    # Making a failure short takes minutes; `make attack` takes them.
    phases = [Phase.generate, *([Phase.shrink] if LENGTH >= 10 else [])]
    examples = 15 if backend == "sqlite" else 4
    if not IS_WHOLE:
        examples //= 2
    # In the suite the same lives are lived each time; `make attack` looks for new ones.
    lives = settings(often(examples), stateful_step_count=25, phases=phases, derandomize=LENGTH < 10)
    run_state_machine_as_test(Here, settings=lives)
