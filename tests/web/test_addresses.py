"""Every address below the prefix, asked for in every way: a page, a way to one, and never a dead end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from tests.visitors import PASSWORD, Ada, Browser
from twofold.web import gate
from twofold.web.fastapi import router
from twofold.web.page import HEADERS

if TYPE_CHECKING:
    from fastapi import FastAPI
    from httpx2 import Response

FORMS = {
    "/challenge/cancel": "/challenge",
    "/setup/begin": "/setup",
    "/setup/confirm": "/setup",
    "/backup-codes/download": "/backup-codes",
    "/disable": "/security",
    "/devices/revoke-all": "/security",
    "/devices/17/rename": "/security",
    "/devices/17/revoke": "/security",
}


def is_ours(answer: Response) -> bool:
    """A page of ours, with every header that says so, or a way on."""
    return all(answer.headers.get(name) == value for name, value in HEADERS.items())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "form"), FORMS.items())
def test_the_address_of_a_form_that_is_opened_by_hand_leads_to_the_form(
    ada: Ada, method: str, path: str, form: str
) -> None:
    for address in (f"/mfa{path}", f"/mfa{path}/"):
        answer = ada.browser.client.request(method, address)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/mfa{form}")
        assert is_ours(answer)


@pytest.mark.parametrize("path", ["/mfa", "/mfa/", "/mfa//"])
def test_the_prefix_itself_leads_to_the_security_page(ada: Ada, path: str) -> None:
    assert ada.browser.get(path).headers["location"] == "/mfa/security"


@pytest.mark.parametrize("page", ["/challenge", "/reverify", "/setup", "/security"])
def test_a_slash_too_many_leads_to_the_page_with_what_was_asked(ada: Ada, page: str) -> None:
    answer = ada.browser.get(f"/mfa{page}/?with=backup-code&next=setup")
    assert answer.headers["location"] == f"/mfa{page}?with=backup-code&next=setup"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/nope", "/security/nope", "/devices/1/2/revoke", "/static", "/%00", "/<b>", "/..%2f"]
)
def test_an_unknown_address_is_a_page_that_leads_on(browser: Browser, method: str, path: str) -> None:
    answer = browser.client.request(method, f"/mfa{path}")
    assert answer.status_code == 404
    assert is_ours(answer)
    if method != "HEAD":
        assert "This page does not exist" in answer.text
        assert 'href="/mfa/security"' in answer.text
        assert "<b>" not in answer.text


def test_no_address_leads_to_another_site(browser: Browser) -> None:
    for path in ("/mfa//evil.example/", "/mfa//evil.example", "/mfa/\\evil.example/security/", "//evil.example/mfa/"):
        location = browser.client.get(f"https://testserver{path}").headers.get("location", "/")
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_refused_on_a_page_and_names_those_that_there_are(browser: Browser, method: str) -> None:
    answer = browser.client.request(method, "/mfa/challenge")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert is_ours(answer)
    assert browser.client.request(method, "/mfa/disable").headers["allow"] == "POST"


def test_every_page_answers_head_as_it_answers_get(enrolled: Ada) -> None:
    for route in gate.ROUTES:
        if route.method == "GET":
            got, head = (enrolled.browser.client.request(method, f"/mfa{route.path}") for method in ("GET", "HEAD"))
            assert (head.status_code, head.headers.get("location")) == (got.status_code, got.headers.get("location"))
            assert is_ours(head)


def test_no_get_of_any_address_is_anything_but_a_page(ada: Ada) -> None:
    for route in gate.ROUTES:
        for address in (route.path, f"{route.path}/", f"{route.path}/more"):
            answer = ada.browser.client.get(f"/mfa{address}".replace("{device_id}", "1"), follow_redirects=True)
            assert answer.headers["content-type"] == "text/html; charset=utf-8", address


def test_pages_of_the_host_below_the_prefix_stay_its_own(app: FastAPI) -> None:
    """They may be added after ours."""

    @app.get("/mfa/help")
    def help_() -> str:  # pyright: ignore[reportUnusedFunction]
        return "help"

    app.include_router(router(app.state.sample.mfa, app.state.sample.host), prefix="/mfa/staff")
    client = TestClient(app, follow_redirects=False)
    assert client.get("/mfa/help").text == '"help"'
    assert client.get("/mfa/helpless").status_code == 404
    assert client.get("/mfa/staff/security").headers["location"] == "/login"


def test_a_second_tab_of_somebody_who_is_in_by_now_leads_home_and_changes_nothing(waiting: Ada) -> None:
    """The form of the second tab is that of the session before; nothing of it is looked at."""
    second = Browser(waiting.browser.client)
    second.get("/mfa/challenge")
    waiting.browser.post("/mfa/challenge", code=waiting.code())
    for path in ("/mfa/challenge", "/mfa/challenge/cancel"):
        assert second.post(path, code=waiting.code()).headers["location"] == "/"
    assert "Security" in waiting.browser.get("/mfa/security").text


@pytest.mark.requirement("R65")
def test_a_form_of_another_site_is_refused_before_anybody_is_led_on(enrolled: Ada) -> None:
    enrolled.browser.client.headers["origin"] = "https://evil.example"
    assert enrolled.browser.post("/mfa/challenge", code="123456").status_code == 403


def test_a_form_that_is_out_of_date_offers_to_load_the_page_again(enrolled: Ada) -> None:
    answer = enrolled.browser.post("/mfa/disable", csrf="old", sure="yes")
    assert answer.status_code == 403
    assert "This page is out of date" in answer.text
    assert '<a class="button primary large" href="/mfa/security">Load the page again</a>' in answer.text
    answer = enrolled.browser.post("/mfa/reverify?next=setup&with=backup-code", csrf="old", code="1")
    assert 'href="/mfa/reverify?next=setup&amp;with=backup-code">Load the page again</a>' in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"code=1", b"csrf=1&csrf=2", b"csrf=%ff", b"csrf=" + b"x" * 40_000, b'{"csrf": "1"}'],
)
def test_what_is_no_form_is_told_in_words_for_people_with_a_way_on(enrolled: Ada, body: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = enrolled.browser.client.post("/mfa/reverify", content=body, headers=headers)
    assert answer.status_code in {400, 403, 413}
    assert "Load the page again" in answer.text
    assert not [word for word in ("field", "is not a form", "token", "csrf") if word in answer.text.lower()]


def test_a_login_whose_session_is_gone_says_so(waiting: Ada) -> None:
    waiting.browser.client.cookies.clear()
    for answer in (
        waiting.browser.get("/mfa/challenge"),
        waiting.browser.post("/mfa/challenge", code=waiting.code()),
        waiting.browser.post("/mfa/challenge/cancel"),
    ):
        assert answer.status_code == 400
        assert "Please sign in again" in answer.text
        assert 'href="/login">Sign in</a>' in answer.text
    assert waiting.sign_in(PASSWORD).headers["location"] == "/mfa/challenge"
