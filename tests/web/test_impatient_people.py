"""A real browser, and somebody who presses everything twice before the answer comes, with and without JavaScript."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.chrome import chrome
from tests.impatient import Line
from tests.length import IS_WHOLE
from tests.people import Phone
from tests.served import served
from tests.visitors import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from playwright.sync_api import Browser, Page

    from tests.people import Clock


# How long the answer takes, in seconds: how long the second of two presses waits, or what it meets.
SLOW = (0.2, 0.5) if IS_WHOLE else (0.2,)
# In the suite each way is tried on one kind of page.
WAYS = [
    pytest.param(has_script, way, id=f"{'script' if has_script else 'plain'}-{way}")
    for has_script in (True, False)
    for way in ("double click", "enter twice")
    if IS_WHOLE or has_script == (way == "enter twice")
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chrome() as started:
        yield started


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with browser.new_context(locale="en-GB", java_script_enabled=request.param) as context:
        yield context.new_page()


def twice(page: Page, action: str, way: str, code: str | None = None) -> None:
    """Send a form twice before its answer is there."""
    form = page.locator(f"form[action*='{action}']")
    if code is None:
        form.locator("button").dblclick(delay=20)
        return
    field = page.locator("#code")
    if way == "double click":
        # The script sends what is typed; a code that is put there without typing is left to the hand.
        field.evaluate("(field, code) => { field.value = code }", code)
        form.locator("button.primary").dblclick(delay=20)
        return
    page.wait_for_load_state("load")
    field.press_sequentially(code)
    for _ in range(2):
        page.keyboard.press("Enter")


@pytest.mark.parametrize(("page", "way"), WAYS, indirect=["page"])
@pytest.mark.parametrize("seconds", SLOW)
def test_somebody_who_sends_everything_twice_loses_nothing(
    page: Page, app: FastAPI, clock: Clock, seconds: float, way: str
) -> None:
    mfa = app.state.sample.mfa
    with served(Line(app, seconds)) as url:
        page.goto(f"{url}/register")
        page.fill("input[name=email]", "ada@example.com")
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        expect(page).to_have_url(f"{url}/")
        page.goto(f"{url}/mfa/setup")
        page.click("form[action$='/setup/begin'] button")
        expect(page.locator("form[action$='/setup/confirm'] button")).to_be_visible()
        phone = Phone("".join(page.locator("#secret span").all_text_contents()), clock)

        twice(page, "/setup/confirm", way, phone.code())
        expect(page).to_have_url(f"{url}/mfa/backup-codes")
        expect(page.locator(".codes li")).to_have_count(10)
        shown = page.locator(".codes li").all_inner_texts()
        page.reload()
        assert page.locator(".codes li").all_inner_texts() == shown

        page.check("input[name=kept]")
        twice(page, "/backup-codes/kept", way)
        expect(page).to_have_url(re.compile("/mfa/security"))
        clock.forward(seconds=1)
        page.goto(f"{url}/mfa/backup-codes/regenerate")
        twice(page, "/backup-codes/regenerate", way)
        expect(page).to_have_url(f"{url}/mfa/backup-codes")
        # The second answer may come after the first.
        page.wait_for_load_state("networkidle")
        expect(page.locator(".codes li")).to_have_count(10)
        made = page.locator(".codes li").all_inner_texts()
        assert not set(made) & set(shown)

        page.goto(url)
        page.locator("form[action$='/sign-out'] button").first.click()
        expect(page).to_have_url(f"{url}/login")
        page.fill("input[name=email]", "ada@example.com")
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        expect(page).to_have_url(f"{url}/mfa/challenge")
        page.check("input[name=trust_device]")
        clock.forward(seconds=60)
        twice(page, "/mfa/challenge", way, phone.code())
        expect(page).to_have_url(f"{url}/")
        page.wait_for_load_state("networkidle")
        page.goto(f"{url}/mfa/security")
        expect(page.locator("form[action$='/revoke']")).to_have_count(1)

        page.locator("summary#off").click()
        page.check("input[name=sure]")
        twice(page, "/mfa/disable", way)
        expect(page).to_have_url(f"{url}/mfa/security?done=disabled")
    kinds = [event.kind for event in mfa.events.recent(1, limit=100)]
    for kind in ("totp_confirmed", "backup_codes_kept", "backup_codes_regenerated", "disabled", "code_accepted"):
        assert kinds.count(kind) == 1, kind
