"""Hosts that sign people in by ways of their own: nobody gets in early or as another, and nobody is locked out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import flask
import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Route
from starlette.testclient import TestClient

from examples.notebook import people
from tests.people import Clock, Phone
from tests.visitors import PASSWORD, Ada
from tests.web.notebooks import Notebook, open_notebook
from twofold.errors import ConfigurationError
from twofold.web import fastapi as on_fastapi
from twofold.web import flask as on_flask
from twofold.web import starlette as on_starlette
from twofold.web.visit import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from twofold import MFA

__all__ = ["open_notebook"]

ADA, BOB = 1, 2
PROGRAM = {"accept": "application/json"}


def signed_in(session: Any, _held: Any) -> User | None:
    """Say who is signed in, as the session has it now."""
    return User(session["who"], f"{session['who']}@example.com") if "who" in session else None


def cached(session: Any, held: Any) -> User | None:
    """Say who is signed in, as it was when the request began."""
    if not hasattr(held, "me"):
        held.me = signed_in(session, held)
    me: User | None = held.me
    return me


@dataclass
class Odd:
    """A host that signs in whoever the address names. What is odd about it are `user`, `sign_out` and `answer`."""

    engine: sa.Engine
    mfa: MFA
    user: Callable[[Any, Any], User | None] = signed_in
    sign_out: Callable[[Any], object] = lambda session: session.clear()
    answer: str = "led on"

    def fastapi(self) -> Any:
        app = FastAPI()

        def user(request: Request) -> User | None:
            return self.user(request.session, request.state)

        def sign_in(request: Request, who: int) -> None:
            request.session["who"] = who

        def sign_out(request: Request) -> None:
            self.sign_out(request.session)

        on_fastapi.mount(app, self.mfa, user=user, sign_in=sign_in, sign_out=sign_out)

        @app.get("/in/{who}")
        def into(request: Request, who: int) -> Response:
            request.session["who"] = who
            if self.answer == "led on":
                return RedirectResponse("/", status_code=303)
            if self.answer == "json":
                return JSONResponse({"token": "secret of the host"})
            return HTMLResponse("secret of the host")

        @app.get("/password/{who}")
        async def password(request: Request, who: int) -> Response:
            return await on_fastapi.after_password(request, User(who, f"{who}@example.com"))

        @app.get("/")
        def home(request: Request) -> Response:
            return HTMLResponse(f"You are {request.session.get('who')}")

        app.add_middleware(SessionMiddleware, secret_key="k" * 32)
        return app

    def flask(self) -> Any:
        app = flask.Flask(__name__)
        app.config["SECRET_KEY"] = "k" * 32

        def user() -> User | None:
            return self.user(flask.session, flask.g)

        def sign_in(who: int) -> None:
            flask.session["who"] = who

        def sign_out() -> None:
            self.sign_out(flask.session)

        on_flask.mount(app, self.mfa, user=user, sign_in=sign_in, sign_out=sign_out)

        @app.get("/in/<int:who>")
        def into(who: int) -> Any:
            flask.session["who"] = who
            if self.answer == "led on":
                return flask.redirect("/", 303)
            if self.answer == "json":
                return {"token": "secret of the host"}
            return "secret of the host"

        @app.get("/password/<int:who>")
        def password(who: int) -> Any:
            return on_flask.after_password(User(who, f"{who}@example.com"))

        @app.get("/")
        def home() -> str:
            return f"You are {flask.session.get('who')}"

        return app


@pytest.fixture(params=["fastapi", "flask"])
def odd(request: pytest.FixtureRequest, open_notebook: Callable[..., Notebook]) -> Callable[..., Notebook]:
    """Make an odd host whose Ada has a second factor."""

    def make(**how: Any) -> Notebook:
        base = open_notebook("starlette")
        host = Odd(base.engine, base.mfa, **how)
        return Notebook(getattr(host, request.param)(), base.engine, base.mfa, base.clock)

    return make


def enrolled(host: Notebook, who: int = ADA) -> Ada:
    """A browser of somebody whose phone is set up, signed in nowhere."""
    ada = host.ada()
    ada.phone = Phone(host.mfa.totp.begin(who, account_name="ada@example.com").secret, host.clock)
    host.mfa.totp.confirm(who, ada.phone.code())
    return ada


@pytest.mark.backends("sqlite")
def test_whoever_the_host_looks_up_once_a_request_gets_in(odd: Callable[..., Notebook]) -> None:
    host = odd(user=cached)
    ada = enrolled(host)
    for way in ("/in/1", "/password/1"):
        ada.browser.client.cookies.clear()
        ada.browser.get(way)
        assert ada.browser.get("/").text != "You are 1"
        ada.browser.get("/mfa/challenge")
        assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
        assert ada.browser.get("/").text == "You are 1"


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("answer", ["page", "json"])
def test_what_a_login_answers_is_held_back_as_well(odd: Callable[..., Notebook], answer: str) -> None:
    host = odd(answer=answer)
    ada = enrolled(host)
    response = ada.browser.get("/in/1")
    assert "secret" not in response.text
    assert response.headers["location"] == "/mfa/challenge"
    ada.browser.client.cookies.clear()
    response = ada.browser.client.get("/in/1", headers=PROGRAM)
    assert "secret" not in response.text
    assert (response.status_code, response.json()["reason"]) == (403, "login_waits")
    # The login of somebody without a second factor stays as it is.
    people.register(host.engine, "bob@example.com", PASSWORD)
    assert "secret" in host.ada().browser.get(f"/in/{BOB}").text


@pytest.mark.backends("sqlite")
def test_whoever_signs_in_over_somebody_else_is_asked_for_their_own_code(odd: Callable[..., Notebook]) -> None:
    host = odd()
    people.register(host.engine, "bob@example.com", PASSWORD)
    ada = enrolled(host)
    ada.browser.get(f"/in/{BOB}")
    assert ada.browser.get("/").text == "You are 2"
    assert ada.browser.get("/password/1").headers["location"] == "/mfa/challenge"
    ada.browser.get("/mfa/challenge")
    assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
    assert ada.browser.get("/").text == "You are 1"


@pytest.mark.backends("sqlite")
def test_a_code_sent_twice_by_whoever_trusts_the_browser_only_then(odd: Callable[..., Notebook]) -> None:
    host = odd()
    ada = enrolled(host)
    ada.browser.get("/in/1")
    ada.browser.get("/mfa/challenge")
    before, code = ada.browser.profile(), ada.code()
    assert ada.browser.post("/mfa/challenge", code=code).headers["location"] == "/"
    ada.browser.put_back(before)
    answer = ada.browser.post("/mfa/challenge", code=code, trust_device="yes")
    assert answer.headers.get("location") == "/", answer.text
    assert ada.browser.device() is not None


@pytest.mark.backends("sqlite")
def test_an_account_that_is_gone_is_signed_out(odd: Callable[..., Notebook]) -> None:
    host = odd()
    bob = people.register(host.engine, "bob@example.com", PASSWORD)
    browser = host.ada().browser
    browser.get(f"/in/{bob}")
    assert browser.get("/").text == "You are 2"
    host.mfa.password_changed(bob)
    with host.engine.begin() as connection:
        connection.execute(sa.delete(people.Account).where(people.Account.id == bob))
    unmarked = host.ada().browser
    unmarked.get(f"/in/{bob}")
    assert unmarked.get("/").text == "You are None"
    time.sleep(2.1)
    assert browser.get("/").text == "You are None"


@pytest.mark.backends("sqlite")
def test_an_address_writes_no_line_of_its_own(odd: Callable[..., Notebook], caplog: pytest.LogCaptureFixture) -> None:
    host = odd()
    people.register(host.engine, "bob@example.com", PASSWORD)
    browser = host.ada().browser
    browser.get(f"/in/{BOB}")
    time.sleep(2.1)
    with host.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE user_mfa_secrets RENAME TO elsewhere")
    assert browser.client.get("/a%0ACRITICAL%20b", headers=PROGRAM).status_code == 503
    written = [record.getMessage() for record in caplog.records if record.name == "twofold.web"]
    assert written
    assert not any("\n" in line for line in written)
    with host.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO user_mfa_secrets")


@pytest.mark.backends("sqlite")
def test_a_sign_out_that_does_not_sign_out_opens_nothing_and_locks_nobody_out(odd: Callable[..., Notebook]) -> None:
    host = odd(sign_out=lambda session: session.pop("something", None))
    ada = enrolled(host)
    ada.browser.get("/in/1")
    assert ada.browser.get("/").headers["location"] == "/mfa/challenge"
    ada.browser.get("/mfa/challenge")
    assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
    assert ada.browser.get("/").text == "You are 1"


@pytest.mark.backends("sqlite")
def test_an_application_that_is_mounted_in_the_host_leads_to_the_pages_of_the_host(
    open_notebook: Callable[..., Notebook],
) -> None:
    base = open_notebook("starlette")
    app = Odd(base.engine, base.mfa).fastapi()
    below = FastAPI()

    @below.get("/in/{who}")
    def into(request: Request, who: int) -> Response:
        request.session["who"] = who
        return RedirectResponse("/", status_code=303)

    @below.get("/password/{who}")
    async def password(request: Request, who: int) -> Response:
        return await on_fastapi.after_password(request, User(who, "somebody"))

    @below.get("/export")
    def export(_me: Annotated[on_fastapi.Visitor, Depends(on_fastapi.fresh())]) -> str:
        return "all there is"

    app.mount("/below", below)
    host = Notebook(app, base.engine, base.mfa, base.clock)
    ada = enrolled(host)
    for way in ("/below/in/1", "/below/password/1"):
        ada.browser.client.cookies.clear()
        assert ada.browser.get(way).headers["location"] == "/mfa/challenge"
    assert ada.browser.get("/below/export").headers["location"] == "/mfa/challenge"
    refused = ada.browser.client.get("/below/export", headers=PROGRAM)
    assert (refused.status_code, refused.json()) == (403, {"detail": "challenge"})


@pytest.mark.parametrize("max_age", [timedelta(0), timedelta(seconds=-1)])
def test_no_proof_is_of_no_age(max_age: timedelta) -> None:
    for binding in (on_fastapi, on_starlette, on_flask):
        with pytest.raises(ConfigurationError, match="max_age"):
            binding.fresh(max_age=max_age)


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(
    "prefix", ["", "/", "mfa", "//evil.example", "/{tenant}/mfa", "/<tenant>", "/a/../b", "/m fa", "/m?a"]
)
def test_a_prefix_is_a_path_as_it_stands_in_an_address(open_notebook: Callable[..., Notebook], prefix: str) -> None:
    mfa = open_notebook("starlette").mfa
    app, flasks = FastAPI(), flask.Flask(__name__)
    with pytest.raises(ConfigurationError, match="prefix"):
        on_fastapi.mount(app, mfa, user=lambda _: None, sign_in=lambda _, __: None, prefix=prefix)
    with pytest.raises(ConfigurationError, match="prefix"):
        on_flask.mount(flasks, mfa, user=lambda: None, sign_in=lambda _: None, prefix=prefix)


@pytest.mark.backends("sqlite")
def test_an_application_of_one_page_does_not_take_the_pages(open_notebook: Callable[..., Notebook]) -> None:
    base = open_notebook("starlette")
    app = Starlette(routes=[Route("/{path:path}", lambda _request: HTMLResponse("the one page"))])
    on_starlette.mount(app, base.mfa, user=lambda _: None, sign_in=lambda _, __: None)
    app.add_middleware(SessionMiddleware, secret_key="k" * 32)
    browser = TestClient(app, base_url="https://testserver", follow_redirects=False)
    assert browser.get("/mfa/challenge").status_code == 400
    assert browser.get("/mfa/api/status").json()["state"] == "signed_out"
    assert browser.get("/anything").text == "the one page"


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(
    ("asked_for", "accept", "leads_to"),
    [
        ("/notes?of=today", "text/html,*/*;q=0.8", "/notes?of=today"),
        ("/favicon.ico", "image/avif,image/webp,*/*;q=0.8", "/"),
        ("/poll", "application/json", "/"),
        ("/notes?" + "a" * 3000, "text/html", "/"),
    ],
)
def test_only_a_page_is_a_way_back(odd: Callable[..., Notebook], asked_for: str, accept: str, leads_to: str) -> None:
    host = odd(user=cached)
    ada = enrolled(host)
    ada.browser.client.get("/in/1")
    ada.browser.client.get(f"https://testserver{asked_for}", headers={"accept": accept})
    ada.browser.get("/mfa/challenge")
    assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == leads_to


@pytest.mark.backends("sqlite")
def test_each_framework_asks_the_host_for_the_language(open_notebook: Callable[..., Notebook]) -> None:
    mfa = open_notebook("starlette").mfa
    app, other = FastAPI(), flask.Flask(__name__)
    on_fastapi.mount(app, mfa, user=lambda _: None, sign_in=lambda _, __: None, language=lambda _: "de")
    app.add_middleware(SessionMiddleware, secret_key="k" * 32)
    other.config["SECRET_KEY"] = "k" * 32
    on_flask.mount(other, mfa, user=lambda: None, sign_in=lambda _: None, language=lambda _: "de")
    for made in (app, other):
        answer = (
            Notebook(made, sa.create_engine("sqlite://"), mfa, Clock(datetime.now(UTC))).client().get("/mfa/challenge")
        )
        assert answer.headers["content-language"] == "de"
