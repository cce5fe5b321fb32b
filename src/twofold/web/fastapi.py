"""The pages as a FastAPI router.

    app.include_router(router(mfa, host), prefix="/mfa")

`host` is the application's side: who this is, and what to do once the second factor is given. See docs/pages.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from twofold import request as origins
from twofold.errors import MFAError
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import assets, binding, cookies, forms, gate, sessions
from twofold.web.binding import Binding, runtime_of
from twofold.web.fallback import METHODS, Exact, Fallback
from twofold.web.forms import BadForm
from twofold.web.look import Link, Look
from twofold.web.outside import Outside
from twofold.web.speech import Speech
from twofold.web.visit import SignedIn, Visit, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from twofold.mfa import MFA, AsyncMFA
    from twofold.outcomes import DeviceToken, UserId
    from twofold.web.page import Page

__all__ = [
    "BadForm",
    "Host",
    "Link",
    "SignedIn",
    "Waiting",
    "device_token",
    "forget_device",
    "form_token",
    "keep_device",
    "read_form",
    "router",
]

Host = sessions.Host[Request, Response]
"""What the application does for the pages: it keeps the sessions, Twofold never does."""


def router(
    mfa: MFA | AsyncMFA,
    host: Host,
    *,
    stylesheet: str | None = None,
    destinations: Mapping[str, str] | None = None,
    language: Callable[[Request], str | Awaitable[str | None] | None] | None = None,
    timezone: Callable[[Request], str | tzinfo | Awaitable[str | tzinfo | None] | None] | None = None,
    templates: str | Path | None = None,
    translations: Path | None = None,
    logo: str | None = None,
    favicon: str | None = None,
    links: Sequence[Link] = (),
) -> APIRouter:
    """Make the router of all pages.

    `stylesheet` is the address of a style sheet on this site that is loaded after ours. `destinations` names paths of
    this site that the step-up page may lead back to: with `{"export": "/export"}`, a page sends people to
    `reverify?next=export`. `language` says the language of a request, as `de` or `pt-BR`, from the host's own settings
    of a person; where it is None or says None, the browser's `Accept-Language` does. `timezone` says the
    person's zone in the same way, as `Europe/Vienna`; where it is None, the pages say UTC and the script says the
    browser's. `templates`, `translations`, `logo`, `favicon` and `links` are the host's own: see `Look`. An application
    may have several routers, each with users of its own.
    """
    look = Look(stylesheet, templates, translations, logo, favicon, links)
    site = binding.site(mfa, host, run_in_threadpool, look=look, destinations=destinations)
    speech = Speech(look.languages, language, timezone)
    bound = Binding(site, sessions.Sessions(host, run_in_threadpool), speech)
    made = APIRouter(include_in_schema=False)
    for route in gate.ROUTES:
        methods: list[str] = ["GET", "HEAD"] if route.method == "GET" else ["POST"]
        made.add_api_route(route.path, _endpoint(bound, route), methods=methods, route_class_override=Exact)
    made.add_api_route("/static/{name}", _static, methods=["GET", "HEAD"], route_class_override=Exact)
    made.add_api_route("/{rest:path}", _elsewhere(bound), methods=list(METHODS), route_class_override=Fallback)
    return made


def device_token(mfa: MFA | AsyncMFA, request: Request, user_id: UserId) -> str | None:
    """The token of this user that the browser brings, for `mfa.challenge(..., device_token=...)`."""
    settings = runtime_of(mfa).settings
    brought = cookies.brought_to(_outside(request, settings.public_url), request.cookies)
    return brought.get(device_cookie.name_for(settings, user_id))


def keep_device(request: Request, response: Response, device: DeviceToken | None) -> None:
    """Put the new token of a trusted device into its cookie. With None, the cookie that is there stays.

    One browser holds the cookies of twenty people at most: past that, the one it has had for longest goes, and its user
    is asked for a code the next time.
    """
    if device is not None:
        outside = _outside(request, device.public_url)
        cookies.keep(response, outside, device, cookies.brought_to(outside, request.cookies))


def forget_device(mfa: MFA | AsyncMFA, request: Request, response: Response, user_id: UserId) -> None:
    """Take the cookie of this user's trusted device away. Those of others who share the browser stay."""
    settings = runtime_of(mfa).settings
    cookies.take_away(response, _outside(request, settings.public_url), device_cookie.name_for(settings, user_id))


def form_token(mfa: MFA | AsyncMFA, session_id: str) -> str:
    """The value of the field `csrf` in a form of the host's own, for `read_form`."""
    core = runtime_of(mfa)
    return forms.token(core.keyring, session_id, realm=forms.realm_of(core.settings))


async def read_form(mfa: MFA | AsyncMFA, request: Request, session_id: str) -> dict[str, str]:
    """Read a form of the host's own as the pages read theirs: of this site and of this session. Raises BadForm."""
    core = runtime_of(mfa)
    outside = _outside(request, core.settings.public_url)
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


def _endpoint(bound: Binding[Request, Response], route: gate.AnyRoute) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = await _read_body(request) if route.method == "POST" else b""
        visit = _visit(bound, request, route.path, body)
        return await bound.answer(
            route, request, visit, _respond, is_answer=lambda problem: _is_answer(request, problem)
        )

    return endpoint


def _elsewhere(bound: Binding[Request, Response]) -> Callable[[Request], Any]:
    async def elsewhere(request: Request) -> Response:
        rest = request.path_params["rest"]
        # The prefix itself may be asked for without a slash.
        below = f"/{rest}" if request.scope["path"].endswith(f"/{rest}") else ""
        return await bound.elsewhere(request.method, rest, request, _visit(bound, request, below), _respond)

    return elsewhere


def _visit(bound: Binding[Request, Response], request: Request, route_path: str, body: bytes = b"") -> Visit:
    outside = _outside(request, bound.site.settings.public_url)
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


def _respond(page: Page, instead_of: Response | None) -> Response:
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


async def _static(name: str) -> Response:
    if name not in assets.ASSETS:
        return Response(status_code=404, headers=dict(assets.HEADERS) | {"Cache-Control": "no-store"})
    content, content_type = assets.ASSETS[name]
    return Response(content, headers={**assets.HEADERS, "Content-Type": content_type})


def _outside(request: Request, public_url: str | None) -> Outside:
    return Outside.of(public_url, scheme=request.url.scheme, headers=request.headers)
