"""A person calls a trusted device what she likes, on the security page, without script and on a small screen."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.people import FIREFOX
from tests.visitors import Ada
from tests.web.test_phone import assert_fits, begin, chromium, page, register, send, serve, sign_in
from twofold.browsers import given
from twofold.outcomes import Device
from twofold.web.pages.security import told_apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.people import Clock
    from tests.visitors import Browser

__all__ = ["chromium", "page", "serve"]


@pytest.fixture
def trusting(waiting: Ada) -> Ada:
    """Ada, whose browser is trusted, with a code that was given a moment ago."""
    waiting.browser.client.headers["user-agent"] = FIREFOX.user_agent or ""
    waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    waiting.browser.get("/mfa/security")
    return waiting


def device_of(ada: Ada) -> str:
    (device,) = re.findall(r"/mfa/devices/(\d+)/rename", ada.browser.get("/mfa/security").text)
    return str(device)


def labels(page: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'aria-label="Stop trusting ([^"]+)"', page)]


def test_a_device_is_renamed_and_told_by_its_name(trusting: Ada) -> None:
    answer = trusting.browser.post(f"/mfa/devices/{device_of(trusting)}/rename", name=" <b>Ada's laptop</b> ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/mfa/security?done=renamed")
    page = trusting.browser.get(answer.headers["location"]).text
    assert "The device has its new name." in page
    assert labels(page) == ["<b>Ada's laptop</b>"]
    assert "<b>" not in page
    assert "Firefox\u00a0on\u00a0Linux is now called <b>Ada's laptop</b>" in html.unescape(page)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "Type a name."),
        ("x" * 65, "This name is too long. Use at most 64\xa0characters."),
        ("lap\u202etop", "This name has characters that cannot be seen."),
        ("lap\x00top", "This name has characters that cannot be seen."),
    ],
)
def test_a_name_that_cannot_be_is_told_at_its_field(trusting: Ada, typed: str, told: str) -> None:
    device = device_of(trusting)
    answer = trusting.browser.post(f"/mfa/devices/{device}/rename", name=typed)
    assert answer.status_code == 400
    assert re.search(rf'<p class="problem" id="problem-{device}" role="alert">.*{re.escape(told)}', answer.text)
    (field,) = re.findall(r'<input id="name-[^>]+>', answer.text)
    assert f'autofocus aria-invalid="true" aria-describedby="problem-{device}"' in field
    assert '<details class="renaming" open>' in answer.text
    assert answer.text.count("<title>Error") == 1
    assert labels(answer.text) == labels(trusting.browser.get("/mfa/security").text) == ["Firefox on Linux"]
    assert trusting.browser.post(f"/mfa/devices/{device}/rename", name="laptop").status_code == 303


@pytest.mark.requirement("R47")
@pytest.mark.attack("A25")
def test_nobody_renames_a_device_of_somebody_else_or_with_a_session_alone(
    trusting: Ada, open_browser: Callable[..., Browser]
) -> None:
    device = device_of(trusting)
    mallory = Ada(open_browser(), trusting.clock, "mallory@example.com")
    mallory.register()
    mallory.enroll()
    for number in (device, "77", "x", "9" * 30):
        for name in ("mine", ""):
            assert mallory.browser.post(f"/mfa/devices/{number}/rename", name=name).status_code == 404
    trusting.clock.forward(minutes=6)
    for name in ("mine", ""):
        answer = trusting.browser.post(f"/mfa/devices/{device}/rename", name=name)
        assert answer.headers["location"].startswith("/mfa/reverify?next=")
    assert labels(trusting.browser.get("/mfa/security").text) == ["Firefox on Linux"]


def called(clock: Clock, *names: str) -> list[str]:
    """What devices of these names are called on the page, that of the one trusted first at the beginning."""
    moment = clock.now
    devices = [
        Device(
            id=number,
            name=name,
            browser=None,
            platform=None,
            ip_address=None,
            location=None,
            usage_count=0,
            created_at=moment,
            last_used_at=None,
            trusted_until=moment,
            revoked_at=None,
            revoked_reason=None,
            is_active=True,
            is_contested=False,
            is_this=False,
        )
        for number, name in enumerate(names)
    ]
    return [name for _, name in told_apart(reversed(devices))][::-1]


def test_equal_names_are_told_apart_whatever_others_are_called(clock: Clock) -> None:
    assert called(clock, "laptop", "laptop", "laptop") == ["laptop", "laptop (2)", "laptop (3)"]
    assert called(clock, "laptop", "laptop", "laptop (2)") == ["laptop", "laptop (3)", "laptop (2)"]
    assert called(clock, "a (2)", "a", "a", "a (2)") == ["a (2)", "a", "a (3)", "a (2) (2)"]
    # To the eye, all spaces are one.
    ours, theirs = "Firefox on Linux", given("Firefox on Linux")
    assert called(clock, ours, theirs) == [ours, f"{theirs} (2)"]


@pytest.mark.parametrize("name", ["Work on Linux", "Firefox on tour", "Firefox on Linux", "A browser"])
def test_a_name_that_its_owner_gave_is_never_translated(trusting: Ada, name: str) -> None:
    device = device_of(trusting)
    trusting.browser.client.headers["accept-language"] = "de"
    assert "Firefox auf Linux" in trusting.browser.get("/mfa/security").text
    for _ in range(2):
        assert trusting.browser.post(f"/mfa/devices/{device}/rename", name=name).status_code == 303
        page = html.unescape(trusting.browser.get("/mfa/security").text)
        assert [one.replace("\u00a0", " ") for one in re.findall(r'aria-label="(.*) nicht mehr vertrauen"', page)] == [
            name
        ]
        assert page.replace("\u00a0", " ").count(f"Firefox auf Linux heißt jetzt {name}") == 1


def test_a_name_is_typed_on_a_small_screen(serve: Callable[..., str], page: Page, clock: Clock) -> None:
    url = serve()
    register(page, url, "ada@example.com")
    phone = begin(page, url, clock)
    send(page, phone.code())
    clock.forward(seconds=60)
    sign_in(page, url, "ada@example.com")
    page.locator("input[name=trust_device]").check()
    send(page, phone.code())
    page.goto(f"{url}/mfa/security")
    page.locator("details.renaming summary").click()
    field = page.get_by_label("New name", exact=True)
    expect(field).to_be_visible()
    assert_fits(page)
    page.set_viewport_size({"width": 480, "height": 568})
    page.evaluate("document.documentElement.style.fontSize = ''")
    beside = page.locator("form[action$='/revoke'] button").bounding_box()
    held = field.bounding_box()
    assert beside is not None
    assert held is not None
    assert beside["y"] > held["y"] + held["height"], "the button takes the field's room"
    field.fill(" ")
    page.get_by_role("button", name="Save the new name of").click()
    expect(page.locator("details.renaming .problem")).to_contain_text("Type a name.")
    expect(field).to_be_focused()
    assert_fits(page)
    field.fill("W" * 64)
    field.press("Enter")
    expect(page.locator(".notice[role=status]")).to_contain_text("The device has its new name.")
    expect(page.locator("bdi", has_text="W" * 64).first).to_be_visible()
    assert_fits(page)
