"""Requests and responses as Starlette has them: what FastAPI's and Starlette's applications share.

Tests: `tests/web/test_mounting.py`, `tests/web/test_headers.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - FastAPI reads it off the endpoints
from starlette.responses import Response

from twofold import request as origins
from twofold.errors import MFAError
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import assets, binding, cookies, forms, gate
from twofold.web.api import door
from twofold.web.api.operations import OPERATIONS
from twofold.web.binding import Binding, runtime_of
from twofold.web.outside import Outside
from twofold.web.sessions import Sessions
from twofold.web.speech import Speech
from twofold.web.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
    from datetime import tzinfo

    from starlette.requests import HTTPConnection

    from twofold.mfa import MFA, AsyncMFA
    from twofold.outcomes import DeviceToken, UserId
    from twofold.web.api.operations import Operation
    from twofold.web.look import Look
    from twofold.web.page import Page
    from twofold.web.sessions import Host

    Endpoint = Callable[[Request], Awaitable[Response]]


def bind(
    mfa: MFA | AsyncMFA,
    host: Host[Request, Response],
    look: Look,
    *,
    destinations: Mapping[str, str] | None = None,
    language: Callable[[Request], str | Awaitable[str | None] | None] | None = None,
    timezone: Callable[[Request], str | tzinfo | Awaitable[str | tzinfo | None] | None] | None = None,
) -> Binding[Request, Response]:
    """Bind the pages to one host."""
    site = binding.site(mfa, host, run_in_threadpool, look=look, destinations=destinations)
    return Binding(
        site, Sessions(host, run_in_threadpool), Speech(look.languages, run_in_threadpool, language, timezone)
    )


def endpoints(bound: Binding[Request, Response]) -> Iterator[tuple[str, list[str], Endpoint]]:
    """What to route below the prefix: path, methods and endpoint of all pages and their static files."""
    for route in gate.ROUTES:
        yield (
            route.path,
            ["GET", "HEAD"] if route.method == "GET" else ["POST"],
            _endpoint(bound, route, route.path, gate),
        )
    yield "/static/{name}", ["GET", "HEAD"], _static


def operations(bound: Binding[Request, Response]) -> Iterator[tuple[Operation, Endpoint]]:
    """What to route below the prefix and `/api` for programs; an operation that is safe takes HEAD as well as GET."""
    for operation in OPERATIONS:
        yield operation, _endpoint(bound, operation, f"{door.PREFIX}{operation.path}", door)


def device_token(mfa: MFA | AsyncMFA, request: HTTPConnection, user_id: UserId) -> str | None:
    """The token of this user that the browser brings, for `mfa.challenge(..., device_token=...)`."""
    settings = runtime_of(mfa).settings
    brought = cookies.brought_to(reached(request, settings.public_url), request.cookies)
    return brought.get(device_cookie.name_for(settings, user_id))


def keep_device(request: HTTPConnection, response: Response, device: DeviceToken | None) -> None:
    """Put the new token of a trusted device into its cookie. With None, the cookie that is there stays.

    One browser holds the cookies of twenty people at most: past that, the one it has had for longest goes, and its user
    is asked for a code the next time.
    """
    if device is not None:
        outside = reached(request, device.public_url)
        cookies.keep(response, outside, device, cookies.brought_to(outside, request.cookies))


def forget_device(mfa: MFA | AsyncMFA, request: HTTPConnection, response: Response, user_id: UserId) -> None:
    """Take the cookie of this user's trusted device away. Those of others who share the browser stay."""
    settings = runtime_of(mfa).settings
    cookies.take_away(response, reached(request, settings.public_url), device_cookie.name_for(settings, user_id))


def form_token(mfa: MFA | AsyncMFA, session_id: str) -> str:
    """The value of the field `csrf` in a form of the host's own, for `read_form`."""
    core = runtime_of(mfa)
    return forms.token(core.keyring, session_id, realm=forms.realm_of(core.settings))


async def read_form(mfa: MFA | AsyncMFA, request: Request, session_id: str) -> dict[str, str]:
    """Read a form of the host's own as the pages read theirs: of this site and of this session. Raises BadForm."""
    core = runtime_of(mfa)
    outside = reached(request, core.settings.public_url)
    outside.notice_mistakes()
    forms.check_origin(request.headers, outside)
    form = forms.read(request.headers, await _read_body(request))
    if not session_id:
        forms.check_cookies(outside)
    forms.check_token(core.keyring, session_id, form.get("csrf", ""), realm=forms.realm_of(core.settings))
    return form


async def _read_body(request: Request) -> bytes:
    # Never more than one byte past the limit, however much is sent.
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > forms.LIMIT:
            break
    return bytes(body[: forms.LIMIT + 1])


def _endpoint(bound: Binding[Request, Response], route: binding.AnyRoute, path: str, at: binding.Door) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        body = b"" if route.method == "GET" else await _read_body(request)
        visit = visit_of(bound, request, path, body)
        return await bound.answer(
            route, request, visit, respond, door=at, is_answer=lambda problem: _is_answer(request, problem)
        )

    return endpoint


def elsewhere(bound: Binding[Request, Response], at: binding.Door = gate, prefix: str = "") -> Endpoint:
    """What answers below the prefix where nothing else does, at `/{rest:path}`."""

    async def endpoint(request: Request) -> Response:
        rest = request.path_params["rest"]
        # The prefix itself may be asked for without a slash.
        below = f"{prefix}/{rest}" if request.scope["path"].endswith(f"/{rest}") else prefix
        return await bound.elsewhere(request.method, rest, request, visit_of(bound, request, below), respond, door=at)

    return endpoint


def visit_of(bound: Binding[Request, Response], request: HTTPConnection, route_path: str, body: bytes = b"") -> Visit:
    """Read a request, for what answers at `route_path` below the prefix."""
    outside = reached(request, bound.site.settings.public_url)
    return Visit(
        session=None,
        base=binding.base_of(request.scope["path"], request.scope.get("root_path", ""), route_path),
        headers=request.headers,
        origin=origins.Request.of(request),
        cookies=cookies.brought_to(outside, request.cookies),
        query=request.query_params,
        path_values=request.path_params,
        body=body,
        outside=outside,
    )


def respond(page: Page, instead_of: Response | None) -> Response:
    """Make the response of a page. It takes over what the host gave to another one, cookies above all."""
    made = Response(page.body, page.status, dict(page.headers))
    if instead_of is not None:
        ours = {*made.headers, "location"}
        for name, value in instead_of.headers.items():
            if name not in ours:
                made.headers.append(name, value)
    return made


def _is_answer(request: Request, problem: Exception) -> bool:
    """Whether the host means it: an HTTPException, or what it has a handler of its own for. Ours are never its own."""
    handlers: Iterable[object] = request.app.exception_handlers
    handled = tuple(kind for kind in handlers if isinstance(kind, type) and kind is not Exception)
    return isinstance(problem, (HTTPException, *handled)) and not isinstance(problem, MFAError)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in assets.ASSETS:
        return Response(status_code=404, headers=dict(assets.HEADERS) | {"Cache-Control": "no-store"})
    content, content_type = assets.ASSETS[name]
    return Response(content, headers={**assets.HEADERS, "Content-Type": content_type})


def reached(request: HTTPConnection, public_url: str | None) -> Outside:
    """How the browser reaches this site."""
    return Outside.of(public_url, scheme=request.url.scheme, headers=request.headers)
