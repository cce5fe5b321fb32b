"""Who is signed in with Flask-Login, and how it signs in and out.

Tests: `tests/web/test_bindings.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask
import sqlalchemy as sa
from flask_login import current_user, login_user, logout_user

from twofold.errors import ConfigurationError
from twofold.outcomes import spelled
from twofold.web.visit import User
from twofold.web.wsgi import Application

if TYPE_CHECKING:
    from collections.abc import Callable

    from twofold.mfa import MFA
    from twofold.outcomes import UserId

_REMEMBER = "twofold_remember"


def application(app: flask.Flask, mfa: MFA, name: Callable[[Any], str]) -> Application:
    """Ask Flask-Login. "Keep me signed in" is kept over the second factor."""

    def user_id(user: Any) -> Any:
        mapped = sa.inspect(user, raiseerr=False)
        return user.get_id() if mapped is None else mapped.identity[0]

    def user() -> User | None:
        if not current_user.is_authenticated:
            return None
        me = current_user._get_current_object()  # noqa: SLF001
        return User(user_id(me), name(me))

    def sign_in(of: UserId) -> None:
        found = app.login_manager._user_callback(spelled(of))  # type: ignore[attr-defined]  # noqa: SLF001
        if found is None or spelled(user_id(found)) != spelled(of):
            raise ConfigurationError("get_id is not the id of the user in the database: give user= and sign_in=.")
        login_user(found, remember=bool(flask.session.pop(_REMEMBER, False)))

    def sign_out() -> None:
        config = flask.current_app.config
        cookie = config.get("REMEMBER_COOKIE_NAME", "remember_token")
        is_remembered = cookie in flask.request.cookies or flask.session.get("_remember") == "set"
        logout_user()
        flask.session[_REMEMBER] = is_remembered

    return Application(mfa, user, sign_in, sign_out)
