"""Who gets in: every route against those who may not, and every form against those who did not fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from httpx2 import Response

    from tests.visitors import Ada, Browser

# Everything else must send away whoever has not passed every step; a new route is behind the gate or fails here.
OPEN_TO_ALL = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/register"),
    ("POST", "/register"),
    ("POST", "/sign-out"),
    ("GET", "/mfa/static/{name}"),
}
OPEN_WHILE_WAITING = {
    ("GET", "/mfa/challenge"),
    ("POST", "/mfa/challenge"),
    ("POST", "/mfa/challenge/cancel"),
    ("POST", "/sign-out"),
    ("GET", "/mfa/static/{name}"),
}
PAGES_AND_FORMS = {
    "/challenge",
    "/reverify",
    "/setup",
    "/security",
    "/backup-codes/regenerate",
    "/login",
    "/register",
    "/password",
    "/",
}


def routes_of(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes, prefix + route.include_context.prefix)
        elif not route.path.endswith("{rest:path}"):  # what is no page has its own tests, in test_addresses.py
            for method in route.methods - {"HEAD"}:
                yield method, prefix + route.path


def concrete(path: str) -> str:
    return path.replace("{device_id}", "1").replace("{name}", "twofold.css")


def ask(browser: Browser, method: str, path: str) -> Response:
    if method == "GET":
        return browser.client.get(concrete(path))
    return browser.client.post(concrete(path), data={"csrf": browser.csrf})


@pytest.mark.requirement("R69")
def test_the_walk_sees_every_route(app: FastAPI) -> None:
    seen = set(routes_of(app.routes))
    assert {("POST", "/mfa/disable"), ("GET", "/"), ("POST", "/password")} | OPEN_TO_ALL | OPEN_WHILE_WAITING <= seen


@pytest.mark.requirement("R60", "R69")
@pytest.mark.attack("A19")
def test_a_stranger_reaches_nothing_but_the_front_door(app: FastAPI, browser: Browser) -> None:
    browser.get("/login")
    for method, path in set(routes_of(app.routes)) - OPEN_TO_ALL:
        answer = ask(browser, method, path)
        if "/challenge" in path:
            # Whoever waited too long for a code reads so, and does not land on the login page in silence.
            assert (answer.status_code, "No sign-in is waiting here." in answer.text) == (400, True)
            assert 'href="/login">Sign in</a>' in answer.text
            continue
        assert (answer.status_code, answer.headers.get("location")) == (303, "/login"), (method, path)


@pytest.mark.requirement("R58", "R60", "R69")
@pytest.mark.attack("A19", "A20")
def test_a_password_alone_reaches_nothing_but_the_challenge(app: FastAPI, waiting: Ada) -> None:
    for method, path in set(routes_of(app.routes)) - OPEN_WHILE_WAITING:
        answer = ask(waiting.browser, method, path)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/mfa/challenge"), (method, path)


def test_whoever_is_signed_in_has_no_challenge_to_answer(enrolled: Ada) -> None:
    assert enrolled.browser.get("/mfa/challenge").headers["location"] == "/"
    assert enrolled.browser.post("/mfa/challenge", code="123456").headers["location"] == "/"


@pytest.mark.requirement("R65")
@pytest.mark.attack("A24")
def test_what_changes_something_cannot_be_asked_for_by_get(app: FastAPI, enrolled: Ada) -> None:
    changing = {path for method, path in routes_of(app.routes) if method == "POST"}
    readable = {path for method, path in routes_of(app.routes) if method == "GET"}
    before = enrolled.browser.get("/mfa/security").text
    for path in changing - readable:
        answer = enrolled.browser.client.get(concrete(path))
        assert answer.status_code == (303 if path.startswith("/mfa/") else 405), path
    assert enrolled.browser.get("/mfa/security").text == before
    assert {path.removeprefix("/mfa") for path in changing & readable} <= PAGES_AND_FORMS


@pytest.mark.requirement("R65")
@pytest.mark.attack("A24")
@pytest.mark.parametrize("token", ["", "x", "v1:k1:" + "0" * 64, "v1:k9:" + "0" * 64, "é" * 40])
def test_a_form_without_its_token_changes_nothing(app: FastAPI, enrolled: Ada, token: str) -> None:
    for method, path in routes_of(app.routes):
        if method == "POST" and "/challenge" not in path and path not in {"/login", "/register"}:
            answer = enrolled.browser.client.post(concrete(path), data={"csrf": token, "sure": "yes"})
            assert answer.status_code == 403, path
    assert "Two-step sign-in is on" in enrolled.browser.get("/mfa/security").text


@pytest.mark.requirement("R65")
def test_the_token_of_another_session_is_refused(enrolled: Ada, open_browser: Callable[..., Browser]) -> None:
    mallory = open_browser()
    mallory.get("/register")
    mallory.post("/register", email="mallory@example.com", password="correct horse battery")
    mallory.get("/mfa/security")
    mallory.get("/mfa/setup")
    answer = enrolled.browser.post("/mfa/disable", csrf=mallory.csrf, sure="yes")
    assert answer.status_code == 403


@pytest.mark.requirement("R65")
@pytest.mark.attack("A24")
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": ""},
        {"origin": "https://testserver.evil.example"},
        {"origin": "https://testserver:8443"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "https://testserver"},
        {"sec-fetch-site": "none"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_the_token(enrolled: Ada, headers: dict[str, str]) -> None:
    enrolled.browser.client.headers.update(headers)
    answer = enrolled.browser.post("/mfa/disable", sure="yes")
    assert answer.status_code == 403
    assert "another site" in answer.text


@pytest.mark.parametrize("headers", [{"origin": "https://testserver"}, {"sec-fetch-site": "same-origin"}])
def test_a_form_of_our_own_is_taken(enrolled: Ada, headers: dict[str, str]) -> None:
    enrolled.browser.client.headers.update(headers)
    answer = enrolled.browser.post("/mfa/disable", sure="yes")
    assert answer.headers["location"] == "/mfa/security?done=disabled"


@pytest.mark.requirement("R65")
def test_the_login_form_of_another_site_signs_nobody_in(ada: Ada) -> None:
    ada.sign_out()
    ada.browser.get("/login")
    fields = {"email": ada.email, "password": "correct horse battery"}
    assert ada.browser.post("/login", **fields | {"csrf": ""}).status_code == 403
    ada.browser.client.headers["origin"] = "https://evil.example"
    assert ada.browser.post("/login", **fields).status_code == 403


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"csrf=x&code=1", "text/plain", 400),
        (b'{"csrf": "x"}', "application/json", 400),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 400),
        (b"csrf=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"csrf=\xff", "application/x-www-form-urlencoded", 400),
        (b"csrf=1&csrf=2", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"f%d=1" % number for number in range(30)), "application/x-www-form-urlencoded", 400),
        (b"csrf=" + b"x" * 40_000, "application/x-www-form-urlencoded", 413),
        (b"", "application/x-www-form-urlencoded", 403),
    ],
)
def test_what_is_not_our_form_is_refused_plainly(waiting: Ada, body: bytes, content_type: str, status: int) -> None:
    client = waiting.browser.client
    answer = client.post("/mfa/challenge", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Traceback" not in answer.text


@pytest.mark.requirement("R12")
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 400),
        ("   ", 400),
        ("\x00", 400),
        ("12 34 56", 400),
        ("１２３４５６", 400),
        ("١٢٣٤٥٦", 400),
        ("+12345", 400),
        ("1_2_3_4", 400),
        ("<script>alert(1)</script>", 400),
        ("' OR 1=1 --", 400),
        ("ABCDE-ABCDE-ABCDE-ABCDE-ABCDE", 400),
        ("x" * 10_000, 400),
        ("\U0001f511" * 6, 400),
    ],
)
def test_what_is_no_code_is_refused_plainly(waiting: Ada, code: str, status: int) -> None:
    answer = waiting.browser.post("/mfa/challenge", code=code)
    assert answer.status_code == status
    assert "<script>alert" not in answer.text
    assert code.strip() == "" or code not in answer.text
    assert waiting.browser.get("/").headers["location"] == "/mfa/challenge"


def test_a_form_without_a_code_is_refused(waiting: Ada) -> None:
    assert waiting.browser.post("/mfa/challenge").status_code == 400


@pytest.mark.parametrize("device", ["1", "0", "-1", "9" * 18, "9" * 40, "x", "1%00", "%D9%A1"])
def test_a_device_that_is_not_there_is_not_found(enrolled: Ada, device: str) -> None:
    assert enrolled.browser.post(f"/mfa/devices/{device}/revoke").status_code == 404


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "1;2", "%D9%A1"])
def test_an_address_that_is_not_ours_is_refused(ada: Ada, before: str) -> None:
    assert ada.browser.get(f"/mfa/security?before={before}").status_code == 400


@pytest.mark.parametrize(
    "destination",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/etc", "", "security"],
)
def test_a_step_up_leads_nowhere_but_back(enrolled: Ada, destination: str) -> None:
    assert "evil" not in enrolled.browser.get(f"/mfa/reverify?next={destination}").text
    answer = enrolled.browser.post(f"/mfa/reverify?next={destination}", code=enrolled.code())
    assert answer.headers["location"] == "/mfa/security?done=confirmed"
