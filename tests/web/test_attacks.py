"""Attacks that the pages of others have suffered, tried on these."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from starlette.requests import Request

from examples.sample import sessions
from tests.visitors import PASSWORD, Ada
from tests.web.test_gate import concrete, routes_of
from twofold.metadata import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from tests.databases import Database
    from tests.visitors import Browser

FORWARDED = ("x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip")
SESSION = "__Host-sample_session"


def is_in(browser: Browser) -> bool:
    """Whether this browser is let through to the page that needs every step."""
    return browser.client.get("/").status_code == 200


@pytest.mark.requirement("R12")
@pytest.mark.attack("A4")
def test_a_used_code_is_typed_again_with_spaces_around_it(waiting: Ada) -> None:
    code = waiting.code()
    assert waiting.browser.post("/mfa/challenge", code=f" {code} ").headers["location"] == "/"
    waiting.sign_out()
    waiting.sign_in()
    for typed in (code, f" {code}", f"{code}\t", f"\u3000{code}"):
        assert waiting.browser.post("/mfa/challenge", code=typed).status_code == 400
    assert not is_in(waiting.browser)


@pytest.mark.requirement("R27")
@pytest.mark.attack("A17")
def test_every_guess_claims_to_come_from_somewhere_else(waiting: Ada) -> None:
    assert waiting.phone is not None
    answers: list[int] = []
    for number in range(6):
        waiting.browser.client.headers.update(dict.fromkeys(FORWARDED, f"198.51.100.{number}"))
        answers.append(waiting.browser.post("/mfa/challenge", code=waiting.phone.wrong_code()).status_code)
    assert answers == [400, 400, 400, 400, 429, 429]
    waiting.browser.post("/mfa/challenge", code=waiting.backup_codes[0])
    assert "198.51.100." not in waiting.browser.get("/mfa/security").text


@pytest.mark.requirement("R77")
@pytest.mark.attack("A22")
def test_a_cookie_is_wanted_before_the_code(waiting: Ada) -> None:
    assert waiting.phone is not None
    browser = waiting.browser
    browser.post("/mfa/challenge", code=waiting.phone.wrong_code(), trust_device="yes")
    browser.post("/mfa/challenge", code="", trust_device="yes")
    browser.post("/mfa/challenge/cancel", trust_device="yes")
    assert browser.device() is None
    waiting.sign_in()
    assert browser.device() is None
    assert not is_in(browser)


@pytest.mark.requirement("R65")
@pytest.mark.attack("A24")
def test_no_address_changes_anything_by_being_looked_at(
    app: FastAPI, enrolled: Ada, open_browser: Callable[..., Browser], database: Database
) -> None:
    enrolled.begin()
    waiting = open_browser()
    waiting.get("/login")
    waiting.post("/login", email=enrolled.email, password=PASSWORD)
    engine = database.engine()

    def everything() -> list[Any]:
        with engine.connect() as connection:
            return [connection.execute(sa.text(f"SELECT * FROM {name}")).all() for name in NAMES]

    before = everything()
    for browser in (enrolled.browser, waiting, open_browser()):
        for path in {path for _, path in routes_of(app.routes)}:
            browser.client.get(concrete(path))
            browser.client.get(concrete(path) + "?sure=yes&code=123456&next=setup")
            browser.client.head(concrete(path))
    assert everything() == before


@pytest.mark.requirement("R71")
@pytest.mark.attack("A31")
def test_the_password_is_looked_for_while_the_code_is_awaited(waiting: Ada, database: Database) -> None:
    file = Path(database.url.removeprefix("sqlite:///"))
    kept = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
    assert waiting.email.encode() in kept
    assert PASSWORD.encode() not in kept
    assert not any(PASSWORD in str(cookie.value) for cookie in waiting.browser.client.cookies.jar)


@pytest.mark.requirement("R68")
@pytest.mark.attack("A33")
def test_a_wrong_password_does_not_tell_who_has_a_second_factor(
    waiting: Ada, open_browser: Callable[..., Browser], make_app: Callable[..., FastAPI]
) -> None:
    grace = type(waiting)(open_browser(), waiting.clock, "grace@example.com")
    grace.register()
    told: set[tuple[int, str]] = set()
    for email in (waiting.email, grace.email, "eve@example.com"):
        browser = open_browser()
        browser.get("/login")
        answer = browser.post("/login", email=email, password="wrong")
        told.add((answer.status_code, answer.text.replace(email, "").replace(browser.csrf, "")))
        asked = browser.get("/mfa/challenge")
        assert (asked.status_code, 'name="code"' in asked.text) == (400, False)
    assert len(told) == 1


@pytest.mark.requirement("R60", "R63")
@pytest.mark.attack("A34")
def test_a_code_never_stands_in_for_the_password_nor_the_password_for_a_code(
    waiting: Ada, open_browser: Callable[..., Browser]
) -> None:
    let_in: list[tuple[str, str]] = []
    for password, code in product(("right", "wrong", "absent"), repeat=2):
        browser = open_browser()
        typed = {"right": waiting.code(), "wrong": "000000x"}.get(code)
        fields = {"email": waiting.email} | ({} if typed is None else {"code": typed})
        if password != "absent":
            fields["password"] = {"right": PASSWORD}.get(password, "wrong")
        browser.get("/login")
        browser.post("/login", **fields)
        browser.get("/mfa/challenge")
        browser.post("/mfa/challenge", **fields)
        if is_in(browser):
            let_in.append((password, code))
    assert let_in == [("right", "right")]


CLAIMS = {"mfa": "true", "success": "true", "verified": "1", "amr": "mfa", "acr": "aal2", "is_enrolled": "false"}


@pytest.mark.requirement("R63", "R84")
@pytest.mark.attack("A38")
def test_what_a_client_claims_of_itself_opens_nothing(waiting: Ada) -> None:
    assert waiting.phone is not None
    browser = waiting.browser
    browser.post("/mfa/challenge", code=waiting.phone.wrong_code())
    browser.client.headers["authorization"] = "Bearer eyJhbGciOiJub25lIn0.eyJhbXIiOlsibWZhIl19."
    for name, value in CLAIMS.items():
        browser.client.cookies.set(name, value)
        browser.client.headers[f"x-{name.replace('_', '-')}"] = value
    assert browser.post("/mfa/challenge", code="", **CLAIMS).status_code == 400
    assert browser.client.get("/", params=CLAIMS).headers["location"] == "/mfa/challenge"
    assert (
        browser.client.post("/mfa/disable", data=CLAIMS | {"csrf": browser.csrf}).headers["location"]
        == "/mfa/challenge"
    )


@pytest.mark.requirement("R84")
def test_a_session_whose_proof_is_no_proof_is_one_without(enrolled: Ada, database: Database) -> None:
    engine, session = database.engine(), enrolled.browser.cookie(SESSION) or ""
    for claim in ("mfa", "aal2", "eyJhbGciOiJub25lIn0.eyJhbXIiOlsibWZhIl19.", "v1~k1~e30~00", " "):
        sessions.keep_proof(engine, session, claim)
        answer = enrolled.browser.post("/mfa/disable", sure="yes")
        assert answer.headers["location"].startswith("/mfa/reverify?next=security&then=")
    assert "Two-step sign-in is on" in enrolled.browser.get("/mfa/security").text


@pytest.mark.requirement("R93")
@pytest.mark.attack("A37")
def test_no_page_shows_the_code_that_it_asks_for(app: FastAPI, waiting: Ada) -> None:
    assert waiting.phone is not None
    waiting.clock.forward(seconds=60)
    live = [waiting.phone.code(steps=steps) for steps in (-1, 0, 1)]
    alone = re.compile(rf"(?<![0-9a-zA-Z])({'|'.join(live)})(?![0-9a-zA-Z])")
    pages = [waiting.browser.client.get(concrete(path)) for _, path in routes_of(app.routes)]
    pages.append(waiting.browser.post("/mfa/challenge", code=waiting.phone.wrong_code()))
    assert len(pages) > 20
    for page in pages:
        assert not alone.search(page.text + str(page.headers))


class EveryName(dict[str, str]):
    """An address that says the same under every name, but for the one that turns the pages of the log."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self._value = value

    def __contains__(self, name: object) -> bool:
        return name != "before"

    def __getitem__(self, name: str) -> str:
        if name not in self:
            raise KeyError(name)
        return self._value

    def get(self, name: str, default: Any = None) -> Any:
        return self._value if name in self else default


