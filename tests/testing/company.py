"""A small host with a login of its own, in three frameworks, and with holes to be planted into it.

What it does stands once, in `Company`; FastAPI, Starlette and Flask only bring requests there.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, FastAPI
from flask import Flask, jsonify, request, session
from flask import Response as FlaskResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient

from twofold import MFA, Challenge, Rejected, Request, Stale
from twofold.testing import Clock, Owner, engine, enrolled, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from starlette.requests import Request as StarletteRequest

FIREFOX: Final = Request("192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
PASSWORD: Final = "correct horse"
LOGIN: Final = "<title>Acme</title><form method=post><input name=user><input name=password type=password></form>"
CODE: Final = "<title>Acme</title><form method=post><input name=code></form>"


@dataclass
class Visit:
    """What came: the session, cookies, a bearer's token, and everything that was sent, in one."""

    session: MutableMapping[str, Any]
    cookies: Mapping[str, str]
    bearer: str
    sent: Mapping[str, Any]


@dataclass
class Reply:
    """What goes back: a page, JSON, or another address."""

    page: str = ""
    status: int = 200
    data: dict[str, str] | None = None
    location: str = ""
    cookies: dict[str, str] = field(default_factory=dict)


@dataclass
class Company:
    """The host. `holes` names what is wrong with it."""

    holes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.clock = Clock()
        self._engine = engine()
        self.mfa = MFA(self._engine, settings(), clock=self.clock)
        self._tokens: dict[str, int] = {}
        self._remembered: dict[str, int] = {}

    def owner(self) -> Owner:
        """A new user, who has enrolled."""
        with self._engine.begin() as connection:
            subject = f"{secrets.token_hex(4)}@example.com"
            connection.exec_driver_sql("INSERT INTO users (subject) VALUES (?)", (subject,))
            found = connection.exec_driver_sql("SELECT id FROM users WHERE subject = ?", (subject,))
            user_id = int(found.scalar_one())
        return enrolled(self.mfa, user_id)

    @property
    def handlers(self) -> dict[str, Callable[[Visit], Reply]]:
        """Every route, with its parameters in braces."""
        return {
            "GET /": lambda _: Reply("<title>Acme</title>Welcome"),
            "GET /login": lambda _: Reply(LOGIN),
            "POST /login": self._login,
            "GET /code": lambda visit: Reply(CODE) if "waiting" in visit.session else Reply(location="/login"),
            "POST /code": self._code,
            "GET /again": lambda visit: Reply(CODE) if self._user(visit) else Reply(location="/login"),
            "POST /logout": self._logout,
            "GET /account": self._account,
            "GET /items/{item_id}": self._account,
            "GET /export": self._export,
            "GET /admin": self._admin,
            "POST /password": self._password,
            "POST /email": self._email,
            "POST /api/token": self._token,
            "POST /reset": self._reset,
            "GET /callback": self._callback,
        }

    def _user(self, visit: Visit) -> int | None:
        found = visit.session.get("user") or self._tokens.get(visit.bearer)
        return found or self._remembered.get(visit.cookies.get("remember", ""))

    def _signs_in(self, visit: Visit, user: int, *, hole: str) -> bool:
        """Sign in, or ask for the second factor, which somebody has forgotten where there is a hole."""
        device = visit.cookies.get(self.mfa.trusted_devices.cookie_name(user))
        challenge = self.mfa.challenge(user, device_token=device, request=FIREFOX)
        if isinstance(challenge, Challenge) and hole not in self.holes:
            visit.session["waiting"] = challenge.token
            return False
        visit.session["user"] = user
        return True

    def _login(self, visit: Visit) -> Reply:
        if visit.sent.get("password") != PASSWORD:
            return Reply(LOGIN, 422)
        user = int(visit.sent["user"])
        cookies = {}
        if visit.sent.get("remember") and "remember" in self.holes:
            cookies["remember"] = secrets.token_hex(16)
            self._remembered[cookies["remember"]] = user
        is_in = self._signs_in(visit, user, hole="")
        return Reply(location="/account" if is_in else "/code", cookies=cookies)

    def _code(self, visit: Visit) -> Reply:
        if "waiting" not in visit.session:
            return Reply(location="/login")
        try:
            verified = self.mfa.verify(visit.session["waiting"], visit.sent.get("code", ""), request=FIREFOX)
        except Rejected:
            return Reply(CODE, 422)
        visit.session.pop("waiting")
        visit.session.update(user=verified.user_id, proof=verified.token)
        cookies = {}
        if visit.sent.get("trust"):
            device = self.mfa.trusted_devices.trust(verified, request=FIREFOX)
            cookies[device.cookie_name] = device.token
        return Reply(location="/account", cookies=cookies)

    def _logout(self, visit: Visit) -> Reply:
        visit.session.clear()
        return Reply(location="/")

    def _account(self, visit: Visit) -> Reply:
        return Reply("<title>Acme</title>Yours") if self._user(visit) else Reply(location="/login?next=/account")

    def _export(self, visit: Visit) -> Reply:
        if "half" in self.holes and "waiting" in visit.session:
            return Reply("everything")
        # Some hosts show the login in place of the page.
        return Reply("everything") if self._user(visit) else Reply(LOGIN)

    def _admin(self, visit: Visit) -> Reply:
        return Reply("all users") if self._user(visit) or "admin" in self.holes else Reply("no", 403)

    def _is_fresh(self, visit: Visit) -> bool:
        try:
            self.mfa.proof(visit.session.get("proof", ""))
        except Stale:
            return False
        return True

    def _password(self, visit: Visit) -> Reply:
        if not self._user(visit):
            return Reply("no", 401)
        return Reply("a new password?", 422) if self._is_fresh(visit) else Reply(location="/again")

    def _email(self, visit: Visit) -> Reply:
        return Reply(location="/account") if self._user(visit) and "stale" in self.holes else self._password(visit)

    def _token(self, visit: Visit) -> Reply:
        if visit.sent.get("password") != PASSWORD:
            return Reply(status=401)
        if "token" not in self.holes:
            return Reply(data={"problem": "a second factor is needed"}, status=401)
        token = secrets.token_hex(16)
        self._tokens[token] = int(visit.sent["user"])
        return Reply(data={"access_token": token, "token_type": "bearer"})

    def _reset(self, visit: Visit) -> Reply:
        if visit.sent.get("link") != "mailed":
            return Reply(status=422)
        is_in = self._signs_in(visit, int(visit.sent["user"]), hole="reset")
        return Reply(location="/account" if is_in else "/code")

    def _callback(self, visit: Visit) -> Reply:
        if visit.sent.get("code") != "provided":
            return Reply(status=400)
        is_in = self._signs_in(visit, int(visit.sent["user"]), hole="oauth")
        return Reply(location="/account" if is_in else "/code")


