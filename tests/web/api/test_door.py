"""Who may ask for an operation, and what is not a request of ours: on every operation of the table."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.people import enroll
from twofold.web.api.door import methods
from twofold.web.api.operations import OPERATIONS, Operation
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from httpx2 import Response

    from tests.databases import Database
    from tests.web.api.host import Host, Program
    from twofold import MFA

pytestmark = pytest.mark.backends("sqlite")

UNSAFE = [operation for operation in OPERATIONS if not operation.is_safe]
BODIES: dict[str, dict[str, Any]] = {
    "answer": {"code": "000000"},
    "reverify": {"code": "000000"},
    "confirm_totp": {"code": "000000"},
    "rename_device": {"name": "The red one"},
    "rename_passkey": {"name": "The red one"},
    "answer_by_passkey": {"passkey": {}},
    "reverify_by_passkey": {"passkey": {}},
    "confirm_passkey": {"passkey": {}},
}


def filled(path: str) -> str:
    """An address with a number where one belongs."""
    return "/mfa/api" + re.sub(r"{\w+}", "1", path)


def ask(program: Program, operation: Operation, **headers: str) -> Response:
    """Ask as a client that has exactly these headers."""
    path = filled(operation.path)
    return program.client.request(operation.method, path, json=BODIES.get(operation.name), headers=headers)


def reason(answer: Response) -> str:
    """The reason of a problem, which has all that a problem has."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"] == f"urn:twofold:problem:{told['reason'].replace('_', '-')}"
    assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)
    return str(told["reason"])


def half_way_in(program: Program) -> Program:
    """Ada in a browser, after the password and before the code."""
    program.sign_in()
    program.enroll()
    program.client.cookies.clear()
    program.sign_in()
    return program


def test_nobody_is_told_anything(open_program: Callable[..., Program]) -> None:
    program = open_program(is_app=False)
    for operation in OPERATIONS:
        answer = ask(program, operation)
        if operation.name == "status":
            assert answer.json()["state"] == "signed_out"
        else:
            assert answer.status_code == 401
            assert reason(answer) == ("no_login_waits" if operation.audience == (Waiting,) else "signed_out")
            assert answer.headers["www-authenticate"] == "Session"


def test_who_is_half_way_in_sees_the_challenge_alone(open_program: Callable[..., Program]) -> None:
    program = half_way_in(open_program(is_app=False))
    for operation in OPERATIONS:
        if operation.name == "cancel":
            continue
        answer = ask(program, operation, **program.headers)
        if SignedIn in operation.audience and operation.name != "status":
            assert (answer.status_code, reason(answer)) == (403, "login_waits"), operation.name
        else:
            assert answer.status_code == 200 or reason(answer) in {"wrong_code", "passkey_refused"}


def test_who_waits_is_told_nothing_of_the_account(open_program: Callable[..., Program]) -> None:
    standing = half_way_in(open_program(is_app=False)).status()
    assert standing["account"] is None
    assert standing["user_id"] is None


@pytest.mark.requirement("R65")
@pytest.mark.parametrize("token", ["", "x", "of another session"])
def test_a_browser_needs_the_token_of_its_session(open_program: Callable[..., Program], token: str) -> None:
    mallory, waiting = open_program(is_app=False), half_way_in(open_program(is_app=False))
    mallory.sign_in()
    signed_in = open_program(is_app=False)
    signed_in.phone = waiting.phone
    signed_in.sign_in()
    assert signed_in.answer(signed_in.code()).status_code == 200
    sent = mallory.headers["X-CSRF-Token"] if token == "of another session" else token
    for operation in UNSAFE:
        program = waiting if operation.audience == (Waiting,) else signed_in
        assert reason(ask(program, operation, **{"X-CSRF-Token": sent})) == "csrf", operation.name


@pytest.mark.requirement("R65")
@pytest.mark.attack("A24")
@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "same-site"}]
)
def test_a_browser_of_another_site_is_refused_even_with_the_token(
    open_program: Callable[..., Program], headers: dict[str, str]
) -> None:
    program = open_program(is_app=False)
    program.sign_in()
    for operation in UNSAFE:
        answer = ask(program, operation, **program.headers, **headers)
        assert (answer.status_code, reason(answer)) == (403, "foreign_origin"), operation.name


def test_an_app_needs_no_token_wherever_its_script_is_from(open_program: Callable[..., Program]) -> None:
    program = open_program(is_app=True)
    program.sign_in()
    assert "X-CSRF-Token" not in program.headers
    told = {"signed_in", "not_enrolled", "wrong_code", "stale", "passkey_refused", "passkeys_not_offered"}
    for operation in UNSAFE:
        answer = ask(program, operation, **program.headers, origin="https://app.example")
        assert answer.status_code == 200 or reason(answer) in told, operation.name


