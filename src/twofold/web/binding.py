"""What every binding of the pages does, whatever its framework: read a request, answer it, keep the cookies.

Tests: `tests/web/test_mounting.py`, `tests/web/test_sessions.py`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast
from urllib.parse import quote

from twofold.errors import ConfigurationError
from twofold.mfa import AsyncMFA
from twofold.web import cookies, gate
from twofold.web.site import Site

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from twofold.account.runtime import Runtime
    from twofold.mfa import MFA
    from twofold.web.api.operations import Operation
    from twofold.web.look import Look
    from twofold.web.page import Page
    from twofold.web.sessions import Host, Sessions
    from twofold.web.speech import Speech
    from twofold.web.visit import Visit

    AnyRoute = gate.AnyRoute | Operation

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT", bound=cookies.Response)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)


class Door(Protocol):
    """What answers requests of one kind, as the modules `gate` for pages and `api.door` for programs do."""

    def serve(self, site: Site, route: Any, visit: Visit, /) -> Awaitable[Page]:
        """Answer one request."""
        ...

    def unavailable(self, site: Site, route: Any, visit: Visit, problem: Exception, /) -> Page:
        """What is answered where the host raised before anything was asked for."""
        ...

    def unfinished(self, site: Site, route: Any, visit: Visit, problem: Exception, /) -> Page:
        """What is answered where the host raised while it did to the session what was asked for."""
        ...

    def elsewhere(self, site: Site, method: str, rest: str, visit: Visit, /) -> Page:
        """What is answered at an address that no route takes."""
        ...


class Responds(Protocol[ResponseT_co]):
    """Makes the framework's response of a page. It takes over what the host gave to another one, cookies above all."""

    def __call__(self, page: Page, instead_of: Any | None, /) -> ResponseT_co:
        """Make it."""
        ...


_LEGAL = "/:@!$&'()*+,;=~"
"""What stands in a path as it is (RFC 3986 §3.3)."""


@dataclass(frozen=True, slots=True)
class Binding(Generic[RequestT, ResponseT]):
    """The pages of one router, and the host whose sessions they use."""

    site: Site
    sessions: Sessions[RequestT, ResponseT]
    speech: Speech[RequestT]

    async def answer(
        self,
        route: AnyRoute,
        request: RequestT,
        visit: Visit,
        respond: Responds[ResponseT],
        *,
        door: Door = gate,
        is_answer: Callable[[Exception], bool] = lambda _: False,
    ) -> ResponseT:
        """Answer one request. `visit` lacks session and language.

        What the host raises is an outage, but for what `is_answer`: an exception that the framework makes a response
        of.
        """
        visit.outside.notice_mistakes()
        site = _filled(self.site, visit.path_values)
        try:
            visit = await self._spoken(request, visit)
            visit = replace(visit, session=await self.sessions.of(request))
        except Exception as problem:
            if is_answer(problem):
                raise
            return respond(door.unavailable(site, route, visit, problem), None)
        page = await door.serve(site, route, visit)
        response = respond(page, None)
        try:
            given = await self.sessions.follow(page, request, response)
        except Exception as problem:
            if is_answer(problem):
                raise
            return respond(door.unfinished(site, route, visit, problem), None)
        if given and page.document is not None:
            response = respond(page.giving(given), response)
        location = response.headers.get("location") if route.method == "POST" else None
        if location is not None and page.document is None and (led := gate.lead_on(site, visit, location)) is not None:
            response = respond(led, response)
        if page.forget_device is not None:
            cookies.take_away(response, visit.outside, page.forget_device)
        if page.device is not None:
            cookies.keep(response, visit.outside, page.device, visit.cookies)
        return response

    async def elsewhere(
        self,
        method: str,
        rest: str,
        request: RequestT,
        visit: Visit,
        respond: Responds[ResponseT],
        *,
        door: Door = gate,
    ) -> ResponseT:
        """Answer a request for `rest`, a path below the prefix that no route takes."""
        visit = await self._spoken(request, visit)
        return respond(door.elsewhere(_filled(self.site, visit.path_values), method, rest, visit), None)

    async def closed(
        self, method: str, again: str, request: RequestT, visit: Visit, problem: Exception, respond: Responds[ResponseT]
    ) -> ResponseT:
        """Answer at any address of the host while it is not known who may get in."""
        visit = await self._spoken(request, visit)
        path = again.partition("?")[0]
        return respond(gate.closed(self.site, visit, problem, method=method, path=path, again=again), None)

    async def _spoken(self, request: RequestT, visit: Visit) -> Visit:
        return replace(visit, language=await self.speech.to(request, visit.headers.get("accept-language", "")))


def site(
    mfa: MFA | AsyncMFA,
    host: Host[Any, Any],
    in_thread: Callable[..., Awaitable[Any]],
    *,
    look: Look,
    destinations: Mapping[str, str] | None,
) -> Site:
    """What all pages of one router share. `in_thread` runs what blocks."""
    core = runtime_of(mfa)
    return Site(
        mfa=awaited(mfa, in_thread),
        settings=core.settings,
        keyring=core.keyring,
        clock=core.clock,
        draw=lambda enrollment: in_thread(enrollment.qr_svg),
        pause=lambda seconds: in_thread(time.sleep, seconds),
        login_url=host.login_url,
        home_url=host.home_url,
        look=look,
        destinations=destinations or {},
    )


def awaited(mfa: MFA | AsyncMFA, in_thread: Callable[..., Awaitable[Any]]) -> AsyncMFA:
    """A face whose operations are awaited."""
    return mfa if isinstance(mfa, AsyncMFA) else cast("AsyncMFA", _InThreads(mfa, in_thread))


def runtime_of(mfa: MFA | AsyncMFA) -> Runtime:
    """What a face stands on."""
    return mfa._runtime  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def base_of(path: str, root_path: str, route_path: str) -> str:
    """The path under which the pages are mounted, from that of one request and of the route that answers it.

    A prefix with parameters, a mounted application and a second router keep their own. The result is as a link takes
    it, and never leads to another host.
    """
    whole = path if path.startswith(root_path) else root_path + path
    base = whole.rsplit("/", route_path.count("/"))[0]
    return f"/{quote(base.lstrip('/'), safe=_LEGAL)}" if base.strip("/") else ""


def _filled(site: Site, path_values: Mapping[str, Any]) -> Site:
    """Put the parameters of the router's prefix into the host's addresses, as in `/{tenant}/login`."""

    def fill(address: str) -> str:
        def value(found: re.Match[str]) -> str:
            return quote(str(path_values[found[1]]), safe="") if found[1] in path_values else found[0]

        return re.sub(r"\{(\w+)\}", value, address)

    addresses = (site.login_url, site.home_url, *site.destinations.values())
    if not any("{" in address for address in addresses):
        return site
    places = {name: fill(address) for name, address in site.destinations.items()}
    return replace(site, login_url=fill(site.login_url), home_url=fill(site.home_url), destinations=places)


def check_prefix(prefix: str) -> None:
    """Raise ConfigurationError for a prefix that is no path of this site as it stands in an address."""
    if re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix) is None or any(part in {".", ".."} for part in prefix.split("/")):
        raise ConfigurationError(f"The prefix is {prefix!r}; give a path as /mfa, of letters, digits and -._~ alone.")


class _InThreads:
    """A blocking face as the pages see an awaited one: each operation runs in a thread."""

    def __init__(self, face: Any, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._face, self._in_thread = face, in_thread

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._face, name)
        if not callable(found):
            return _InThreads(found, self._in_thread)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._in_thread(found, *args, **kwargs)

        return call
