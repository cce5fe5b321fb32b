"""The middleware of an application that Twofold is mounted in: it looks at each request, and at each sign-in.

It stands inside of what brings the session, and outside of everything that the application answers.

Tests: `tests/web/test_bindings.py`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response

from twofold import lines
from twofold.errors import ConfigurationError
from twofold.web import asgi, held, problems
from twofold.web.called import called
from twofold.web.doorkeeper import Arrival, Held
from twofold.web.in_session import InSession
from twofold.web.visit import Waiting

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from twofold.web.binding import Binding
    from twofold.web.in_token import InToken

_ARRIVAL = "twofold.arrival"
_BEFORE = "twofold.before"
_GIVEN = "twofold.given"
_MOUNTED = "twofold.mounted"
_ROOT = "twofold.root"


@dataclass(frozen=True, slots=True)
class Mounted:
    """What was mounted, and where."""

    doorkeeper: InSession[HTTPConnection] | InToken[HTTPConnection]
    bound: Binding[Request, Response]
    prefix: str

    def base(self, request: HTTPConnection) -> str:
        """The path of the pages, as a browser asks for it."""
        return quote(request.scope[_ROOT] + self.prefix)

    def is_ours(self, request: HTTPConnection) -> bool:
        """Whether a request is for a page of ours, which answers for itself."""
        below: str = request.scope["path"].removeprefix(request.scope[_ROOT])
        return below == self.prefix or below.startswith(f"{self.prefix}/")

    def is_login(self, request: HTTPConnection) -> bool:
        """Whether a request is for the page where one signs in, which is for whoever has come with an old token."""
        below: str = request.scope["path"].removeprefix(request.scope[_ROOT])
        return below == self.doorkeeper.login_url

    def led_on(self, request: HTTPConnection, missing: Held) -> Response:
        """Lead on to what is missing, or say it to a program."""
        login_url = self.doorkeeper.login_url
        page = held.answer(missing, base=self.base(request), login_url=login_url, headers=request.headers)
        return Response(page.body, page.status, dict(page.headers))

    async def closed(self, request: HTTPConnection, problem: Exception) -> Response:
        """Answer while it is not known who may get in: nobody does."""
        method = request.scope.get("method", "WEBSOCKET")
        if not held.reads_pages(request.headers):
            lines.NOT_AVAILABLE.write(
                method, quote(request.scope["path"]), type(problem).__name__, problems.sentence(problem)
            )
            page = held.closed(request.headers)
            return Response(page.body, page.status, dict(page.headers))
        visit = replace(asgi.visit_of(self.bound, request, ""), base=self.base(request))
        return await self.bound.closed(method, asked_for(request), Request(request.scope), visit, problem, asgi.respond)


def arrival(request: HTTPConnection) -> Arrival:
    """What the middleware saw of this request."""
    found: Arrival = request.scope[_ARRIVAL]
    return found


def arrived(request: HTTPConnection, seen: Arrival) -> None:
    """Take note of whom a request is from, and of how the session is now: what changes after this is looked at again.

    The application may have looked up who is signed in once for all of this request, and so is not asked of what we
    know better.
    """
    request.scope[_ARRIVAL] = seen
    if isinstance(mounted(request).doorkeeper, InSession):
        request.scope[_BEFORE] = _copied(request.session)


def given(request: HTTPConnection) -> Response:
    """What goes along with the answer of the application: the cookies that are put into this."""
    found: Response = request.scope[_GIVEN]
    return found


def mounted(request: HTTPConnection) -> Mounted:
    """What is mounted in the application of a request. Raises ConfigurationError where nothing is."""
    found: Mounted | None = request.scope.get(_MOUNTED)
    if found is None:
        raise ConfigurationError("Twofold is not mounted in this application: mount(app, mfa, ...) comes first.")
    return found


def asked_for(request: HTTPConnection) -> str:
    """The address of a request, as a path of this site."""
    query = request.scope["query_string"].decode("latin-1")
    root, path = request.scope.get("root_path", ""), request.scope["path"]
    whole = quote(path if path.startswith(root) else root + path)
    return f"{whole}?{query}" if query else whole


class Watch:
    """Look at each request before the application does, and at what the application signed in after it."""

    def __init__(self, app: ASGIApp, mounted: Mounted) -> None:
        self._app, self._mounted = app, mounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let the application do it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        keeper = self._mounted.doorkeeper
        if isinstance(keeper, InSession) and "session" not in scope:
            raise ConfigurationError("There is no session: app.add_middleware(SessionMiddleware, secret_key=...).")
        is_http = scope["type"] == "http"
        request = Request(scope, receive) if is_http else HTTPConnection(scope)
        scope[_MOUNTED], scope[_ARRIVAL], scope[_GIVEN] = self._mounted, Arrival(None), Response()
        # An application that is mounted in this one puts its own place there.
        scope[_ROOT] = scope.get("root_path", "")
        is_ours = self._mounted.is_ours(request)
        try:
            leads_back = not is_ours and held.leads_back(scope.get("method", ""), request.headers)
            wanted = asked_for(request) if leads_back else None
            seen = await keeper.arrive(request, wanted)
        except HTTPException as refused:
            await (await _refused(request, refused))(scope, receive, send)
            return
        except Exception as problem:  # noqa: BLE001 - whatever it is, nobody is let in
            await (await self._mounted.closed(request, problem))(scope, receive, send)
            return
        arrived(request, seen)
        answered = _Answer(self._mounted, request, receive, send) if is_http else send
        if seen.missing is None or is_ours:
            await self._app(scope, receive, answered)
        elif not isinstance(keeper, InSession) and self._mounted.is_login(request):
            await self._app(_of_nobody(scope, keeper.application.cookie), receive, answered)
        else:
            await self._mounted.led_on(request, Held(seen.missing))(scope, receive, answered)


class _Answer:
    """One answer of the application on its way out, with whom it signed in."""

    def __init__(self, mounted: Mounted, request: HTTPConnection, receive: Receive, send: Send) -> None:
        self._mounted, self._request, self._receive, self._send = mounted, request, receive, send
        self._is_ours = mounted.is_ours(request)
        self._is_replaced = False

    async def __call__(self, message: Message) -> None:
        """Send one message, the first one with what the sign-in asks for."""
        if self._is_replaced:
            return
        if message["type"] == "http.response.start":
            message["headers"] = list(message.get("headers", ()))
            try:
                instead = await self._look(MutableHeaders(raw=message["headers"]), message["status"])
            except Exception as problem:  # noqa: BLE001 - whatever it is, nobody is let in
                if _BEFORE in self._request.scope:
                    self._request.session.clear()
                instead = await self._mounted.closed(self._request, problem)
            if instead is not None:
                self._is_replaced = True
                await instead(self._request.scope, self._receive, self._send)
                return
        await self._send(message)

    async def _look(self, headers: MutableHeaders, status: int) -> Response | None:
        """Look at one answer, and return what is answered instead."""
        request, leads_to = self._request, headers.get("location") if 300 <= status < 400 else None
        # Our pages have marked the session themselves, and a token says by itself how far it goes.
        is_looked_at = not self._is_ours and _BEFORE in request.scope
        has_changed = is_looked_at and dict(request.session) != request.scope[_BEFORE]
        if has_changed:
            arrived(request, await self._mounted.doorkeeper.arrive(request, leads_to))
        seen = arrival(request)
        if has_changed and seen.is_held and status < 400:
            # What the application says to somebody who is in is for nobody whose code is still to come.
            instead = self._mounted.led_on(request, Held("challenge"))
            instead.raw_headers.extend(field for field in headers.raw if field[0].lower() == b"set-cookie")
            return instead
        kept = given(request)
        asgi.keep_device(request, kept, seen.device)
        if cookies := [field for field in kept.raw_headers if field[0] == b"set-cookie"]:
            headers.raw.extend(cookies)
            headers["cache-control"] = "no-store"
        is_led_to_login = leads_to is not None and urlsplit(leads_to).path == self._mounted.doorkeeper.login_url
        if isinstance(seen.session, Waiting) and is_led_to_login and not self._is_ours:
            headers["location"] = f"{self._mounted.base(request)}/challenge"
        return None


async def _refused(request: HTTPConnection, refused: HTTPException) -> Response:
    """What the application answers to an exception of its own, which has no answer yet out here."""
    answers = request.app.exception_handlers.get(HTTPException)
    if answers is None:
        return PlainTextResponse(refused.detail, refused.status_code, refused.headers)
    found: Response = await called(run_in_threadpool, answers, request, refused)
    return found


def _of_nobody(scope: Scope, cookie: str | None) -> Scope:
    """A request without the token that it brought."""
    headers: list[tuple[bytes, bytes]] = []
    for name, value in scope["headers"]:
        if name == b"cookie" and cookie is not None:
            others = [one for one in value.split(b";") if not one.strip().startswith(f"{cookie}=".encode())]
            headers.append((name, b";".join(others)))
        elif name != b"authorization":
            headers.append((name, value))
    return {**scope, "headers": headers}


def _copied(session: MutableMapping[str, Any]) -> dict[str, Any] | None:
    """A session as it is now; None where it holds what cannot be copied, and so may have changed at any time."""
    try:
        return copy.deepcopy(dict(session))
    except Exception:  # noqa: BLE001 - whatever a server keeps in its memory
        return None
