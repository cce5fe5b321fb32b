"""Twofold in a Flask application, over the sessions that it has.

    mount(app, mfa, user=user, sign_in=sign_in)         # or, with Flask-Login:
    mount(app, mfa, name=lambda user: user.email)

The login stays as it is. Whoever the application signs in, by whatever door, is asked for the second factor before
anything opens. See docs/frameworks.md.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import flask
from flask import Flask, Request, Response

from twofold.errors import ConfigurationError
from twofold.mfa import MFA
from twofold.web import binding, blocking, held, wsgi, wsgi_host
from twofold.web.binding import Binding
from twofold.web.doorkeeper import Held, Visitor, check_age
from twofold.web.in_session import InSession
from twofold.web.in_token import InToken
from twofold.web.look import Link, Look
from twofold.web.sessions import Sessions
from twofold.web.speech import Speech
from twofold.web.visit import User, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta, tzinfo
    from pathlib import Path

    from twofold.web.sessions import Given

    View = Callable[..., Any]

__all__ = [
    "Link",
    "User",
    "Visitor",
    "after_password",
    "enrolled",
    "fresh",
    "mount",
    "password_changed",
    "required",
    "visitor",
]

_VISITOR = "twofold.visitor"
_UNKEPT = {"Cache-Control": "no-store"}
_UNSAID = (
    "Say who is signed in: user= and sign_in=; once Flask-Login's manager is set up, name= alone; or user= and issue= "
    "for tokens of your own, with cookie= if a browser keeps them in one."
)


def mount(
    app: Flask,
    mfa: MFA,
    *,
    user: Callable[[], User | None] | None = None,
    sign_in: Callable[[Any], None] | None = None,
    sign_out: Callable[[], None] | None = None,
    name: Callable[[Any], str] | None = None,
    issue: Callable[[Any, Any, str], Given] | None = None,
    cookie: str | None = None,
    prefix: str = "/mfa",
    login_url: str = "/login",
    home_url: str = "/",
    stylesheet: str | None = None,
    destinations: Mapping[str, str] | None = None,
    language: Callable[[Request], str | None] | None = None,
    timezone: Callable[[Request], str | tzinfo | None] | None = None,
    templates: str | Path | None = None,
    translations: Path | None = None,
    logo: str | None = None,
    favicon: str | None = None,
    links: Sequence[Link] = (),
) -> None:
    """Put the pages under `prefix`, the JSON door under `{prefix}/api`, and hold each sign-in until its code is there.

    `user()` says who is signed in, as a `User`, or None. `sign_in(user_id)` signs somebody in, as the application's
    login does after the password. `sign_out()` undoes it; without it, the session is emptied. With Flask-Login, whose
    manager is there before, none of the three is needed: `name(user)` says by which name its users sign in, and they
    are mapped by SQLAlchemy or their `get_id` is the id in the database.

    An application that gives out tokens of its own says `issue` in place of `sign_in`: `issue(response, user_id, mark)`
    makes one with `mark` inside, and returns what a program gets, as `{"access_token": ...}`, or puts it into a cookie
    of `response`, whose name `cookie` says. `user` gives the mark back, as `User(id, name, mark)`. The token of
    somebody with a second factor opens nothing without a mark that says that it was given.

    Sessions are Flask's own or those of an extension. What else can be passed is described at
    `twofold.web.fastapi.router`. Raises ConfigurationError for an application that has been mounted, for a prefix that
    is no path, and where it is not said who is signed in.
    """
    if wsgi.EXTENSION in app.extensions:
        raise ConfigurationError("Twofold is mounted here already.")
    if not isinstance(mfa, MFA):
        raise ConfigurationError("Flask blocks: give an MFA over an Engine, not an AsyncMFA.")
    binding.check_prefix(prefix)
    places = {"login_url": login_url, "home_url": home_url}
    doorkeeper: InSession[Request] | InToken[Request]
    if issue is not None:
        tokens = _tokens(mfa, user, issue, cookie, others=(sign_in, sign_out, name))
        doorkeeper = InToken[Request].of(mfa, blocking.here, tokens, wsgi.arrival, **places)
    else:
        kept = _sessions(app, mfa, user, sign_in, sign_out, name, cookie)
        doorkeeper = InSession[Request].of(mfa, blocking.here, kept, wsgi.arrival, **places)
    look = Look(stylesheet, templates, translations, logo, favicon, links)
    site = binding.site(mfa, doorkeeper, blocking.here, look=look, destinations=destinations)
    speech = Speech(look.languages, blocking.here, language, timezone)
    bound = Binding(site, Sessions(doorkeeper, blocking.here), speech)
    mounted = wsgi.Mounted(doorkeeper, bound, prefix)
    app.register_blueprint(mounted.blueprint())
    app.extensions[wsgi.EXTENSION] = mounted
    # Before every other function, since those ask who is signed in, too.
    app.before_request_funcs.setdefault(None, []).insert(0, mounted.look)
    # The last one that is added is the first one that is asked.
    app.after_request_funcs.setdefault(None, []).append(mounted.look_again)


def after_password(user: User, onward: str | None = None) -> Response:
    """Go on after the password: sign in, or ask for the second factor first.

    A login that signs in by itself is held all the same; this says at once what comes. `onward`, a path of this site,
    is where it leads in the end. A browser is led on; a program reads in JSON whether it `is_waiting`, and where to go.
    Of an application that gives out tokens it reads the token, or the problem `login_waits`, with the `challenge` to
    answer.
    """
    mounted, request = wsgi.mounted(), wsgi.this_request()
    is_page = held.reads_pages(wsgi_host.headers_of(request))
    if isinstance(mounted.doorkeeper, InToken):
        return _given(request, mounted, mounted.doorkeeper, user, onward, is_page=is_page)
    seen = blocking.run(mounted.doorkeeper.after_password(request, user, onward))
    wsgi.arrived(request, seen)
    is_waiting = isinstance(seen.session, Waiting)
    location = mounted.doorkeeper.leads_to(seen, mounted.base(request))
    if is_page:
        return Response(status=303, headers={**_UNKEPT, "Location": location})
    answer = flask.jsonify({"is_waiting": is_waiting, "at": location})
    answer.headers.update(_UNKEPT)
    return answer


def _given(
    request: Request,
    mounted: wsgi.Mounted,
    doorkeeper: InToken[Request],
    user: User,
    onward: str | None,
    *,
    is_page: bool,
) -> Response:
    """Answer with the token that the application gives out, or ask for the code."""
    kept, cookie = wsgi.given(request), doorkeeper.application.cookie
    is_page = is_page and cookie is not None
    after = blocking.run(doorkeeper.after_password(request, kept, user, onward, may_wait=is_page))
    wsgi.arrived(request, after.seen)
    base = mounted.base(request)
    if cookie is not None:
        mounted.keep_device(request, after.device)
    leads_to = doorkeeper.leads_to(after.seen, base) if is_page else None
    return wsgi.respond(held.given(after, base=base, leads_to=leads_to, has_cookie=cookie is not None))


def password_changed() -> Given:
    """Say, once it is committed, that whoever is signed in has another password.

    All trust of devices and every other session of the user end; this session goes on. What is returned is for a
    program whose token ends, too: what `issue` gave for it. Raises what `mfa.password_changed` raises, which is for the
    passwords of others: an administrator's reset, a link by mail.
    """
    request = wsgi.this_request()
    return blocking.run(wsgi.mounted().doorkeeper.password_changed(request, wsgi.given(request)))


def required(view: View) -> View:
    """Open a view to whoever is signed in, with the second factor as far as there is one."""
    return _guarded(view)


def enrolled(view: View) -> View:
    """Open a view to whoever is signed in and has a second factor; lead everybody else to the set-up."""
    return _guarded(view, enrolled=True)


def fresh(*, max_age: timedelta | None = None) -> Callable[[View], View]:
    """Open a view to whoever gave a second factor within `max_age`; ask for a code first, and lead back here.

    Without it TWOFOLD_PROOF_MAX_AGE counts. A form is not sent again: the step-up leads back to the page of the form.
    """
    check_age(max_age)
    return functools.partial(_guarded, is_fresh=True, max_age=max_age)


def visitor() -> Visitor:
    """Who a guard has let in to this view."""
    found: Visitor = wsgi.this_request().environ[_VISITOR]
    return found


def _guarded(view: View, *, enrolled: bool = False, is_fresh: bool = False, max_age: timedelta | None = None) -> View:
    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        mounted, request = wsgi.mounted(), wsgi.this_request()
        default = mounted.doorkeeper.settings.proof_max_age
        oldest = (default if max_age is None else max_age) if is_fresh else None
        back = wsgi.back_of(request, mounted.outside(request))
        guard = mounted.doorkeeper.guard(request, enrolled=enrolled, max_age=oldest, back=back)
        found = blocking.run(guard)
        if isinstance(found, Held):
            return mounted.led_on(request, found)
        request.environ[_VISITOR] = found
        return flask.current_app.ensure_sync(view)(*args, **kwargs)

    return guarded


def _emptied() -> None:
    flask.session.clear()


def _sessions(
    app: Flask,
    mfa: MFA,
    user: Callable[[], User | None] | None,
    sign_in: Callable[[Any], None] | None,
    sign_out: Callable[[], None] | None,
    name: Callable[[Any], str] | None,
    cookie: str | None,
) -> wsgi_host.Sessions:
    if user is not None and sign_in is not None and name is None and cookie is None:
        return wsgi_host.Sessions(mfa, user, sign_in, sign_out or _emptied)
    is_unsaid = user is None and sign_in is None and cookie is None and name is not None
    if not is_unsaid or name is None or not hasattr(app, "login_manager"):
        raise ConfigurationError(_UNSAID)
    from twofold.web import flask_login

    return flask_login.application(app, mfa, name)


def _tokens(
    mfa: MFA,
    user: Callable[[], User | None] | None,
    issue: Callable[[Any, Any, str], Given],
    cookie: str | None,
    *,
    others: tuple[object, ...],
) -> wsgi_host.Tokens:
    if user is None or any(other is not None for other in others):
        raise ConfigurationError(_UNSAID)
    return wsgi_host.Tokens(mfa, user, issue, cookie)
