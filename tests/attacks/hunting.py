"""Run the machine for a while, from one seed after another, until it finds a hole."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from hypothesis import Phase, seed, settings
from hypothesis.errors import FailedHealthCheck, Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test

from tests.attacks.seal_machine import Machine
from tests.attacks.world import Hole
from tests.fuzz.strange import often

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.attacks.worlds import Worlds


def hunt(worlds: Worlds, seconds: float, tolerated: Collection[str] = (), *, first: int = 0) -> Hole | None:
    """The first hole that is found within so many seconds, by the same seeds each time, from `first` on."""
    ends = time.monotonic() + seconds

    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(lambda legacy_rows: worlds.open(legacy_rows=legacy_rows, tolerated=tolerated))

    for number in itertools.count(first):
        if time.monotonic() > ends:
            return None
        factory: Any = seed(number)(lambda: Here())  # noqa: PLW0108 -- The seed is kept on the function.
        quick = settings(often(1), max_examples=20, stateful_step_count=25, phases=[Phase.generate])
        try:
            run_state_machine_as_test(factory, settings=quick)
        except Hole as hole:
            return hole
        except (Unsatisfiable, FailedHealthCheck):
            continue
    return None