@pytest.mark.parametrize("is_app", [False, True])
def test_a_user_who_is_gone_is_told_by_a_problem(
    open_program: Callable[..., Program], host: Host, migrated: Database, ada_id: int, *, is_app: bool
) -> None:
    signed_in, waiting = open_program(is_app=is_app), open_program(is_app=is_app)
    signed_in.sign_in()
    signed_in.enroll()
    waiting.sign_in()
    with migrated.engine().begin() as connection:
        connection.execute(sa.text("DELETE FROM users WHERE id = :id"), {"id": ada_id})
    kept, cookies = dict(host.sessions), [dict(one.client.cookies) for one in (signed_in, waiting)]

    def put_back() -> None:
        host.sessions.update(kept)
        for one, brought in zip((signed_in, waiting), cookies, strict=True):
            one.client.cookies.clear()
            one.client.cookies.update(brought)

    for operation in OPERATIONS:
        put_back()
        program = waiting if operation.audience == (Waiting,) else signed_in
        path = operation.path.replace("{device_id}", "1")
        body = BODIES.get(operation.name)
        if body is not None and operation.name == "answer" and is_app:
            body = {**body, "challenge": waiting.challenge}
        answer = program.ask(operation.method, path, body)
        if answer.status_code != 200:
            assert reason(answer) in {kind.reason for kind in operation.problems}, operation.name
    put_back()
    assert reason(signed_in.ask("GET", "/status")) == "unknown_user"
    assert (signed_in.ask("GET", "/devices").json()["reason"]) == ("unknown_user" if is_app else "signed_out")


def test_a_bearer_token_that_ended_is_told_so(open_program: Callable[..., Program]) -> None:
    answer = open_program(is_app=True).client.get("/mfa/api/devices", headers={"authorization": "Bearer x"})
    assert reason(answer) == "signed_out"
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("is_app", [False, True])
def test_an_open_session_changes_nothing_without_a_fresh_code(
    open_program: Callable[..., Program], mfa: MFA, ada_id: int, *, is_app: bool
) -> None:
    program = open_program(is_app=is_app)
    program.sign_in()
    program.enroll()
    program.clock.forward(minutes=20)
    before = mfa.status(ada_id)
    for operation in UNSAFE:
        proves = {"reverify", "reverify_by_passkey", "keep_backup_codes", "confirm_passkey", "begin_passkey"}
        if operation.audience != (SignedIn,) or operation.name in proves:
            continue
        assert reason(ask(program, operation, **program.headers)) == "stale", operation.name
    assert reason(program.ask("GET", "/totp/pending")) == "stale"
    assert mfa.status(ada_id) == before


def test_a_proof_that_is_none_counts_for_nothing(open_program: Callable[..., Program]) -> None:
    program = open_program(is_app=True)
    program.sign_in()
    program.enroll()
    del program.headers["Twofold-Proof"]
    assert reason(program.ask("POST", "/totp/disable")) == "stale"
    program.headers["Twofold-Proof"] = "x" * 5000
    assert reason(program.ask("POST", "/totp/disable")) == "stale"
    assert program.status()["amr"] == []


def test_the_proof_of_another_user_counts_for_nothing(
    open_program: Callable[..., Program], mfa: MFA, grace: int
) -> None:
    program = open_program(is_app=True)
    program.sign_in()
    program.enroll()
    program.headers["Twofold-Proof"] = enroll(mfa, grace, program.clock).verified.token
    assert reason(program.ask("POST", "/totp/disable")) == "stale"
    assert program.status()["amr"] == []
    assert mfa.status(grace).is_enrolled


def test_the_proof_of_a_browser_is_taken_from_its_session_alone(open_program: Callable[..., Program]) -> None:
    app, browser = open_program(is_app=True), open_program(is_app=False)
    app.sign_in()
    app.enroll()
    browser.sign_in()
    browser.phone = app.phone
    browser.answer(browser.code())
    browser.clock.forward(minutes=6)
    app.clock = browser.clock
    app.ask("POST", "/reverify", {"code": app.code()})
    browser.headers["Twofold-Proof"] = app.headers["Twofold-Proof"]
    assert reason(browser.ask("POST", "/totp/disable")) == "stale"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_an_address_is_used_with_its_methods_alone(open_program: Callable[..., Program], method: str) -> None:
    client = open_program(is_app=False).client
    for path in {operation.path for operation in OPERATIONS}:
        allowed = {one for operation in OPERATIONS if operation.path == path for one in methods(operation)}
        answer = client.request(method, filled(path))
        assert (answer.status_code == 405) == (method not in allowed), path
        if method not in allowed:
            assert set(answer.headers["allow"].split(", ")) == allowed


