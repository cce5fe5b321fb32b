"""An application that mounts the pages and keeps its sessions in memory, so that only the second factor can fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.visitors import Browser
from twofold.web.fastapi import SignedIn, Waiting, router

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from twofold import MFA, Verified

COOKIE = "__Host-session"


@dataclass
class Host:
    """One browser's session, and what the host was asked to do. `fails` makes it fail when somebody is to be let in."""

    login_url: str = "/login"
    home_url: str = "/"
    held: Waiting | SignedIn | None = None
    fails: bool = False
    asked: list[str] = field(default_factory=list[str])

    async def session(self, request: Request) -> Waiting | SignedIn | None:
        return self.held

    async def log_in(self, request: Request, response: Response, verified: Verified) -> None:
        self.asked.append("log_in")
        if self.fails:
            raise OSError("The store of sessions does not answer.")
        self.held = SignedIn("second", verified.user_id, "ada@example.com", verified.token)

    async def remember(self, request: Request, response: Response, verified: Verified) -> None:
        self.asked.append("remember")

    async def changed(self, request: Request, response: Response) -> None:
        self.asked.append("changed")

    async def log_out(self, request: Request, response: Response) -> None:
        self.asked.append("log_out")


def browser(mfa: MFA, host: Host) -> Browser:
    """A browser in front of the pages of this host."""
    app = FastAPI(openapi_url=None)
    app.include_router(router(mfa, host), prefix="/mfa")
    client = TestClient(app, base_url="https://testserver", follow_redirects=False, raise_server_exceptions=False)
    return Browser(client)
