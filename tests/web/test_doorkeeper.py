"""What gets nobody in, whatever door of the application they came by, and what ends a session."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from flask_login import login_user

from examples.notebook import people
from tests.people import Phone
from tests.visitors import PASSWORD
from tests.web.notebooks import ada, framework, is_in, notebook, open_notebook, sign_out
from twofold.web import blocking
from twofold.web.epochs import Epochs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.visitors import Ada
    from tests.web.notebooks import Notebook

__all__ = ["ada", "framework", "notebook", "open_notebook"]

HOUR = timedelta(hours=1)
PROGRAM = {"accept": "application/json"}


@pytest.mark.backends("sqlite")
def test_another_door_lets_nobody_in_before_the_code(ada: Ada, notebook: Notebook) -> None:
    notebook.sign_in_by_itself(1)
    thief = notebook.ada()
    assert thief.browser.get("/door").headers["location"] == "/mfa/challenge"
    assert not is_in(thief)
    assert thief.browser.get("/").headers["location"] == "/mfa/challenge"
    problem = thief.browser.client.get("/export", headers=PROGRAM)
    assert (problem.status_code, problem.json()["reason"]) == (403, "login_waits")
    assert thief.browser.get("/mfa/security").headers["location"] == "/mfa/challenge"
    # Whoever has the phone gets in by that door, too.
    thief.browser.get("/mfa/challenge")
    assert thief.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
    assert is_in(thief)


@pytest.mark.backends("sqlite")
def test_a_session_of_before_is_held_at_the_next_request(ada: Ada, notebook: Notebook) -> None:
    # A session that began before Twofold was there has no mark.
    notebook.act = lambda session: session.pop("twofold")
    assert ada.browser.get("/door").headers["location"] == "/mfa/challenge"
    assert ada.browser.get("/").headers["location"] == "/mfa/challenge"
    ada.browser.get("/mfa/challenge")
    assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
    assert is_in(ada)


@pytest.mark.backends("sqlite")
def test_the_mark_of_one_is_none_of_another(ada: Ada, notebook: Notebook) -> None:
    bob = people.register(notebook.engine, "bob@example.com", PASSWORD)
    notebook.sign_in_by_itself(bob)
    phone = Phone(notebook.mfa.totp.begin(bob, account_name="bob@example.com").secret, notebook.clock)
    notebook.mfa.totp.confirm(bob, phone.code())
    assert is_in(ada)
    assert ada.browser.get("/door").headers["location"] == "/mfa/challenge"
    assert ada.browser.get("/").headers["location"] == "/mfa/challenge"
    # And the second factor is that of the other one.
    ada.browser.get("/mfa/challenge")
    assert ada.browser.post("/mfa/challenge", code=ada.code()).status_code == 400


@pytest.mark.backends("sqlite")
def test_whoever_signs_out_begins_anew(ada: Ada, notebook: Notebook) -> None:
    sign_out(ada)
    assert ada.sign_in().headers["location"] == "/mfa/challenge"
    assert not is_in(ada)


@pytest.mark.backends("sqlite")
def test_an_altered_mark_is_none(ada: Ada, notebook: Notebook) -> None:
    def alter(session: Any) -> None:
        body, _, mac = session["twofold"].partition(".")
        held = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        altered = json.dumps(held | {"amr": ["pwd", "hwk"]}).encode()
        session["twofold"] = f"{base64.urlsafe_b64encode(altered).decode()}.{mac}"

    notebook.act = alter
    assert is_in(ada)
    ada.browser.get("/door")
    assert not is_in(ada)


@pytest.mark.backends("sqlite")
def test_a_password_that_changes_while_the_code_is_typed_ends_the_login(ada: Ada, notebook: Notebook) -> None:
    sign_out(ada)
    ada.sign_in()
    ada.browser.get("/mfa/challenge")
    notebook.mfa.password_changed(1)
    answer = ada.browser.post("/mfa/challenge", code=ada.code())
    assert answer.headers.get("location") in {"/login", None}
    assert not is_in(ada)


@pytest.mark.backends("sqlite")
def test_somebody_kept_signed_in_is_asked_once_and_kept_on(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("flask_login")
    ada = notebook.ada()
    ada.sign_in()
    ada.enroll()
    sign_out(ada)
    ada.browser.get("/login")
    answer = ada.browser.post("/login", email=ada.email, password=PASSWORD, remember="yes")
    assert answer.headers["location"] == "/mfa/challenge"
    ada.browser.get("/mfa/challenge")
    assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
    assert ada.browser.cookie("remember_token") is not None
    # The browser is closed: its session is gone, and what keeps people signed in is not a second factor.
    ada.browser.client.cookies.delete("session")
    assert ada.browser.get("/").headers["location"] == "/mfa/challenge"
    assert not is_in(ada)


@pytest.mark.backends("sqlite")
def test_a_code_makes_no_kept_sign_in_fresh_and_keeps_it_no_longer(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("flask_login")
    ada = notebook.ada()
    ada.sign_in()
    ada.enroll()
    sign_out(ada)
    notebook.act = lambda _session: login_user(people.find(notebook.engine, 1), remember=True, duration=HOUR)
    seen: dict[str, Any] = {}

    def through_the_code() -> None:
        ada.browser.get("/mfa/challenge")
        assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"

    assert ada.browser.get("/door").headers["location"] == "/mfa/challenge"
    through_the_code()
    kept = next(one for one in ada.browser.client.cookies.jar if one.name == "remember_token")
    assert kept.expires is not None
    assert kept.expires - time.time() <= HOUR.total_seconds() + 60
    notebook.act = seen.update
    ada.browser.get("/door")
    assert seen["_fresh"]

    # No password was given this time: what the application asks one for, it asks one for still.
    ada.browser.client.cookies.delete("session")
    assert ada.browser.get("/").headers["location"] == "/mfa/challenge"
    through_the_code()
    ada.browser.get("/door")
    assert not seen["_fresh"]


@pytest.mark.backends("sqlite")
def test_what_is_kept_of_somebody_else_keeps_nobody_signed_in(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("flask_login")
    ada = notebook.ada()
    ada.sign_in()
    ada.enroll()
    sign_out(ada)
    ada.browser.client.cookies.set("remember_token", "2|of-a-key-that-is-no-more", domain="testserver.local")
    ada.sign_in()
    ada.browser.get("/mfa/challenge")
    assert ada.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
    assert ada.browser.cookie("remember_token") in {None, "2|of-a-key-that-is-no-more"}


@pytest.mark.backends("sqlite")
def test_an_address_of_elsewhere_is_no_way_back(ada: Ada, notebook: Notebook) -> None:
    notebook.clock.forward(minutes=6)
    for page in (
        "https://evil.example/export",
        "https://testserver//evil.example",
        "https://testserver/\\evil.example",
    ):
        ada.browser.client.post("/export", headers={"referer": page})
    ada.browser.get("/export")
    ada.browser.get("/mfa/reverify?next=asked")
    assert ada.browser.post("/mfa/reverify?next=asked", code=ada.code()).headers["location"] == "/export"


@pytest.mark.backends("sqlite")
def test_one_read_serves_all_requests_of_two_seconds(notebook: Notebook) -> None:
    moment = [0.0]
    asked: list[object] = []

    class Face:
        async def status(self, user_id: Any) -> Any:
            asked.append(user_id)
            return notebook.mfa.status(user_id)

    epochs = Epochs(Face(), lambda: moment[0])  # type: ignore[arg-type]
    for second in (0.0, 1.9, 2.0, 3.9):
        moment[0] = second
        blocking.run(epochs.of(1))
    assert len(asked) == 2


def test_what_waits_for_a_loop_is_said_where_there_is_none() -> None:
    async def waits() -> None:
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="event loop"):
        blocking.run(waits())