def _starlette_endpoint(handler: Callable[[Visit], Reply]) -> Callable[[StarletteRequest], Any]:
    async def endpoint(request: StarletteRequest) -> Response:
        sent = dict(request.query_params)
        if request.headers.get("content-type") == "application/json":
            sent |= await request.json()
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        reply = handler(Visit(request.session, request.cookies, bearer, sent))
        made: Response = HTMLResponse(reply.page, reply.status)
        if reply.data is not None:
            made = JSONResponse(reply.data, reply.status)
        elif reply.location:
            made = RedirectResponse(reply.location, 303)
        for name, value in reply.cookies.items():
            made.set_cookie(name, value)
        return made

    return endpoint


def _parted(name: str) -> tuple[str, str]:
    method, _, path = name.partition(" ")
    return method, path


async def _silent(websocket: Any) -> None:
    await websocket.close()


def starlette(company: Company) -> Starlette:
    """With a part of the routes mounted below, and a socket."""
    kept = Middleware(SessionMiddleware, secret_key=secrets.token_hex())
    routes: list[Any] = []
    for name, handler in company.handlers.items():
        method, path = _parted(name)
        if path.startswith("/api/"):
            inner = Route(path.removeprefix("/api"), _starlette_endpoint(handler), methods=[method])
            routes.append(Mount("/api", routes=[inner]))
        else:
            routes.append(Route(path.replace("_id}", "_id:int}"), _starlette_endpoint(handler), methods=[method]))
    return Starlette(routes=[*routes, WebSocketRoute("/socket", _silent)], middleware=[kept])


