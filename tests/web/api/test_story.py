"""The whole story of a second factor by JSON, the same by cookie and by bearer token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from tests.people import Phone, plain_settings
from tests.web.api.host import Program, build
from twofold import AsyncMFA
from twofold.database import create_async_engine
from twofold.web.visit import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database
    from tests.people import Clock
    from tests.web.api.host import Host
    from twofold import MFA

# What the library decides, its own tests show on each database; here it is what the door says of it.
pytestmark = pytest.mark.by_turns


def test_from_the_set_up_to_its_end(program: Program, mfa: MFA, ada_id: int) -> None:
    assert program.status()["state"] == "signed_out"
    standing = program.sign_in()
    assert (standing["state"], standing["account"]["is_enrolled"]) == ("signed_in", False)
    assert (standing["user_id"], standing["account_name"]) == (str(ada_id), "ada@example.com")

    begun = program.ask("POST", "/totp/begin").json()
    assert begun["uri"].startswith("otpauth://totp/Twofold:ada%40example.com?secret=")
    assert begun["qr_svg"].startswith("<svg")
    assert program.ask("GET", "/totp/pending").json() == begun
    program.phone = Phone(begun["secret"], program.clock)
    confirmed = program.ask("POST", "/totp/confirm", {"code": program.phone.code()}).json()
    assert len(confirmed["backup_codes"]) == 10
    assert confirmed["proven"]["amr"] == ["pwd", "otp", "mfa"]
    again = program.ask("POST", "/totp/confirm", {"code": program.phone.code()}).json()
    assert (again["backup_codes"], again["proven"]) == (confirmed["backup_codes"], None)
    shown = program.ask("GET", "/backup-codes").json()
    assert (shown["codes"], shown["is_kept"], shown["remaining"]) == (confirmed["backup_codes"], False, 10)
    kept = program.ask("POST", "/backup-codes/kept").json()
    assert (kept["codes"], kept["is_kept"]) == (None, True)

    program.client.cookies.clear()
    standing = program.sign_in()
    assert standing["state"] == ("signed_out" if program.is_app else "waiting")
    wrong = program.answer(program.phone.wrong_code())
    assert (wrong.status_code, wrong.json()["reason"]) == (400, "wrong_code")
    program.clock.forward(seconds=60)
    passed = program.answer(program.phone.code(), trust_device=True)
    assert passed.status_code == 200, passed.text
    assert passed.json()["amr"] == ["pwd", "otp", "mfa"]
    assert bool(passed.json()["proof"]) == bool(passed.json()["device"]) == bool(passed.json()["session"])
    assert bool(passed.json()["proof"]) == program.is_app
    standing = program.status()
    assert (standing["state"], standing["is_fresh"], standing["amr"]) == ("signed_in", True, ["pwd", "otp", "mfa"])
    assert standing["auth_time"] == int(program.clock.now.timestamp())

    # The device needs no code, and gives no proof of one.
    assert program.sign_in()["is_fresh"] is False
    (device,) = program.ask("GET", "/devices", device=program.device or "").json()["devices"]
    assert (device["name"], device["is_this"], device["usage_count"]) == ("Firefox on Linux", True, 1)
    refused = program.ask("PATCH", f"/devices/{device['id']}", {"name": "The red one"})
    assert (refused.status_code, refused.json()["reason"]) == (401, "stale")
    assert refused.json()["max_age"] == 300
    scheme = "Bearer" if program.is_app else "Session"
    asked = refused.headers["www-authenticate"]
    assert asked.startswith(f'{scheme} error="insufficient_user_authentication"')
    assert 'max_age="300"' in asked

    stepped = program.ask("POST", "/reverify", {"code": program.code()})
    assert stepped.status_code == 200, stepped.text
    assert program.ask("PATCH", f"/devices/{device['id']}", {"name": "The red one"}).status_code == 200
    assert program.ask("PATCH", f"/devices/{device['id']}", {"name": "\u202e"}).json()["reason"] == "bad_name"
    assert program.ask("GET", "/devices").json()["devices"][0]["name"] == "The red one"
    assert program.ask("DELETE", f"/devices/{device['id']}").status_code == 200
    assert program.ask("GET", "/devices").json()["devices"] == []
    assert program.ask("DELETE", "/devices/999").json()["reason"] == "no_such_device"
    assert program.ask("DELETE", "/devices").status_code == 200
    made = program.ask("POST", "/backup-codes").json()
    assert len(made["codes"]) == 10
    assert set(made["codes"]).isdisjoint(confirmed["backup_codes"])
    assert program.ask("POST", "/backup-codes").json()["codes"] == made["codes"]

    events = program.ask("GET", "/events", None).json()
    assert events["events"][0]["sentence"] == "New backup codes were made"
    pages, before = [], ""
    while True:
        page = program.ask("GET", f"/events?limit=5{before}").json()
        pages += [event["seq"] for event in page["events"]]
        if page["before"] is None:
            break
        before = f"&before={page['before']}"
    assert pages == [event.seq for event in mfa.events.recent(ada_id, limit=1000)]

    assert program.ask("POST", "/totp/disable").status_code == 200
    assert program.ask("POST", "/totp/disable").status_code == 200
    assert program.status()["account"]["is_enrolled"] is False
    assert not mfa.status(ada_id).is_enrolled
    if program.is_app:
        assert not [name for name in program.client.cookies if "twofold" in name]


def test_a_backup_code_lets_in_and_trusts_nothing(waiting: Program, mfa: MFA, ada_id: int) -> None:
    codes = mfa.backup_codes.regenerate(mfa.reverify(ada_id, waiting.code()))
    waiting.sign_in()
    passed = waiting.answer(codes[0].lower(), trust_device=True).json()
    assert (passed["amr"], passed["device"]) == (["pwd", "backup_code", "mfa"], None)
    assert mfa.status(ada_id).trusted_devices == 0
    assert mfa.status(ada_id).backup_codes_remaining == 9


def test_a_change_ends_every_other_session(enrolled: Program, open_program: Callable[..., Program]) -> None:
    other = open_program(is_app=not enrolled.is_app)
    other.phone = enrolled.phone
    other.sign_in()
    assert other.answer(other.code()).status_code == 200
    assert other.status()["state"] == "signed_in"
    assert enrolled.ask("POST", "/totp/disable").status_code == 200
    assert enrolled.status()["state"] == "signed_in"
    assert other.status()["state"] == "signed_out"


def test_waits_are_told_in_seconds(waiting: Program) -> None:
    assert waiting.phone is not None
    for _ in range(4):
        answer = waiting.answer(waiting.phone.wrong_code())
        assert (answer.status_code, answer.json()["reason"]) == (400, "wrong_code")
    for seconds in (30, 30):
        answer = waiting.answer(waiting.phone.wrong_code())
        assert (answer.status_code, answer.json()["reason"]) == (429, "waiting")
        assert answer.json()["retry_after"] == int(answer.headers["retry-after"]) == seconds
    assert "Try again" in answer.json()["detail"]
    german = waiting.ask(
        "POST",
        "/challenge",
        {"code": "000000", **({"challenge": waiting.challenge} if waiting.is_app else {})},
        language="de",
    )
    assert german.headers["content-language"] == "de"
    assert german.json()["detail"] != answer.json()["detail"]
    assert german.json()["title"] == answer.json()["title"]


def test_a_used_code_looks_like_any_wrong_one(waiting: Program) -> None:
    code = waiting.code()
    assert waiting.answer(code).status_code == 200
    waiting.client.cookies.clear()
    waiting.sign_in()
    used = waiting.answer(code)
    assert waiting.phone is not None
    wrong = waiting.answer(waiting.phone.wrong_code())
    assert used.json() == wrong.json()
    assert used.status_code == wrong.status_code


def test_a_login_that_waited_too_long_begins_anew(waiting: Program) -> None:
    waiting.clock.forward(minutes=11)
    answer = waiting.answer(waiting.code())
    assert (answer.status_code, answer.json()["reason"]) == (400, "challenge_expired")
    assert "waited too long" in answer.json()["detail"]
    if not waiting.is_app:
        assert waiting.status()["state"] == "signed_out"


def test_an_answer_that_was_lost_is_given_again(waiting: Program) -> None:
    code = waiting.code()
    if waiting.is_app:
        assert waiting.answer(code).status_code == 200
        waiting.headers.clear()
        assert waiting.answer(code).json()["amr"] == ["pwd", "otp", "mfa"]
    else:
        assert waiting.ask("GET", "/challenge").json()["factors"] == ["totp", "backup_codes"]
        assert waiting.answer(code).status_code == 200
        assert waiting.answer(code).json()["reason"] == "signed_in"


def test_a_browser_whose_cookie_was_lost_asks_again(open_program: Callable[..., Program], host: Host) -> None:
    program = open_program(is_app=False)
    program.sign_in()
    program.enroll()
    program.client.cookies.clear()
    program.sign_in()
    host.is_patient = True
    code, cookies = program.code(), dict(program.client.cookies)
    assert program.answer(code).status_code == 200
    program.client.cookies.clear()
    program.client.cookies.update(cookies)
    assert (program.status()["state"], program.status()["challenge"]) == ("waiting", None)
    assert program.ask("GET", "/challenge").json()["reason"] == "already_answered"
    assert program.phone is not None
    assert program.ask("POST", "/challenge", {"code": code}).json()["amr"] == ["pwd", "otp", "mfa"]
    program.client.cookies.clear()
    program.client.cookies.update(cookies)
    program.status()
    assert (
        program.ask("POST", "/challenge", {"code": program.phone.wrong_code()}).json()["reason"] == "already_answered"
    )


def test_a_host_may_hold_the_waiting_login_of_an_app(
    open_program: Callable[..., Program], host: Host, mfa: MFA, ada_id: int
) -> None:
    program = open_program(is_app=True)
    program.sign_in()
    program.enroll()
    program.sign_in()
    assert program.challenge
    host.sessions["half-way"] = Waiting("half-way", program.challenge, "ada@example.com", is_bearer=True)
    program.headers["Authorization"] = "Bearer half-way"
    assert program.ask("GET", "/challenge").json()["may_trust_device"]
    assert program.answer(program.code()).json()["reason"] == "bad_request"
    passed = program.ask("POST", "/challenge", {"code": program.code(), "trust_device": True})
    assert passed.status_code == 200
    assert passed.json()["proof"]
    assert passed.json()["device"]["token"]
    assert "half-way" not in host.sessions
    assert mfa.status(ada_id).trusted_devices == 1


def test_the_awaited_face_answers_the_same(migrated: Database, mfa: MFA, ada_id: int, keys: str, clock: Clock) -> None:
    engine = create_async_engine(migrated.url)
    app, _ = build(mfa, ada_id, AsyncMFA(engine, plain_settings(keys=keys), clock=clock))
    with TestClient(app, base_url="https://testserver") as client:
        program = Program(client, clock, is_app=True)
        program.sign_in()
        assert len(program.enroll()) == 10
        program.sign_in()
        assert program.answer(program.code(), trust_device=True).status_code == 200
        assert len(program.ask("GET", "/devices").json()["devices"]) == 1
        assert program.ask("POST", "/totp/disable").status_code == 200
        assert client.portal is not None
        client.portal.call(engine.dispose)


def test_a_login_is_given_up(waiting: Program) -> None:
    answer = waiting.ask("POST", "/challenge/cancel")
    if waiting.is_app:
        assert (answer.status_code, answer.json()["reason"]) == (401, "no_login_waits")
    else:
        assert answer.status_code == 200
        assert waiting.status()["state"] == "signed_out"


def test_another_app_takes_the_place_of_the_first(enrolled: Program) -> None:
    first = enrolled.phone
    enrolled.clock.forward(minutes=10)
    assert enrolled.ask("POST", "/totp/begin").json()["reason"] == "stale"
    enrolled.ask("POST", "/reverify", {"code": enrolled.code()})
    enrolled.enroll()
    assert enrolled.phone != first
    enrolled.client.cookies.clear()
    enrolled.sign_in()
    assert enrolled.answer(enrolled.code()).status_code == 200


def test_what_the_host_cannot_do_is_told(waiting: Program, host: Host) -> None:
    host.is_broken = "after"
    answer = waiting.answer(waiting.code())
    assert (answer.status_code, answer.json()["reason"]) == (503, "unfinished")
    host.is_broken = "before"
    answer = waiting.answer(waiting.code())
    assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
    assert "nothing was changed" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "30"
