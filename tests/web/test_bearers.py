"""Hosts that give out tokens of their own: in `Authorization`, or in a cookie. What opens, to whom, and until when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import flask
import httpx2
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from itsdangerous import BadData, URLSafeSerializer
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from examples.notebook import on_fastapi_bearer, people
from tests.people import Phone
from tests.visitors import PASSWORD, Ada, Browser
from tests.web.notebooks import PERSON, SITE, lines_taken, open_notebook
from twofold import MFA
from twofold.errors import ConfigurationError
from twofold.web import flask as flask_binding
from twofold.web.binding import runtime_of
from twofold.web.fastapi import User, Visitor, after_password, enrolled, fresh, mount, password_changed, required

if TYPE_CHECKING:
    from collections.abc import Callable

    from httpx2 import Response as Answer

    from tests.web.notebooks import Notebook

__all__ = ["open_notebook"]

COOKIE = "__Host-shop"
ADA, BOB = 1, 2


@dataclass
class Shop:
    """A host whose token is what it signs, carried in the header or in its cookie."""

    notebook: Notebook
    framework: str = "fastapi"
    cookie: str | None = None
    signer: URLSafeSerializer = field(default_factory=lambda: URLSafeSerializer("of the shop"))
    raises: int | None = None

    def __post_init__(self) -> None:
        self.app: Any = {"fastapi": on_fastapi, "flask": on_flask}[self.framework](self)

    def token(self, who: int, mark: str | None = None) -> str:
        return str(self.signer.dumps({"who": who, "mark": mark}))

    def user(self, request: Any) -> User | None:
        """Say whose token a request brings; both frameworks call headers and cookies alike."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        is_bearer = scheme == "Bearer"
        try:
            held = self.signer.loads(token if is_bearer else request.cookies.get(self.cookie or "", ""))
        except BadData:
            if self.raises and is_bearer:
                stop(self.framework, self.raises)
            return None
        return User(held["who"], f"{held['who']}@example.com", mark=held["mark"])

    def issue(self, response: Any, who: Any, mark: str) -> dict[str, str] | None:
        if self.cookie is None:
            return {"access_token": self.token(who, mark)}
        response.set_cookie(self.cookie, self.token(who, mark), secure=True, httponly=True)
        return None

    def client(self, **headers: str) -> Any:
        if self.framework == "flask":
            transport = httpx2.WSGITransport(app=self.app)
            return httpx2.Client(transport=transport, base_url=SITE, headers=headers)
        return TestClient(self.app, base_url=SITE, headers=headers, follow_redirects=False)

    def ada(self) -> Ada:
        return Ada(Browser(self.client(**PERSON)), self.notebook.clock)


def stop(framework: str, status: int) -> NoReturn:
    if framework == "flask":
        flask.abort(status, "None of ours")
    raise HTTPException(status, "None of ours")


def shaped(view: Callable[[], Any]) -> Callable[[], flask.Response]:
    """Make the answer out of what a view returns, as hosts with schemas do, whose decorators take no response."""

    def answered() -> flask.Response:
        returned = view()
        assert not isinstance(returned, flask.Response)
        return flask.jsonify({"of the schema": returned})

    return answered


