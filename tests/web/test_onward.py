"""Where a host leads on after the code: to other origins, in a popup, in a real browser and by a table in the docs."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Response
from starlette.responses import HTMLResponse, RedirectResponse

from tests.attacks.host import Host, browser
from tests.chrome import chrome
from tests.people import add_user, challenged, enroll, plain_settings
from tests.served import served
from tests.web.test_outside import table
from twofold import MFA
from twofold.keyring import generate_key
from twofold.web.fastapi import SignedIn, Waiting, router

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request
    from playwright.sync_api import Response as Answer

    from tests.databases import Database
    from tests.people import Clock, Enrolment
    from twofold import Verified

CLIENT = "https://client.example/callback?code=1"


@dataclass
class Leading(Host):
    """A host that leads on, and gives a cookie on the way."""

    location: str = "/"

    async def log_in(self, request: Request, response: Response, verified: Verified) -> None:
        await super().log_in(request, response, verified)
        response.set_cookie("first", "1")
        response.set_cookie("second", "2")
        response.headers["location"] = self.location


@pytest.fixture
def mfa(database: Database, clock: Clock) -> MFA:
    return MFA(database.engine(), plain_settings(keys=generate_key("k1"), backup_code_count=20), clock=clock)


@pytest.fixture
def enrolment(mfa: MFA, database: Database, clock: Clock) -> Enrolment:
    return enroll(mfa, add_user(database, "ada@example.com"), clock)


def waiting(mfa: MFA, **says: Any) -> Waiting:
    return Waiting("first", challenged(mfa, 1), "ada@example.com", **says)


@pytest.mark.parametrize(
    ("location", "name"),
    [
        (CLIENT, "https://client.example"),
        ("https://client.example:8443/callback", "https://client.example:8443"),
        ("//client.example/callback", "https://client.example"),
        ("com.example.app:/callback", "com.example.app"),
        ("/home", None),
        ("home", None),
        ("https://testserver/home", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https://[", None),
    ],
)
def test_a_redirect_that_would_end_at_the_form_becomes_a_page(
    mfa: MFA, enrolment: Enrolment, location: str, name: str | None
) -> None:
    ada = browser(mfa, Leading(held=waiting(mfa), location=location))
    ada.get("/mfa/challenge")
    answer = ada.post("/mfa/challenge", code=enrolment.backup_codes[0])
    assert len(answer.headers.get_list("set-cookie")) == 2
    if name is None:
        assert (answer.status_code, answer.headers["location"]) == (303, location)
    else:
        assert answer.status_code == 200
        assert "location" not in answer.headers
        assert answer.headers["refresh"] == f"0; url={location}"
        assert answer.headers["cache-control"] == "no-store"
        assert name in answer.text
        assert f'href="{location}"' in answer.text


@pytest.mark.requirement("R66")
def test_only_what_the_session_names_is_opened(mfa: MFA, enrolment: Enrolment) -> None:
    strict = browser(mfa, Leading(held=waiting(mfa))).get("/mfa/challenge").headers
    host = Leading(held=waiting(mfa, onward=(CLIENT, "http://127.0.0.1:8000")), location=CLIENT)
    ada = browser(mfa, host)
    opened = ada.get("/mfa/challenge").headers
    policy = opened["content-security-policy"]
    assert "; form-action 'self' https://client.example http://127.0.0.1:8000; " in policy
    assert re.sub(r"(?<=form-action 'self')[^;]*", "", policy) == strict["content-security-policy"]
    changing = {"content-security-policy", "content-length"}
    assert {**opened, **dict.fromkeys(changing)} == {**strict, **dict.fromkeys(changing)}
    answer = ada.post("/mfa/challenge", code=enrolment.backup_codes[0])
    assert (answer.status_code, answer.headers["location"]) == (303, CLIENT)


@pytest.mark.requirement("R66")
def test_a_popup_keeps_its_opener_on_every_answer_where_the_session_says_so(mfa: MFA, enrolment: Enrolment) -> None:
    host = Leading(held=waiting(mfa, keeps_opener=True))
    ada = browser(mfa, host)
    ada.get("/mfa/challenge")
    for code in ("00000-00000-00000-00000-00000", enrolment.backup_codes[0]):
        assert ada.post("/mfa/challenge", code=code).headers["cross-origin-opener-policy"] == "unsafe-none"
    assert ada.get("/mfa/security").headers["cross-origin-opener-policy"] == "same-origin"
    assert isinstance(host.held, SignedIn)
    host.held = replace(host.held, keeps_opener=True, onward=(CLIENT,))
    headers = ada.get("/mfa/reverify").headers
    assert headers["cross-origin-opener-policy"] == "unsafe-none"
    assert "https://client.example" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "onward",
    [("client.example",), ("https://a b",), ("https://*",), ("'unsafe-inline'",), ("https://x; script-src *",)],
)
def test_what_is_no_address_does_not_reach_a_header(onward: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="absolute"):
        Waiting("first", "challenge", "ada@example.com", onward=onward)
    with pytest.raises(ValueError, match="absolute"):
        SignedIn("first", 1, "ada@example.com", onward=onward)
    with pytest.raises(TypeError, match="tuple"):
        Waiting("first", "challenge", "ada@example.com", onward=onward[0])  # type: ignore[arg-type]


@contextlib.contextmanager
def client() -> Iterator[str]:
    """The other site: its page opens a popup, and its callback is where the popup ends."""
    app = FastAPI(openapi_url=None)
    app.add_api_route("/{path:path}", lambda: HTMLResponse("<title>client</title>"))
    with served(app) as url:
        yield url.replace("localhost", "127.0.0.1")


def test_the_table_of_other_origins_holds_in_a_browser(mfa: MFA, enrolment: Enrolment) -> None:
    codes = iter(enrolment.backup_codes)
    host = Leading()
    app = FastAPI(openapi_url=None)
    app.include_router(router(mfa, host), prefix="/mfa")
    app.add_api_route("/home", lambda: HTMLResponse("<title>home</title>"))
    with client() as other, served(app) as site, chrome() as browser:
        opener = browser.new_page()
        app.add_api_route("/authorize", lambda: RedirectResponse(f"{other}/callback", 302))
        opener.goto(f"{other}/")
        for says, leads, form_action, policy, arrives, is_lost in table("Lead on to another origin"):
            known = {"onward": (f"{other}/callback",), "keeps_opener": True}
            host.held = waiting(mfa, **{name: value for name, value in known.items() if name in says})
            host.location = {
                "a path": "/home",
                "the client": f"{other}/callback",
                "a path that redirects to the client": "/authorize",
            }[leads]
            with opener.expect_popup() as opened:
                opener.evaluate("url => void window.open(url)", f"{site}/mfa/challenge?with=backup-code")
            popup = opened.value
            popup.wait_for_load_state()
            statuses: list[int] = []

            def note(answer: Answer, statuses: list[int] = statuses) -> None:
                if answer.request.method == "POST":
                    statuses.append(answer.status)

            popup.on("response", note)
            popup.locator("input[name=code]").fill(next(codes))
            page = popup.request.get(f"{site}/mfa/challenge").headers
            sources = form_action.replace("and the client", other)
            assert f"form-action {sources};" in page["content-security-policy"], says
            assert page["cross-origin-opener-policy"] == policy
            popup.locator("input[name=code]").press("Enter")
            if arrives == "stays at the form":
                popup.wait_for_timeout(1500)
                assert "/mfa/challenge" in popup.url, (says, leads)
            else:
                popup.wait_for_url(f"{site}/home" if leads == "a path" else f"{other}/callback")
                assert (statuses == [200]) == (arrives == "arrives by a page between"), (says, leads)
            assert popup.evaluate("window.opener === null") == (is_lost == "is lost"), (says, leads)
            popup.close()
