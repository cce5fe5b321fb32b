"""One story in Chromium for the notebook on each framework, with JavaScript or without; in `.ci/run`, with both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chrome import chrome, type_code
from tests.length import IS_WHOLE
from tests.people import Phone
from tests.served import served
from tests.visitors import PASSWORD
from tests.web.notebooks import FRAMEWORKS, open_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.web.notebooks import Notebook

__all__ = ["open_notebook"]

# In the suite the frameworks take turns: the pages and their script are the same on each.
MET = [
    pytest.param(framework, has_script, id=f"{framework}-{'script' if has_script else 'no script'}")
    for number, framework in enumerate(FRAMEWORKS)
    for has_script in (True, False)
    if IS_WHOLE or has_script == (number % 2 == 0)
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chrome() as started:
        yield started


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login")
    page.locator("input[name=email]").fill("ada@example.com")
    page.locator("input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def send(page: Page, code: str, *, has_script: bool) -> None:
    """Type a code. The last digit sends the form, or else the button does."""
    type_code(page, code)
    if not has_script:
        page.locator("input[name=code]").press("Enter")


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(("framework", "has_script"), MET)
def test_a_person_goes_through_all_of_it(
    open_notebook: Callable[..., Notebook], browser: Browser, framework: str, *, has_script: bool
) -> None:
    notebook = open_notebook(framework, has_tls=False)
    with (
        served(notebook.app) as url,
        browser.new_context(java_script_enabled=has_script, locale="en-GB") as here,
        browser.new_context(java_script_enabled=has_script, locale="en-GB") as elsewhere,
    ):
        page = here.new_page()
        sign_in(page, url)
        expect(page.get_by_role("heading", name="Notebook of ada@example.com")).to_be_visible()
        page.locator("input[name=note]").fill("water the plants")
        page.get_by_role("button", name="Keep").click()
        expect(page.locator("input[name=note]")).to_have_value("water the plants")

        # What asks for a second factor leads to its set-up.
        page.get_by_role("link", name="Take it away").click()
        page.locator("form[action$='/setup/begin'] button").click()
        expect(page.locator("form[action$='/setup/confirm'] button")).to_be_visible()
        phone = Phone("".join(page.locator("#secret span").all_text_contents()), notebook.clock)
        send(page, phone.code(), has_script=has_script)
        expect(page.locator(".codes li")).to_have_count(10)
        backup_code = page.locator(".codes li").first.inner_text().strip()

        page.goto(url)
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{url}/login")
        sign_in(page, url)
        page.wait_for_url(f"{url}/mfa/challenge")
        page.goto(url)
        page.wait_for_url(f"{url}/mfa/challenge")
        notebook.clock.forward(seconds=60)
        page.locator("input[name=trust_device]").check()
        send(page, phone.code(), has_script=has_script)
        page.wait_for_url(f"{url}/")

        # The browser is trusted; what asks for a code does so all the same, and comes back.
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{url}/login")
        sign_in(page, url)
        page.get_by_role("link", name="Take it away").click()
        page.wait_for_url(f"{url}/mfa/reverify?next=asked")
        notebook.clock.forward(seconds=60)
        send(page, phone.code(), has_script=has_script)
        page.wait_for_url(f"{url}/export")
        assert page.locator("body").inner_text() == "water the plants"

        # On another machine the phone is not at hand.
        page = elsewhere.new_page()
        sign_in(page, url)
        page.get_by_role("link", name="backup code").click()
        page.wait_for_url(f"{url}/mfa/challenge?with=backup-code")
        page.locator("input[name=code]").fill(backup_code.lower())
        page.locator("input[name=code]").press("Enter")
        page.wait_for_url(f"{url}/")
        page.get_by_role("link", name="Two-step sign-in").click()
        expect(page.get_by_text("9 of 10")).to_be_visible()
