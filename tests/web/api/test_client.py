"""The client in Python goes through the story, and has every operation that an app may ask for."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from tests.people import Phone
from twofold.client import Client, Refused
from twofold.web.api.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from tests.people import Clock

pytestmark = pytest.mark.backends("sqlite")
# An app that gives up a login forgets the challenge; what waits is said by its own login.
OF_BROWSERS = {"challenge", "cancel"}


@pytest.fixture
def http(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="https://testserver")


def test_it_has_every_operation() -> None:
    assert {operation.name for operation in OPERATIONS} - OF_BROWSERS <= set(dir(Client))


def test_an_app_goes_through_the_story(http: TestClient, clock: Clock) -> None:
    def send(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        answer = http.request(method, f"/mfa{path}", headers=headers, content=body)
        return answer.status_code, answer.content

    def reason(refused: pytest.ExceptionInfo[Refused]) -> str:
        return refused.value.problem.reason

    token: list[str] = [http.post("/login?is_app=true").json()["access_token"]]
    client = Client(send, authorization=lambda: f"Bearer {token[0]}" if token else None)
    begun = client.begin_totp()
    assert client.pending_totp() == begun
    phone = Phone(begun.secret, clock)
    codes = client.confirm_totp(phone.code()).backup_codes
    assert codes == client.backup_codes().codes
    assert client.keep_backup_codes().is_kept

    token.clear()
    challenge = http.post("/login?is_app=true").json()["challenge"]
    with pytest.raises(Refused) as refused:
        client.answer(challenge, phone.wrong_code())
    assert reason(refused) == "wrong_code"
    clock.forward(seconds=60)
    passed = client.answer(challenge, phone.code(), trust_device=True)
    assert passed.session is not None
    token.append(passed.session["access_token"])
    assert client.status().is_fresh
    (device,) = client.devices().devices
    assert device.is_this
    client.rename_device(device.id, "The red one")
    client.proof = None
    with pytest.raises(Refused) as refused:
        client.revoke_device(device.id)
    assert (reason(refused), refused.value.problem.max_age) == ("stale", 300)
    clock.forward(seconds=60)
    client.reverify(phone.code())
    client.revoke_device(device.id)
    client.revoke_devices()
    assert client.regenerate_backup_codes().codes
    first = client.events(limit=3)
    assert client.events(limit=3, before=first.before).events[0].seq == first.events[-1].seq - 1
    client.disable_totp()
    assert not client.status().amr


def test_it_keeps_its_secrets_to_itself() -> None:
    client = Client(lambda *_: (200, b""), authorization=lambda: None, device_token="secret")
    assert "secret" not in repr(client)
    with pytest.raises(TypeError):
        pickle.dumps(client)