@pytest.mark.requirement("R110")
def test_nobody_reads_the_events_of_somebody_else(
    monkeypatch: pytest.MonkeyPatch, enrolled: Ada, open_browser: Callable[..., Browser], database: Database
) -> None:
    mallory = type(enrolled)(open_browser(), enrolled.clock, "mallory@example.com")
    mallory.register()
    assert "The authenticator app was set up" in enrolled.browser.get("/mfa/security").text
    for address in ("/mfa/security", "/mfa/security?before=99", "/mfa/security?user_id=1", "/mfa/security?before=3"):
        assert "The authenticator app was set up" not in mallory.browser.get(address).text
    # Whatever an address may say beside the page of the log, under any name, is not whose log it is.
    with database.engine().connect() as connection:
        adas = connection.execute(sa.text("SELECT user_id FROM user_mfa_secrets")).scalar_one()
    monkeypatch.setattr(Request, "query_params", EveryName(str(adas)))
    assert "Two-step sign-in" in (page := mallory.browser.get("/mfa/security").text)
    assert "The authenticator app was set up" not in page
    monkeypatch.undo()
    stranger = open_browser()
    assert stranger.get("/mfa/security").headers["location"] == "/login"


@pytest.mark.requirement("R82")
def test_a_login_with_the_old_password_that_is_under_way_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, ada: Ada, open_browser: Callable[..., Browser]
) -> None:
    ada.browser.get("/password")
    thief, begin, changed = Ada(open_browser(), ada.clock), sessions.begin, list[str]()

    def begin_later(*arguments: Any, **named: Any) -> str:
        # The thief's login has checked the old password, and the owner changes it before its session begins.
        monkeypatch.setattr(sessions, "begin", begin)
        answer = ada.browser.post("/password", current=PASSWORD, password="a new password of ada")
        changed.append(answer.headers["location"])
        return begin(*arguments, **named)

    monkeypatch.setattr(sessions, "begin", begin_later)
    thief.sign_in()
    assert changed == ["/"]
    assert thief.browser.get("/").headers["location"] == "/login"
    assert ada.browser.get("/").status_code == 200
