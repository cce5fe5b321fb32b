"""What somebody reads who has passkeys and no app: no word of what is not there, or not offered."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.web.test_passkeys import app, database, of_one, options, owner
from twofold import Challenge

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from tests.people import Clock
    from tests.visitors import Browser
    from tests.web.test_passkeys import Owner

__all__ = ["app", "database", "of_one", "owner"]

NO_WAY = "Nothing that you could confirm with works here, and no backup code is left."


def visible(page: str) -> str:
    """What is read on a page, with what its script says when it needs to."""
    said = " ".join(re.findall(r'(?:data-(?:failed|cancelled)|aria-label)="([^"]*)"', page))
    return unescape(re.sub(r"<[^>]+>", " ", page) + said)


def spend(owner: Owner, app: FastAPI) -> None:
    """Use all backup codes up."""
    mfa = app.state.sample.mfa
    for code in owner.ada.backup_codes:
        challenge = mfa.challenge(1)
        assert isinstance(challenge, Challenge)
        mfa.verify(challenge.token, code)


def wait(owner: Owner) -> str:
    """Sign in with the password, and read what is asked for."""
    owner.ada.sign_out()
    assert owner.ada.sign_in().headers["location"] == "/mfa/challenge"
    return owner.read("/mfa/challenge")


def make_stale(owner: Owner) -> None:
    """Let so much time pass that a change asks for the second step."""
    owner.ada.clock.forward(minutes=6)


def test_whoever_has_a_passkey_alone_reads_of_no_code(of_one: Owner, app: FastAPI) -> None:
    spend(of_one, app)
    challenge = wait(of_one)
    empty = of_one.browser.post("/mfa/challenge", passkey="")
    assert "Nothing came from your passkey. Try again." in empty.text
    refused = of_one.browser.post("/mfa/challenge", passkey=of_one.passkey.sign(options(empty), signature=b"none"))
    assert "The passkey was not accepted. Try again." in refused.text
    assert of_one.answer().headers["location"] == "/"
    make_stale(of_one)
    step_up = of_one.read("/mfa/reverify?next=security")
    asked_for_codes = of_one.read("/mfa/reverify?next=security&with=backup-code")
    for page in (challenge, empty.text, refused.text, step_up, asked_for_codes):
        assert "data-options" in page
        words = visible(page)
        assert not re.search(r"\bcodes?\b|\bapp\b|\bphone\b|another way", words, re.IGNORECASE), words


def test_the_security_page_speaks_of_codes_only_where_it_offers_them(of_one: Owner, app: FastAPI) -> None:
    spend(of_one, app)
    wait(of_one)
    of_one.answer()
    make_stale(of_one)
    words, _, below = " ".join(visible(of_one.read()).split()).partition("Recent activity")
    assert "Passkeys, all backup codes and all trusted devices end at once." in below
    for offered in (
        "Authenticator app None is set up. It is a second way in when no passkey is at hand.",
        "Backup codes 0 of 10 left. Make new ones.",
        "Make new codes",
        "add another passkey or set up an authenticator app.",
    ):
        assert offered in words
        words = words.replace(offered, "")
    assert not re.search(r"\bcodes?\b|\bapp\b|\bphone\b", words, re.IGNORECASE), words
    assert "You can trust one when you next sign in." in words


def test_the_log_of_a_passkey_speaks_of_the_second_step(of_one: Owner) -> None:
    wait(of_one)
    of_one.ada.clock.forward(minutes=11)
    assert "This sign-in waited too long. Nothing is wrong" in of_one.browser.post("/mfa/challenge", code="1").text
    wait(of_one)
    of_one.ada.clock.forward(minutes=11)
    wait(of_one)
    of_one.answer()
    make_stale(of_one)
    of_one.browser.post("/mfa/passkeys/begin")
    words = visible(of_one.read())
    words = words[words.index("Recent activity") :]
    assert "The password was right, and the second step was not taken" in words
    assert not re.search(r"\b(?<!backup )codes?\b", words, re.IGNORECASE), words


def test_whoever_has_nothing_left_is_told_so_and_not_asked(of_one: Owner, app: FastAPI) -> None:
    spend(of_one, app)
    wait(of_one)
    thief = of_one.passkey.copied()
    assert of_one.answer().headers["location"] == "/"
    of_one.ada.sign_out()
    of_one.ada.sign_in()
    asked = options(of_one.browser.get("/mfa/challenge"))
    refused = of_one.browser.post("/mfa/challenge", passkey=thief.sign(asked))
    again = of_one.browser.get("/mfa/challenge")
    by_code = of_one.browser.get("/mfa/challenge?with=backup-code")
    for page in (refused, again, by_code):
        assert page.text.count(NO_WAY) == 1
        assert ("This passkey may have been copied" in page.text) is (page is refused)
        assert "<h1>You cannot confirm here</h1>" in page.text
        assert 'name="code"' not in page.text
        assert "Type a backup code" not in page.text
    assert of_one.browser.post("/mfa/challenge/cancel").headers["location"] == "/login"


def test_a_step_up_without_any_way_says_so(
    of_one: Owner, app: FastAPI, make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser]
) -> None:
    spend(of_one, app)
    wait(of_one)
    of_one.answer()
    elsewhere = open_browser(on=make_app())
    elsewhere.put_back(of_one.browser.profile())
    page = elsewhere.get("/mfa/reverify?next=security").text
    assert NO_WAY in page
    assert 'name="code"' not in page
    assert "Type a backup code" not in page


@pytest.mark.parametrize("why", ["limit", "no domain"])
def test_nobody_is_told_to_add_a_passkey_where_none_is_offered(
    of_one: Owner, make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], clock: Clock, why: str
) -> None:
    settings = {"public_url": "https://testserver", "passkey_limit": 1} if why == "limit" else {}
    elsewhere = open_browser(on=make_app(**settings))
    thief = of_one.passkey.copied()
    of_one.sign_in()
    elsewhere.put_back(of_one.browser.profile())
    page = elsewhere.get("/mfa/security").text
    if why == "limit":
        assert "Your last way to confirm. Before it can be removed, set up an authenticator app." in page
        of_one.passkey = thief
        of_one.sign_in()
        of_one.browser.post("/mfa/challenge?with=backup-code", code=of_one.ada.backup_codes[0])
        elsewhere.put_back(of_one.browser.profile())
        page = elsewhere.get("/mfa/security").text
        assert "It may have been copied, so it is not accepted any more. Change your password." in page
    else:
        assert "It belongs to testserver and does not work here.</p>" in page
    for sentence in ("Add another one", "Add a passkey", "add another passkey", "set up another one"):
        assert sentence not in page
