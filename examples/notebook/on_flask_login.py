"""The notebook on Flask with Flask-Login, which keeps people signed in, and Flask-WTF, which guards every form."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import flask
from flask_login import LoginManager, current_user, login_required, login_user, logout_user
from flask_wtf.csrf import CSRFProtect

from examples.notebook import pages, people
from twofold.web.flask import fresh, mount

if TYPE_CHECKING:
    import sqlalchemy as sa
    from flask.typing import ResponseReturnValue

    from twofold import MFA


def build(engine: sa.Engine, mfa: MFA, *, has_tls: bool = True) -> flask.Flask:
    """Make the application."""
    app = flask.Flask(__name__)
    app.config.update(SECRET_KEY=secrets.token_hex(), SESSION_COOKIE_SECURE=has_tls, REMEMBER_COOKIE_SECURE=has_tls)
    manager = LoginManager(app)
    manager.login_view = "login_form"  # pyright: ignore[reportAttributeAccessIssue]
    manager.user_loader(lambda account_id: people.find(engine, account_id))
    csrf = CSRFProtect(app)

    # Twofold
    mount(app, mfa, name=lambda user: user.email)
    # end

    @app.get("/login")
    def login_form() -> str:
        return pages.LOGIN

    @app.post("/login")
    @csrf.exempt
    def login() -> ResponseReturnValue:
        me = people.check(engine, flask.request.form["email"], flask.request.form["password"])
        if me is None:
            return pages.LOGIN, 400
        login_user(me, remember=bool(flask.request.form.get("remember")))
        return flask.redirect("/", 303)

    @app.post("/sign-out")
    @csrf.exempt
    def sign_out() -> ResponseReturnValue:
        logout_user()
        return flask.redirect("/login", 303)

    @app.get("/")
    @login_required
    def home() -> str:
        return pages.home(current_user.email, current_user.note)

    @app.post("/note")
    @csrf.exempt
    @login_required
    def note() -> ResponseReturnValue:
        people.write(engine, current_user.id, flask.request.form.get("note", ""))
        return flask.redirect("/", 303)

    @app.get("/export")
    @fresh()
    @login_required
    def export() -> flask.Response:
        return flask.Response(current_user.note, mimetype="text/plain")

    return app
