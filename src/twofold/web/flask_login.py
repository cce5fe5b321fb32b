"""Who is signed in with Flask-Login, and how it signs in and out.

Tests: `tests/web/test_bindings.py`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import flask
import sqlalchemy as sa
from flask_login import current_user, decode_cookie, login_user, logout_user

from twofold.errors import ConfigurationError
from twofold.outcomes import spelled
from twofold.web.visit import User
from twofold.web.wsgi_host import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from twofold.mfa import MFA
    from twofold.outcomes import UserId

_KEPT = "twofold_kept"


def application(app: flask.Flask, mfa: MFA, name: Callable[[Any], str]) -> Sessions:
    """Ask Flask-Login. "Keep me signed in" is kept over the second factor."""

    def user_id(user: Any) -> Any:
        mapped = sa.inspect(user, raiseerr=False)
        return user.get_id() if mapped is None else mapped.identity[0]

    def user() -> User | None:
        if not current_user.is_authenticated:
            return None
        me = current_user._get_current_object()  # noqa: SLF001
        return User(user_id(me), name(me))

    def found_again(of: UserId) -> Any:
        found = app.login_manager._user_callback(spelled(of))  # type: ignore[attr-defined]  # noqa: SLF001
        if found is None or spelled(user_id(found)) != spelled(of):
            raise ConfigurationError("get_id is not the id of the user in the database: give user= and sign_in=.")
        return found

    def sign_in(of: UserId) -> None:
        found, kept = found_again(of), flask.session.pop(_KEPT, {})
        if kept.get("of") != spelled(of):
            login_user(found)
            return
        duration = None if kept["seconds"] is None else timedelta(seconds=kept["seconds"])
        login_user(found, remember=kept["is_remembered"], duration=duration, fresh=kept["is_fresh"])

    def sign_out() -> None:
        """Sign out, and keep how they were signed in for when the second factor is there."""
        me, session = user(), flask.session
        if me is None:
            logout_user()
            return
        # Said before anybody is asked for a code, and not after it is spent.
        found_again(me.id)
        cookie = flask.request.cookies.get(flask.current_app.config.get("REMEMBER_COOKIE_NAME", "remember_token"))
        kept = {
            "of": spelled(me.id),
            "is_fresh": session.get("_fresh", False),
            "is_remembered": session.get("_remember") == "set"
            or (cookie is not None and decode_cookie(cookie) == current_user.get_id()),
            "seconds": session.get("_remember_seconds"),
        }
        logout_user()
        session[_KEPT] = kept

    return Sessions(mfa, user, sign_in, sign_out)
