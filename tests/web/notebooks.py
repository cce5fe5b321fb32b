"""A notebook on each framework, with Ada in front of it: fixtures for tests of the bindings."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import flask
import httpx2
import pytest
from flask_login import login_user
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from examples.notebook import people
from tests.databases import add_passkeys
from tests.people import Clock
from tests.visitors import PASSWORD, Ada, Browser
from twofold import MFA, Settings
from twofold.keyring import generate_key
from twofold.schema.commands import upgrade

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import ModuleType

    import sqlalchemy as sa
    from starlette.requests import Request

    from tests.databases import Sources

FRAMEWORKS = ("fastapi", "starlette", "flask", "flask_login")
SITE = "https://testserver"
PERSON = {"accept": "text/html", "sec-fetch-site": "same-origin"}


@dataclass
class Notebook:
    """One notebook, running."""

    app: Any
    engine: sa.Engine
    mfa: MFA
    clock: Clock
    act: Callable[[Any], object] = dict
    act_on: Callable[[Any], Awaitable[object]] | None = None

    def __post_init__(self) -> None:
        """Add another door of the application: at `/door`, `act` gets the session, and does with it what it likes."""
        if hasattr(self.app, "wsgi_app"):

            def view() -> str:
                self.act(flask.session)
                return "done"

            self.app.add_url_rule("/door", "door", view)
        else:

            async def endpoint(request: Request) -> Response:
                self.act(request.session)
                if self.act_on is not None:
                    await self.act_on(request)
                return PlainTextResponse("done")

            self.app.router.routes.insert(0, Route("/door", endpoint))

    def sign_in_by_itself(self, user_id: int) -> None:
        """Let the door leave in the session what the framework's own login does."""
        if hasattr(self.app, "login_manager"):
            self.act = lambda _session: login_user(people.find(self.engine, user_id))
        else:
            self.act = lambda session: session.update({"account": user_id})

    def client(self, **headers: str) -> httpx2.Client:
        """Another browser."""
        if hasattr(self.app, "wsgi_app"):
            transport = httpx2.WSGITransport(app=self.app)
            return httpx2.Client(transport=transport, base_url=SITE, headers=PERSON | headers)
        return TestClient(self.app, base_url=SITE, headers=PERSON | headers, follow_redirects=False)

    def ada(self) -> Ada:
        return Ada(Browser(self.client()), self.clock)


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_notebook(databases: Sources, backend: str) -> Iterator[Callable[..., Notebook]]:
    clock = Clock(datetime.now(UTC))
    keys = generate_key("k1")
    with databases.database(backend, migrated=False) as database:
        engine = database.engine()
        people.Base.metadata.create_all(engine)
        people.register(engine, "ada@example.com", PASSWORD)
        given: dict[str, Any] = {"_env_file": None, "keys": keys, "issuer": "Notebook"}
        settings = Settings(**given)
        upgrade(engine, settings)

        def open_(framework: str, *, has_tls: bool = True, **more: Any) -> Notebook:
            if "rp_id" in more:
                add_passkeys(database)
            mfa = MFA(engine, Settings(**given | more), clock=clock)
            module = importlib.import_module(f"examples.notebook.on_{framework}")
            return Notebook(module.build(engine, mfa, has_tls=has_tls), engine, mfa, clock)

        yield open_


@pytest.fixture
def notebook(open_notebook: Callable[..., Notebook], framework: str) -> Notebook:
    return open_notebook(framework)


@pytest.fixture
def ada(notebook: Notebook) -> Ada:
    """Ada, signed in with her password, who has set up her phone."""
    ada = notebook.ada()
    assert ada.sign_in().headers["location"] == "/"
    ada.enroll()
    ada.keep_codes()
    return ada


def lines_taken(module: ModuleType) -> list[str]:
    """The lines of an application that are there for Twofold."""
    source = inspect.getsource(module)
    block = source.partition("# Twofold\n")[2].partition("# end\n")[0]
    lines = [line for line in block.splitlines() if line.strip()]
    lines += [line for line in source.splitlines() if line.startswith("from twofold.web")]
    return lines + [line for line in source.splitlines() if "fresh()" in line or "after_password(" in line]


def sign_out(ada: Ada) -> None:
    assert ada.browser.post("/sign-out").headers["location"] == "/login"


def is_in(ada: Ada) -> bool:
    return "Notebook of ada@example.com" in ada.browser.get("/").text
