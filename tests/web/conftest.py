"""The sample application over HTTP, on a real SQLite file, and Ada's browser in front of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from examples.sample import tables
from examples.sample.app import build
from tests.people import Clock, Phone
from twofold import Settings
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from httpx2 import Response

    from tests.databases import Database, Sources

PASSWORD = "correct horse battery"


@dataclass
class Browser:
    """A browser without JavaScript: it keeps cookies, and sends the form token of the page that it shows."""

    client: TestClient
    csrf: str = ""

    def get(self, path: str) -> Response:
        return self._seen(self.client.get(path))

    def post(self, path: str, **fields: str) -> Response:
        return self._seen(self.client.post(path, data={"csrf": self.csrf} | fields))

    def _seen(self, response: Response) -> Response:
        if found := re.search(r'name="csrf" value="([^"]+)"', response.text):
            self.csrf = found[1]
        return response

    def cookie(self, name: str) -> str | None:
        return self.client.cookies.get(name)


@dataclass
class Ada:
    """Ada at her browser, with a phone once she has set it up."""

    browser: Browser
    clock: Clock
    email: str = "ada@example.com"
    phone: Phone | None = None
    backup_codes: list[str] = field(default_factory=list)

    def register(self) -> Response:
        self.browser.get("/register")
        return self.browser.post("/register", email=self.email, password=PASSWORD)

    def sign_in(self, password: str = PASSWORD) -> Response:
        self.browser.get("/login")
        answer = self.browser.post("/login", email=self.email, password=password)
        if answer.has_redirect_location:
            self.browser.get(answer.headers["location"])
        return answer

    def sign_out(self) -> Response:
        self.browser.get("/")
        return self.browser.post("/sign-out")

    def begin(self) -> Phone:
        self.browser.get("/mfa/setup")
        assert self.browser.post("/mfa/setup/begin").headers["location"] == "/mfa/setup"
        groups = re.findall(r"<span>([A-Z2-7]{1,4})</span><wbr>", self.browser.get("/mfa/setup").text)
        return Phone("".join(groups), self.clock)

    def enroll(self) -> None:
        self.phone = self.begin()
        answer = self.browser.post("/mfa/setup/confirm", code=self.phone.code())
        self.backup_codes = re.findall(r"<li>([0-9A-Z-]{29})</li>", answer.text)
        self.clock.forward(seconds=60)
        self.browser.get("/mfa/security")

    def code(self) -> str:
        """A code that works, and has not been used."""
        assert self.phone is not None
        self.clock.forward(seconds=60)
        return self.phone.code()


@pytest.fixture
def database(databases: Sources) -> Iterator[Database]:
    with databases.database("sqlite", migrated=True) as ready:
        yield ready


@pytest.fixture
def clock() -> Clock:
    # Sessions and cookies live by the clock of the machine, so the one of the second factor begins there.
    return Clock(datetime.now(UTC))


@pytest.fixture
def make_app(database: Database, clock: Clock) -> Callable[..., FastAPI]:
    """Make the sample on the test's database, with other settings where a test asks."""
    keys = generate_key("k1")

    def make(**settings: Any) -> FastAPI:
        engine = database.engine()
        tables.create(engine)
        return build(engine, Settings(**{"_env_file": None, "keys": keys} | settings), clock=clock)

    return make


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    return make_app()


@pytest.fixture
def open_browser(app: FastAPI) -> Callable[..., Browser]:
    """Another browser, at the sample over TLS or at another address."""

    def open_(base_url: str = "https://testserver", *, on: FastAPI | None = None) -> Browser:
        return Browser(TestClient(on or app, base_url=base_url, follow_redirects=False))

    return open_


@pytest.fixture
def browser(open_browser: Callable[..., Browser]) -> Browser:
    return open_browser()


@pytest.fixture
def ada(browser: Browser, clock: Clock) -> Ada:
    """Ada, signed in with a password and nothing else."""
    ada = Ada(browser, clock)
    assert ada.register().headers["location"] == "/"
    return ada


@pytest.fixture
def enrolled(ada: Ada) -> Ada:
    """Ada, signed in, who has just set up her phone."""
    ada.enroll()
    assert len(ada.backup_codes) == 10
    return ada


@pytest.fixture
def waiting(enrolled: Ada) -> Ada:
    """Ada after the password, before the code."""
    enrolled.sign_out()
    assert enrolled.sign_in().headers["location"] == "/mfa/challenge"
    return enrolled
