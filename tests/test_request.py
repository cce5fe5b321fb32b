"""What a request says of itself is cleaned before it is kept."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from starlette import requests

from tests.people import FIREFOX, SAFARI
from twofold.request import Request, printable


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX.user_agent, "Firefox on Linux"),
        (SAFARI.user_agent, "Safari on iPhone"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/156.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8", "curl on an unknown system"),
        (None, "A browser on an unknown system"),
    ],
)
def test_a_browser_is_called_what_its_owner_calls_it(agent: str | None, name: str) -> None:
    assert Request(user_agent=agent).device_name == name


@pytest.mark.requirement("R100")
@pytest.mark.parametrize(
    "text", ["a\r\nb", "a\x1b[31mb", "a\0b", "a\u202eb", "a\u2066b", "\ud800a", "a" * 100_000, "é" * 600]
)
def test_a_hostile_header_becomes_one_bounded_line(text: str) -> None:
    line = printable(text, 512)
    assert line is not None
    assert len(line) <= 512
    assert line.isprintable()
    json.dumps(line).encode()


def test_a_line_keeps_its_words_and_its_limit() -> None:
    for text, line in (
        ("", None),
        (" \n", None),
        (None, None),
        (7, None),
        ("a", "a"),
        (" a \t b ", "a b"),
        ("a  b", "a b"),
        (" xxxxx", "xxxxx"),
    ):
        assert printable(text, 5) == line
    assert [printable("x" * length, 5) for length in (4, 5, 6)] == ["xxxx", "xxxxx", "xxxx…"]
    assert printable("x" * 4 + " " * 20, 5) == "xxxx"


def test_an_address_is_an_address_or_nothing() -> None:
    assert Request.of(Request("2001:db8::1%eth0")).ip_address == "2001:db8::1"
    assert Request.of(Request("'; DROP TABLE users")).ip_address is None


def test_the_requests_of_web_frameworks_are_understood() -> None:
    starlette = SimpleNamespace(client=SimpleNamespace(host="192.0.2.1"), headers={"user-agent": "curl/8"})
    flask = SimpleNamespace(remote_addr="192.0.2.1", headers={"user-agent": "curl/8"})
    assert Request.of(starlette) == Request.of(flask) == Request("192.0.2.1", "curl/8")
    assert Request.of(None) == Request()
    nowhere = SimpleNamespace(client=None, headers={})
    odd = SimpleNamespace(client=SimpleNamespace(host=3221225985), headers={})
    assert Request.of(nowhere) == Request.of(odd) == Request()


@pytest.mark.requirement("R98")
@pytest.mark.parametrize(
    ("client", "address"), [(("192.0.2.7", 50000), "192.0.2.7"), (("2001:db8::1", 1), "2001:db8::1"), (None, None)]
)
def test_a_request_of_starlette_is_read(client: tuple[str, int] | None, address: str | None) -> None:
    agent = str(FIREFOX.user_agent).encode()
    headers = [(b"user-agent", agent), (b"x-forwarded-for", b"203.0.113.9"), (b"forwarded", b"for=203.0.113.9")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": client}
    assert Request.of(requests.Request(scope)) == Request(address, FIREFOX.user_agent)
    # Where what is asked for is a socket, so is what asks.
    assert Request.of(requests.HTTPConnection(scope | {"type": "websocket"})).ip_address == address


# The shapes of Django 5.2, Litestar 2.25, Pyramid 2.1, aiohttp 3.14, Sanic 25.12, Tornado 6.6 and Flask 3.1, which the
# tests do without.
@pytest.mark.requirement("R98")
@pytest.mark.parametrize(
    "attributes",
    [
        {"client": SimpleNamespace(host="192.0.2.7", port=1)},  # Starlette, FastAPI, Litestar
        {"remote_addr": "192.0.2.7"},  # Flask, Werkzeug, Pyramid
        {"META": {"REMOTE_ADDR": "192.0.2.7"}},  # Django
        {"remote": "192.0.2.7", "host": "app.example.com"},  # aiohttp
        {"ip": "192.0.2.7", "remote_addr": "", "host": "app.example.com"},  # Sanic
        {"remote_ip": "192.0.2.7", "host": "app.example.com"},  # Tornado
    ],
    ids=lambda attributes: next(iter(attributes)),
)
def test_the_address_is_read_as_each_framework_has_it(attributes: dict[str, object]) -> None:
    agent = {"user-agent": FIREFOX.user_agent, "x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    found = Request.of(SimpleNamespace(headers=agent, **attributes))
    assert (found.ip_address, found.user_agent) == ("192.0.2.7", FIREFOX.user_agent)


def test_an_address_that_nobody_has_seen_is_none() -> None:
    unseen: list[dict[str, object]] = [
        {},
        {"client": None},
        {"META": {}},
        {"ip": 5},
        {"client": SimpleNamespace(host=None)},
    ]
    for attributes in unseen:
        assert Request.of(SimpleNamespace(headers={}, **attributes)) == Request()
