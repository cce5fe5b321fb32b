"""An application with a login that answers JSON: a browser's script has a cookie, an app on a phone a bearer token."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from fastapi import FastAPI, Request, Response

from tests.people import Phone
from twofold.web.fastapi import SignedIn, Waiting, device_token, keep_device, router

if TYPE_CHECKING:
    from httpx2 import Client
    from httpx2 import Response as Answer

    from tests.people import Clock
    from twofold import MFA, AsyncMFA, Verified
    from twofold.testing import VirtualPasskey

COOKIE = "__Host-session"


@dataclass
class Host:
    """Sessions in memory. The app keeps its proof itself, the browser's session keeps it here."""

    mfa: MFA
    sessions: dict[str, Waiting | SignedIn] = field(default_factory=dict)
    is_broken: Literal["before", "after"] | None = None
    is_patient: bool = False
    login_url: str = "/login"
    home_url: str = "/"

    def key(self, request: Request) -> str:
        _, _, bearer = request.headers.get("authorization", "").partition(" ")
        return bearer or request.cookies.get(COOKIE, "")

    def begin(self, user_id: Any, *, is_bearer: bool, proof: str | None = None) -> str:
        key = secrets.token_urlsafe()
        self.sessions[key] = SignedIn(key, user_id, "ada@example.com", proof, is_bearer=is_bearer)
        return key

    async def session(self, request: Request) -> Waiting | SignedIn | None:
        if self.is_broken == "before":
            raise OSError("the store of sessions is away")
        return self.sessions.get(self.key(request))

    async def log_in(self, request: Request, response: Response, verified: Verified) -> dict[str, str] | None:
        if self.is_broken == "after":
            raise OSError("the store of sessions is away")
        waiting = self.sessions.pop(self.key(request), None)
        if waiting is None:
            return {"access_token": self.begin(verified.user_id, is_bearer=True), "token_type": "bearer"}
        if self.is_patient and isinstance(waiting, Waiting):
            self.sessions[waiting.session_id] = replace(waiting, is_answered=True)
        key = self.begin(verified.user_id, is_bearer=False, proof=verified.token)
        response.set_cookie(COOKIE, key, httponly=True, secure=True, samesite="lax")
        return None

    async def remember(self, request: Request, response: Response, verified: Verified) -> None:
        del response
        here = self.sessions[self.key(request)]
        if isinstance(here, SignedIn) and not here.is_bearer:
            self.sessions[here.session_id] = replace(here, proof=verified.token)

    async def changed(self, request: Request, response: Response) -> None:
        del response
        here = self.key(request)
        for key in [key for key, one in self.sessions.items() if key != here and isinstance(one, SignedIn)]:
            del self.sessions[key]

    async def log_out(self, request: Request, response: Response) -> None:
        self.sessions.pop(self.key(request), None)
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")


def build(mfa: MFA, user_id: Any, face: MFA | AsyncMFA | None = None) -> tuple[FastAPI, Host]:
    """The application, whose one user has typed the password whenever somebody asks for `/login`."""
    app, host = FastAPI(), Host(mfa)
    app.include_router(router(face or mfa, host, api=True), prefix="/mfa")

    @app.post("/login", include_in_schema=False)
    def login(request: Request, response: Response, kept: str | None = None, *, is_app: bool = False) -> dict[str, Any]:
        token = kept if is_app else device_token(mfa, request, user_id)
        challenge = mfa.challenge(user_id, device_token=token, request=request)
        if challenge and is_app:
            return {"challenge": challenge.token, "passkey_options": challenge.passkey_options}
        if challenge:
            waiting = Waiting(secrets.token_urlsafe(), challenge.token, "ada@example.com")
            host.sessions[waiting.session_id] = waiting
            response.set_cookie(COOKIE, waiting.session_id, httponly=True, secure=True, samesite="lax")
            return {}
        key = host.begin(user_id, is_bearer=is_app)
        if is_app:
            return {"access_token": key, "device": None if challenge.device is None else challenge.device.token}
        response.set_cookie(COOKIE, key, httponly=True, secure=True, samesite="lax")
        keep_device(request, response, challenge.device)
        return {}

    return app, host


@dataclass
class Program:
    """Ada's program: it keeps what it is given, as a script in a browser or as an app on a phone."""

    client: Client
    clock: Clock
    is_app: bool
    phone: Phone | None = None
    challenge: str | None = None
    passkey_options: dict[str, Any] | None = None
    device: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, device: str = "", language: str = ""
    ) -> Answer:
        """Ask for an operation; what the answer gives is kept."""
        more = {"Twofold-Device": device, "Accept-Language": language}
        sent = self.headers | {name: value for name, value in more.items() if value}
        answer = self.client.request(method, f"/mfa/api{path}", headers=sent, json=body)
        document = answer.json() if method != "HEAD" else {}
        if isinstance(document, dict) and self.is_app:
            self._keep(document)
            self._keep(document.get("proven") or {})
        return answer

    def _keep(self, document: dict[str, Any]) -> None:
        if document.get("proof"):
            self.headers["Twofold-Proof"] = document["proof"]
        if document.get("session"):
            self.headers["Authorization"] = f"Bearer {document['session']['access_token']}"
        if document.get("device"):
            self.device = document["device"]["token"]

    def sign_in(self) -> dict[str, Any]:
        """Give the password; then say who this is, as a program does when it starts."""
        self.headers.clear()
        kept = {"kept": self.device} if self.device else {}
        given = self.client.post("/login", params={"is_app": self.is_app, **kept}).json()
        self.challenge, self.passkey_options = given.get("challenge"), given.get("passkey_options")
        if given.get("device"):
            self.device = given["device"]
        if given.get("access_token"):
            self.headers["Authorization"] = f"Bearer {given['access_token']}"
        return self.status()

    def status(self) -> dict[str, Any]:
        """Who this is; a browser's script takes the token against forged requests from here."""
        found: dict[str, Any] = self.ask("GET", "/status").json()
        if found["csrf_token"]:
            self.headers["X-CSRF-Token"] = found["csrf_token"]
        return found

    def answer(self, code: str, **more: Any) -> Answer:
        """Answer the challenge."""
        return self._answer("/challenge", {"code": code, **more})

    def answer_by(self, passkey: VirtualPasskey, **more: Any) -> Answer:
        """Answer the challenge with a passkey."""
        options = self.passkey_options if self.is_app else self.ask("GET", "/challenge").json()["passkey_options"]
        return self._answer("/challenge/passkey", {"passkey": json.loads(passkey.sign(options or {})), **more})

    def _answer(self, path: str, body: dict[str, Any]) -> Answer:
        if self.is_app:
            body |= {"challenge": self.challenge} | ({"device_token": self.device} if self.device else {})
        answer = self.ask("POST", path, body)
        if answer.is_success:
            self.status()
        return answer

    def code(self) -> str:
        """A code that works, and has not been used."""
        assert self.phone is not None
        self.clock.forward(seconds=60)
        return self.phone.code()

    def enroll(self) -> list[str]:
        """Set the app up, and return the backup codes."""
        begun = self.ask("POST", "/totp/begin")
        assert begun.status_code == 200, begun.text
        self.phone = Phone(begun.json()["secret"], self.clock)
        confirmed = self.ask("POST", "/totp/confirm", {"code": self.phone.code()})
        assert confirmed.status_code == 200, confirmed.text
        codes: list[str] = confirmed.json()["backup_codes"]
        return codes
