"""Twofold in a FastAPI application, over the sessions that it has.

    mount(app, mfa, user=user, sign_in=sign_in)

The login stays as it is. Whoever the application signs in, by whatever door, is asked for the second factor before
anything opens. See docs/frameworks.md. An application whose sessions are of a kind of their own writes a `Host` and
includes the `router` of the pages: docs/pages.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute

from twofold.web import asgi, doorkeeper, sessions, starlette
from twofold.web.api import door, openapi
from twofold.web.asgi import device_token, forget_device, form_token, keep_device, read_form
from twofold.web.fallback import METHODS, Exact, Fallback
from twofold.web.forms import BadForm
from twofold.web.look import Link, Look
from twofold.web.starlette import Visitor, after_password, mount, password_changed
from twofold.web.visit import SignedIn, User, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta, tzinfo
    from enum import Enum
    from pathlib import Path

    from twofold.mfa import MFA, AsyncMFA
    from twofold.web.binding import Binding

__all__ = [
    "BadForm",
    "Host",
    "Link",
    "SignedIn",
    "User",
    "Visitor",
    "Waiting",
    "after_password",
    "api_router",
    "device_token",
    "enrolled",
    "forget_device",
    "form_token",
    "fresh",
    "keep_device",
    "mount",
    "password_changed",
    "read_form",
    "required",
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


@starlette.add_operations.register(FastAPI)
def _add_described(app: FastAPI, bound: Binding[Request, Response], prefix: str) -> None:
    _add_operations(app.router, bound, prefix)


def _add_operations(made: APIRouter, bound: Binding[Request, Response], prefix: str = "") -> None:
    below = f"{prefix}{door.PREFIX}"
    for operation, endpoint in asgi.operations(bound):
        path = f"{below}{operation.path}"
        made.add_api_route(
            path,
            endpoint,
            methods=[operation.method],
            name=operation.name,
            tags=_TAGS,
            openapi_extra=openapi.addition(operation),
            route_class_override=_ExactAPI,
        )
        if operation.is_safe:
            made.add_api_route(path, endpoint, methods=["HEAD"], **_HIDDEN, route_class_override=_ExactAPI)
    _add_fallback(made, asgi.elsewhere(bound, door, door.PREFIX), below)


def _add_fallback(made: APIRouter, endpoint: asgi.Endpoint, prefix: str = "") -> None:
    made.add_api_route(
        f"{prefix}/{{rest:path}}", endpoint, methods=list(METHODS), **_HIDDEN, route_class_override=_FallbackAPI
    )


# Many applications make the id of a route of its first tag.
_TAGS: list[str | Enum] = [openapi.TAG]
_HIDDEN: dict[str, Any] = {"include_in_schema": False, "tags": _TAGS}


async def required(request: Request) -> Visitor:
    """Give, as a dependency, whoever is signed in, with the second factor as far as there is one."""
    return await starlette.let_in(request)


async def enrolled(request: Request) -> Visitor:
    """Give, as a dependency, whoever is signed in and has a second factor; lead everybody else to the set-up."""
    return await starlette.let_in(request, enrolled=True)


def fresh(*, max_age: timedelta | None = None) -> Callable[[Request], Awaitable[Visitor]]:
    """Make the dependency that gives whoever proved a second factor within `max_age`; it asks for a code first.

    Without it TWOFOLD_PROOF_MAX_AGE counts. After the code the person is led back to what was asked for; a form is not
    sent again, so for a form that is the page which has it.
    """
    doorkeeper.check_age(max_age)

    async def proven(request: Request) -> Visitor:
        return await starlette.let_in(request, is_fresh=True, max_age=max_age)

    return proven


class _ExactAPI(Exact, APIRoute): ...


class _FallbackAPI(Fallback, APIRoute): ...
