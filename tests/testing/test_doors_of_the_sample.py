"""The sample and the pages are walked through as any host is: nothing of them opens too early."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient

from examples.sample import tables
from examples.sample.app import build
from tests.people import Clock, plain_settings
from tests.visitors import PASSWORD, Ada, Browser
from twofold.testing import doors

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from fastapi import FastAPI

    from tests.databases import Database

pytestmark = pytest.mark.backends("sqlite")


@dataclass
class Visitors:
    """Those who come to the sample, each with an account of their own."""

    app: FastAPI
    clock: Clock
    portal: BlockingPortal
    numbers: count[int] = field(default_factory=count)

    def nobody(self) -> TestClient:
        client = TestClient(self.app, base_url="https://testserver", follow_redirects=False)
        # An event loop for all of them, and not one for each request.
        client.portal = self.portal
        return client

    def fresh(self) -> Ada:
        ada = Ada(Browser(self.nobody()), self.clock, f"ada{next(self.numbers)}@example.com")
        ada.register()
        ada.enroll()
        return ada

    def waiting(self) -> Ada:
        ada = self.fresh()
        ada.sign_out()
        ada.sign_in()
        return ada

    def stale(self) -> Ada:
        ada = self.waiting()
        ada.browser.post("/mfa/challenge", code=ada.code())
        self.clock.forward(minutes=30)
        return ada


def form_token(client: TestClient) -> dict[str, Any]:
    """What every form of the sample carries."""
    for page in ("/mfa/challenge", "/mfa/security", "/login"):
        if found := re.search(r'name="csrf" value="([^"]+)"', client.get(page).text):
            return {"data": {"csrf": found[1]}}
    return {}


@pytest.mark.begun_first
def test_nothing_of_the_sample_opens_before_the_second_factor(migrated: Database, keys: str) -> None:
    engine, clock = migrated.engine(), Clock(datetime.now(UTC))
    tables.create(engine)
    with start_blocking_portal() as portal:
        walk(Visitors(build(engine, plain_settings(keys=keys), clock=clock), clock, portal))


def walk(visitors: Visitors) -> None:
    """Go through every route as everybody who is not yet through."""
    owner = visitors.waiting()

    def signs_in(client: TestClient) -> Any:
        browser = Browser(client)
        browser.get("/login")
        return browser.post("/login", email=owner.email, password=PASSWORD)

    found = doors.walk(
        visitors.app,
        nobody=visitors.nobody,
        waiting=lambda: visitors.waiting().browser.client,
        stale=lambda: visitors.stale().browser.client,
        fresh=lambda: visitors.fresh().browser.client,
        asks=["/login", "/mfa/challenge", "/mfa/reverify"],
        sends={"POST *": form_token},
        gives_out={"the login": signs_in},
    )
    assert found.go_round == set()
    found.check(
        public=["GET /login", "POST /login", "GET /register", "POST /register", "*/mfa/challenge*"],
        fresh=["*/password", "GET /mfa/setup", "POST /mfa/setup/begin", "POST /mfa/devices/revoke-all"],
        # Files, what is no page, a way out that leads to the login, and devices and passkeys that nobody has.
        left_out=[
            "GET /mfa/static/*",
            "*/mfa/{rest}",
            "POST /sign-out",
            "POST /mfa/devices/{device_id}/*",
            "POST /mfa/passkeys/{passkey_id}/*",
            "POST /mfa/passkeys/begin",
        ],
    )
