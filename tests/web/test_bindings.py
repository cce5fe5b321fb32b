"""One notebook on each framework, one story for all: the login stays as it is, and nothing opens before the code.

`tests/web/test_doorkeeper.py` has what an adversary tries.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING

import pytest

from tests.web.notebooks import ada, framework, is_in, lines_taken, notebook, open_notebook, sign_out
from twofold.web import flask as flask_binding
from twofold.web import starlette as starlette_binding

if TYPE_CHECKING:
    from tests.visitors import Ada
    from tests.web.notebooks import Notebook

__all__ = ["ada", "framework", "notebook", "open_notebook"]

PROGRAM = {"accept": "application/json"}


def test_the_whole_story(notebook: Notebook) -> None:
    ada = notebook.ada()
    assert ada.browser.get("/").headers["location"].startswith("/login")
    assert ada.sign_in("wrong").status_code == 400
    assert ada.sign_in().headers["location"] == "/"
    assert is_in(ada)
    # What asks for a second factor leads to where one is set up.
    assert ada.browser.get("/export").headers["location"] == "/mfa/setup"
    ada.enroll()
    ada.keep_codes()
    assert is_in(ada)
    ada.browser.post("/note", note="water the plants")

    sign_out(ada)
    assert ada.sign_in().headers["location"] == "/mfa/challenge"
    # Who waits is nobody to the application, and is led back to the code.
    assert ada.browser.get("/").headers["location"] == "/mfa/challenge"
    assert ada.browser.get("/mfa/security").headers["location"] == "/mfa/challenge"
    ada.browser.get("/mfa/challenge")
    assert ada.browser.post("/mfa/challenge", code=ada.phone.wrong_code()).status_code == 400  # type: ignore[union-attr]
    assert ada.browser.post("/mfa/challenge", code=ada.code(), trust_device="yes").headers["location"] == "/"
    assert is_in(ada)
    assert ada.browser.get("/export").text == "water the plants"

    # A trusted device spares the code, and never opens what asks for one.
    sign_out(ada)
    assert ada.sign_in().headers["location"] == "/"
    assert is_in(ada)
    assert ada.browser.get("/export").headers["location"] == "/mfa/reverify?next=asked"
    form = ada.browser.get("/mfa/reverify?next=asked").text
    assert 'action="/mfa/reverify?next=asked"' in form
    assert ada.browser.post("/mfa/reverify?next=asked", code=ada.code()).headers["location"] == "/export"
    assert ada.browser.get("/export").text == "water the plants"
    notebook.clock.forward(minutes=6)
    assert ada.browser.get("/export").headers["location"] == "/mfa/reverify?next=asked"

    # The phone is lost: another browser, and a backup code.
    elsewhere = notebook.ada()
    assert elsewhere.sign_in().headers["location"] == "/mfa/challenge"
    elsewhere.browser.get("/mfa/challenge?with=backup-code")
    answer = elsewhere.browser.post("/mfa/challenge", code=ada.backup_codes[0])
    assert answer.headers["location"] == "/"
    assert elsewhere.browser.get("/mfa/security").status_code == 200
    kinds = {event.kind for event in notebook.mfa.events.recent(1)}
    assert {"code_accepted", "device_trusted"} <= kinds


@pytest.mark.backends("sqlite")
def test_a_set_up_ends_every_other_session(notebook: Notebook) -> None:
    thief, ada = notebook.ada(), notebook.ada()
    thief.sign_in()
    ada.sign_in()
    assert is_in(thief)
    ada.enroll()
    assert is_in(ada)
    assert not is_in(thief)
    assert thief.browser.get("/mfa/security").headers["location"].startswith("/login")


@pytest.mark.backends("sqlite")
def test_what_an_operator_does_ends_sessions_within_two_seconds(ada: Ada, notebook: Notebook) -> None:
    assert is_in(ada)
    notebook.mfa.password_changed(1)
    time.sleep(2.1)
    assert not is_in(ada)


@pytest.mark.backends("sqlite")
def test_whoever_changes_the_password_goes_on_and_nobody_else(ada: Ada, notebook: Notebook) -> None:
    thief = notebook.ada()
    assert thief.sign_in().headers["location"] == "/mfa/challenge"
    thief.browser.get("/mfa/challenge")
    assert thief.browser.post("/mfa/challenge", code=ada.code()).headers["location"] == "/"
    if hasattr(notebook.app, "wsgi_app"):
        notebook.act = lambda _session: flask_binding.password_changed()
    else:
        notebook.act_on = starlette_binding.password_changed
    assert ada.browser.get("/door").status_code == 200
    assert is_in(ada)
    assert not is_in(thief)
    assert "password_changed" in {event.kind for event in notebook.mfa.events.recent(1)}


@pytest.mark.backends("sqlite")
def test_the_code_sent_twice_signs_in_once_more(ada: Ada, notebook: Notebook) -> None:
    sign_out(ada)
    ada.sign_in()
    ada.browser.get("/mfa/challenge")
    before, code = ada.browser.profile(), ada.code()
    assert ada.browser.post("/mfa/challenge", code=code).headers["location"] == "/"
    ada.browser.put_back(before)
    assert ada.browser.post("/mfa/challenge", code=code).headers["location"] == "/"
    assert is_in(ada)


@pytest.mark.backends("sqlite")
def test_a_program_reads_what_is_missing(notebook: Notebook) -> None:
    ada = notebook.ada()
    problem = ada.browser.client.get("/export", headers=PROGRAM)
    assert (problem.status_code, problem.json()["reason"]) == (401, "signed_out")
    ada.sign_in()
    problem = ada.browser.client.get("/export", headers=PROGRAM)
    assert (problem.status_code, problem.json()["reason"]) == (403, "enrollment_needed")
    ada.enroll()
    notebook.clock.forward(minutes=6)
    problem = ada.browser.client.get("/export", headers=PROGRAM)
    assert (problem.status_code, problem.json()["reason"]) == (401, "stale")
    asked = problem.headers["www-authenticate"]
    assert asked.startswith('Session error="insufficient_user_authentication"')
    assert asked.endswith('max_age="300"')
    assert problem.headers["content-type"] == "application/problem+json"


@pytest.mark.backends("sqlite")
def test_while_the_database_is_away_nobody_is_let_in(
    ada: Ada, notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    time.sleep(2.1)
    with notebook.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE user_mfa_secrets RENAME TO elsewhere")
    answer = ada.browser.get("/")
    assert answer.status_code == 503
    assert "We will be back soon" in answer.text
    problem = ada.browser.client.get("/", headers=PROGRAM)
    assert (problem.status_code, problem.json()["reason"]) == (503, "unavailable")
    # What the operator reads names the cause, whoever asked.
    causes = [vars(record).get("twofold_problem") for record in caplog.records if record.name == "twofold.web"]
    assert len(causes) == 2
    assert all("twofold db verify" in str(cause) for cause in causes), causes
    with notebook.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO user_mfa_secrets")


def test_it_takes_few_lines(framework: str) -> None:
    lines = lines_taken(importlib.import_module(f"examples.notebook.on_{framework}"))
    assert len(lines) <= 15, lines


@pytest.mark.backends("sqlite")
def test_a_program_in_the_browser_goes_through_it_by_json(ada: Ada, notebook: Notebook) -> None:
    sign_out(ada)
    client = ada.browser.client
    assert client.get("/mfa/api/status", headers=PROGRAM).json()["state"] == "signed_out"
    ada.sign_in()
    standing = client.get("/mfa/api/status", headers=PROGRAM).json()
    assert standing["state"] == "waiting"
    asked = {"accept": "application/json", "x-csrf-token": standing["csrf_token"]}
    refused = client.post("/mfa/api/challenge", json={"code": ada.code()}, headers=PROGRAM)
    assert (refused.status_code, refused.json()["reason"]) == (403, "csrf")
    passed = client.post("/mfa/api/challenge", json={"code": ada.code()}, headers=asked)
    assert passed.status_code == 200, passed.text
    standing = client.get("/mfa/api/status", headers=PROGRAM).json()
    assert (standing["state"], standing["is_fresh"]) == ("signed_in", True)
    assert is_in(ada)
    assert client.get("/export", headers=PROGRAM).status_code == 200
    assert client.get("/mfa/api/nowhere", headers=PROGRAM).json()["reason"] == "not_found"
    assert client.delete("/mfa/api/status", headers=PROGRAM).status_code == 405
