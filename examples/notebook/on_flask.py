"""The notebook on Flask, with its signed sessions."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import flask

from examples.notebook import pages, people
from twofold.web.flask import User, fresh, mount, visitor

if TYPE_CHECKING:
    import sqlalchemy as sa
    from flask.typing import ResponseReturnValue

    from twofold import MFA


def build(engine: sa.Engine, mfa: MFA, *, has_tls: bool = True) -> flask.Flask:
    """Make the application."""
    app = flask.Flask(__name__)
    app.config.update(SECRET_KEY=secrets.token_hex(), SESSION_COOKIE_SECURE=has_tls, SESSION_COOKIE_SAMESITE="Lax")

    # Twofold
    def user() -> User | None:
        me = people.find(engine, flask.session.get("account"))
        return User(me.id, me.email) if me else None

    def sign_in(account_id: int) -> None:
        flask.session["account"] = account_id

    mount(app, mfa, user=user, sign_in=sign_in)
    # end

    @app.get("/login")
    def login_form() -> str:
        return pages.LOGIN

    @app.post("/login")
    def login() -> ResponseReturnValue:
        me = people.check(engine, flask.request.form["email"], flask.request.form["password"])
        if me is None:
            return pages.LOGIN, 400
        flask.session["account"] = me.id
        return flask.redirect("/", 303)

    @app.post("/sign-out")
    def sign_out() -> ResponseReturnValue:
        flask.session.clear()
        return flask.redirect("/login", 303)

    @app.get("/")
    def home() -> ResponseReturnValue:
        me = people.find(engine, flask.session.get("account"))
        return pages.home(me.email, me.note) if me else flask.redirect("/login", 303)

    @app.post("/note")
    def note() -> ResponseReturnValue:
        people.write(engine, flask.session["account"], flask.request.form.get("note", ""))
        return flask.redirect("/", 303)

    @app.get("/export")
    @fresh()
    def export() -> ResponseReturnValue:
        account = people.find(engine, int(str(visitor().id)))
        return flask.Response(account.note if account else "", mimetype="text/plain")

    return app
