"""Passkeys by JSON, for a browser's script and for an app: the same story, on every database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.databases import add_passkeys
from tests.passkeys.makers import MODEL, key_of
from tests.people import plain_settings
from twofold import MFA
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Clock
    from tests.web.api.host import Program

ORIGIN = "https://testserver"


@pytest.fixture
def mfa(request: pytest.FixtureRequest, migrated: Database, keys: str, clock: Clock) -> MFA:
    add_passkeys(migrated)
    more: dict[str, Any] = getattr(request, "param", {})
    # A name without a dot is no domain of a cookie, and none of a passkey; the origin says which one it is.
    return MFA(migrated.engine(), plain_settings(keys=keys, public_url=ORIGIN, **more), clock=clock)


def register(program: Program, passkey: VirtualPasskey, **more: Any) -> dict[str, Any]:
    begun = program.ask("POST", "/passkey/begin")
    assert begun.status_code == 200, begun.text
    credential = json.loads(passkey.register(begun.json()["options"]))
    done = program.ask("POST", "/passkey/confirm", {"passkey": credential, **more})
    assert done.status_code == 200, done.text
    found: dict[str, Any] = done.json()
    return found


def test_from_the_first_passkey_to_the_end(program: Program) -> None:
    program.sign_in()
    assert program.ask("GET", "/passkeys").json() == {"passkeys": [], "limit": 10, "are_offered": True}
    mine, other = VirtualPasskey(ORIGIN), VirtualPasskey(ORIGIN, can_sync=True, is_synced=True, counter=None)
    first = register(program, mine)
    assert (len(first["backup_codes"]), first["passkey"]["name"]) == (10, "Firefox on Linux")
    assert first["proven"]["amr"] == ["pwd", "hwk", "user", "mfa"]
    account = program.status()["account"]
    assert (account["is_enrolled"], account["has_app"], account["passkeys"]) == (True, False, 1)
    second = register(program, other, name="My phone")
    assert (second["backup_codes"], second["passkey"]["is_synced"]) == (None, True)
    assert program.ask("POST", "/passkey/confirm", {"passkey": {}}).json()["reason"] == "passkey_refused"

    program.client.cookies.clear()
    program.sign_in()
    if not program.is_app:
        assert program.ask("GET", "/challenge").json()["factors"] == ["passkeys", "backup_codes"]
    assert program.answer_by(VirtualPasskey(ORIGIN)).json()["reason"] == "passkey_refused"
    passed = program.answer_by(other)
    assert passed.status_code == 200, passed.text
    assert passed.json()["amr"] == ["pwd", "swk", "user", "mfa"]

    program.clock.forward(minutes=6)
    path = f"/passkeys/{second['passkey']['id']}"
    refused = program.ask("PATCH", path, {"name": "The red one"})
    assert (refused.status_code, refused.json()["reason"]) == (401, "stale")
    options = program.ask("GET", "/reverify/passkey").json()["options"]
    answer = {"passkey": json.loads(mine.sign(options))}
    stepped = program.ask("POST", "/reverify/passkey", answer)
    assert stepped.status_code == 200, stepped.text
    # The same, sent twice, is no mistake of anybody's.
    assert program.ask("POST", "/reverify/passkey", answer).status_code == 200
    assert program.ask("PATCH", path, {"name": "The red one"}).status_code == 200
    assert program.ask("PATCH", path, {"name": ""}).json()["reason"] == "bad_name"
    assert program.ask("PATCH", "/passkeys/999", {"name": "x"}).json()["reason"] == "no_such_passkey"
    names = [one["name"] for one in program.ask("GET", "/passkeys").json()["passkeys"]]
    assert names == ["The red one", "Firefox on Linux"]
    assert program.ask("DELETE", path).status_code == 200
    last = program.ask("DELETE", f"/passkeys/{first['passkey']['id']}")
    assert (last.status_code, last.json()["reason"]) == (409, "last_factor")
    assert program.ask("DELETE", "/passkeys").json()["reason"] == "last_factor"
    assert program.ask("POST", "/disable").status_code == 200
    assert program.status()["account"]["is_enrolled"] is False


def test_an_app_and_a_passkey_end_apart(program: Program) -> None:
    program.sign_in()
    program.enroll()
    passkey = VirtualPasskey(ORIGIN)
    assert register(program, passkey)["backup_codes"] is None
    program.client.cookies.clear()
    program.sign_in()
    assert program.answer_by(passkey, trust_device=True).status_code == 200
    assert len(program.ask("GET", "/devices").json()["devices"]) == 1
    assert program.ask("POST", "/totp/disable").status_code == 200
    account = program.status()["account"]
    assert (account["is_enrolled"], account["has_app"], account["passkeys"]) == (True, False, 1)
    assert program.ask("POST", "/totp/disable").status_code == 200
    assert program.status()["account"]["is_enrolled"] is True


@pytest.mark.parametrize("mfa", [{"passkey_aaguids": MODEL}], indirect=True)
def test_a_kind_that_is_not_on_the_list_is_refused_by_name(program: Program) -> None:
    program.sign_in()
    begun = program.ask("POST", "/passkey/begin").json()
    credential = json.loads(VirtualPasskey(ORIGIN).register(begun["options"]))
    refused = program.ask("POST", "/passkey/confirm", {"passkey": credential})
    assert (refused.status_code, refused.json()["reason"]) == (400, "passkey_not_allowed")
    assert refused.json()["detail"].startswith("This kind of passkey is not accepted here")
    assert register(program, key_of(ORIGIN))["passkey"]["name"]


def test_what_is_no_credential_is_refused_and_nothing_breaks(program: Program) -> None:
    program.sign_in()
    register(program, VirtualPasskey(ORIGIN))
    bad: list[dict[str, Any]] = [{}, {"rawId": 7}, {"rawId": "AAAA", "response": {"clientDataJSON": "e30"}}]
    for wrong in (*bad, {"response": []}):
        answer = program.ask("POST", "/reverify/passkey", {"passkey": wrong})
        assert (answer.status_code, answer.json()["reason"]) == (400, "passkey_refused"), wrong
