"""The pages on a small screen, in a real browser: nothing is off the screen that has to be read, and scripts help."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from pyotp import parse_uri

from tests.chrome import chrome, come_to_rest, hold, type_code, wait_until
from tests.length import IS_WHOLE
from tests.people import Phone
from tests.served import served
from tests.visitors import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from playwright.sync_api import ViewportSize

    from tests.people import Clock

LANGUAGES = ("ar", "de", "es", "fr", "ja")
LONGEST = f"{'maximilian' * 6}@{'.'.join(['musterfirma' * 5] * 3)}.{'beispiel' * 2}0.example"
WIDTHS = (320, 375)
# When the page came, before its files.
CAME = "performance.getEntriesByType('navigation')[0].responseStart"
_FITS = """([width, size]) => {
  document.documentElement.style.fontSize = size;
  const root = document.documentElement;
  return root.scrollWidth <= width ? "" : `${root.scrollWidth} > ${width}, ${[...document.querySelectorAll("main *")]
    .filter((one) => one.getBoundingClientRect().right > width).map((one) => one.outerHTML.slice(0, 80)).slice(0, 3)}`;
}"""


@pytest.fixture
def serve(make_app: Callable[..., FastAPI]) -> Iterator[Callable[..., str]]:
    """Serve the sample with these settings."""
    contexts = []

    def start(**settings: object) -> str:
        context = served(make_app(**settings))
        contexts.append(context)
        return context.__enter__()

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with chrome() as started:
        yield started


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_context(viewport={"width": 320, "height": 568}, locale="en-GB", has_touch=True) as context:
        yield context.new_page()


def assert_fits(page: Page) -> None:
    """Nothing scrolls sideways, at ordinary size and at twice the size of text."""
    # A page is measured with its style sheets, as it is seen.
    page.wait_for_load_state("load")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 568})
        for size in ("100%", "200%"):
            assert page.evaluate(_FITS, [width, size]) == "", (page.url, width, size)
    page.evaluate(_FITS, [320, ""])
    page.set_viewport_size({"width": 320, "height": 568})


def register(page: Page, url: str, email: str) -> None:
    page.goto(f"{url}/register")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(f"{url}/")


def begin(page: Page, url: str, clock: Clock) -> Phone:
    page.goto(f"{url}/mfa/setup")
    page.locator("form[action$='/setup/begin'] button").click()
    link = page.get_by_role("link", name="Open in an authenticator app").get_attribute("href")
    assert link is not None
    page.wait_for_load_state("load")
    return Phone(parse_uri(link).secret, clock)


def send(page: Page, code: str) -> None:
    """Type a code, and send it by hand."""
    has_script_sent = page.locator("#hint[data-add]").count() and code.isdigit()
    with page.expect_navigation():
        type_code(page, code)
        if not has_script_sent:
            page.locator("form:has(input[name=code]) button[type=submit]").click()


def enrolled(page: Page, url: str, clock: Clock) -> Phone:
    register(page, url, "ada@example.com")
    phone = begin(page, url, clock)
    send(page, phone.code())
    expect(page.locator(".codes li")).to_have_count(10)
    clock.forward(seconds=60)
    return phone


def sign_in(page: Page, url: str, email: str) -> None:
    page.goto(url)
    page.get_by_role("button", name=re.compile("sign out", re.IGNORECASE)).first.click()
    page.wait_for_url(f"{url}/login")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url("**/mfa/challenge")


def test_no_page_scrolls_sideways_whatever_the_account_is_called(
    serve: Callable[..., str], page: Page, clock: Clock
) -> None:
    url = serve(support_url="https://example.com/help", issuer="Donaudampfschifffahrtsgesellschaft von Musterstadt")
    assert len(LONGEST) == 254
    register(page, url, LONGEST)
    page.goto(f"{url}/mfa/setup")
    assert_fits(page)
    phone = begin(page, url, clock)
    assert_fits(page)
    for summary in page.locator("summary").all():
        summary.click()
    assert_fits(page)
    send(page, phone.wrong_code())
    expect(page.locator("#problem")).to_be_visible()
    assert_fits(page)
    send(page, phone.code())
    expect(page.locator(".codes li")).to_have_count(10)
    lines = page.locator(".codes li").evaluate_all("all => all.map(one => one.getClientRects()[0].height)")
    assert max(lines) < 36, "a code is broken where it stands on a small screen"
    assert_fits(page)
    clock.forward(seconds=60)
    page.goto(f"{url}/mfa/security")
    assert_fits(page)
    sign_in(page, url, LONGEST)
    assert_fits(page)
    for _ in range(5):
        send(page, phone.wrong_code())
    expect(page.locator("#problem")).to_contain_text("too many wrong codes")
    assert_fits(page)
    page.goto(f"{url}/mfa/challenge?with=backup-code")
    assert_fits(page)
    send(page, "ABCDE")
    assert_fits(page)


def test_a_refused_code_is_told_beside_the_field_on_the_screen(
    serve: Callable[..., str], page: Page, clock: Clock
) -> None:
    url = serve()
    register(page, url, "ada@example.com")
    phone = begin(page, url, clock)
    send(page, phone.wrong_code())
    assert page.title().startswith("Error: ")
    expect(page.locator("#problem")).to_be_in_viewport(ratio=1)
    expect(page.locator("#code")).to_be_in_viewport(ratio=1)
    field = page.locator("#code")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-describedby", "hint problem")
    come_to_rest(page)
    danger = page.locator("#problem").evaluate("one => getComputedStyle(one).color")
    assert field.evaluate("one => getComputedStyle(one).borderTopColor") == danger


def test_the_last_digit_sends_the_form_once_where_that_is_said_and_not_after_a_refusal(
    serve: Callable[..., str], page: Page, clock: Clock
) -> None:
    url = serve()
    register(page, url, "ada@example.com")
    phone = begin(page, url, clock)
    hint = "It is sent by itself after the last digit."
    expect(page.locator("#hint")).to_contain_text(hint)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    wrong = phone.wrong_code()
    page.locator("#code").press_sequentially(f"{wrong[:3]} {wrong[3:]}")
    expect(page.locator("#problem")).to_be_visible()
    page.wait_for_load_state("load")
    assert len(sent) == 1
    expect(page.locator("#hint")).not_to_contain_text(hint)
    page.locator("#code").press_sequentially(phone.code())
    page.wait_for_timeout(300)
    assert len(sent) == 1
    page.get_by_role("button", name="Confirm").dblclick()
    expect(page.locator(".codes li")).to_have_count(10)
    assert len(sent) == 2


def test_who_was_quicker_than_the_script_is_not_told_to_wait_for_it(
    serve: Callable[..., str], page: Page, clock: Clock
) -> None:
    url = serve()
    register(page, url, "ada@example.com")
    phone = begin(page, url, clock)
    code = phone.code()
    held = hold(page, "/twofold[.]js")
    for typed, is_told in ((code[:3], True), (code, False)):
        held.clear()
        page.goto(f"{url}/mfa/setup", wait_until="commit")
        page.locator("input[name=code]").fill(typed)
        wait_until(page, lambda: bool(held))
        held.pop().continue_()
        page.wait_for_load_state("load")
        assert ("by itself" in page.locator("#hint").inner_text()) == is_told
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".codes li")).to_have_count(10)


def test_a_wait_counts_down_and_opens_the_button_again(serve: Callable[..., str], page: Page, clock: Clock) -> None:
    url = serve(free_failures=0, first_wait=3)
    phone = enrolled(page, url, clock)
    # The page has a clock that stands until it is moved.
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    sign_in(page, url, "ada@example.com")
    page.locator("input[name=trust_device]").check()
    send(page, phone.wrong_code())
    button = page.get_by_role("button", name="Sign in", exact=True)
    expect(page.locator("#problem .left")).to_have_attribute("aria-hidden", "true")
    expect(page.locator("#problem .left")).to_have_text("0:03")
    page.clock.run_for(2000)
    expect(page.locator("#problem .left")).to_have_text("0:01")
    # It stands behind the wait that it counts, and before the link that does not wait.
    expect(page.locator("#problem .left + a")).to_have_count(1)
    expect(button).to_be_disabled()
    # A backup code does not wait, wherever it is typed.
    page.locator("#code").fill("ABCDE")
    expect(button).to_be_enabled()
    page.locator("#code").fill("")
    expect(button).to_be_disabled()
    page.clock.run_for(1000)
    expect(button).to_be_enabled()
    expect(page.locator("#problem")).to_have_text("The wait is over. Type a code.")
    expect(page.locator("input[name=trust_device]")).to_be_checked()


def test_a_wait_is_no_longer_where_the_script_comes_late(serve: Callable[..., str], page: Page, clock: Clock) -> None:
    url = serve(free_failures=0, first_wait=2)
    phone = enrolled(page, url, clock)
    sign_in(page, url, "ada@example.com")
    held = hold(page, "/twofold[.]js")
    page.locator("#code").fill(phone.wrong_code())
    expect(page.locator("#problem")).to_contain_text("Try again in 2")
    wait_until(page, lambda: bool(held) and page.evaluate("performance.now()") >= 2000 + page.evaluate(CAME))
    held.pop().continue_()
    page.wait_for_load_state("load")
    assert page.locator("#problem").inner_text() == "The wait is over. Type a code."


def test_a_dense_qr_code_has_room_for_its_modules(serve: Callable[..., str], page: Page, clock: Clock) -> None:
    url = serve(issuer="Федеральное министерство цифрового развития и связи")
    register(page, url, "ada@example.com")
    begin(page, url, clock)
    page.set_viewport_size({"width": 1280, "height": 900})
    drawn = page.locator(".qr svg").evaluate("one => one.getBoundingClientRect().width / one.viewBox.baseVal.width")
    assert drawn >= 3
    with Image.open(io.BytesIO(page.locator(".qr svg").screenshot())) as image:
        (found,) = zxingcpp.read_barcodes(image)
    assert found.text.startswith("otpauth://totp/")


@pytest.mark.begun_first
def test_no_page_scrolls_sideways_in_any_language(
    serve: Callable[..., str], chromium: Browser, page: Page, clock: Clock
) -> None:
    url = serve(support_url="https://example.com/help")
    register(page, url, "ada@example.com")
    # In the suite each page is met in two languages, which take turns.
    turns = itertools.cycle(LANGUAGES)

    with contextlib.ExitStack() as opened:
        small: ViewportSize = {"width": 320, "height": 568}
        speaking = {
            language: opened.enter_context(chromium.new_context(locale=language, viewport=small)).new_page()
            for language in LANGUAGES
        }

        def look(path: str) -> None:
            for language in itertools.islice(turns, len(LANGUAGES) if IS_WHOLE else 2):
                here = speaking[language]
                here.context.clear_cookies()
                cookies: Any = page.context.storage_state().get("cookies", [])
                here.context.add_cookies(cookies)
                here.goto(f"{url}/mfa/{path}")
                assert here.locator("html").get_attribute("lang") == language
                for summary in here.locator("summary").all():
                    summary.click()
                assert_fits(here)

        look("setup")
        phone = begin(page, url, clock)
        look("setup")
        page.goto(f"{url}/mfa/setup")
        send(page, phone.code())
        look("backup-codes")
        look("security")
        look("reverify")
        sign_in(page, url, "ada@example.com")
        look("challenge?with=backup-code")
        look("challenge")
