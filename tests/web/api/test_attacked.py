"""Schemathesis at the JSON door of a router, from each kind of session of a host that keeps them itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.people import Phone
from tests.web.api.attacking import MINUTES, ask_everything, follow_links
from twofold.web import forms
from twofold.web.binding import runtime_of
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.people import Clock
    from tests.web.api.host import Host
    from twofold import MFA

pytestmark = pytest.mark.backends("sqlite")

VISITORS = ("nobody", "who waits", "who is in", "an app")


class Visitor:
    """Ada in one of her sessions, which begins anew before each request, with a second factor in force."""

    def __init__(self, kind: str, mfa: MFA, host: Host, user_id: int, clock: Clock) -> None:
        self.kind, self.mfa, self.host, self.user_id, self.clock = kind, mfa, host, user_id, clock

    def session(self) -> dict[str, Any]:
        """The headers of a session that is there now."""
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
            return {"headers": {"Authorization": "Bearer k", "Twofold-Proof": self.proof}}
        core = runtime_of(self.mfa)
        csrf = forms.token(core.keyring, "k", realm=forms.realm_of(core.settings))
        return {"headers": {"X-CSRF-Token": csrf}, "cookies": {"__Host-session": "k"}}


@pytest.fixture
def visitor(request: pytest.FixtureRequest, mfa: MFA, host: Host, ada_id: int, clock: Clock) -> Visitor:
    return Visitor(request.param, mfa, host, ada_id, clock)


@pytest.mark.parametrize("visitor", VISITORS, indirect=True)
def test_every_operation_answers_as_it_is_described(visitor: Visitor, app: FastAPI) -> None:
    ask_everything(app, visitor, examples=8, minutes=MINUTES / 8)


@pytest.mark.parametrize("visitor", ["who is in", "an app"], indirect=True)
def test_links_lead_on(visitor: Visitor, app: FastAPI) -> None:
    follow_links(app, visitor, examples=4, minutes=MINUTES / 4)
