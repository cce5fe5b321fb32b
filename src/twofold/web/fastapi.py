"""The pages as a FastAPI router, and the JSON door beside them or alone.

    app.include_router(router(mfa, host, api=True), prefix="/mfa")

`host` is the application's side: who this is, and what to do once the second factor is given. See docs/pages.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from twofold.web import asgi, sessions
from twofold.web.api import door, openapi
from twofold.web.asgi import device_token, forget_device, form_token, keep_device, read_form
from twofold.web.fallback import METHODS, Exact, Fallback
from twofold.web.forms import BadForm
from twofold.web.look import Link, Look
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from twofold.mfa import MFA, AsyncMFA
    from twofold.web.binding import Binding

__all__ = [
    "BadForm",
    "Host",
    "Link",
    "SignedIn",
    "Waiting",
    "api_router",
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
    api: bool = False,
) -> APIRouter:
    """Make the router of all pages.

    `stylesheet` is the address of a style sheet on this site that is loaded after ours. `destinations` names paths of
    this site that the step-up page may lead back to: with `{"export": "/export"}`, a page sends people to
    `reverify?next=export`. `language` says the language of a request, as `de` or `pt-BR`, from the host's own settings
    of a person; where it is None or says None, the browser's `Accept-Language` does. `timezone` says the
    person's zone in the same way, as `Europe/Vienna`; where it is None, the pages say UTC and the script says the
    browser's. Either may be an `async def`; a plain function runs in a thread. `templates`, `translations`, `logo`,
    `favicon` and `links` are the host's own: see `Look`. With `api`, the operations for programs are there as well,
    below `/api` (see docs/api.md). An application may have several routers, each with users of its own.
    """
    look = Look(stylesheet, templates, translations, logo, favicon, links)
    bound = asgi.bind(mfa, host, look, destinations=destinations, language=language, timezone=timezone)
    made = APIRouter()
    if api:
        _add_operations(made, bound)
    for path, methods, endpoint in asgi.endpoints(bound):
        made.add_api_route(path, endpoint, methods=methods, **_HIDDEN, route_class_override=_ExactAPI)
    _add_fallback(made, asgi.elsewhere(bound))
    return made


def api_router(
    mfa: MFA | AsyncMFA,
    host: Host,
    *,
    language: Callable[[Request], str | Awaitable[str | None] | None] | None = None,
    translations: Path | None = None,
) -> APIRouter:
    """Make a router of the operations for programs alone, below `/api`; see `router` and docs/api.md."""
    made = APIRouter()
    look = Look(translations=translations)
    _add_operations(made, asgi.bind(mfa, host, look, language=language))
    return made


def _add_operations(made: APIRouter, bound: Binding[Request, Response]) -> None:
    for operation, endpoint in asgi.operations(bound):
        path = f"{door.PREFIX}{operation.path}"
        made.add_api_route(
            path,
            endpoint,
            methods=[operation.method],
            name=operation.name,
            openapi_extra=openapi.addition(operation),
            route_class_override=_ExactAPI,
        )
        if operation.is_safe:
            made.add_api_route(path, endpoint, methods=["HEAD"], **_HIDDEN, route_class_override=_ExactAPI)
    _add_fallback(made, asgi.elsewhere(bound, door, door.PREFIX), door.PREFIX)


def _add_fallback(made: APIRouter, endpoint: asgi.Endpoint, prefix: str = "") -> None:
    made.add_api_route(
        f"{prefix}/{{rest:path}}", endpoint, methods=list(METHODS), **_HIDDEN, route_class_override=_FallbackAPI
    )


_HIDDEN: dict[str, Any] = {"include_in_schema": False}


class _ExactAPI(Exact, APIRoute): ...


class _FallbackAPI(Fallback, APIRoute): ...
