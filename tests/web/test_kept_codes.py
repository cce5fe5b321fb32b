"""New backup codes survive a second submit, a reload and a lost answer, until their owner says that they are kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.visitors import PASSWORD, Ada, Browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from tests.databases import Database, Sources


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, databases: Sources) -> Iterator[Database]:
    with databases.database(request.param, migrated=True) as ready:
        yield ready


def kinds(app: FastAPI) -> list[str]:
    return [event.kind for event in app.state.sample.mfa.events.recent(1, limit=50)]


@pytest.mark.requirement("R37")
def test_a_reload_and_an_address_typed_show_the_same_codes(enrolled: Ada) -> None:
    for _ in range(3):
        assert enrolled.shown_codes() == enrolled.backup_codes
    page = enrolled.browser.get("/mfa/security").text
    assert "You have not said that you kept your codes. You can still see them." in page
    assert 'href="/mfa/backup-codes">See the codes</a>' in page


def test_a_confirmation_that_is_sent_twice_leads_to_the_same_codes(ada: Ada, app: FastAPI) -> None:
    phone = ada.begin()
    code, token = phone.code(), ada.browser.csrf
    for _ in range(3):
        answer = ada.browser.post("/mfa/setup/confirm", csrf=token, code=code)
        assert (answer.status_code, answer.headers["location"]) == (303, "/mfa/backup-codes")
    first = ada.shown_codes()
    assert len(first) == 10
    assert kinds(app).count("totp_confirmed") == 1
    ada.keep_codes()
    # A tab that was asleep asks again.
    assert ada.browser.post("/mfa/setup/confirm", code=code).headers["location"] == "/mfa/security"


def test_new_codes_that_are_asked_for_twice_are_made_once(enrolled: Ada, app: FastAPI) -> None:
    made = enrolled.regenerate()
    for _ in range(2):
        answer = enrolled.browser.post("/mfa/backup-codes/regenerate", sure="yes")
        assert answer.headers["location"] == "/mfa/backup-codes"
    assert enrolled.browser.get("/mfa/backup-codes/regenerate").headers["location"] == "/mfa/backup-codes"
    assert enrolled.shown_codes() == made
    assert kinds(app).count("backup_codes_regenerated") == 1
    enrolled.sign_out()
    enrolled.sign_in()
    assert enrolled.browser.post("/mfa/challenge", code=made[0]).headers["location"] == "/"


def test_new_codes_are_asked_about_first(enrolled: Ada, app: FastAPI) -> None:
    enrolled.keep_codes()
    page = enrolled.browser.get("/mfa/backup-codes/regenerate").text
    assert "The 10\xa0codes that you have left end when you make new ones." in page
    answer = enrolled.browser.post("/mfa/backup-codes/regenerate")
    assert answer.headers["location"] == "/mfa/backup-codes/regenerate"
    assert "backup_codes_regenerated" not in kinds(app)


@pytest.mark.requirement("R37")
def test_once_they_are_kept_nobody_sees_them(enrolled: Ada, app: FastAPI) -> None:
    refused = enrolled.browser.post("/mfa/backup-codes/kept")
    assert refused.status_code == 400
    assert "Keep the codes first, and then tick the box." in refused.text
    assert enrolled.backup_codes[0] in refused.text
    for _ in range(2):
        answer = enrolled.browser.post("/mfa/backup-codes/kept", kept="yes")
        assert answer.headers["location"] == "/mfa/security?done=kept"
    assert kinds(app).count("backup_codes_kept") == 1
    assert enrolled.browser.get("/mfa/backup-codes").headers["location"] == "/mfa/security"
    assert enrolled.browser.post("/mfa/backup-codes/download").headers["location"] == "/mfa/security"
    page = enrolled.browser.get("/mfa/security?done=kept").text
    assert "Your backup codes are kept." in page
    assert "You have not said" not in page


@pytest.mark.requirement("R37")
def test_after_ten_minutes_they_are_gone_and_new_ones_are_offered(enrolled: Ada) -> None:
    enrolled.clock.forward(minutes=10)
    assert enrolled.browser.get("/mfa/backup-codes").headers["location"] == "/mfa/security"
    page = enrolled.browser.get("/mfa/security").text
    assert "You have not said that you kept your codes. If you do not have them, make new ones." in page
    assert 'href="/mfa/backup-codes/regenerate">Make new codes</a>' in page
    # Whoever still has the page open may say it later.
    assert enrolled.browser.post("/mfa/backup-codes/kept", kept="yes").headers["location"] == "/mfa/security?done=kept"


@pytest.mark.requirement("R37", "R52")
def test_another_session_of_the_same_person_sees_nothing(enrolled: Ada, open_browser: Callable[..., Browser]) -> None:
    other = Ada(open_browser(), enrolled.clock, phone=enrolled.phone)
    assert other.sign_in(PASSWORD).headers["location"] == "/mfa/challenge"
    other.browser.post("/mfa/challenge", code=other.code())
    assert other.browser.get("/mfa/backup-codes").headers["location"] == "/mfa/security"
    other.browser.get("/mfa/security")
    assert other.browser.post("/mfa/backup-codes/download").headers["location"] == "/mfa/security"
    assert other.browser.post("/mfa/backup-codes/kept", kept="yes").headers["location"] == "/mfa/security"
    assert enrolled.shown_codes() == enrolled.backup_codes


def test_the_file_says_whose_codes_these_are_and_each_line_is_a_code(enrolled: Ada) -> None:
    answer = enrolled.browser.post("/mfa/backup-codes/download")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    told = 'attachment; filename="Twofold-backup-codes-ada@example.com.txt"'
    assert answer.headers["content-disposition"] == told
    assert answer.headers["cache-control"] == "no-store"
    lines = answer.text.splitlines()
    assert lines[0] == "Twofold backup codes"
    assert lines[1].startswith("ada@example.com, ")
    assert "https://testserver/login" in lines
    assert lines[-10:] == enrolled.backup_codes
    enrolled.sign_out()
    enrolled.sign_in()
    assert enrolled.browser.post("/mfa/challenge", code=f"{lines[-1]}\n").headers["location"] == "/"


@pytest.mark.parametrize("issuer", ["Acme / Söhne", "山田", 'A"b; c=d'])
def test_the_name_of_the_file_is_one_that_every_disk_takes(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], ada: Ada, issuer: str
) -> None:
    ada.browser = open_browser(on=make_app(issuer=issuer))
    ada.sign_in()
    ada.enroll()
    told = ada.browser.post("/mfa/backup-codes/download").headers["content-disposition"]
    assert told.isascii()
    assert "/" not in told
    assert told.count('"') == 2


def test_turning_off_twice_and_revoking_twice_lead_to_the_same_place(waiting: Ada) -> None:
    waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    (device,) = re.findall(r"/mfa/devices/(\d+)/revoke", waiting.browser.get("/mfa/security").text)
    for _ in range(2):
        answer = waiting.browser.post(f"/mfa/devices/{device}/revoke")
        assert answer.headers["location"] == "/mfa/security?done=revoked"
    for _ in range(2):
        answer = waiting.browser.post("/mfa/disable", sure="yes")
        assert answer.headers["location"] == "/mfa/security?done=disabled"
    assert "Two-step sign-in is off" in waiting.browser.get("/mfa/security").text
