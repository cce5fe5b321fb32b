"""The router as a host mounts it: on the awaited face, below a path, under a look and beside pages of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from examples.sample import accounts, sessions, tables
from examples.sample.host import SampleHost
from tests.people import Phone
from tests.visitors import Browser
from twofold import MFA, AsyncMFA, Settings
from twofold.database import create_async_engine
from twofold.keyring import generate_key
from twofold.web.fastapi import router

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.people import Clock


@pytest.fixture
def browser(database: Database, clock: Clock) -> Iterator[Browser]:
    """Ada's browser, signed in at an application that mounts the pages at /app/account/mfa."""
    engine, async_engine = database.engine(), create_async_engine(database.url)
    tables.create(engine)
    options: dict[str, Any] = {"_env_file": None, "keys": generate_key("k1"), "issuer": "Crane & Co"}
    settings = Settings(**options)
    pages = router(
        AsyncMFA(async_engine, settings, clock=clock),
        SampleHost(engine, MFA(engine, settings, clock=clock)),
        stylesheet="/app/brand.css",
        destinations={"export": "/app/export"},
    )
    inner, app = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    inner.include_router(pages, prefix="/account/mfa")
    app.mount("/app", inner)
    account = accounts.register(engine, "ada@example.com", "a password of ada")
    session_id = sessions.begin(engine, account, "password", None)
    with TestClient(app, base_url="https://testserver", follow_redirects=False) as client:
        client.cookies.set("__Host-sample_session", session_id)
        yield Browser(client)
        assert client.portal is not None
        client.portal.call(async_engine.dispose)


def test_the_awaited_face_serves_the_same_pages_below_any_path(browser: Browser, clock: Clock) -> None:
    browser.get("/app/account/mfa/setup")
    assert browser.post("/app/account/mfa/setup/begin").headers["location"] == "/app/account/mfa/setup"
    page = browser.get("/app/account/mfa/setup").text
    secret = re.search(r'data-copy="([A-Z2-7]+)"', page)
    assert secret
    browser.post("/app/account/mfa/setup/confirm", code=Phone(secret[1], clock).code())
    answer = browser.get("/app/account/mfa/backup-codes")
    assert len(re.findall(r"<li>[0-9A-Z-]{29}</li>", answer.text)) == 10
    assert "Two-step sign-in is on" in browser.get("/app/account/mfa/security").text
    clock.forward(minutes=11)
    browser.get("/app/account/mfa/backup-codes/regenerate")
    regenerate = browser.post("/app/account/mfa/backup-codes/regenerate", sure="yes")
    assert regenerate.headers["location"].startswith("/app/account/mfa/reverify?next=security&then=")
    browser.get("/app/account/mfa/reverify?next=export")
    answer = browser.post("/app/account/mfa/reverify?next=export", code=Phone(secret[1], clock).code())
    assert answer.headers["location"] == "/app/export"


def test_every_link_stays_below_the_path(browser: Browser) -> None:
    page = browser.get("/app/account/mfa/security").text
    links = set(re.findall(r'(?:href|action|src)="([^"#]+)"', page)) - {"/", "/app/brand.css"}
    assert links
    assert all(link.startswith("/app/account/mfa/") for link in links)


def test_the_look_and_the_name_are_the_hosts(browser: Browser) -> None:
    page = browser.get("/app/account/mfa/security").text
    assert "Crane &amp; Co" in page
    assert page.index("twofold.css") < page.index("/app/brand.css")
