"""The whole library against a model of it, on whatever Hypothesis comes up with."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fuzz.machine import Machine
from tests.fuzz.strange import often
from tests.length import LENGTH
from tests.people import Clock, Open, add_user

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.fuzz.model import Policy
    from twofold import MFA


@pytest.mark.requirement("R7", "R8", "R24", "R25", "R36", "R44", "R78", "R97", "R102")
@pytest.mark.attack("A1", "A3", "A12")
@pytest.mark.backends("sqlite", "postgresql")
def test_whatever_happens_the_library_does_what_the_model_says(
    open_mfa: Open, migrated: Database, clock: Clock
) -> None:
    faces: dict[Policy, MFA] = {}
    numbers = itertools.count(1)

    def open_(policy: Policy) -> MFA:
        if policy not in faces:
            faces[policy] = open_mfa(
                free_failures=policy.free,
                suspend_after=policy.cap,
                failure_limit=policy.held,
                window=policy.window,
                device_limit=policy.devices,
                backup_code_count=3,
            )
        return faces[policy]

    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(open_, lambda: add_user(migrated, f"ada{next(numbers)}@example.com"), clock)

    # Making a failure short takes minutes; `make attack` takes them.
    phases = [Phase.generate, *([Phase.shrink] if LENGTH >= 10 else [])]
    run_state_machine_as_test(
        Here, settings=settings(often(8), stateful_step_count=35, phases=phases, derandomize=LENGTH < 10)
    )
