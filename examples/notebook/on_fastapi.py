"""The notebook on FastAPI, with Starlette's signed sessions."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware

from examples.notebook import pages, people
from twofold.web.fastapi import User, Visitor, fresh, mount

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twofold import MFA


def build(engine: sa.Engine, mfa: MFA, *, has_tls: bool = True) -> FastAPI:
    """Make the application."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=secrets.token_hex(), https_only=has_tls)

    # Twofold
    def user(request: Request) -> User | None:
        me = people.find(engine, request.session.get("account"))
        return User(me.id, me.email) if me else None

    def sign_in(request: Request, account_id: int) -> None:
        request.session["account"] = account_id

    mount(app, mfa, user=user, sign_in=sign_in)
    # end

    @app.get("/login")
    def login_form() -> HTMLResponse:
        return HTMLResponse(pages.LOGIN)

    @app.post("/login")
    def login(request: Request, email: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
        me = people.check(engine, email, password)
        if me is None:
            return HTMLResponse(pages.LOGIN, status_code=400)
        request.session["account"] = me.id
        return RedirectResponse("/", status_code=303)

    @app.post("/sign-out")
    def sign_out(request: Request) -> Response:
        request.session.clear()
        return RedirectResponse("/login", status_code=303)

    @app.get("/")
    def home(request: Request) -> Response:
        me = people.find(engine, request.session.get("account"))
        return HTMLResponse(pages.home(me.email, me.note)) if me else RedirectResponse("/login", status_code=303)

    @app.post("/note")
    def note(request: Request, note: Annotated[str, Form()] = "") -> Response:
        people.write(engine, request.session["account"], note)
        return RedirectResponse("/", status_code=303)

    @app.get("/export")
    def export(me: Annotated[Visitor, Depends(fresh())]) -> PlainTextResponse:
        account = people.find(engine, int(str(me.id)))
        return PlainTextResponse(account.note if account else "")

    return app