def fastapi(company: Company) -> FastAPI:
    """With routers in routers."""
    app, outer, inner = FastAPI(), APIRouter(), APIRouter()
    app.add_middleware(SessionMiddleware, secret_key=secrets.token_hex())
    for name, handler in company.handlers.items():
        method, path = _parted(name)
        router, below = (inner, path.removeprefix("/api")) if path.startswith("/api/") else (outer, path)
        # The endpoint has no annotations that FastAPI would read.
        router.add_route(below, _starlette_endpoint(handler), methods=[method])
    outer.include_router(inner, prefix="/api")
    app.include_router(outer)
    return app


def _flask_endpoint(handler: Callable[[Visit], Reply]) -> Callable[..., FlaskResponse]:
    def endpoint(**_: Any) -> FlaskResponse:
        sent = request.args.to_dict() | (request.get_json(silent=True) or {})
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        reply = handler(Visit(session, request.cookies, bearer, sent))
        made = FlaskResponse(reply.page, reply.status, mimetype="text/html")
        if reply.data is not None:
            made = jsonify(reply.data)
            made.status_code = reply.status
        elif reply.location:
            made = FlaskResponse("", 303, {"location": reply.location})
        for name, value in reply.cookies.items():
            made.set_cookie(name, value)
        return made

    return endpoint


def flask(company: Company) -> Flask:
    """The same in Flask, whose static files are routes, too."""
    app = Flask("acme", static_url_path="/static", static_folder="/nonexistent")
    app.secret_key = secrets.token_hex()
    for name, handler in company.handlers.items():
        method, path = _parted(name)
        rule = path.replace("{item_id}", "<int:item_id>")
        app.add_url_rule(rule, name, _flask_endpoint(handler), methods=[method])
    return app


MAKES: Final[dict[str, Callable[[Company], Any]]] = {"starlette": starlette, "fastapi": fastapi, "flask": flask}


@dataclass
class People:
    """Those who come to an application of the company, each with a client of their own."""

    company: Company
    app: Any

    def nobody(self) -> Any:
        return self.app.test_client() if isinstance(self.app, Flask) else TestClient(self.app)

    def _login(self, client: Any, owner: Owner) -> Any:
        return client.post("/login", json={"user": owner.user_id, "password": PASSWORD}, follow_redirects=False)

    def waiting(self) -> Any:
        client = self.nobody()
        self._login(client, self.company.owner())
        return client

    def _signed_in(self, **more: Any) -> tuple[Any, Owner]:
        client, owner = self.nobody(), self.company.owner()
        self._login(client, owner)
        client.post("/code", json={"code": owner.code()} | more, follow_redirects=False)
        return client, owner

    def trusted(self) -> Any:
        client, owner = self._signed_in(trust="on")
        client.post("/logout", follow_redirects=False)
        self._login(client, owner)
        return client

    def stale(self) -> Any:
        client, _ = self._signed_in()
        self.company.clock.forward(hours=2)
        return client

    def fresh(self) -> Any:
        return self._signed_in()[0]

    def gives_out(self) -> dict[str, Callable[[Any], Any]]:
        """What the company gives out for a password, a mail or a provider's word."""
        owner = self.company.owner()
        right = {"user": owner.user_id, "password": PASSWORD}
        return {
            "the login": lambda client: client.post("/login", json=right, follow_redirects=False),
            "remember me": lambda client: client.post(
                "/login", json=right | {"remember": "on"}, follow_redirects=False
            ),
            "the API's token": lambda client: client.post("/api/token", json=right),
            "the reset": lambda client: client.post(
                "/reset", json={"user": owner.user_id, "link": "mailed"}, follow_redirects=False
            ),
            "the provider": lambda client: client.get("/callback?code=provided&user=" + str(owner.user_id)),
        }
