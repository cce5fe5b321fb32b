"""Two people at one browser: open pages of the first do nothing to the second, who signed in meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from examples.sample import tables
from examples.sample.app import build
from tests.chrome import chrome, type_code
from tests.people import plain_settings
from tests.served import served
from tests.visitors import PASSWORD, Ada, Browser
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from fastapi import FastAPI
    from playwright.sync_api import Page

    from tests.databases import Database
    from tests.people import Clock
    from twofold import MFA

ACTIONS = [
    ("/mfa/disable", {"sure": "yes"}),
    ("/mfa/backup-codes/regenerate", {"sure": "yes"}),
    ("/mfa/backup-codes/kept", {"kept": "yes"}),
    ("/mfa/devices/revoke-all", {}),
    ("/mfa/devices/1/rename", {"name": "laptop"}),
    ("/mfa/devices/1/revoke", {}),
    ("/mfa/setup/begin", {}),
    ("/mfa/setup/confirm", {"code": "123456"}),
    ("/sign-out", {}),
]


@pytest.fixture
def app(migrated: Database, clock: Clock) -> FastAPI:
    engine = migrated.engine()
    tables.create(engine)
    return build(engine, plain_settings(keys=generate_key("k1")), clock=clock)


@pytest.fixture
def both(app: FastAPI, clock: Clock) -> tuple[Ada, Ada]:
    """Ada and Grace, who both have a second factor; nobody is signed in."""
    browser = Browser(TestClient(app, base_url="https://testserver", follow_redirects=False))
    people = Ada(browser, clock), Ada(browser, clock, email="grace@example.com")
    for person in people:
        person.register()
        person.enroll()
        person.sign_out()
    return people


def sign_in(person: Ada) -> None:
    person.sign_in()
    person.browser.post("/mfa/challenge", code=person.code())
    assert person.browser.client.get("/").status_code == 200


def mfa_of(app: FastAPI) -> MFA:
    found: MFA = app.state.sample.mfa
    return found


@pytest.mark.requirement("R65")
@pytest.mark.attack("A24")
def test_a_form_of_the_first_does_nothing_to_the_second(app: FastAPI, both: tuple[Ada, Ada]) -> None:
    ada, grace = both
    sign_in(ada)
    ada.browser.get("/mfa/security")
    old = ada.browser.csrf
    ada.sign_out()
    sign_in(grace)
    before = mfa_of(app).status(2), list(mfa_of(app).events.export(limit=1000))
    for path, fields in ACTIONS:
        answer = grace.browser.client.post(path, data={"csrf": old} | fields)
        assert answer.status_code == 403, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (mfa_of(app).status(2), list(mfa_of(app).events.export(limit=1000))) == before
    assert grace.browser.client.get("/").status_code == 200


@pytest.mark.requirement("R58", "R65")
def test_a_code_that_the_first_types_late_is_not_held_against_the_second(app: FastAPI, both: tuple[Ada, Ada]) -> None:
    ada, grace = both
    ada.sign_in()
    ada.browser.get("/mfa/challenge")
    old = ada.browser.csrf
    ada.browser.post("/mfa/challenge/cancel")
    grace.sign_in()
    kinds = [event.kind for event in mfa_of(app).events.export(limit=1000)]
    answer = grace.browser.client.post("/mfa/challenge", data={"csrf": old, "code": ada.code()})
    assert answer.status_code == 403
    assert [event.kind for event in mfa_of(app).events.export(limit=1000)] == kinds
    assert grace.browser.client.get("/").headers["location"] == "/mfa/challenge"
    grace.browser.get("/mfa/challenge")
    assert grace.browser.post("/mfa/challenge", code=grace.code()).headers["location"] == "/"


@pytest.mark.requirement("R72")
def test_the_trust_of_the_first_spares_the_second_no_code(app: FastAPI, both: tuple[Ada, Ada]) -> None:
    ada, grace = both
    ada.sign_in()
    ada.browser.post("/mfa/challenge", code=ada.code(), trust_device="yes")
    ((name, token),) = ada.browser.devices().items()
    ada.sign_out()
    assert grace.sign_in().headers["location"] == "/mfa/challenge"
    grace.browser.post("/mfa/challenge/cancel")
    # Even under the name of her own cookie it is the trust of somebody else.
    own = "__Host-" + mfa_of(app).trusted_devices.cookie_name(2)
    assert own != name
    grace.browser.client.cookies.set(own, token, domain="testserver.local", path="/")
    assert grace.sign_in().headers["location"] == "/mfa/challenge"


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("has_script", [True, False])
def test_whoever_presses_a_button_of_the_page_before_reads_whose_sign_in_it_is(
    app: FastAPI,
    both: tuple[Ada, Ada],
    has_script: bool,  # noqa: FBT001
) -> None:
    ada, grace = both
    with served(app) as url, chrome() as browser:
        context = browser.new_context(locale="en-GB", java_script_enabled=has_script)
        first, second = context.new_page(), context.new_page()
        type_in(first, url, ada, has_script=has_script)
        first.goto(f"{url}/mfa/security")
        second.goto(url)
        second.locator("form[action$='/sign-out'] button").first.click()
        second.wait_for_url(f"{url}/login")
        type_in(second, url, grace, has_script=has_script)
        first.locator("summary#off").click()
        first.check("input[name=sure]")
        first.locator("form[action$='/disable'] button").click()
        expect(first.get_by_role("heading", level=1)).to_have_text("This page is out of date")
        expect(first.get_by_text("grace@example.com")).to_be_visible()
        first.get_by_role("link", name="Load the page again").click()
        first.wait_for_url(f"{url}/mfa/security")
    assert all(mfa_of(app).status(user_id).is_enrolled for user_id in (1, 2))
    kinds = [event.kind for event in mfa_of(app).events.export(limit=1000)]
    assert kinds.count("totp_confirmed") == 2
    assert not {"backup_codes_regenerated", "disabled", "device_revoked"} & set(kinds)


def type_in(page: Page, url: str, person: Ada, *, has_script: bool) -> None:
    page.goto(f"{url}/login")
    page.locator("input[name=email]").fill(person.email)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(f"{url}/mfa/challenge")
    # The sixth digit sends the form, or else a key does.
    type_code(page, person.code())
    if not has_script:
        page.locator("input[name=code]").press("Enter")
    page.wait_for_url(f"{url}/")
