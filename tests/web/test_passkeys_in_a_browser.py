"""Passkeys in Chromium, whose own authenticators sign: the whole story, and what a person reads where nothing signs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from pyotp.totp import TOTP

from examples.sample import tables
from examples.sample.app import build
from tests.chrome import chrome, hold, type_code, wait_until
from tests.databases import add_passkeys
from tests.length import IS_WHOLE
from tests.people import Clock, plain_settings
from tests.served import served
from tests.servers import free_port
from tests.visitors import PASSWORD
from tests.web.authenticators import Authenticators
from tests.web.notebooks import FRAMEWORKS, open_notebook
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from tests.databases import Database, Sources
    from tests.web.notebooks import Notebook

__all__ = ["open_notebook"]

USE, MAKE, ADD = "Use your passkey", "Make the passkey", "Add a passkey"
# What browsers of before 2025 have not.
WITHOUT_JSON = """
  delete PublicKeyCredential.parseCreationOptionsFromJSON;
  delete PublicKeyCredential.parseRequestOptionsFromJSON;
  delete PublicKeyCredential.prototype.toJSON;
"""
# A browser waits as long as it is asked to, here half a second.
IMPATIENT = """() => {
  const asked = document.querySelector("[data-passkey]").dataset;
  asked.options = JSON.stringify({ ...JSON.parse(asked.options), timeout: 500 });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chrome() as started:
        yield started


@pytest.fixture
def database(databases: Sources, backend: str) -> Iterator[Database]:
    with databases.database(backend, migrated=True) as ready:
        add_passkeys(ready)
        yield ready


@pytest.fixture
def site(database: Database, clock: Clock) -> Iterator[str]:
    """The sample, on a port that its passkeys are for."""
    port = free_port()
    domain = {"rp_id": "localhost", "origins": f"http://localhost:{port}"}
    engine = database.engine()
    tables.create(engine)
    with served(build(engine, plain_settings(keys=generate_key("k1"), **domain), clock=clock), port) as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(locale="en-GB") as context:
        yield context.new_page()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def register(page: Page, url: str) -> None:
    page.goto(f"{url}/register")
    page.fill("input[name=email]", "ada@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{url}/")


def sign_in(page: Page, url: str, *, after: str = "/mfa/challenge") -> None:
    page.goto(url)
    page.locator("form[action$='/sign-out'] button").first.click()
    page.wait_for_url(f"{url}/login")
    page.fill("input[name=email]", "ada@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{url}{after}")


def make_first(page: Page, url: str) -> list[str]:
    """Set up two-step sign-in by passkey; the backup codes."""
    page.goto(f"{url}/mfa/setup")
    press(page, "Set up a passkey")
    press(page, MAKE)
    page.wait_for_url(f"{url}/mfa/backup-codes")
    return page.locator(".codes li").all_text_contents()


def add_app(page: Page, url: str, clock: Clock) -> str:
    """Set up an app beside the passkey; its secret."""
    page.goto(f"{url}/mfa/setup")
    press(page, "Go on")
    expect(page.get_by_role("button", name="Confirm")).to_be_visible()
    secret = "".join(page.locator("#secret span").all_text_contents())
    type_code(page, TOTP(secret).at(clock.now))
    page.wait_for_url(f"{url}/mfa/backup-codes")
    clock.forward(seconds=60)
    return secret


def live(page: Page, site: str, clock: Clock) -> None:
    """Somebody who is signed in has two passkeys, from their making to their end."""
    authenticators = Authenticators(page)
    laptop = authenticators.add("internal")
    codes = make_first(page, site)
    assert [one["isResidentCredential"] for one in laptop.held()] == [True]
    page.locator("input[name=kept]").check()
    press(page, "Done")
    page.wait_for_url(re.compile("/mfa/security"))
    sign_in(page, site)
    press(page, USE)
    page.wait_for_url(f"{site}/")

    # It is there already, so the same machine makes no second one; another one does.
    page.goto(f"{site}/mfa/security")
    press(page, ADD)
    press(page, MAKE)
    expect(page.get_by_text("There is a passkey for this account on it already.")).to_be_visible()
    laptop.touched(by_itself=False)
    key = authenticators.add("usb", is_resident=False, has_verification=False)
    press(page, MAKE)
    page.wait_for_url(f"{site}/mfa/security?done=passkey")
    assert [one["isResidentCredential"] for one in key.held()] == [False]
    sign_in(page, site)
    press(page, USE)
    page.wait_for_url(f"{site}/")
    assert [one["signCount"] > 1 for one in key.held()] == [True]

    page.goto(f"{site}/mfa/security")
    summary = page.locator("details.renaming summary").first
    summary.click()
    page.locator("details[open] input[name=name]").fill("My key")
    press(page, "Save the new name of Chrome on Linux 2")
    expect(page.get_by_text("The passkey has its new name.")).to_be_visible()
    clock.forward(minutes=6)
    press(page, "Remove Chrome on Linux")
    expect(page.get_by_text("Once you have confirmed, the passkey is removed.")).to_be_visible()
    press(page, USE)
    page.wait_for_url(f"{site}/mfa/security?done=passkey_removed")
    expect(page.get_by_text("My key", exact=True)).to_be_visible()
    expect(page.get_by_text("Your last way to confirm.")).to_be_visible()

    # The machine's was removed, and the key is lost: nothing answers, and a backup code lets in.
    laptop.touched(by_itself=True)
    key.remove()
    sign_in(page, site)
    page.evaluate(IMPATIENT)
    press(page, USE)
    expect(page.get_by_text("Nothing was done: it was cancelled, or it took too long.")).to_be_visible()
    expect(page.get_by_role("button", name=USE)).to_be_enabled()
    page.get_by_role("link", name="Use a backup code").click()
    page.wait_for_url(f"{site}/mfa/challenge?with=backup-code")
    page.fill("input[name=code]", codes[0].lower())
    page.press("input[name=code]", "Enter")
    page.wait_for_url(f"{site}/")
    page.goto(f"{site}/mfa/security")
    expect(page.get_by_text("9 of 10")).to_be_visible()


@pytest.mark.begun_first
@pytest.mark.by_turns
def test_two_passkeys_from_their_making_to_their_end(page: Page, site: str, clock: Clock) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    register(page, site)
    live(page, site, clock)
    assert complaints == []


@pytest.mark.backends("sqlite")
def test_beside_an_app_and_in_a_browser_that_reads_no_json(page: Page, site: str, clock: Clock) -> None:
    page.add_init_script(WITHOUT_JSON)
    Authenticators(page).add("internal")
    register(page, site)
    make_first(page, site)
    assert page.evaluate("PublicKeyCredential.parseRequestOptionsFromJSON") is None
    secret = add_app(page, site, clock)
    sign_in(page, site)
    expect(page.get_by_role("button", name=USE)).to_be_focused()
    type_code(page, TOTP(secret).at(clock.now))
    page.wait_for_url(f"{site}/")
    sign_in(page, site)
    page.locator("input[name=trust_device]").check()
    press(page, USE)
    page.wait_for_url(f"{site}/")
    sign_in(page, site, after="/")


@pytest.mark.backends("sqlite")
def test_what_comes_late_disturbs_nobody_who_began_without_it(page: Page, site: str, clock: Clock) -> None:
    laptop = Authenticators(page).add("internal")
    register(page, site)
    make_first(page, site)
    secret = add_app(page, site, clock)
    sign_in(page, site)
    held = hold(page, "/passkeys[.]js|/late[.]png")
    # The button comes while a code is typed.
    page.goto(f"{site}/mfa/challenge", wait_until="commit")
    field, code = page.locator("input[name=code]"), TOTP(secret).at(clock.now)
    field.press_sequentially(code[:3])
    wait_until(page, lambda: bool(held))
    held.pop().continue_()
    expect(page.get_by_role("button", name=USE)).to_be_visible()
    expect(field).to_be_focused()
    # The last picture comes while the browser asks for the passkey.
    page.add_init_script("addEventListener('DOMContentLoaded', () => { new Image().src = '/late.png'; })")
    page.goto(f"{site}/mfa/challenge", wait_until="commit")
    wait_until(page, lambda: bool(held))
    held.pop().continue_()
    laptop.touched(by_itself=False)
    press(page, USE)
    expect(page.get_by_role("button", name=USE)).to_be_disabled()
    wait_until(page, lambda: bool(held))
    held.pop().abort()
    page.wait_for_load_state("load")
    expect(page.get_by_role("button", name=USE)).to_be_disabled()


@pytest.mark.backends("sqlite")
def test_where_no_passkey_can_be_used_the_page_says_so(browser: Browser, page: Page, site: str) -> None:
    Authenticators(page).add("internal")
    register(page, site)
    make_first(page, site)
    sign_in(page, site)
    state = page.context.storage_state()
    with browser.new_context(java_script_enabled=False, storage_state=state, locale="en-GB") as plain:
        other = plain.new_page()
        other.goto(f"{site}/mfa/challenge")
        told = other.locator("noscript p")
        expect(told).to_be_visible()
        expect(told).to_contain_text("Passkeys need JavaScript, and it is turned off in this browser.")
        expect(other.get_by_role("button", name=USE)).to_be_hidden()
        expect(other.get_by_role("link", name="Use a backup code")).to_be_visible()
    page.add_init_script("delete window.PublicKeyCredential")
    page.reload()
    expect(page.get_by_text("This browser knows no passkeys.")).to_be_visible()
    expect(page.get_by_role("button", name=USE)).to_be_hidden()
    expect(page.get_by_role("link", name="Use a backup code")).to_be_visible()


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_notebook_takes_a_passkey(open_notebook: Callable[..., Notebook], page: Page, framework: str) -> None:
    port = free_port()
    notebook = open_notebook(framework, has_tls=False, rp_id="localhost", origins=f"http://localhost:{port}")
    with served(notebook.app, port) as url:
        page.goto(f"{url}/login")
        page.fill("input[name=email]", "ada@example.com")
        page.fill("input[name=password]", PASSWORD)
        press(page, "Sign in")
        page.wait_for_url(f"{url}/")
        if IS_WHOLE:
            live(page, url, notebook.clock)
            return
        Authenticators(page).add("internal")
        make_first(page, url)
        sign_in(page, url)
        press(page, USE)
        page.wait_for_url(re.compile(f"{url}/$"))
        expect(page.get_by_role("heading", name="Notebook of ada@example.com")).to_be_visible()
