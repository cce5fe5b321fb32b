"""The seam to the host's sessions: written to be awaited or plainly, it is asked the same, and off the event loop."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.attacks.host import Host
from tests.people import add_user, challenged, enroll, plain_settings
from tests.visitors import Browser
from twofold import MFA
from twofold.keyring import generate_key
from twofold.web.fastapi import SignedIn, Waiting, router

if TYPE_CHECKING:
    from fastapi import Request, Response

    from tests.databases import Database
    from tests.people import Clock
    from twofold import Verified


@dataclass
class Plain:
    """A host whose methods block, and that notes the threads in which they ran."""

    login_url: str = "/login"
    home_url: str = "/"
    held: Waiting | SignedIn | None = None
    asked: list[str] = field(default_factory=list[str])
    threads: set[int] = field(default_factory=set[int])

    def session(self, request: Request) -> Waiting | SignedIn | None:
        self.threads.add(threading.get_ident())
        return self.held

    def log_in(self, request: Request, response: Response, verified: Verified) -> None:
        self.asked.append("log_in")
        self.held = SignedIn("second", verified.user_id, "ada@example.com", verified.token)

    def remember(self, request: Request, response: Response, verified: Verified) -> None:
        self.asked.append("remember")
        self.held = SignedIn("second", verified.user_id, "ada@example.com", verified.token)

    def changed(self, request: Request, response: Response) -> None:
        self.asked.append("changed")

    def log_out(self, request: Request, response: Response) -> None:
        self.asked.append("log_out")
        self.held = None


@pytest.mark.parametrize("kind", [Plain, Host])
def test_a_host_is_asked_the_same_whichever_way_it_is_written(database: Database, clock: Clock, kind: Any) -> None:
    mfa = MFA(database.engine(), plain_settings(keys=generate_key("k1")), clock=clock)
    ada = add_user(database, "ada@example.com")
    enrolment = enroll(mfa, ada, clock)
    clock.forward(minutes=1)
    host = kind(held=Waiting("first", challenged(mfa, ada), "ada@example.com"))
    app, spoken = FastAPI(openapi_url=None), set[int]()

    def language(_request: Request) -> str:
        spoken.add(threading.get_ident())
        return "de"

    async def timezone(_request: Request) -> str:
        return "Europe/Vienna"

    app.include_router(router(mfa, host, language=language, timezone=timezone), prefix="/mfa")

    @app.get("/loop")
    async def loop() -> int:
        return threading.get_ident()

    with TestClient(app, base_url="https://testserver", follow_redirects=False) as client:
        browser = Browser(client)
        browser.get("/mfa/challenge")
        answer = browser.post("/mfa/challenge", code=enrolment.phone.code())
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        page = browser.get("/mfa/security")
        assert page.headers["content-language"] == "de"
        assert "UTC" not in page.text
        assert browser.post("/mfa/disable", sure="yes").status_code == 303
        assert host.asked == ["log_in", "changed"]
        if isinstance(host, Plain):
            assert client.get("/loop").json() not in host.threads | spoken
