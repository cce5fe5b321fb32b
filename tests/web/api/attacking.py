"""Schemathesis at the JSON door of an application: every check at every operation, one by one and following links.

`TWOFOLD_ATTACK_MINUTES` says for how long a file of tests goes on; without it, a few examples for each operation.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.config import SchemathesisConfig

from twofold.web.api.openapi import openapi
from twofold.web.api.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis.generation.stateful.state_machine import APIStateMachine

MINUTES = float(os.environ.get("TWOFOLD_ATTACK_MINUTES", "0"))
# What has the form of a code may be a wrong one, and what has the form of a name may be none.
_CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404", "409", "429"]},
    }
}
# Where a client without a network keeps its cookies.
_SITE = "https://localhost"


class Visitor(Protocol):
    """Somebody in one kind of session."""

    def session(self) -> dict[str, Any]:
        """The headers and cookies of a session of this kind that is there now."""
        ...


def described(app: Any) -> Any:
    """The operations, at the application."""
    found = schemathesis.openapi.from_dict(openapi("/mfa"), config=SchemathesisConfig.from_dict(_CONFIG))
    found.app = app
    return found


def ask_everything(app: Any, visitor: Visitor, *, examples: int, minutes: float) -> None:
    """Ask for each operation by itself."""
    schema = described(app)
    for number in _rounds(minutes):
        met = 0
        for result in schema.get_all_operations():
            operation = result.ok()

            @_settled(examples, number)
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                case.call_and_validate(base_url=_SITE, **visitor.session())

            ask()
            met += 1
        assert met == len(OPERATIONS)


def follow_links(app: Any, visitor: Visitor, *, examples: int, minutes: float) -> None:
    """Ask for one operation with what another has answered."""
    machine: type[APIStateMachine] = described(app).as_state_machine()

    class Asking(machine):  # type: ignore[misc, valid-type]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            del case
            return {"base_url": _SITE, **visitor.session()}

    for number in _rounds(minutes):
        run_state_machine_as_test(Asking, settings=_settled(examples, number, stateful_step_count=6))


def _rounds(minutes: float) -> Iterator[int]:
    """One round, and others until the time is over."""
    end, number = time.monotonic() + 60 * minutes, 0
    while number == 0 or time.monotonic() < end:
        yield number
        number += 1


def _settled(examples: int, number: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=number == 0,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        **more,
    )
