"""Schemathesis with every check at every operation, one by one and following links, from each kind of session.

`TWOFOLD_ATTACK_MINUTES` says for how long; without it, a few examples for each operation.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.config import SchemathesisConfig

from tests.people import Phone
from twofold.web import forms
from twofold.web.api.openapi import openapi
from twofold.web.api.operations import OPERATIONS
from twofold.web.binding import runtime_of
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from schemathesis.generation.stateful.state_machine import APIStateMachine

    from tests.people import Clock
    from tests.web.api.host import Host
    from twofold import MFA

pytestmark = pytest.mark.backends("sqlite")

MINUTES = float(os.environ.get("TWOFOLD_ATTACK_MINUTES", "0"))
VISITORS = ("nobody", "who waits", "who is in", "an app")
# What has the form of a code may be a wrong one, and what has the form of a name may be none.
_CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404", "409", "429"]},
    }
}


class Visitor:
    """Ada in one of her sessions, which begins anew before each request, with a second factor in force."""

    def __init__(self, kind: str, mfa: MFA, host: Host, user_id: int, clock: Clock) -> None:
        self.kind, self.mfa, self.host, self.user_id, self.clock = kind, mfa, host, user_id, clock

    def headers(self) -> dict[str, str]:
        """Headers of a session that is there now."""
        self.clock.forward(seconds=40)
        if not self.mfa.status(self.user_id).is_enrolled:
            begun = self.mfa.totp.begin(self.user_id, account_name="ada@example.com")
            enrolled = self.mfa.totp.confirm(self.user_id, Phone(begun.secret, self.clock).code())
            device = self.mfa.trusted_devices.trust(enrolled.verified)
            assert device.device_id
            self.proof = enrolled.verified.token
        self.host.sessions.clear()
        if self.kind == "nobody":
            return {}
        if self.kind == "who waits":
            challenge = self.mfa.challenge(self.user_id)
            assert challenge
            self.host.sessions["k"] = Waiting("k", challenge.token, "ada@example.com")
        elif self.kind == "who is in":
            self.host.sessions["k"] = SignedIn("k", self.user_id, "ada@example.com", self.proof)
        else:
            self.host.sessions["k"] = SignedIn("k", self.user_id, "ada@example.com", is_bearer=True)
            return {"Authorization": "Bearer k", "Twofold-Proof": self.proof}
        core = runtime_of(self.mfa)
        csrf = forms.token(core.keyring, "k", realm=forms.realm_of(core.settings))
        return {"Cookie": "__Host-session=k", "X-CSRF-Token": csrf}


@pytest.fixture
def visitor(request: pytest.FixtureRequest, mfa: MFA, host: Host, ada_id: int, clock: Clock) -> Visitor:
    return Visitor(request.param, mfa, host, ada_id, clock)


@pytest.fixture
def described(app: FastAPI) -> Any:
    """The operations, at the application."""
    found = schemathesis.openapi.from_dict(openapi("/mfa"), config=SchemathesisConfig.from_dict(_CONFIG))
    found.app = app
    return found


def rounds(minutes: float) -> Iterator[int]:
    """One round, and others until the time is over."""
    end, number = time.monotonic() + 60 * minutes, 0
    while number == 0 or time.monotonic() < end:
        yield number
        number += 1


def settled(examples: int, number: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=number == 0,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        **more,
    )


@pytest.mark.parametrize("visitor", VISITORS, indirect=True)
def test_every_operation_answers_as_it_is_described(visitor: Visitor, described: Any) -> None:
    for number in rounds(MINUTES / 8):
        met = 0
        for result in described.get_all_operations():
            operation = result.ok()

            @settled(8, number)
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                case.call_and_validate(base_url="https://testserver", headers=visitor.headers())

            ask()
            met += 1
        assert met == len(OPERATIONS)


@pytest.mark.parametrize("visitor", ["who is in", "an app"], indirect=True)
def test_links_lead_on(visitor: Visitor, described: Any) -> None:
    machine: type[APIStateMachine] = described.as_state_machine()

    class Asking(machine):  # type: ignore[misc, valid-type]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            del case
            return {"base_url": "https://testserver", "headers": visitor.headers()}

    for number in rounds(MINUTES / 4):
        run_state_machine_as_test(Asking, settings=settled(4, number, stateful_step_count=6))