def on_flask(shop: Shop) -> flask.Flask:
    app = flask.Flask(__name__)
    flask_binding.mount(
        app, shop.notebook.mfa, user=lambda: shop.user(flask.request), issue=shop.issue, cookie=shop.cookie
    )

    def home() -> Any:
        me = shop.user(flask.request)
        return f"In: {me.id!r}" if me else flask.redirect("/login", 303)

    def unmarked() -> flask.Response:
        answer = flask.jsonify({"access_token": shop.token(ADA)})
        if shop.cookie is not None:
            answer.set_cookie(shop.cookie, shop.token(ADA), secure=True)
        return answer

    app.add_url_rule("/", "home", home)
    app.add_url_rule("/unmarked", "unmarked", unmarked, methods=["POST"])
    app.add_url_rule("/login", "form", lambda: "You are in." if shop.user(flask.request) else "Sign in.")
    enter = lambda: flask_binding.after_password(User(ADA, "ada@example.com"))  # noqa: E731
    app.add_url_rule("/login", "login", enter, methods=["POST"])
    app.add_url_rule(
        "/shaped",
        "shaped",
        shaped(lambda: flask.abort(flask_binding.after_password(User(ADA, "ada@example.com")))),
        methods=["POST"],
    )
    app.add_url_rule("/open", "open", flask_binding.required(lambda: flask.jsonify(flask_binding.visitor().name)))
    app.add_url_rule("/enrolled", "enrolled", flask_binding.enrolled(lambda: list(flask_binding.visitor().amr)))
    app.add_url_rule("/export", "export", flask_binding.fresh()(lambda: str(flask_binding.visitor().id)))
    app.add_url_rule("/password", "password", lambda: flask_binding.password_changed() or {}, methods=["POST"])
    return app


