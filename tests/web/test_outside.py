"""How a browser reaches the site: by TWOFOLD_PUBLIC_URL, and safely without it, whatever a proxy tells."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tests.databases import ROOT
from tests.people import plain_settings
from tests.visitors import PASSWORD, Ada, Browser
from twofold.origin import Origin
from twofold.web import outside as seen
from twofold.web.cookies import Cookie, cookie, own
from twofold.web.forms import BadForm, check_origin
from twofold.web.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from tests.people import Clock

LAN = "http://192.0.2.1:8000"


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("https://EXAMPLE.com:443/a?b#c", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://user@example.com", None),
        ("https://münchen.example", None),
        ("ftp://example.com", None),
        ("javascript:alert(1)", None),
        ("//example.com", None),
        ("https://", None),
        ("https://a b", None),
        ("https://a;script-src *", None),
        ("https://*.example.com", None),
        ("https://example.com\n", None),
        ("https://example.com\\@evil.example", None),
        ("https://example.com:x", None),
        ("http://[", None),
        ("null", None),
        ("", None),
    ],
)
def test_an_origin_is_read_as_a_browser_compares_it(address: str, origin: str | None) -> None:
    found = Origin.of(address)
    assert (None if found is None else str(found)) == origin


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.com", "https://example.com"),
        ("https://Example.com:443/", "https://example.com"),
        ("https://example.com:8443", "https://example.com:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("", None),
    ],
)
def test_a_public_url_is_kept_in_one_spelling(given: str, kept: str | None) -> None:
    assert plain_settings(public_url=given).public_url == kept


@pytest.mark.parametrize(
    "given",
    ["www.example.org", "http://example.com", "https://example.com/app", "https://a:b@example.com", "https://e.com?x", "https://e.com#x"],
)  # fmt: skip
def test_a_public_url_that_says_too_much_or_too_little_is_refused_without_being_repeated(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        plain_settings(public_url=given)
    assert given not in str(refused.value)


def is_taken(headers: dict[str, str], *, scheme: str = "http", public_url: str | None = None) -> bool:
    try:
        check_origin(headers, Outside.of(public_url, scheme=scheme, headers=headers))
    except BadForm:
        return False
    return True


@pytest.mark.requirement("R65")
@pytest.mark.parametrize(
    ("host", "origin", "scheme", "without", "with_setting"),
    [
        ("example.com", "https://example.com", "http", True, True),
        ("example.com:443", "https://example.com", "http", True, True),
        ("example.com", "https://example.com:443", "https", True, True),
        ("EXAMPLE.com", "https://example.com", "https", True, True),
        ("intranet.local:80", "http://intranet.local", "http", True, False),
        ("localhost:8000", "https://example.com", "http", False, True),
        ("127.0.0.1", "https://example.com", "http", False, True),
        ("example.com", "https://example.com:8443", "http", False, False),
        ("example.com", "http://example.com", "https", False, False),
        ("example.com:8443", "https://example.com", "https", False, True),
        ("example.com", "https://evil.example", "https", False, False),
        ("evil.example", "https://evil.example", "https", True, False),
        ("example.com", "null", "https", False, False),
    ],
)
def test_a_form_is_taken_from_the_address_that_people_type(
    host: str,
    origin: str,
    scheme: str,
    without: bool,  # noqa: FBT001
    with_setting: bool,  # noqa: FBT001
) -> None:
    headers = {"host": host, "origin": origin}
    assert is_taken(headers, scheme=scheme) == without
    assert is_taken(headers, scheme=scheme, public_url="https://example.com") == with_setting


@pytest.mark.requirement("R74")
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "example.com", "[::1]", ""])
def test_with_a_public_url_cookies_are_what_it_says_whatever_the_proxy_passes_on(host: str) -> None:
    at: Any = {"scheme": "http", "headers": {"host": host}, "public_url": "https://example.com"}
    assert cookie("name", **at) == Cookie("__Host-name", is_secure=True)
    assert own({"__Host-name": "strong", "name": "weak", "other": "weak"}, **at) == {"name": "strong"}
    here = at | {"public_url": "http://localhost:8000"}
    assert cookie("name", **here) == Cookie("name", is_secure=False)
    assert own({"name": "weak"}, **here) == {"name": "weak"}


@pytest.mark.parametrize(
    ("headers", "scheme", "public_url", "address"),
    [
        ({"host": "127.0.0.1:8000"}, "http", "https://example.com", "https://example.com"),
        ({"host": "example.com"}, "https", None, "https://example.com"),
        ({"host": "example.com", "origin": "https://example.com"}, "http", None, "https://example.com"),
        ({"host": "localhost:8000"}, "http", None, "http://localhost:8000"),
        ({"host": "localhost:8000", "x-forwarded-for": "192.0.2.1"}, "http", None, None),
        ({"host": "["}, "http", None, None),
    ],
)
def test_the_address_is_the_one_that_people_type_or_none(
    headers: dict[str, str], scheme: str, public_url: str | None, address: str | None
) -> None:
    assert Outside.of(public_url, scheme=scheme, headers=headers).address == address


def test_a_proxy_that_hides_the_address_is_told_of_once(
    open_browser: Callable[..., Browser], caplog: pytest.LogCaptureFixture
) -> None:
    seen._warn_of_hidden_host.cache_clear()
    caplog.set_level(logging.WARNING, "twofold.web")
    browser = open_browser("http://127.0.0.1:8000")
    browser.get("/login")
    browser.get("/mfa/security")
    assert not caplog.records
    browser.client.headers["referer"] = "https://example.com/login"
    for _ in range(2):
        browser.get("/mfa/security")
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "TWOFOLD_PUBLIC_URL" in warning
    assert "example.com" not in warning


@pytest.mark.requirement("R74")
def test_behind_a_proxy_that_hides_the_address_a_session_begins_secure(open_browser: Callable[..., Browser]) -> None:
    browser = open_browser("http://127.0.0.1:8000")
    browser.get("/register")
    browser.client.headers.update({"origin": "https://example.com", "sec-fetch-site": "same-origin"})
    answer = browser.post("/register", email="ada@example.com", password=PASSWORD)
    assert answer.headers["location"] == "/"
    line = answer.headers["set-cookie"]
    assert line.startswith("__Host-sample_session=")
    assert "Secure" in line


def test_with_a_public_url_the_whole_way_is_secure_behind_any_proxy(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser]
) -> None:
    browser = open_browser("http://127.0.0.1:8000", on=make_app(public_url="https://example.com"))
    line = browser.client.get("/login").headers["set-cookie"]
    assert line.startswith("__Host-sample_session=")
    assert "Secure" in line


@pytest.mark.requirement("R74")
def test_the_cookie_of_a_device_is_kept_read_and_taken_away_as_the_public_address_says(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], clock: Clock
) -> None:
    # The request says TLS and another host, so that nothing but the setting can explain the names.
    ada = Ada(open_browser("https://testserver", on=make_app(public_url="http://localhost:8000")), clock)
    ada.register()
    ada.enroll()
    ada.sign_out()
    ada.sign_in()
    ada.browser.post("/mfa/challenge", code=ada.code(), trust_device="yes")
    ((name, token),) = ada.browser.devices().items()
    assert name.startswith("twofold_device_")
    ada.sign_out()
    clock.forward(hours=1)
    assert ada.sign_in().headers["location"] == "/"
    ((same, fresh),) = ada.browser.devices().items()
    assert same == name
    assert fresh != token
    ada.browser.get("/mfa/reverify")
    ada.browser.post("/mfa/reverify", code=ada.code())
    ada.browser.get("/mfa/security")
    assert ada.browser.post("/mfa/disable", sure="yes").status_code == 303
    assert ada.browser.devices() == {}


def test_over_plain_http_from_another_machine_the_page_says_what_helps(open_browser: Callable[..., Browser]) -> None:
    browser = open_browser(LAN)
    browser.get("/register")
    browser.client.cookies.clear()  # What a browser does with a Secure cookie there.
    browser.client.headers["origin"] = LAN
    answer = browser.post("/register", email="ada@example.com", password=PASSWORD)
    assert answer.status_code == 403
    assert "Open the site by https" in answer.text
    assert "reload" not in answer.text
    assert "Open the site by https" in browser.post("/mfa/challenge", code="123456").text
    del browser.client.headers["origin"]
    browser.client.headers["referer"] = f"{LAN}/login"
    answer = browser.get("/mfa/challenge")
    assert (answer.status_code, "Open the site by https" in answer.text) == (403, True)
    browser.client.headers["cookie"] = "of=another"
    assert browser.get("/mfa/security").headers["location"] == "/login"
    del browser.client.headers["cookie"]
    browser.client.headers["origin"] = "https://192.0.2.1:8000"
    assert "out of date" in browser.post("/register", email="ada@example.com", password=PASSWORD).text


def test_where_the_public_address_is_known_the_page_leads_there(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser]
) -> None:
    browser = open_browser(LAN, on=make_app(public_url="https://example.com"))
    browser.client.headers["origin"] = LAN
    answer = browser.post("/mfa/challenge", code="123456")
    assert answer.status_code == 403
    assert 'href="https://example.com"' in answer.text


@pytest.mark.parametrize(
    ("base_url", "public_url", "address"),
    [
        ("http://127.0.0.1:8000", "https://example.com", "https://example.com/login"),
        ("https://testserver", None, "https://testserver/login"),
    ],
)
def test_the_file_of_backup_codes_says_where_they_are_used(
    make_app: Callable[..., FastAPI],
    open_browser: Callable[..., Browser],
    clock: Clock,
    base_url: str,
    public_url: str | None,
    address: str,
) -> None:
    ada = Ada(open_browser(base_url, on=make_app(public_url=public_url)), clock)
    if public_url:  # Behind the proxy the browser is on TLS, and the jar of the test is not.
        ada.browser.client.base_url = "https://127.0.0.1:8000"
    ada.register()
    ada.enroll()
    answer = ada.browser.post("/mfa/backup-codes/download", codes=" ".join(ada.backup_codes))
    assert address in answer.text.splitlines()


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of docs/pages.md, without the backticks."""
    part = (ROOT / "docs/pages.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[1:]]


@pytest.mark.requirement("R65", "R74")
@pytest.mark.parametrize("row", table("Behind a proxy"), ids=" ".join)
def test_the_table_of_proxies_holds(
    row: list[str],
    make_app: Callable[..., FastAPI],
    open_browser: Callable[..., Browser],
    caplog: pytest.LogCaptureFixture,
) -> None:
    typed, host, site, public_url, form, cookies = row
    seen._warn_of_hidden_host.cache_clear()
    caplog.set_level(logging.WARNING, "twofold.web")
    browser = open_browser("http://testserver", on=make_app(public_url="" if public_url == "-" else public_url))
    browser.client.headers["host"] = host
    jar: dict[str, str] = {}

    def keep(answer: Any) -> str:
        line: str = answer.headers.get("set-cookie", "")
        name, _, value = line.partition(";")[0].partition("=")
        # Over plain http from another machine a browser drops what is Secure.
        if line and not ("Secure" in line and typed.startswith("http://")):
            jar[name] = value
        return line

    first = keep(browser.get("/register"))
    browser.client.cookies.clear()
    headers = {"origin": typed} | ({} if site == "-" else {"sec-fetch-site": site})
    if jar:
        headers["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
    browser.client.headers.update(headers)
    answer = browser.post("/register", email="ada@example.com", password=PASSWORD)
    assert (answer.status_code == 303) == form.startswith("is taken")
    assert ("by https" in answer.text) == ("by https" in form)
    assert bool(caplog.records) == ("warning" in form)
    if answer.status_code == 303:
        assert ("Secure" in answer.headers["set-cookie"]) == (cookies == "Secure")
    elif host != "127.0.0.1:8000":
        assert "Secure" in first
