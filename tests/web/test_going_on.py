"""A change that needs a code goes on after it, and nobody makes it do anything else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from twofold.web import forms, intent

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.visitors import Ada


@pytest.fixture
def stale(waiting: Ada) -> Ada:
    """Ada, who trusts her browser, six minutes after her last code."""
    waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    waiting.browser.get("/mfa/security")
    waiting.clock.forward(minutes=6)
    return waiting


def kinds(app: FastAPI) -> list[str]:
    return [event.kind for event in app.state.sample.mfa.events.recent(1, limit=50)]


def device(ada: Ada) -> str:
    return str(re.findall(r"/mfa/devices/(\d+)/revoke", ada.browser.get("/mfa/security").text)[0])


@pytest.mark.parametrize(
    ("path", "told", "ends", "kind"),
    [
        ("/setup/begin", "the set-up of an authenticator app begins", "/mfa/setup", "totp_begun"),
        ("/disable", "two-step sign-in is turned off", "/mfa/security?done=disabled", "disabled"),
        ("/devices/revoke-all", "no device is trusted any more", "/mfa/security?done=all_revoked", "device_revoked"),
        ("/devices/{}/revoke", "the device is no longer trusted", "/mfa/security?done=revoked", "device_revoked"),
        ("/backup-codes/regenerate", "new backup codes are made", "/mfa/backup-codes", "backup_codes_regenerated"),
    ],
)
def test_what_was_asked_for_is_done_once_after_the_code(
    stale: Ada, app: FastAPI, path: str, told: str, ends: str, kind: str
) -> None:
    before = kinds(app).count(kind)
    address = stale.browser.post(f"/mfa{path.format(device(stale))}", sure="yes").headers["location"]
    assert f"Once you have confirmed, {told}" in stale.browser.get(address).text
    assert "Once you have confirmed, " in stale.browser.post(address, code="000 000").text
    code = stale.code()
    for _ in range(2):
        assert stale.browser.post(address, code=code).headers["location"] == ends
    # A set-up that is begun twice is the same set-up, with the later secret.
    assert kinds(app).count(kind) - before in ({1, 2} if kind == "totp_begun" else {1})
    page = stale.browser.get("/mfa/security").text
    assert ("Stop trusting" in page) is (path in {"/setup/begin", "/backup-codes/regenerate"})


@pytest.mark.requirement("R47")
@pytest.mark.parametrize(
    "how",
    [
        "as it is",
        "altered",
        "of another session",
        "of another realm",
        "expired",
        "unlisted field",
        "unlisted path",
        "of other factors",
    ],
)
def test_what_nobody_asked_for_here_is_not_done(stale: Ada, app: FastAPI, how: str) -> None:
    mfa, session = app.state.sample.mfa, stale.browser.cookie("__Host-sample_session") or ""
    core, asked = mfa._runtime, intent.Intent("/disable", {}, {"sure": "yes"}, mfa.status(1).epoch)
    realm, now = forms.realm_of(core.settings), core.clock()
    match how:
        case "of another session":
            session = f"{session}0"
        case "of another realm":
            realm = f"{realm}00"
        case "expired":
            now -= timedelta(minutes=11)
        case "unlisted field":
            asked = replace(asked, form={"sure": "yes", "code": "1"})
        case "unlisted path":
            asked = replace(asked, path="/setup/confirm")
        case "of other factors":
            asked = replace(asked, epoch="of before")
    token = asked.sealed(core.keyring, session, realm=realm, now=now) or ""
    if how == "altered":
        token = token[:-9] + ("0" if token[-9] != "0" else "1") + token[-8:]
    address = f"/mfa/reverify?{urlencode({'next': 'security', 'then': token})}"
    is_done = how == "as it is"
    assert ("Once you have confirmed" in stale.browser.get(address).text) is is_done
    went = stale.browser.post(address, code=stale.code()).headers["location"]
    assert went == f"/mfa/security?done={'disabled' if is_done else 'confirmed'}"
    assert mfa.status(1).is_enrolled is not is_done


def test_a_new_name_is_kept_until_it_can_be_given(stale: Ada, app: FastAPI) -> None:
    number = device(stale)
    address = stale.browser.post(f"/mfa/devices/{number}/rename", name="Ada's ノート").headers["location"]
    for text in ("Ada", "%E3%83", "QWRh"):
        assert text not in address
    assert "Once you have confirmed, the device has its new name." in stale.browser.get(address).text
    stale.browser.post(address, code="000 000")
    code = stale.code()
    for _ in range(2):
        assert stale.browser.post(address, code=code).headers["location"] == "/mfa/security?done=renamed"
    assert app.state.sample.mfa.trusted_devices.list(1)[0].name == "Ada's ノート"


def test_a_name_that_cannot_be_stands_in_its_field_after_the_code(stale: Ada, app: FastAPI) -> None:
    number, long = device(stale), "ノ" * 200
    address = stale.browser.post(f"/mfa/devices/{number}/rename", name=long).headers["location"]
    answer = stale.browser.post(address, code=stale.code())
    assert answer.status_code == 400
    assert f'value="{long}"' in answer.text
    assert "This name is too long." in answer.text
    assert app.state.sample.mfa.trusted_devices.list(1)[0].name != long
    # Nobody means a text of this length, so it is not carried along.
    stale.clock.forward(minutes=6)
    assert "then=" not in stale.browser.post(f"/mfa/devices/{number}/rename", name="x" * 257).headers["location"]


def test_new_codes_are_made_once_however_often_the_page_is_sent_again(stale: Ada, app: FastAPI) -> None:
    address = stale.browser.post("/mfa/backup-codes/regenerate", sure="yes").headers["location"]
    for _ in range(2):
        stale.browser.post(address, code=stale.code())
    assert kinds(app).count("backup_codes_regenerated") == 1
