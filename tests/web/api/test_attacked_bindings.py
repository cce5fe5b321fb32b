"""Schemathesis at the JSON door of the notebook: over the sessions of each framework, and over a host's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from tests.people import Phone
from tests.visitors import PASSWORD
from tests.web.api.attacking import MINUTES, ask_everything, follow_links
from tests.web.notebooks import SITE, Notebook, open_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["open_notebook"]

pytestmark = pytest.mark.backends("sqlite")

VISITORS = ("nobody", "who waits", "who is in")
ADA = 1


class Visitor:
    """Ada in one of her sessions, with a second factor in force; a session that was ended begins anew."""

    def __init__(self, kind: str, notebook: Notebook) -> None:
        self.kind, self.notebook, self.client = kind, notebook, notebook.client()

    def session(self) -> dict[str, Any]:
        """The headers and cookies of a session that is there now."""
        if self.kind == "nobody":
            return {}
        found = self._status()
        if not self._is_of_its_kind(found):
            self._begin()
            found = self._status()
            assert self._is_of_its_kind(found), found
        return self.kept(found)

    def kept(self, found: dict[str, Any]) -> dict[str, Any]:
        """What a browser's script sends with each request."""
        return {"headers": {"X-CSRF-Token": found["csrf_token"]}, "cookies": dict(self.client.cookies)}

    def _is_of_its_kind(self, found: dict[str, Any]) -> bool:
        if self.kind == "who waits":
            return bool(found["state"] == "waiting")
        return bool(found["state"] == "signed_in" and found["account"]["is_enrolled"] and found["is_fresh"])

    def _begin(self) -> None:
        """Sign in. What was guessed before must not stand in the way, so the second factor is set up anew."""
        mfa, clock = self.notebook.mfa, self.notebook.clock
        clock.forward(minutes=1)
        if mfa.status(ADA).is_enrolled:
            mfa.reset(ADA, by="grace@example.com", reason="it is begun anew")
        phone = Phone(mfa.totp.begin(ADA, account_name="ada@example.com").secret, clock)
        enrolled = mfa.totp.confirm(ADA, phone.code())
        mfa.trusted_devices.trust(enrolled.verified)
        clock.forward(minutes=1)
        self.sign_in(phone)

    def sign_in(self, phone: Phone) -> None:
        """Sign in by another door, and give the code where that is wanted."""
        self.notebook.sign_in_by_itself(ADA)
        self.client.cookies.clear()
        self.client.get("/door")
        if self.kind == "who is in":
            body, headers = {"code": phone.code()}, {"X-CSRF-Token": self._status()["csrf_token"]}
            answer = self.client.post("/mfa/api/challenge", json=body, headers=headers)
            assert answer.status_code == 200, answer.text

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/mfa/api/status").json()
        return found


class Program(Visitor):
    """Ada's program, which sends a token of the host's."""

    def __init__(self, notebook: Notebook) -> None:
        super().__init__("who is in", notebook)
        self.client = TestClient(notebook.app, base_url=SITE)

    def kept(self, found: dict[str, Any]) -> dict[str, Any]:
        del found
        return {"headers": {"Authorization": self.client.headers["Authorization"]}}

    def sign_in(self, phone: Phone) -> None:
        self.client.headers.pop("Authorization", None)
        form = {"username": "ada@example.com", "password": PASSWORD}
        waiting = self.client.post("/login", data=form).json()
        answer = self.client.post(waiting["at"], json={"challenge": waiting["challenge"], "code": phone.code()})
        self.client.headers["Authorization"] = f"Bearer {answer.json()['session']['access_token']}"


@pytest.fixture(params=["fastapi", "starlette", "flask"])
def framework(request: pytest.FixtureRequest) -> str:
    """Flask-Login has the door of Flask."""
    return str(request.param)


@pytest.fixture
def notebook(open_notebook: Callable[..., Notebook], framework: str) -> Notebook:
    return open_notebook(framework)


@pytest.fixture
def visitor(request: pytest.FixtureRequest, notebook: Notebook) -> Visitor:
    return Visitor(request.param, notebook)


@pytest.mark.parametrize("visitor", VISITORS, indirect=True)
def test_every_operation_answers_as_it_is_described(visitor: Visitor, notebook: Notebook) -> None:
    ask_everything(notebook.app, visitor, examples=2, minutes=MINUTES / 6)


@pytest.mark.parametrize("visitor", ["who is in"], indirect=True)
def test_links_lead_on(visitor: Visitor, notebook: Notebook) -> None:
    follow_links(notebook.app, visitor, examples=2, minutes=MINUTES / 2)


@pytest.mark.begun_first
def test_programs_with_a_token_are_answered_as_it_is_described(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("fastapi_bearer")
    ask_everything(notebook.app, Program(notebook), examples=2, minutes=MINUTES / 2)
    follow_links(notebook.app, Program(notebook), examples=2, minutes=MINUTES / 2)
