"""The pages as a FastAPI router.

    app.include_router(router(mfa, host), prefix="/mfa")

`host` is the application's side: who this is, and what to do once the second factor is given. See docs/pages.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from twofold import request as origins
from twofold.mfa import MFA, AsyncMFA
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import cookies, forms, gate, rendering
from twofold.web.forms import BadForm
from twofold.web.look import Link, Look
from twofold.web.site import Site
from twofold.web.speech import Speech
from twofold.web.visit import SignedIn, Visit, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from twofold.account.runtime import Runtime
    from twofold.outcomes import DeviceToken, UserId, Verified

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


class Host(Protocol):
    """What the application does for the pages: it keeps the sessions, Twofold never does."""

    @property
    def login_url(self) -> str:
        """Where to sign in: a path of this site."""
        ...

    @property
    def home_url(self) -> str:
        """Where to go after signing in: a path of this site."""
        ...

    async def session(self, request: Request) -> Waiting | SignedIn | None:
        """Who this request is from, as the server's own session knows it."""
        ...

    async def log_in(self, request: Request, response: Response, verified: Verified) -> None:
        """Sign in for good: end the waiting session, begin another with a new id, and keep `verified.token` in it.

        `response` leads to `home_url`; a host that remembers where the person wanted to go changes its `location`.
        """
        ...

    async def remember(self, request: Request, response: Response, verified: Verified) -> None:
        """Keep `verified.token` in the session that there is, in place of the one before."""
        ...

    async def changed(self, request: Request, response: Response) -> None:
        """Go on with this session after a change of the user's factors, and end every other one (ASVS 7.4.3).

        A factor was set up, replaced or turned off, or has new backup codes. A session that was stolen before must not
        live on beside them. Where sessions are compared with `mfa.status(user_id).epoch`, keep the new one in this one.
        """
        ...

    async def log_out(self, request: Request, response: Response) -> None:
        """End the session, waiting or not."""
        ...


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
    browser's. `templates`, `translations`, `logo`, `favicon` and `links` are the host's own: see `Look`.
    """
    look = Look(stylesheet, templates, translations, logo, favicon, links)
    speech = Speech(look.languages, language, timezone)
    core = _runtime(mfa)
    site = Site(
        mfa=mfa if isinstance(mfa, AsyncMFA) else cast("AsyncMFA", _InThreads(mfa)),
        settings=core.settings,
        keyring=core.keyring,
        clock=core.clock,
        draw=lambda enrollment: run_in_threadpool(enrollment.qr_svg),
        login_url=host.login_url,
        home_url=host.home_url,
        look=look,
        destinations=destinations or {},
    )
    made = APIRouter(include_in_schema=False)
    for route in gate.ROUTES:
        made.add_api_route(
            route.path, _endpoint(site, host, route, speech), methods=[route.method], name=f"twofold:{route.path[1:]}"
        )
    made.add_api_route("/static/{name}", _static, methods=["GET"], name="twofold:static")
    return made


def device_token(mfa: MFA | AsyncMFA, request: Request, user_id: UserId) -> str | None:
    """The token of this user that the browser brings, for `mfa.challenge(..., device_token=...)`."""
    return _cookies(request).get(device_cookie.name_for(_runtime(mfa).settings, user_id))


def keep_device(request: Request, response: Response, device: DeviceToken | None) -> None:
    """Put the new token of a trusted device into its cookie. With None, the cookie that is there stays.

    One browser holds the cookies of twenty people at most: past that, the one it has had for longest goes, and its user
    is asked for a code the next time.
    """
    if device is None:
        return
    for name in device_cookie.crowded_out(device.cookie_name, _cookies(request)):
        _take_away(request, response, name)
    cookie = _cookie(request, device.cookie_name)
    response.set_cookie(
        cookie.name, device.token, expires=device.expires_at, httponly=True, secure=cookie.is_secure, samesite="lax"
    )


def forget_device(mfa: MFA | AsyncMFA, request: Request, response: Response, user_id: UserId) -> None:
    """Take the cookie of this user's trusted device away. Those of others who share the browser stay."""
    _take_away(request, response, device_cookie.name_for(_runtime(mfa).settings, user_id))


def form_token(mfa: MFA | AsyncMFA, session_id: str) -> str:
    """The value of the field `csrf` in a form of the host's own, for `read_form`."""
    return forms.token(_runtime(mfa).keyring, session_id)


async def read_form(mfa: MFA | AsyncMFA, request: Request, session_id: str) -> dict[str, str]:
    """Read a form of the host's own as the pages read theirs: of this site and of this session. Raises BadForm."""
    forms.check_origin(request.headers)
    form = forms.read(request.headers, await _read_body(request))
    forms.check_token(_runtime(mfa).keyring, session_id, form.get("csrf", ""))
    return form


async def _read_body(request: Request) -> bytes:
    # Never more than one byte past the limit, however much is sent.
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > forms.LIMIT:
            break
    return bytes(body[: forms.LIMIT + 1])


class _InThreads:
    """A blocking face as the pages see an awaited one: each operation runs in a thread."""

    def __init__(self, face: Any) -> None:
        self._face = face

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._face, name)
        if not callable(found):
            return _InThreads(found)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await run_in_threadpool(found, *args, **kwargs)

        return call


def _runtime(mfa: MFA | AsyncMFA) -> Runtime:
    return mfa._runtime  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _endpoint(site: Site, host: Host, route: gate.AnyRoute, speech: Speech[Request]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        visit = Visit(
            session=await host.session(request),
            base=request.url_for("twofold:security").path.removesuffix("/security"),
            headers=request.headers,
            origin=origins.Request.of(request),
            cookies=_cookies(request),
            query=request.query_params,
            path_values=request.path_params,
            body=await _read_body(request) if route.method == "POST" else b"",
            language=await speech.to(request, request.headers.get("accept-language", "")),
        )
        page = await gate.serve(site, route, visit)
        response = Response(page.body, page.status, dict(page.headers))
        if page.log_in is not None:
            await host.log_in(request, response, page.log_in)
        if page.remember is not None:
            await host.remember(request, response, page.remember)
        if page.changed:
            await host.changed(request, response)
        if page.log_out:
            await host.log_out(request, response)
        if page.forget_device is not None:
            _take_away(request, response, page.forget_device)
        keep_device(request, response, page.device)
        return response

    return endpoint


async def _static(name: str) -> Response:
    if name not in rendering.ASSETS:
        return Response(status_code=404, headers=dict(rendering.ASSET_HEADERS) | {"Cache-Control": "no-store"})
    content, content_type = rendering.ASSETS[name]
    return Response(content, headers={**rendering.ASSET_HEADERS, "Content-Type": content_type})


def _take_away(request: Request, response: Response, name: str) -> None:
    cookie = _cookie(request, name)
    response.delete_cookie(cookie.name, httponly=True, secure=cookie.is_secure, samesite="lax")


def _cookie(request: Request, name: str) -> cookies.Cookie:
    return cookies.cookie(name, scheme=request.url.scheme, headers=request.headers)


def _cookies(request: Request) -> dict[str, str]:
    return cookies.own(request.cookies, scheme=request.url.scheme, headers=request.headers)
