"""The JSON door of an application on a real database, asked by a browser's script and by an app."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient

from tests.people import FIREFOX, Clock, add_user, plain_settings
from tests.web.api.host import Host, Program, build
from twofold import MFA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from tests.databases import Database


@pytest.fixture
def clock() -> Clock:
    # Cookies live by the clock of the machine, so the one of the second factor begins there.
    return Clock(datetime.now(UTC))


@pytest.fixture
def mfa(migrated: Database, keys: str, clock: Clock) -> MFA:
    return MFA(migrated.engine(), plain_settings(keys=keys), clock=clock)


@pytest.fixture
def ada_id(migrated: Database) -> int:
    return add_user(migrated, "ada@example.com")


@pytest.fixture
def hosted(mfa: MFA, ada_id: int) -> tuple[FastAPI, Host]:
    return build(mfa, ada_id)


@pytest.fixture
def app(hosted: tuple[FastAPI, Host]) -> FastAPI:
    return hosted[0]


@pytest.fixture
def host(hosted: tuple[FastAPI, Host]) -> Host:
    return hosted[1]


@pytest.fixture
def open_program(app: FastAPI, clock: Clock) -> Iterator[Callable[..., Program]]:
    # An event loop for all of them, and not one for each request.
    with start_blocking_portal() as portal:

        def open_(*, is_app: bool) -> Program:
            client = TestClient(app, base_url="https://testserver", follow_redirects=False)
            client.portal = portal
            client.headers["user-agent"] = FIREFOX.user_agent or ""
            return Program(client, clock, is_app)

        yield open_


@pytest.fixture(params=["browser", "app"])
def program(request: pytest.FixtureRequest, open_program: Callable[..., Program]) -> Program:
    """Ada's program, before she signs in."""
    return open_program(is_app=request.param == "app")


@pytest.fixture
def enrolled(program: Program) -> Program:
    """Ada, signed in, who has just set up her phone."""
    program.sign_in()
    program.enroll()
    return program


@pytest.fixture
def waiting(enrolled: Program) -> Program:
    """Ada after the password, before the code."""
    enrolled.client.cookies.clear()
    enrolled.sign_in()
    return enrolled
