"""The sample application over HTTP, on a real SQLite file, and Ada's browser in front of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient

from examples.sample import tables
from examples.sample.app import build
from tests.people import Clock
from tests.visitors import Ada, Browser
from twofold import Settings
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from tests.databases import Database, Sources


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
def open_browser(app: FastAPI) -> Iterator[Callable[..., Browser]]:
    """Another browser, at the sample over TLS or at another address."""
    # An event loop for all of them, and not one for each request.
    with start_blocking_portal() as portal:

        def open_(base_url: str = "https://testserver", *, on: FastAPI | None = None) -> Browser:
            client = TestClient(on or app, base_url=base_url, follow_redirects=False)
            client.portal = portal
            return Browser(client)

        yield open_


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
