"""What every answer carries: headers, cookies, and what must not be in an address or a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from twofold.web.cookies import Cookie, cookie, own

if TYPE_CHECKING:
    from collections.abc import Callable

    from httpx2 import Response

    from tests.visitors import Ada, Browser

PAGES = ["/mfa/security", "/mfa/setup", "/mfa/reverify", "/mfa/security?before=2", "/mfa/security?before=x"]


def assert_guarded(answer: Response) -> None:
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "camera=()" in answer.headers["permissions-policy"]


def assert_plain(html: str) -> None:
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert not re.search(r"<script(?! src=\"/mfa/static/)", html)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", html)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_guarded_for_whoever_is_signed_in(enrolled: Ada, path: str) -> None:
    answer = enrolled.browser.get(path)
    assert_guarded(answer)
    assert_plain(answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_redirects_are_guarded_for_strangers(browser: Browser, path: str) -> None:
    assert_guarded(browser.get(path))


@pytest.mark.requirement("R37", "R66")
@pytest.mark.attack("A39")
def test_the_pages_of_a_set_up_are_guarded(ada: Ada) -> None:
    assert_guarded(ada.browser.get("/mfa/setup"))
    phone = ada.begin()
    for answer in (
        ada.browser.get("/mfa/setup"),
        ada.browser.post("/mfa/setup/confirm", code=phone.wrong_code()),
        ada.browser.post("/mfa/setup/confirm", code=phone.code()),
        ada.browser.get("/mfa/backup-codes"),
        ada.browser.post("/mfa/backup-codes/kept"),
        ada.browser.post("/mfa/devices/1/revoke"),
    ):
        assert_guarded(answer)
        assert_plain(answer.text)


def test_the_pages_of_a_login_are_guarded(waiting: Ada) -> None:
    browser = waiting.browser
    assert_guarded(browser.get("/mfa/challenge"))
    assert_guarded(browser.get("/mfa/challenge?with=backup-code"))
    assert_guarded(browser.post("/mfa/challenge", code="000 000"))
    assert_guarded(browser.post("/mfa/challenge", csrf="", code="000000"))
    assert_guarded(browser.post("/mfa/challenge", code=waiting.code()))


def test_the_pages_of_the_sample_are_guarded(ada: Ada) -> None:
    for path in ("/", "/password", "/login"):
        assert_guarded(ada.browser.get(path))
    ada.sign_out()
    for path in ("/", "/login", "/register"):
        assert_guarded(ada.browser.get(path))


@pytest.mark.requirement("R66")
@pytest.mark.attack("A39")
def test_nothing_secret_is_in_an_address_or_a_link(ada: Ada) -> None:
    phone = ada.begin()
    page = ada.browser.get("/mfa/setup").text
    # The link that opens the app on this device is no address of ours: it goes to no server and into no log.
    (link,) = re.findall(r' href="(otpauth:[^"]+)"', page)
    assert page.count("secret=") == link.count("secret=") == page.count("otpauth:") == 1
    page = page.replace(link, "")
    ada.browser.post("/mfa/setup/confirm", code=phone.code())
    answer = ada.browser.get("/mfa/backup-codes")
    assert len(re.findall(r"<li>[0-9A-Z-]{29}</li>", answer.text)) == 10
    for address in re.findall(r"(?:src|href|action)=\"([^\"]+)\"", page + answer.text):
        assert phone.secret not in address
        assert not re.search(r"[0-9A-Z]{5}-[0-9A-Z]{5}", address)


def test_static_files_are_kept_and_nothing_else_is_given(browser: Browser) -> None:
    answer = browser.get("/mfa/static/twofold.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert browser.get("/mfa/static/twofold.js").headers["content-type"].startswith("text/javascript")
    for name in ("nothing.css", "..%2fpages.py", "%2e%2e%2fpages.py"):
        assert browser.get(f"/mfa/static/{name}").status_code == 404


@pytest.mark.requirement("R74")
def test_over_tls_cookies_belong_to_this_host_alone(waiting: Ada) -> None:
    answer = waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    session, device = answer.headers.get_list("set-cookie")
    for line, name in ((session, "__Host-sample_session="), (device, "__Host-twofold_device_")):
        assert line.startswith(name)
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(line.split("; "))
        assert "Domain" not in line
    assert "expires=" in device
    assert "expires=" not in session


def test_on_the_machine_itself_plain_http_works(open_browser: Callable[..., Browser]) -> None:
    line = open_browser("http://localhost:8000").get("/login").headers["set-cookie"]
    assert line.startswith("sample_session=")
    assert "Secure" not in line
    assert "HttpOnly" in line


@pytest.mark.requirement("R74")
@pytest.mark.parametrize(
    ("scheme", "host", "is_secure"),
    [
        ("https", "example.com", True),
        ("https", "localhost", True),
        ("http", "example.com", True),
        ("http", "192.0.2.1:8000", True),
        ("http", "localhost.example.com", True),
        ("http", "localhost:8000", False),
        ("http", "app.localhost", False),
        ("http", "127.0.0.1:8000", False),
        ("http", "[::1]:8000", False),
        ("http", "[", True),
        ("http", "", True),
    ],
)
def test_a_cookie_is_secure_everywhere_but_on_plain_loopback(scheme: str, host: str, is_secure: bool) -> None:  # noqa: FBT001
    name = "__Host-name" if is_secure else "name"
    assert cookie("name", scheme=scheme, headers={"host": host}) == Cookie(name, is_secure)


@pytest.mark.requirement("R74")
@pytest.mark.parametrize(
    ("header", "value", "is_secure"),
    [
        ("origin", "http://localhost:8000", False),
        ("origin", "null", False),
        ("referer", "http://127.0.0.1:8000/login", False),
        ("origin", "https://app.example.com", True),
        ("origin", "http://app.example.com", True),
        ("referer", "https://app.example.com/login", True),
        ("origin", "http://[", True),
        ("forwarded", "for=192.0.2.1", True),
        ("x-forwarded-for", "192.0.2.1", True),
        ("x-forwarded-proto", "https", True),
        ("x-real-ip", "192.0.2.1", True),
        ("via", "1.1 proxy", True),
    ],
)
def test_a_proxy_that_speaks_to_the_machine_itself_takes_no_mark_from_a_cookie(
    header: str,
    value: str,
    is_secure: bool,  # noqa: FBT001
) -> None:
    headers = {"host": "127.0.0.1:8000", header: value}
    assert cookie("name", scheme="http", headers=headers).is_secure == is_secure
    # What was set with the mark is read, whether a page is asked for by an address or by a form.
    for now in (headers, {"host": "127.0.0.1:8000"}):
        assert own({"__Host-name": "strong", "name": "weak"}, scheme="http", headers=now)["name"] == "strong"


def test_a_page_works_without_a_script(enrolled: Ada) -> None:
    """What needs a script is hidden until it runs, and every form has a button of its own."""
    for path in ("/mfa/security", "/mfa/reverify", "/mfa/setup"):
        page = enrolled.browser.get(path).text
        for button in re.findall(r"<button[^>]*type=\"button\"[^>]*>", page):
            assert " hidden " in button
        for form in re.findall(r"<form.*?</form>", page, re.DOTALL):
            assert 'type="submit"' in form
            assert 'name="csrf"' in form