def test_what_is_nowhere_is_a_problem(open_program: Callable[..., Program]) -> None:
    client = open_program(is_app=False).client
    for path in ("", "/", "/x", "/status/", "/devices/1/2", "/%00", "/static/twofold.css"):
        for method in ("GET", "POST"):
            answer = client.request(method, f"/mfa/api{path}")
            assert (answer.status_code, reason(answer)) == (404, "not_found"), path


@pytest.fixture
def bearer(open_program: Callable[..., Program]) -> Program:
    program = open_program(is_app=True)
    program.sign_in()
    program.enroll()
    return program


NO_BODIES = [
    (b'{"code": "000000"}', "text/plain", 415, "no_json"),
    (b"code=000000", "application/x-www-form-urlencoded", 415, "no_json"),
    (b"", "", 415, "no_json"),
    (b"", "application/json", 400, "bad_request"),
    (b"{", "application/json", 400, "bad_request"),
    (b"[]", "application/json", 400, "bad_request"),
    (b"null", "application/json", 400, "bad_request"),
    (b"{}", "application/json", 400, "bad_request"),
    (b'{"code": 123456}', "application/json", 400, "bad_request"),
    (b'{"code": null}', "application/json", 400, "bad_request"),
    (b'{"code": "1", "code": "2"}', "application/json", 400, "bad_request"),
    (b'{"code": "1", "more": NaN}', "application/json", 400, "bad_request"),
    (b'{"code": "1", "secret code": 1}', "application/json", 400, "bad_request"),
    (b'{"code": "\xff"}', "application/json", 400, "bad_request"),
    (b'{"code": "\\ud800"}', "application/json", 400, "bad_request"),
    (b'\xef\xbb\xbf{"code": "1"}', "application/json", 400, "bad_request"),
    (b'{"code": "' + b"1" * 129 + b'"}', "application/json", 400, "bad_request"),
    (b"[" * 30_000, "application/json", 400, "bad_request"),
    (b'{"code": ' + b"1" * 30_000 + b"}", "application/json", 400, "bad_request"),
    (b'{"code": "' + b"1" * 40_000 + b'"}', "application/json", 413, "too_long"),
    (b'{"code": ""}', "application/json", 400, "malformed"),
    (b'{"code": "\\u0000"}', "application/json; charset=utf-8", 400, "malformed"),
]


def test_what_is_no_body_of_ours_is_refused_plainly(bearer: Program) -> None:
    for sent, content_type, status, told in NO_BODIES:
        headers = bearer.headers | ({"content-type": content_type} if content_type else {})
        answer = bearer.client.post("/mfa/api/reverify", content=sent, headers=headers)
        assert (answer.status_code, reason(answer)) == (status, told), (sent[:40], answer.text)
        assert "secret" not in answer.text


def test_an_operation_without_a_body_takes_an_empty_one(bearer: Program) -> None:
    headers = bearer.headers | {"content-type": "application/json"}
    assert bearer.client.post("/mfa/api/backup-codes/kept", content=b"{}", headers=headers).status_code == 200
    answer = bearer.client.post("/mfa/api/backup-codes/kept", content=b'{"sure": true}', headers=headers)
    assert reason(answer) == "bad_request"


def test_an_address_that_is_not_ours_is_refused(bearer: Program) -> None:
    for query in ("before=x", "before=-1", "before=0", "limit=0", "limit=101", f"before={'9' * 40}", "limit=%D9%A1"):
        answer = bearer.ask("GET", f"/events?{query}")
        assert (answer.status_code, reason(answer)) == (400, "bad_request"), query


def test_a_device_that_is_not_there_is_not_found(bearer: Program) -> None:
    for device in ("0", "-1", "9" * 18, "9" * 40, "x", "1%00", "%D9%A1"):
        answer = bearer.ask("DELETE", f"/devices/{device}")
        assert (answer.status_code, reason(answer)) == (404, "no_such_device"), device


def test_a_browser_names_neither_challenge_nor_device(open_program: Callable[..., Program]) -> None:
    program = half_way_in(open_program(is_app=False))
    for more in ({"challenge": "x"}, {"device_token": "x"}):
        (name,) = more
        answer = program.ask("POST", "/challenge", {"code": program.code(), **more})
        assert reason(answer) == "bad_request"
        assert answer.json()["errors"][0]["at"] == f"/{name}"


def test_no_secret_is_in_an_answer_but_where_it_belongs(open_program: Callable[..., Program]) -> None:
    program = open_program(is_app=False)
    program.sign_in()
    codes = program.enroll()
    program.ask("POST", "/backup-codes/kept")
    assert program.phone is not None
    for operation in OPERATIONS:
        if operation.is_safe and operation.name != "pending_totp":
            text = json.dumps(program.ask("GET", operation.path).json())
            assert program.phone.secret not in text
            assert not [code for code in codes if code in text]
            assert "v1~" not in text
