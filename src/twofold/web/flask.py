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
from twofold.web import binding, blocking, held, wsgi
from twofold.web.binding import Binding
from twofold.web.doorkeeper import Held, Visitor, check_age
from twofold.web.in_session import InSession
from twofold.web.look import Link, Look
from twofold.web.sessions import Sessions
from twofold.web.speech import Speech
from twofold.web.visit import User, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta, tzinfo
    from pathlib import Path

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


def mount(
    app: Flask,
    mfa: MFA,
    *,
    user: Callable[[], User | None] | None = None,
    sign_in: Callable[[Any], None] | None = None,
    sign_out: Callable[[], None] | None = None,
    name: Callable[[Any], str] | None = None,
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

    Sessions are Flask's own or those of an extension. What else can be passed is described at
    `twofold.web.fastapi.router`. Raises ConfigurationError for an application that has been mounted, for a prefix that
    is no path, and where it is not said who is signed in.
    """
    if wsgi.EXTENSION in app.extensions:
        raise ConfigurationError("Twofold is mounted here already.")
    if not isinstance(mfa, MFA):
        raise ConfigurationError("Flask blocks: give an MFA over an Engine, not an AsyncMFA.")
    binding.check_prefix(prefix)
    application = _application(app, mfa, user, sign_in, sign_out, name)
    doorkeeper = InSession[Request].of(
        mfa, blocking.here, application, wsgi.arrival, login_url=login_url, home_url=home_url
    )
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
    """
    mounted, request = wsgi.mounted(), wsgi.this_request()
    seen = blocking.run(mounted.doorkeeper.after_password(request, user, onward))
    wsgi.arrived(request, seen)
    is_waiting = isinstance(seen.session, Waiting)
    location = mounted.doorkeeper.leads_to(seen, mounted.base(request))
    if held.reads_pages(wsgi.headers_of(request)):
        return Response(status=303, headers={**_UNKEPT, "Location": location})
    answer = flask.jsonify({"is_waiting": is_waiting, "at": location})
    answer.headers.update(_UNKEPT)
    return answer


def password_changed() -> None:
    """Say, once it is committed, that whoever is signed in has another password.

    All trust of devices and every other session of the user end; this session goes on. Raises what
    `mfa.password_changed` raises, which is for the passwords of others: an administrator's reset, a link by mail.
    """
    blocking.run(wsgi.mounted().doorkeeper.password_changed(wsgi.this_request(), None))


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


def _application(
    app: Flask,
    mfa: MFA,
    user: Callable[[], User | None] | None,
    sign_in: Callable[[Any], None] | None,
    sign_out: Callable[[], None] | None,
    name: Callable[[Any], str] | None,
) -> wsgi.Application:
    if user is not None and sign_in is not None and name is None:
        return wsgi.Application(mfa, user, sign_in, sign_out or _emptied)
    if user is not None or sign_in is not None or name is None or not hasattr(app, "login_manager"):
        raise ConfigurationError(
            "Say who is signed in: user= and sign_in=; or, once Flask-Login's manager is set up, name= alone."
        )
    from twofold.web import flask_login

    return flask_login.application(app, mfa, name)
