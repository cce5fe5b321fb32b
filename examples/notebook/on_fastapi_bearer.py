"""The notebook on FastAPI for programs: whoever signs in gets a signed token, and sends it in `Authorization`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from fastapi import Body, Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import PlainTextResponse, Response
from itsdangerous import BadData, URLSafeTimedSerializer

from examples.notebook import people
from twofold.web.fastapi import User, Visitor, after_password, fresh, mount

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twofold import MFA

_LIFETIME = 3600


def build(engine: sa.Engine, mfa: MFA, *, has_tls: bool = True) -> FastAPI:
    """Make the application. Tokens are as safe as the line, and nothing here depends on `has_tls`."""
    del has_tls
    app = FastAPI()
    signer = URLSafeTimedSerializer(secrets.token_hex())

    def claims(request: Request) -> dict[str, Any]:
        return _read(signer, request.headers.get("authorization", "").removeprefix("Bearer "))

    # Twofold
    def user(request: Request) -> User | None:
        me = people.find(engine, claims(request).get("sub"))
        return User(me.id, me.email, mark=claims(request).get("twofold")) if me else None

    def issue(_request: Request, _response: Response, account_id: int, mark: str) -> dict[str, Any]:
        return {"access_token": signer.dumps({"sub": account_id, "twofold": mark}), "token_type": "bearer"}

    mount(app, mfa, user=user, issue=issue)
    # end

    def current(request: Request) -> people.Account:
        return people.find(engine, claims(request).get("sub")) or _stop(401, "Sign in")

    def checked(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> people.Account:
        return people.check(engine, username, password) or _stop(400, "Incorrect e-mail or password")

    # What takes its time is a plain function, which runs in a thread.
    @app.post("/login")
    async def login(request: Request, me: people.Account = Depends(checked)) -> Response:  # noqa: B008, FAST002 - it is local
        return await after_password(request, User(me.id, me.email))

    @app.get("/me")
    def home(request: Request) -> dict[str, str]:
        me = current(request)
        return {"email": me.email, "note": me.note}

    @app.put("/note")
    def note(request: Request, note: Annotated[str, Body(embed=True)]) -> None:
        people.write(engine, current(request).id, note)

    @app.get("/export")
    def export(me: Annotated[Visitor, Depends(fresh())]) -> PlainTextResponse:
        account = people.find(engine, int(str(me.id)))
        return PlainTextResponse(account.note if account else "")

    return app


def _read(signer: URLSafeTimedSerializer, token: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = signer.loads(token, max_age=_LIFETIME)
    except BadData:
        return {}
    return found


def _stop(status: int, sentence: str) -> NoReturn:
    raise HTTPException(status, sentence)
