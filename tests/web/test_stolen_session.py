"""Somebody who holds a browser's cookies, or forges what a browser sends, and what the owner sees of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import add_passkeys
from tests.people import FIREFOX
from tests.web.test_gate import concrete
from twofold.web.gate import ROUTES
from twofold.web.visit import SignedIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from tests.databases import Database
    from tests.visitors import Ada, Browser

# The first asks for the code itself; the second only gives back, as a file, what the browser has just sent.
UNGUARDED = {"/reverify", "/backup-codes/download"}
CHANGING = [
    route.path
    for route in ROUTES
    if (route.method, route.audience) == ("POST", SignedIn) and route.path not in UNGUARDED
]


@pytest.fixture
def database(database: Database) -> Database:
    """The four tables, and that of passkeys: what sets one up is among what a thief would like."""
    add_passkeys(database)
    return database


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    return make_app(public_url="https://testserver")


@pytest.mark.requirement("R46", "R47")
@pytest.mark.parametrize("path", CHANGING)
def test_an_open_session_is_found_after_lunch(waiting: Ada, path: str) -> None:
    waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    waiting.clock.forward(minutes=6)
    waiting.browser.get("/mfa/security")
    answer = waiting.browser.post(f"/mfa{concrete(path)}", sure="yes", code=waiting.code(), passkey="{}")
    # What there is nothing of to do leads to the security page; all else asks for a code.
    is_idle = path in {"/setup/confirm", "/backup-codes/kept"}
    assert answer.headers["location"].startswith("/mfa/security" if is_idle else "/mfa/reverify?next=")
    page = waiting.browser.get("/mfa/security").text
    assert "Two-step sign-in is on" in page
    assert "10 of 10 left" in page
    assert "Stop trusting" in page


@pytest.mark.requirement("R21", "R61")
def test_the_cookies_of_before_the_guesses_are_put_back(waiting: Ada, open_browser: Callable[..., Browser]) -> None:
    assert waiting.phone is not None
    kept = dict(waiting.browser.client.cookies)
    answers: list[int] = []
    for _ in range(6):
        browser = open_browser()
        browser.client.cookies.update(kept)
        browser.get("/mfa/challenge")
        answers.append(browser.post("/mfa/challenge", code=waiting.phone.wrong_code()).status_code)
    assert answers == [400, 400, 400, 400, 429, 429]


@pytest.mark.requirement("R61", "R62")
def test_the_cookies_of_before_the_code_are_put_back_behind_it(
    waiting: Ada, open_browser: Callable[..., Browser]
) -> None:
    copy = open_browser()
    copy.client.cookies.update(dict(waiting.browser.client.cookies))
    csrf = waiting.browser.csrf
    waiting.browser.post("/mfa/challenge", code=waiting.code())
    assert waiting.browser.get("/").status_code == 200
    assert copy.get("/").headers["location"] == "/login"
    assert copy.get("/mfa/security").headers["location"] == "/mfa/challenge"
    assert "You may be signed in already" in copy.get("/mfa/challenge").text
    # Half a minute long they open nothing but the very same answer.
    assert "You may be signed in already" in copy.post("/mfa/challenge", csrf=csrf, code=waiting.code()).text
    assert copy.get("/").headers["location"] == "/login"


@pytest.mark.requirement("R5")
def test_a_secret_of_the_browsers_own_is_sent_along(ada: Ada) -> None:
    known = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    ada.browser.get("/mfa/setup")
    ada.browser.post(f"/mfa/setup/begin?secret={known}", secret=known, pending_secret=known)
    assert 'data-copy="' in ada.browser.get("/mfa/setup").text
    assert known not in ada.browser.get("/mfa/setup").text


@pytest.mark.requirement("R13")
def test_a_request_says_that_it_is_an_hour_ago(waiting: Ada) -> None:
    old, then = waiting.code(), waiting.clock.now
    waiting.clock.forward(hours=1)
    seconds = str(int(then.timestamp()))
    said = {
        "date": then.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "x-time": seconds,
        "x-request-start": seconds,
        "x-timestamp": seconds,
    }
    waiting.sign_out()
    waiting.sign_in()
    waiting.browser.client.headers.update(said)
    answer = waiting.browser.post(
        f"/mfa/challenge?at={seconds}&time={seconds}", code=old, at=seconds, now=seconds, step=str(int(seconds) // 30)
    )
    assert answer.status_code == 400
    assert waiting.browser.get("/").headers["location"] == "/mfa/challenge"


@pytest.mark.requirement("R30", "R40")
def test_somebody_guesses_behind_the_right_password_and_the_owner_looks(
    waiting: Ada, open_browser: Callable[..., Browser]
) -> None:
    assert waiting.phone is not None
    thief = type(waiting)(open_browser(), waiting.clock, phone=waiting.phone)
    thief.browser.client.headers["user-agent"] = FIREFOX.user_agent or ""
    thief.sign_in()
    thief.browser.post("/mfa/challenge", code=waiting.phone.wrong_code())
    thief.browser.post("/mfa/challenge", code=waiting.backup_codes[0])
    waiting.sign_out()
    waiting.sign_in()
    waiting.browser.post("/mfa/challenge", code=waiting.code())
    page = waiting.browser.get("/mfa/security").text
    for told in (
        "A wrong code was given to sign in",
        "Signed in with a backup code",
        "Firefox on Linux",
        "9 of 10 left",
    ):
        assert told in page
