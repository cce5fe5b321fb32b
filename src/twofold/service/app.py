"""The service as an ASGI application: what runs here, and whether it is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from twofold.service.readiness import Readiness

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Twofold</title></head>
<body>
<h1>Twofold</h1>
<p>Multi-factor authentication beside an application's own login runs here.</p>
<p>There is nothing to sign in to on this page. Operators: <a href="health/ready">/health/ready</a> says whether it is
ready, <a href="health/live">/health/live</a> whether it is alive.</p>
</body>
</html>
"""
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class _Guarded:
    """Adds the headers that keep a browser from doing more with an answer than to show it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._app(scope, receive, guarded)


def create_app(readiness: Readiness) -> Starlette:
    """Make the application. It holds no state of its own."""

    def home(_request: Request) -> Response:
        return HTMLResponse(_PAGE)

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    def ready(_request: Request) -> Response:
        states = readiness.states()
        is_ready = all(state == "ok" for state in states.values())
        body = {"status": "ready" if is_ready else "not ready", "checks": states}
        return JSONResponse(body, status_code=200 if is_ready else 503)

    return Starlette(
        routes=[Route("/", home), Route("/health/live", live), Route("/health/ready", ready)],
        middleware=[Middleware(_Guarded)],
    )
