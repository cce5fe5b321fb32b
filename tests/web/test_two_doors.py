"""Several routers in one application, below any prefix: each keeps its addresses, forms and cookies to itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.people import add_user, enroll, plain_settings
from tests.visitors import Browser
from twofold import MFA
from twofold.keyring import generate_key
from twofold.web.binding import base_of
from twofold.web.fastapi import SignedIn, Waiting, router

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request, Response

    from tests.databases import Database, Sources
    from tests.people import Clock
    from twofold import Verified


@dataclass
class Realm:
    """One kind of users in an application: their second factor, and a session that opens both kinds' pages."""

    mfa: MFA
    name: str
    login_url: str
    home_url: str
    held: Waiting | SignedIn | None

    async def session(self, request: Request) -> Waiting | SignedIn | None:
        return self.held

    async def log_in(self, request: Request, response: Response, verified: Verified) -> None:
        self.held = SignedIn("after", verified.user_id, f"{self.name}@example.com", verified.token)

    async def remember(self, request: Request, response: Response, verified: Verified) -> None:
        self.held = SignedIn("one session", verified.user_id, f"{self.name}@example.com", verified.token)

    async def changed(self, request: Request, response: Response) -> None:
        """Nobody else has a session here."""

    async def log_out(self, request: Request, response: Response) -> None:
        self.held = None


def realm(database: Database, clock: Clock, keys: str, name: str, path: str) -> Realm:
    settings = plain_settings(keys=keys, issuer=f"Crane {name}", device_cookie=f"{name}_device")
    mfa = MFA(database.engine(), settings, clock=clock)
    user_id = add_user(database, f"{name}@example.com")
    held = SignedIn("one session", user_id, f"{name}@example.com")
    return Realm(mfa, name, f"{path}/login", f"{path}/home", held)


@pytest.fixture
def realms(databases: Sources, clock: Clock) -> Iterator[tuple[Realm, Realm]]:
    """Customers and staff with one key, each with a user whose number is 1."""
    keys = generate_key("k1")
    with databases.database("sqlite", migrated=True) as first, databases.database("sqlite", migrated=True) as second:
        yield realm(first, clock, keys, "customers", ""), realm(second, clock, keys, "staff", "/staff")


def open_(app: FastAPI) -> Browser:
    return Browser(TestClient(app, base_url="https://testserver", follow_redirects=False))


@pytest.fixture
def browser(realms: tuple[Realm, Realm]) -> Browser:
    app = FastAPI(openapi_url=None)
    for each, prefix in zip(realms, ("/mfa", "/staff/mfa"), strict=True):
        app.include_router(router(each.mfa, each), prefix=prefix)
    return open_(app)


def links(page: str) -> set[str]:
    return set(re.findall(r'(?:href|action|src)="([^"#?]+)', page))


def test_every_link_of_a_router_is_its_own(browser: Browser) -> None:
    for prefix, home in (("/mfa", "/home"), ("/staff/mfa", "/staff/home")):
        for page in ("setup", "security"):
            found = links(browser.get(f"{prefix}/{page}").text) - {home}
            assert found
            assert all(link.startswith(f"{prefix}/") for link in found), found


def test_a_form_begins_the_set_up_of_its_own_realm(browser: Browser, realms: tuple[Realm, Realm]) -> None:
    customers, staff = realms
    browser.get("/staff/mfa/setup")
    answer = browser.post("/staff/mfa/setup/begin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/staff/mfa/setup")
    assert (customers.mfa.status(1).is_pending, staff.mfa.status(1).is_pending) == (False, True)


@pytest.mark.requirement("R65")
def test_a_form_of_one_realm_is_refused_by_the_other(browser: Browser, realms: tuple[Realm, Realm]) -> None:
    customers, staff = realms
    for page, other in (("/staff/mfa/setup", "/mfa/setup/begin"), ("/mfa/setup", "/staff/mfa/setup/begin")):
        browser.get(page)
        assert browser.client.post(other, data={"csrf": browser.csrf}).status_code == 403
    assert not customers.mfa.status(1).is_pending
    assert not staff.mfa.status(1).is_pending


