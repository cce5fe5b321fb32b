"""Requests and responses as Flask has them, and what looks at each of them where Twofold is mounted.

Tests: `tests/web/test_bindings.py`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import flask
from flask import Blueprint, Request, Response
from werkzeug.exceptions import HTTPException

from twofold import lines
from twofold import request as origins
from twofold.errors import ConfigurationError, MFAError
from twofold.web import assets, binding, blocking, cookies, forms, gate, held, problems, wsgi_host
from twofold.web.api import door
from twofold.web.api.operations import OPERATIONS, Operation
from twofold.web.doorkeeper import Arrival, Held
from twofold.web.in_session import InSession
from twofold.web.in_token import InToken
from twofold.web.outside import Outside
from twofold.web.visit import Visit, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from twofold.outcomes import DeviceToken
    from twofold.web.binding import Binding
    from twofold.web.page import Page

    View = Callable[..., Any]

EXTENSION = "twofold"
_ARRIVAL, _BEFORE, _GIVEN = "twofold.arrival", "twofold.before", "twofold.given"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Mounted:
    """What was mounted, and where."""

    doorkeeper: InSession[Request] | InToken[Request]
    bound: Binding[Request, Response]
    prefix: str

    def blueprint(self) -> Blueprint:
        """Make the routes of all pages."""
        made = Blueprint(EXTENSION, __name__, url_prefix=self.prefix)
        for route in gate.ROUTES:
            rule = route.path.replace("{", "<").replace("}", ">")
            # Flask answers HEAD with GET.
            made.add_url_rule(rule, f"{route.method} {route.path}", self._page(route, gate), methods=[route.method])
        for operation in OPERATIONS:
            rule = f"{door.PREFIX}{operation.path}".replace("{", "<").replace("}", ">")
            made.add_url_rule(rule, f"api {operation.name}", self._page(operation, door), methods=[operation.method])
        made.add_url_rule("/static/<name>", "static file", _static, methods=["GET"])
        doors: dict[str, binding.Door] = {"": gate, door.PREFIX: door}
        for below, at in doors.items():
            elsewhere = self._elsewhere(below, at)
            for rule in (below, f"{below}/", f"{below}/<path:rest>"):
                made.add_url_rule(rule, f"elsewhere {rule}", elsewhere, methods=_METHODS, strict_slashes=False)
        return made

    def base(self, request: Request) -> str:
        """The path of the pages, as a browser asks for it."""
        return quote(request.script_root + self.prefix)

    def outside(self, request: Request) -> Outside:
        """How the browser reaches this site."""
        public_url = self.doorkeeper.settings.public_url
        return Outside.of(public_url, scheme=request.scheme, headers=wsgi_host.headers_of(request))

    def look(self) -> Response | None:
        """Look at a request before the application does."""
        request = this_request()
        request.environ[_ARRIVAL], request.environ[_GIVEN] = Arrival(None), Response()
        self._leave_forms_to_us()
        is_ours = self._is_ours(request)
        try:
            leads_back = not is_ours and held.leads_back(request.method, wsgi_host.headers_of(request))
            wanted = asked_for(request) if leads_back else None
            seen = blocking.run(self.doorkeeper.arrive(request, wanted))
        except Exception as problem:
            if _is_answer(problem):
                raise
            return self._closed(request, problem)
        arrived(request, seen)
        if seen.missing is None or is_ours:
            return None
        if isinstance(self.doorkeeper, InToken) and request.path == self.doorkeeper.login_url:
            # Who comes with an old token may sign in anew.
            wsgi_host.forget(request, self.doorkeeper.application.cookie)
            return None
        return self.led_on(request, Held(seen.missing))

    def look_again(self, response: Response) -> Response:
        """Look at whom the application signed in, before its answer leaves."""
        request = this_request()
        leads_to = response.headers.get("location") if 300 <= response.status_code < 400 else None
        if _ARRIVAL not in request.environ:
            return response
        is_ours = self._is_ours(request)
        # Our pages have marked the session themselves, and a token says by itself how far it goes.
        is_looked_at = not is_ours and _BEFORE in request.environ
        has_changed = is_looked_at and dict(flask.session) != request.environ[_BEFORE]
        try:
            if has_changed:
                arrived(request, blocking.run(self.doorkeeper.arrive(request, leads_to)))
        except Exception as problem:  # noqa: BLE001 - whatever it is, nobody is let in
            flask.session.clear()
            return self._closed(request, problem)
        seen = arrival(request)
        if has_changed and seen.is_held and response.status_code < 400:
            # What the application says to somebody who is in is for nobody whose code is still to come.
            instead = self.led_on(request, Held("challenge"))
            for cookie in response.headers.getlist("Set-Cookie"):
                instead.headers.add("Set-Cookie", cookie)
            response.close()
            return instead
        self.keep_device(request, seen.device)
        for cookie in given(request).headers.getlist("Set-Cookie"):
            response.headers.add("Set-Cookie", cookie)
            response.headers["Cache-Control"] = "no-store"
        is_led_to_login = leads_to is not None and urlsplit(leads_to).path == self.doorkeeper.login_url
        if isinstance(seen.session, Waiting) and is_led_to_login and not is_ours:
            response.headers["location"] = f"{self.base(request)}/challenge"
        return response

    def keep_device(self, request: Request, device: DeviceToken | None) -> None:
        """Let the new token of a trusted device go along with the answer."""
        if device is not None:
            outside = self.outside(request)
            cookies.keep(given(request), outside, device, cookies.brought_to(outside, request.cookies))

    def led_on(self, request: Request, missing: Held) -> Response:
        """Lead on to what is missing, or say it to a program."""
        login_url = self.doorkeeper.login_url
        return respond(
            held.answer(missing, base=self.base(request), login_url=login_url, headers=wsgi_host.headers_of(request))
        )

    def _page(self, route: binding.AnyRoute, at: binding.Door) -> View:
        path = f"{door.PREFIX}{route.path}" if isinstance(route, Operation) else route.path

        def page(**_values: str) -> Response:
            request = this_request()
            body = b"" if route.method == "GET" else _read_body(request)
            visit = self._visit(request, path, body)
            return blocking.run(self.bound.answer(route, request, visit, respond, door=at, is_answer=_is_answer))

        return page

    def _elsewhere(self, prefix: str, at: binding.Door) -> View:
        def elsewhere(rest: str = "") -> Response:
            request = this_request()
            below = f"{prefix}/{rest}" if request.path.endswith(f"/{rest}") else prefix
            visit = self._visit(request, below)
            return blocking.run(self.bound.elsewhere(request.method, rest, request, visit, respond, door=at))

        return elsewhere

    def _visit(self, request: Request, route_path: str, body: bytes = b"") -> Visit:
        outside = self.outside(request)
        return Visit(
            session=None,
            base=binding.base_of(request.path, request.script_root, route_path),
            headers=wsgi_host.headers_of(request),
            origin=origins.Request.of(request),
            cookies=cookies.brought_to(outside, request.cookies),
            query=request.args.to_dict(),
            path_values=request.view_args or {},
            body=body,
            outside=outside,
        )

    def _is_ours(self, request: Request) -> bool:
        return request.path == self.prefix or request.path.startswith(f"{self.prefix}/")

    def _closed(self, request: Request, problem: Exception) -> Response:
        if not held.reads_pages(wsgi_host.headers_of(request)):
            lines.NOT_AVAILABLE.write(
                request.method, quote(request.path), type(problem).__name__, problems.sentence(problem)
            )
            return respond(held.closed(wsgi_host.headers_of(request)))
        visit = replace(self._visit(request, ""), base=self.base(request))
        return blocking.run(self.bound.closed(request.method, asked_for(request), request, visit, problem, respond))

    def _leave_forms_to_us(self) -> None:
        """Our forms carry a token of their own; Flask-WTF would refuse them for want of its."""
        app = flask.current_app
        csrf, ours = app.extensions.get("csrf"), app.blueprints[EXTENSION]
        if csrf is not None and hasattr(csrf, "exempt"):
            csrf.exempt(ours)


def mounted() -> Mounted:
    """What is mounted in the current application. Raises ConfigurationError where nothing is."""
    found: Mounted | None = flask.current_app.extensions.get(EXTENSION)
    if found is None:
        raise ConfigurationError("Twofold is not mounted in this application: mount(app, mfa, ...) comes first.")
    return found


def this_request() -> Request:
    """The current request itself."""
    return flask.request._get_current_object()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001


def arrival(request: Request) -> Arrival:
    """What was seen of this request."""
    found: Arrival = request.environ[_ARRIVAL]
    return found


def arrived(request: Request, seen: Arrival) -> None:
    """Take note of whom a request is from, and of how the session is now: what changes after this is looked at again.

    The application may have looked up who is signed in once for all of this request, and so is not asked of what we
    know better.
    """
    request.environ[_ARRIVAL] = seen
    if isinstance(mounted().doorkeeper, InSession):
        request.environ[_BEFORE] = _copied(flask.session)


def given(request: Request) -> Response:
    """What goes along with the answer of the application: the cookies that are put into this."""
    found: Response = request.environ[_GIVEN]
    return found


def asked_for(request: Request) -> str:
    """The address of a request, as a path of this site."""
    path, query = quote(request.script_root + request.path), request.query_string.decode("latin-1")
    return f"{path}?{query}" if query else path


def back_of(request: Request, outside: Outside) -> str | None:
    """Where a step-up leads back to: the page that was asked for, or that of the form which was sent."""
    if not held.reads_pages(wsgi_host.headers_of(request)):
        return None
    if request.method in {"GET", "HEAD"}:
        return asked_for(request)
    page = request.headers.get("referer", "")
    return urlsplit(page)._replace(scheme="", netloc="", fragment="").geturl() if outside.is_own(page) else None


def _read_body(request: Request) -> bytes:
    # Whoever looked at the form before has read the stream.
    body = request.stream.read(forms.LIMIT + 1)
    return body or urlencode(list(request.form.items(multi=True))).encode()[: forms.LIMIT + 1]


def respond(page: Page, instead_of: Response | None = None) -> Response:
    """Make the response of a page. It takes over what the host gave to another one, cookies above all."""
    made = Response(page.body, page.status, dict(page.headers))
    if instead_of is not None:
        ours = {name.lower() for name, _ in made.headers} | {"location"}
        for name, value in instead_of.headers.items():
            if name.lower() not in ours:
                made.headers.add(name, value)
    return made


def _copied(session: MutableMapping[str, Any]) -> dict[str, Any] | None:
    """A session as it is now; None where it holds what cannot be copied, and so may have changed at any time."""
    try:
        return copy.deepcopy(dict(session))
    except Exception:  # noqa: BLE001 - whatever a server keeps in its memory
        return None


def _is_answer(problem: Exception) -> bool:
    """Whether the application means it: an HTTPException, or what it has a handler of its own for."""
    handlers = flask.current_app.error_handler_spec[None][None]
    handled = tuple(kind for kind in handlers if kind is not Exception)
    return isinstance(problem, (HTTPException, *handled)) and not isinstance(problem, MFAError)


def _static(name: str) -> Response:
    if name not in assets.ASSETS:
        return Response(status=404, headers=dict(assets.HEADERS) | {"Cache-Control": "no-store"})
    content, content_type = assets.ASSETS[name]
    return Response(content, headers={**assets.HEADERS, "Content-Type": content_type})
