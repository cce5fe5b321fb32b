"""The notebook on Starlette, with its signed sessions."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from examples.notebook import pages, people
from twofold.web.starlette import User, fresh, mount, visitor

if TYPE_CHECKING:
    import sqlalchemy as sa
    from starlette.requests import Request

    from twofold import MFA


def build(engine: sa.Engine, mfa: MFA, *, has_tls: bool = True) -> Starlette:
    """Make the application."""

    def login_form(_request: Request) -> Response:
        return HTMLResponse(pages.LOGIN)

    async def login(request: Request) -> Response:
        form = await request.form()
        me = people.check(engine, str(form.get("email")), str(form.get("password")))
        if me is None:
            return HTMLResponse(pages.LOGIN, status_code=400)
        request.session["account"] = me.id
        return RedirectResponse("/", status_code=303)

    def sign_out(request: Request) -> Response:
        request.session.clear()
        return RedirectResponse("/login", status_code=303)

    def home(request: Request) -> Response:
        me = people.find(engine, request.session.get("account"))
        return HTMLResponse(pages.home(me.email, me.note)) if me else RedirectResponse("/login", status_code=303)

    async def note(request: Request) -> Response:
        people.write(engine, request.session["account"], str((await request.form()).get("note", "")))
        return RedirectResponse("/", status_code=303)

    @fresh()
    def export(request: Request) -> Response:
        account = people.find(engine, int(str(visitor(request).id)))
        return PlainTextResponse(account.note if account else "")

    app = Starlette(
        routes=[
            Route("/login", login_form, methods=["GET"]),
            Route("/login", login, methods=["POST"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            Route("/", home),
            Route("/note", note, methods=["POST"]),
            Route("/export", export),
        ]
    )

    # Twofold
    def user(request: Request) -> User | None:
        me = people.find(engine, request.session.get("account"))
        return User(me.id, me.email) if me else None

    def sign_in(request: Request, account_id: int) -> None:
        request.session["account"] = account_id

    mount(app, mfa, user=user, sign_in=sign_in)
    # end

    app.add_middleware(SessionMiddleware, secret_key=secrets.token_hex(), https_only=has_tls)
    return app