def test_two_people_with_one_number_keep_the_trust_of_each_realm(
    browser: Browser, realms: tuple[Realm, Realm], clock: Clock
) -> None:
    for each, prefix in zip(realms, ("/mfa", "/staff/mfa"), strict=True):
        enrolment = enroll(each.mfa, 1, clock)
        clock.forward(minutes=1)
        challenge = each.mfa.challenge(1)
        assert challenge
        each.held = Waiting("waiting", challenge.token, f"{each.name}@example.com")
        browser.get(f"{prefix}/challenge")
        answer = browser.post(f"{prefix}/challenge", code=enrolment.phone.code(), trust_device="yes")
        assert answer.headers["location"] == each.home_url
    names = {name.rpartition("_")[0] for name in browser.client.cookies}
    assert names == {"__Host-customers_device", "__Host-staff_device"}


def test_a_parameter_of_the_prefix_stays_in_every_link(realms: tuple[Realm, Realm]) -> None:
    customers, _ = realms
    customers.login_url, customers.home_url = "/{tenant}/login", "/{tenant}/home"
    app = FastAPI(openapi_url=None)
    pages = router(customers.mfa, customers, destinations={"export": "/{tenant}/export"})
    app.include_router(pages, prefix="/{tenant}/mfa")
    browser = open_(app)
    for tenant in ("acme", "crane%20%26%20co", "caf%C3%A9"):
        found = links(browser.get(f"/{tenant}/mfa/setup").text)
        assert found
        assert all(re.sub("&amp;|%26", "&", link).startswith(f"/{tenant}/".replace("%26", "&")) for link in found), (
            found
        )
    assert browser.post("/acme/mfa/setup/begin", csrf=csrf(browser, "/acme/mfa/setup")).headers["location"] == (
        "/acme/mfa/setup"
    )
    customers.held = None
    assert browser.get("/acme/mfa/security").headers["location"] == "/acme/login"


def csrf(browser: Browser, path: str) -> str:
    browser.get(path)
    return browser.csrf


@pytest.mark.parametrize("is_stripped", [True, False])
def test_a_root_path_stands_before_every_link(realms: tuple[Realm, Realm], is_stripped: bool) -> None:  # noqa: FBT001
    customers, _ = realms
    inner = FastAPI(openapi_url=None)
    inner.include_router(router(customers.mfa, customers), prefix="/mfa")
    client = TestClient(inner, base_url="https://testserver", root_path="/shop", follow_redirects=False)
    page = client.get("/mfa/setup" if is_stripped else "/shop/mfa/setup")
    assert page.status_code == 200
    assert all(link.startswith("/shop/mfa/") for link in links(page.text) - {"/home"})


@pytest.mark.parametrize(
    ("path", "root", "route", "base"),
    [
        ("/mfa/setup", "", "/setup", "/mfa"),
        ("/mfa/devices/7/revoke", "", "/devices/{device_id}/revoke", "/mfa"),
        ("/app/mfa/setup", "/app", "/setup", "/app/mfa"),
        ("/mfa/setup", "/app", "/setup", "/app/mfa"),
        ("/setup", "", "/setup", ""),
        ("//evil.example/mfa/setup", "", "/setup", "/evil.example/mfa"),
        ("/\\evil.example/mfa/setup", "", "/setup", "/%5Cevil.example/mfa"),
        ('/"><b>/mfa/setup', "", "/setup", "/%22%3E%3Cb%3E/mfa"),
        ("/a\r\nb/mfa/setup", "", "/setup", "/a%0D%0Ab/mfa"),
        ("/über/mfa/setup", "", "/setup", "/%C3%BCber/mfa"),
    ],
)
def test_the_base_is_a_path_of_this_site(path: str, root: str, route: str, base: str) -> None:
    assert base_of(path, root, route) == base