def on_fastapi(shop: Shop) -> FastAPI:
    app = FastAPI()

    async def issue(_request: Request, response: Response, who: int, mark: str) -> dict[str, str] | None:
        return shop.issue(response, who, mark)

    mount(app, shop.notebook.mfa, user=shop.user, issue=issue, cookie=shop.cookie)

    @app.get("/login")
    def login_form(request: Request) -> HTMLResponse:
        return HTMLResponse("You are in." if shop.user(request) else "Sign in.")

    @app.post("/login")
    async def login(request: Request) -> Response:
        return await after_password(request, User(ADA, "ada@example.com"))

    @app.post("/unmarked")
    def unmarked() -> Response:
        answer = JSONResponse({"access_token": shop.token(ADA)})
        if shop.cookie is not None:
            answer.set_cookie(shop.cookie, shop.token(ADA), secure=True)
        return answer

    @app.get("/")
    def home(request: Request) -> Response:
        me = shop.user(request)
        return PlainTextResponse(f"In: {me.id!r}") if me else RedirectResponse("/login", status_code=303)

    @app.post("/password")
    async def password(request: Request) -> Any:
        return await password_changed(request)

    @app.websocket("/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    add_guarded(app)
    return app


def add_guarded(app: FastAPI) -> None:
    @app.get("/open")
    async def anybody(me: Annotated[Visitor, Depends(required)]) -> str:
        return me.name

    @app.get("/enrolled")
    async def with_a_factor(me: Annotated[Visitor, Depends(enrolled)]) -> list[str]:
        return list(me.amr)

    @app.get("/export")
    async def export(me: Annotated[Visitor, Depends(fresh())]) -> int:
        return int(str(me.id))


@pytest.fixture(params=["fastapi", "flask"])
def shop(open_notebook: Callable[..., Notebook], request: pytest.FixtureRequest) -> Shop:
    return Shop(open_notebook("fastapi"), request.param)


@pytest.fixture(params=["fastapi", "flask"])
def site(open_notebook: Callable[..., Notebook], request: pytest.FixtureRequest) -> Shop:
    return Shop(open_notebook("fastapi"), request.param, cookie=COOKIE)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def told(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


def enroll(shop: Shop, token: str) -> tuple[Phone, str]:
    """Set the phone up as a program does it; the token that comes with it."""
    client = shop.client(**bearer(token))
    phone = Phone(client.post("/mfa/api/totp/begin").json()["secret"], shop.notebook.clock)
    answer = client.post("/mfa/api/totp/confirm", json={"code": phone.code()}).json()
    shop.notebook.clock.forward(seconds=60)
    return phone, answer["session"]["access_token"]


def signed_in(shop: Shop, phone: Phone) -> str:
    client = shop.client()
    challenge = client.post("/login").json()["challenge"]
    shop.notebook.clock.forward(seconds=60)
    answer = client.post("/mfa/api/challenge", json={"challenge": challenge, "code": phone.code()})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session"]["access_token"])


def test_the_whole_story_of_the_notebook(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("fastapi_bearer")
    client = TestClient(notebook.app, base_url=SITE)
    form = {"username": "ada@example.com", "password": PASSWORD}
    assert client.post("/login", data=form | {"password": "wrong"}).status_code == 400
    first = client.post("/login", data=form).json()
    assert first["token_type"] == "bearer"
    client.headers.update(bearer(first["access_token"]))
    assert client.get("/me").json()["email"] == "ada@example.com"
    assert told(client.get("/export")) == (403, "enrollment_needed")
    phone = Phone(client.post("/mfa/api/totp/begin").json()["secret"], notebook.clock)
    confirmed = client.post("/mfa/api/totp/confirm", json={"code": phone.code()}).json()

    # The token that came with the answer goes on, with its backup codes.
    client.headers.update(bearer(confirmed["session"]["access_token"]))
    assert client.get("/mfa/api/backup-codes").json()["codes"] == confirmed["backup_codes"]
    assert client.post("/mfa/api/backup-codes/kept").json()["is_kept"]
    client.put("/note", json={"note": "water the plants"})
    assert client.get("/export").text == "water the plants"
    notebook.clock.forward(minutes=6)
    stale = client.get("/export")
    assert told(stale) == (401, "stale")
    assert stale.headers["www-authenticate"].startswith('Bearer error="insufficient_user_authentication"')
    again = client.post("/mfa/api/reverify", json={"code": phone.code()}).json()
    assert client.get("/export").status_code == 401
    client.headers.update(bearer(again["session"]["access_token"]))
    assert client.get("/export").text == "water the plants"

    # The next login asks for the code, and remembers the device.
    del client.headers["authorization"]
    waiting = client.post("/login", data=form)
    assert told(waiting) == (403, "login_waits")
    assert "access_token" not in waiting.text
    assert waiting.headers["content-type"] == "application/problem+json"
    sent = {"challenge": waiting.json()["challenge"], "code": phone.wrong_code(), "trust_device": True}
    assert told(client.post(waiting.json()["at"], json=sent)) == (400, "wrong_code")
    notebook.clock.forward(seconds=60)
    sent["code"] = phone.code()
    passed = client.post(waiting.json()["at"], json=sent).json()
    assert passed["amr"] == ["pwd", "otp", "mfa"]
    assert client.get("/me", headers=bearer(passed["session"]["access_token"])).status_code == 200
    # The answer was lost: the same code once more.
    repeated = client.post(waiting.json()["at"], json=sent).json()
    assert client.get("/me", headers=bearer(repeated["session"]["access_token"])).status_code == 200
    trusted = client.post("/login", data=form, headers={"twofold-device": repeated["device"]["token"]}).json()
    assert set(trusted) == {"access_token", "token_type", "device_token"}
    assert client.get("/me", headers=bearer(trusted["access_token"])).status_code == 200
    assert told(client.get("/export", headers=bearer(trusted["access_token"]))) == (401, "stale")


def test_a_login_below_a_decorator_that_takes_no_response_aborts_with_it(
    open_notebook: Callable[..., Notebook],
) -> None:
    shop = Shop(open_notebook("fastapi"), "flask")
    phone, _ = enroll(shop, shop.client().post("/shaped").json()["access_token"])
    waiting = shop.client().post("/shaped")
    assert told(waiting) == (403, "login_waits")
    sent = {"challenge": waiting.json()["challenge"], "code": phone.code()}
    token = shop.client().post(waiting.json()["at"], json=sent).json()["session"]["access_token"]
    assert shop.client(**bearer(token)).get("/open").status_code == 200


def test_it_takes_few_lines() -> None:
    lines = lines_taken(on_fastapi_bearer)
    assert len(lines) <= 15, lines


@pytest.mark.backends("sqlite")
def test_a_token_without_a_mark_opens_nothing_once_there_is_a_factor(shop: Shop) -> None:
    of_ada = shop.client(**bearer(shop.token(ADA)))
    assert of_ada.get("/").text == "In: 1"
    assert of_ada.get("/open").json() == "1@example.com"
    phone, _ = enroll(shop, shop.token(ADA))
    for path in ("/", "/open", "/enrolled", "/export", "/nowhere"):
        assert told(of_ada.get(path)) == (403, "login_waits"), path
    assert told(of_ada.post("/password")) == (403, "login_waits")
    assert told(of_ada.get("/mfa/api/devices")) == (403, "login_waits")
    assert told(of_ada.post("/mfa/api/totp/begin")) == (403, "login_waits")
    if shop.framework == "fastapi":
        with pytest.raises(WebSocketDisconnect), of_ada.websocket_connect("/socket"):
            pass
    # It is a password's worth, and the code makes a token of it, whatever login it came from.
    assert of_ada.get("/mfa/api/status").json()["state"] == "waiting"
    assert told(of_ada.post("/mfa/api/challenge", json={"code": phone.wrong_code()})) == (400, "wrong_code")
    answer = of_ada.post("/mfa/api/challenge", json={"code": phone.code()}).json()
    passed = shop.client(**bearer(answer["session"]["access_token"]))
    assert passed.get("/export").json() == ADA


@pytest.mark.backends("sqlite")
def test_whoever_waits_writes_nothing_by_asking(shop: Shop) -> None:
    enroll(shop, shop.token(ADA))
    before = len(shop.notebook.mfa.events.recent(ADA))
    for _ in range(5):
        shop.client(**bearer(shop.token(ADA))).get("/")
    assert len(shop.notebook.mfa.events.recent(ADA)) == before


@pytest.mark.backends("sqlite")
def test_the_mark_of_one_is_none_of_another(shop: Shop) -> None:
    people.register(shop.notebook.engine, "bob@example.com", PASSWORD)
    phone, _ = enroll(shop, shop.token(ADA))
    enroll(shop, shop.token(BOB))
    mark = shop.signer.loads(signed_in(shop, phone))["mark"]
    assert shop.client(**bearer(shop.token(ADA, mark))).get("/").text == "In: 1"
    assert told(shop.client(**bearer(shop.token(BOB, mark))).get("/")) == (403, "login_waits")


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("bad", ["", "x", "x.v1:k1:00", "é", 7, {"a": 1}, None, "a" * 40_000])
def test_a_mark_that_nobody_signed_is_none(shop: Shop, bad: Any) -> None:
    enroll(shop, shop.token(ADA))
    assert told(shop.client(**bearer(shop.token(ADA, bad))).get("/")) == (403, "login_waits")


@pytest.mark.backends("sqlite")
def test_a_mark_of_another_application_is_none(shop: Shop) -> None:
    phone, _ = enroll(shop, shop.token(ADA))
    settings = runtime_of(shop.notebook.mfa).settings.model_copy(update={"issuer": "Another shop"})
    mfa = MFA(shop.notebook.engine, settings, clock=shop.notebook.clock)
    other = Shop(replace(shop.notebook, mfa=mfa), shop.framework)
    mark = shop.signer.loads(signed_in(other, phone))["mark"]
    assert other.client(**bearer(shop.token(ADA, mark))).get("/").text == "In: 1"
    assert told(shop.client(**bearer(shop.token(ADA, mark))).get("/")) == (403, "login_waits")


@pytest.mark.backends("sqlite")
def test_a_foreign_token_is_nobody(shop: Shop) -> None:
    enroll(shop, shop.token(ADA))
    foreign = URLSafeSerializer("of somebody else").dumps({"who": ADA, "mark": None})
    stranger = shop.client(**bearer(str(foreign)))
    for shop.raises in (None, 401, 403):
        assert stranger.get("/").status_code == (shop.raises or 303)
        assert told(stranger.get("/open")) == (401, "signed_out")
        assert told(stranger.get("/mfa/api/devices")) == (401, "signed_out")
    # What else the application raises is its own answer, at every address.
    shop.raises = 400
    for path in ("/", "/login", "/open", "/mfa/api/devices"):
        answer = stranger.get(path)
        assert answer.status_code == 400, path
        assert "None of ours" in answer.text, path


@pytest.mark.backends("sqlite")
def test_a_changed_password_ends_every_token_but_the_new_one(shop: Shop) -> None:
    phone, _ = enroll(shop, shop.token(ADA))
    thief, ada = signed_in(shop, phone), signed_in(shop, phone)
    assert shop.client(**bearer(thief)).get("/").status_code == 200
    new = shop.client(**bearer(ada)).post("/password").json()["access_token"]
    assert told(shop.client(**bearer(thief)).get("/")) == (401, "signed_out")
    assert shop.client(**bearer(new)).get("/").text == "In: 1"
    time.sleep(5.1)
    # The old token of the one who changed it lived on for requests that were under way.
    assert told(shop.client(**bearer(ada)).get("/")) == (401, "signed_out")
    # What is over is no obstacle to signing in.
    assert shop.client(**bearer(thief)).post("/login").json()["reason"] == "login_waits"
    assert shop.client(**bearer(thief)).get("/login").text == "Sign in."


@pytest.mark.backends("sqlite")
def test_a_challenge_ends_with_its_time_and_with_the_password(shop: Shop) -> None:
    phone, _ = enroll(shop, shop.token(ADA))
    client = shop.client()
    late = client.post("/login").json()["challenge"]
    shop.notebook.clock.forward(minutes=11)
    sent = {"challenge": late, "code": phone.code()}
    assert told(client.post("/mfa/api/challenge", json=sent)) == (400, "challenge_expired")
    before = client.post("/login").json()["challenge"]
    shop.notebook.mfa.password_changed(ADA)
    sent = {"challenge": before, "code": phone.code()}
    assert told(client.post("/mfa/api/challenge", json=sent)) == (400, "challenge_expired")


@pytest.mark.backends("sqlite")
def test_two_tokens_of_one_user_share_no_set_up(shop: Shop) -> None:
    ada, thief = shop.client(**bearer(shop.token(ADA))), shop.client(**bearer(shop.token(ADA, "another")))
    assert ada.post("/mfa/api/totp/begin").status_code == 200
    assert told(thief.get("/mfa/api/totp/pending")) == (409, "enrollment_expired")
    assert ada.get("/mfa/api/totp/pending").status_code == 200


@pytest.mark.backends("sqlite")
def test_a_factor_that_is_turned_off_leaves_the_new_token(shop: Shop) -> None:
    phone, _ = enroll(shop, shop.token(ADA))
    token = signed_in(shop, phone)
    answer = shop.client(**bearer(token)).post("/mfa/api/totp/disable").json()
    assert shop.client(**bearer(answer["session"]["access_token"])).get("/").text == "In: 1"


@pytest.mark.backends("sqlite")
def test_while_the_database_is_away_no_token_opens_anything(shop: Shop) -> None:
    _, token = enroll(shop, shop.token(ADA))
    time.sleep(2.1)
    with shop.notebook.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE user_mfa_secrets RENAME TO elsewhere")
    assert told(shop.client(**bearer(token)).get("/")) == (503, "unavailable")
    assert shop.client().get("/").headers["location"] == "/login"
    with shop.notebook.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO user_mfa_secrets")


@pytest.mark.backends("sqlite")
def test_an_account_that_is_gone_has_no_token(shop: Shop) -> None:
    assert told(shop.client(**bearer(shop.token(77))).get("/")) == (401, "signed_out")


def test_a_cookie_of_the_hosts_own_goes_through_the_pages(site: Shop) -> None:
    ada = site.ada()
    assert ada.browser.get("/").headers["location"] == "/login"
    assert ada.browser.post("/login").headers["location"] == "/"
    assert ada.browser.get("/").text == "In: 1"
    ada.enroll()
    ada.keep_codes()
    assert ada.browser.get("/export").json() == ADA

    ada.browser.client.cookies.clear()
    assert ada.browser.post("/login").headers["location"] == "/mfa/challenge"
    assert ada.browser.get("/").headers["location"] == "/mfa/challenge"
    assert ada.browser.get("/mfa/security").headers["location"] == "/mfa/challenge"
    ada.browser.get("/mfa/challenge")
    before, code = ada.browser.profile(), ada.code()
    assert ada.browser.post("/mfa/challenge", code=code, trust_device="yes").headers["location"] == "/"
    assert ada.browser.get("/").text == "In: 1"
    # Sent twice, it signs in once more.
    ada.browser.put_back(before)
    assert ada.browser.post("/mfa/challenge", code=code, trust_device="yes").headers["location"] == "/"
    assert ada.browser.get("/").text == "In: 1"

    ada.browser.client.cookies.delete(COOKIE)
    assert ada.browser.post("/login").headers["location"] == "/"
    assert ada.browser.get("/").text == "In: 1"
    assert ada.browser.get("/export").headers["location"].startswith("/mfa/reverify")


@pytest.mark.backends("sqlite")
def test_a_cookie_without_a_mark_waits_and_can_be_given_up(site: Shop) -> None:
    ada = site.ada()
    ada.browser.client.post("/unmarked")
    assert ada.browser.get("/").text == "In: 1"
    ada.enroll()
    ada.browser.client.post("/unmarked")
    assert ada.browser.get("/").headers["location"] == "/mfa/challenge"
    ada.browser.get("/mfa/challenge")
    assert ada.browser.client.post("/mfa/challenge", data={"code": ada.code()}).status_code == 403
    assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
    assert ada.browser.get("/").text == "In: 1"

    ada.browser.client.post("/unmarked")
    # Who cannot give the code comes back to the login, as nobody.
    assert ada.browser.get("/login").text == "Sign in."
    ada.browser.get("/mfa/challenge")
    ada.browser.post("/mfa/challenge/cancel")
    assert ada.browser.get("/").headers["location"] == "/login"


@pytest.mark.backends("sqlite")
def test_a_cookie_is_taken_from_no_other_site(site: Shop) -> None:
    ada = site.ada()
    ada.browser.client.post("/unmarked")
    ada.enroll()
    client = ada.browser.client
    refused = client.post("/mfa/api/devices", headers={"accept": "application/json"})
    assert refused.status_code == 405
    refused = client.delete("/mfa/api/devices", headers={"accept": "application/json"})
    assert told(refused) == (403, "csrf")
    # A scheme whose password a browser sends by itself is no program.
    basic = {"accept": "application/json", "authorization": "Basic eDp5"}
    assert told(client.delete("/mfa/api/devices", headers=basic)) == (403, "csrf")
    csrf = client.get("/mfa/api/status").json()["csrf_token"]
    assert client.delete("/mfa/api/devices", headers={"x-csrf-token": csrf}).status_code == 200


@pytest.mark.backends("sqlite")
def test_it_is_said_how_somebody_is_signed_in(shop: Shop) -> None:
    def sign_in(*_given: object) -> None: ...

    app: Any = flask.Flask(__name__) if shop.framework == "flask" else FastAPI()
    put: Any = flask_binding.mount if shop.framework == "flask" else mount
    ways: list[dict[str, Any]] = [
        {},
        {"cookie": COOKIE},
        {"sign_in": sign_in, "cookie": COOKIE},
        {"sign_in": sign_in, "issue": shop.issue},
        {"issue": shop.issue, "sign_out": sign_in},
    ]
    for given in ways:
        with pytest.raises(ConfigurationError, match="issue= for tokens"):
            put(app, shop.notebook.mfa, user=shop.user, **given)


@pytest.mark.backends("sqlite")
def test_the_id_of_a_route_may_be_made_of_its_tag(shop: Shop) -> None:
    app = FastAPI(generate_unique_id_function=lambda route: f"{route.tags[0]}-{route.name}")
    mount(app, shop.notebook.mfa, user=shop.user, issue=lambda *of: shop.issue(*of[1:]))
    operation = app.openapi()["paths"]["/mfa/api/status"]["get"]
    assert (operation["tags"], operation["operationId"]) == (["mfa"], "mfa-status")
