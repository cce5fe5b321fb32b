"""Twofold in a Starlette application, over the sessions that it has.

    mount(app, mfa, user=user, sign_in=sign_in)

The login stays as it is. Whoever the application signs in, by whatever door, is asked for the second factor before
anything opens. See docs/frameworks.md.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response

from twofold.errors import ConfigurationError
from twofold.web import asgi, asgi_host, binding, held, watch
from twofold.web.api import door
from twofold.web.asgi import device_token, forget_device, form_token, keep_device, read_form
from twofold.web.doorkeeper import Held, Visitor, check_age
from twofold.web.fallback import METHODS, Exact, Fallback
from twofold.web.in_session import InSession
from twofold.web.in_token import InToken
from twofold.web.look import Link, Look
from twofold.web.visit import User, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta, tzinfo
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.requests import Request

    from twofold.mfa import MFA, AsyncMFA
    from twofold.web.outside import Outside
    from twofold.web.sessions import Given

    Endpoint = Callable[[Request], Any]

__all__ = [
    "Link",
    "User",
    "Visitor",
    "after_password",
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
    "visitor",
]

_VISITOR = "twofold.visitor"
_UNKEPT = {"Cache-Control": "no-store"}


def mount(
    app: Starlette,
    mfa: MFA | AsyncMFA,
    *,
    user: Callable[[Any], User | Awaitable[User | None] | None],
    sign_in: Callable[[Any, Any], Awaitable[None] | None] | None = None,
    sign_out: Callable[[Any], Awaitable[None] | None] | None = None,
    issue: Callable[[Any, Any, Any, str], Awaitable[Given] | Given] | None = None,
    cookie: str | None = None,
    prefix: str = "/mfa",
    login_url: str = "/login",
    home_url: str = "/",
    stylesheet: str | None = None,
    destinations: Mapping[str, str] | None = None,
    language: Callable[[Request], str | Awaitable[str | None] | None] | None = None,
    timezone: Callable[[Request], str | tzinfo | Awaitable[str | tzinfo | None] | None] | None = None,
    templates: str | Path | None = None,
    translations: Path | None = None,
    logo: str | None = None,
    favicon: str | None = None,
    links: Sequence[Link] = (),
) -> None:
    """Put the pages under `prefix`, the JSON door under `{prefix}/api`, and hold each sign-in until its code is there.

    `user(request)` says who is signed in, as a `User`, or None. `sign_in(request, user_id)` signs somebody in, as the
    application's login does after the password. `sign_out(request)` undoes it; without it, `request.session` is
    emptied. Each is an `async def`, or a plain function, which runs in a thread. `user` is asked on each request, and
    again where an answer changed the session: what an application answers to a sign-in that is held, a page or JSON,
    never leaves.

    Sessions need a `SessionMiddleware`, of Starlette or a like one that keeps sessions on the server.

    An application that gives out tokens of its own says `issue` in place of `sign_in`: `issue(request, response,
    user_id, mark)` makes one with `mark` inside, and returns what a program gets, as `{"access_token": ...}`, or puts
    it into a cookie of `response`, whose name `cookie` says. `user` gives the mark back, as `User(id, name, mark)`. The
    token of somebody with a second factor opens nothing without a mark that says that it was given.

    What else can be passed is described at `twofold.web.fastapi.router`. Raises ConfigurationError for an application
    that has been mounted or has started, for a prefix that is no path, and where it is not said how to sign in.
    """
    if any(isinstance(made.cls, type) and issubclass(made.cls, watch.Watch) for made in app.user_middleware):
        raise ConfigurationError("Twofold is mounted here already; a second door is made by a router and a host.")
    if app.middleware_stack is not None:
        raise ConfigurationError("The application has started; mount Twofold before.")
    binding.check_prefix(prefix)
    doorkeeper = _doorkeeper(
        mfa, user, sign_in, sign_out, issue, cookie, {"login_url": login_url, "home_url": home_url}
    )
    look = Look(stylesheet, templates, translations, logo, favicon, links)
    bound = asgi.bind(mfa, doorkeeper, look, destinations=destinations, language=language, timezone=timezone)
    theirs = list(app.router.routes)
    app.router.routes.clear()
    for path, methods, endpoint in asgi.endpoints(bound):
        app.router.routes.append(Exact(f"{prefix}{path}", endpoint, methods=methods, include_in_schema=False))
    add_operations(app, bound, prefix)
    elsewhere = asgi.elsewhere(bound)
    app.router.routes.append(Fallback(prefix + "/{rest:path}", elsewhere, methods=METHODS, include_in_schema=False))
    # Whoever takes every address, as an application of one page does, would take ours.
    app.router.routes.extend(theirs)
    app.add_exception_handler(HeldBack, _led_on)
    # Appended, and so inside of the middleware that brings the session, whichever is added first.
    app.user_middleware.append(Middleware(watch.Watch, mounted=watch.Mounted(doorkeeper, bound, prefix)))


def _doorkeeper(
    mfa: MFA | AsyncMFA,
    user: Callable[[Any], Any],
    sign_in: Callable[[Any, Any], Any] | None,
    sign_out: Callable[[Any], Any] | None,
    issue: Callable[[Any, Any, Any, str], Any] | None,
    cookie: str | None,
    places: Mapping[str, str],
) -> InSession[HTTPConnection] | InToken[HTTPConnection]:
    if sign_in is not None and issue is None and cookie is None:
        kept = asgi_host.Sessions(mfa, user, sign_in, sign_out)
        return InSession[HTTPConnection].of(mfa, run_in_threadpool, kept, watch.arrival, **places)
    if issue is not None and sign_in is None and sign_out is None:
        given = asgi_host.Tokens(mfa, user, issue, cookie)
        return InToken[HTTPConnection].of(mfa, run_in_threadpool, given, watch.arrival, **places)
    raise ConfigurationError(
        "Say how somebody is signed in: sign_in= for the session of a middleware, with sign_out= if need be; or issue= "
        "for tokens of your own, with cookie= if a browser keeps them in one."
    )


@functools.singledispatch
def add_operations(app: Starlette, bound: binding.Binding[Request, Response], prefix: str) -> None:
    """Put the JSON door below `{prefix}/api`. A framework that describes itself registers a way of its own."""
    routes, below = app.router.routes, f"{prefix}{door.PREFIX}"
    for operation, endpoint in asgi.operations(bound):
        routes.append(Exact(f"{below}{operation.path}", endpoint, methods=list(door.methods(operation))))
    routes.append(Fallback(below + "/{rest:path}", asgi.elsewhere(bound, door, door.PREFIX), methods=METHODS))


async def after_password(request: Request, user: User, onward: str | None = None) -> Response:
    """Go on after the password: sign in, or ask for the second factor first.

    A login that signs in by itself is held all the same; this says at once what comes. `onward`, a path of this site,
    is where it leads in the end. A browser is led on; a program reads in JSON whether it `is_waiting`, and where to go.
    Of an application that gives out tokens it reads the token, or the problem `login_waits`, with the `challenge` to
    answer.
    """
    mounted = watch.mounted(request)
    is_page = held.reads_pages(request.headers)
    if isinstance(mounted.doorkeeper, InToken):
        return await _given(request, mounted, mounted.doorkeeper, user, onward, is_page=is_page)
    seen = await mounted.doorkeeper.after_password(request, user, onward)
    watch.arrived(request, seen)
    is_waiting = isinstance(seen.session, Waiting)
    location = mounted.doorkeeper.leads_to(seen, mounted.base(request))
    if is_page:
        return RedirectResponse(location, status_code=303, headers=_UNKEPT)
    return JSONResponse({"is_waiting": is_waiting, "at": location}, headers=_UNKEPT)


async def _given(
    request: Request,
    mounted: watch.Mounted,
    doorkeeper: InToken[HTTPConnection],
    user: User,
    onward: str | None,
    *,
    is_page: bool,
) -> Response:
    """Answer with the token that the application gives out, or ask for the code."""
    kept, cookie = watch.given(request), doorkeeper.application.cookie
    is_page = is_page and cookie is not None
    after = await doorkeeper.after_password(request, kept, user, onward, may_wait=is_page)
    watch.arrived(request, after.seen)
    base = mounted.base(request)
    if cookie is not None:
        asgi.keep_device(request, kept, after.device)
    leads_to = doorkeeper.leads_to(after.seen, base) if is_page else None
    return asgi.respond(held.given(after, base=base, leads_to=leads_to, has_cookie=cookie is not None), None)


async def password_changed(request: Request) -> Given:
    """Say, once it is committed, that whoever is signed in has another password.

    All trust of devices and every other session of the user end; this session goes on. What is returned is for a
    program whose token ends, too: what `issue` gave for it. Raises what `mfa.password_changed` raises, which is for the
    passwords of others: an administrator's reset, a link by mail.
    """
    return await watch.mounted(request).doorkeeper.password_changed(request, watch.given(request))


async def let_in(
    request: Request, *, enrolled: bool = False, is_fresh: bool = False, max_age: timedelta | None = None
) -> Visitor:
    """Say who is here, or raise HeldBack, which leads to what is missing. The guards of endpoints stand on it."""
    mounted = watch.mounted(request)
    settings = mounted.doorkeeper.settings
    oldest = (settings.proof_max_age if max_age is None else max_age) if is_fresh else None
    back = _back(request, asgi.reached(request, settings.public_url))
    found = await mounted.doorkeeper.guard(request, enrolled=enrolled, max_age=oldest, back=back)
    if isinstance(found, Held):
        raise HeldBack(found, mounted.led_on(request, found))
    return found


def visitor(request: Request) -> Visitor:
    """Who a guard has let in to this endpoint."""
    found: Visitor = request.scope[_VISITOR]
    return found


def required(endpoint: Endpoint) -> Endpoint:
    """Open an endpoint to whoever is signed in, with the second factor as far as there is one."""
    return _guarded(endpoint)


def enrolled(endpoint: Endpoint) -> Endpoint:
    """Open an endpoint to whoever is signed in and has a second factor; lead everybody else to the set-up."""
    return _guarded(endpoint, enrolled=True)


def fresh(*, max_age: timedelta | None = None) -> Callable[[Endpoint], Endpoint]:
    """Open an endpoint to whoever gave a second factor within `max_age`; ask for a code first, and lead back here.

    Without it TWOFOLD_PROOF_MAX_AGE counts. A form is not sent again: the step-up leads back to the page of the form.
    """
    check_age(max_age)
    return functools.partial(_guarded, is_fresh=True, max_age=max_age)


class HeldBack(HTTPException):
    """A request that may not go on yet. The application answers it by leading on, or by 401 or 403.

    An application that is mounted in it has handlers of its own, and answers by status and headers.
    """

    def __init__(self, missing: Held, response: Response) -> None:
        told = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        super().__init__(response.status_code, missing.missing, told)
        self.response = response


def _guarded(
    endpoint: Endpoint, *, enrolled: bool = False, is_fresh: bool = False, max_age: timedelta | None = None
) -> Endpoint:
    @functools.wraps(endpoint)
    async def guarded(request: Request) -> Response:
        request.scope[_VISITOR] = await let_in(request, enrolled=enrolled, is_fresh=is_fresh, max_age=max_age)
        if inspect.iscoroutinefunction(endpoint):
            response: Response = await endpoint(request)
            return response
        return await run_in_threadpool(endpoint, request)

    return guarded


async def _led_on(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HeldBack)  # noqa: S101 - what the handler is registered for
    return problem.response


def _back(request: Request, outside: Outside) -> str | None:
    """Where a step-up leads back to: the page that was asked for, or that of the form which was sent."""
    if not held.reads_pages(request.headers):
        return None
    if request.method in {"GET", "HEAD"}:
        return watch.asked_for(request)
    page = request.headers.get("referer", "")
    return urlsplit(page)._replace(scheme="", netloc="", fragment="").geturl() if outside.is_own(page) else None
