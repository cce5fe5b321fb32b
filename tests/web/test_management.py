"""What somebody who is signed in does with the second factor: set up, look, change, turn off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.people import FIREFOX, SAFARI
from tests.visitors import PASSWORD, Ada
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from tests.databases import Database
    from tests.people import Clock
    from tests.visitors import Browser


def test_looking_at_the_set_up_begins_nothing(ada: Ada) -> None:
    assert "Begin" in ada.browser.get("/mfa/setup").text
    assert "Nothing yet." in ada.browser.get("/mfa/security").text


def test_the_set_up_shows_picture_secret_account_and_issuer(ada: Ada) -> None:
    phone = ada.begin()
    page = ada.browser.get("/mfa/setup").text
    assert "<svg" in page
    assert f'data-copy="{phone.secret}"' in page
    assert "ada@example.com" in page
    assert "<dd><bdi>Twofold</bdi></dd>" in page


@pytest.mark.requirement("R44")
def test_a_wrong_first_code_leaves_the_picture_on_the_page(ada: Ada) -> None:
    phone = ada.begin()
    answer = ada.browser.post("/mfa/setup/confirm", code=phone.wrong_code())
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert phone.secret in answer.text
    assert "is off" in ada.browser.get("/mfa/security").text


@pytest.mark.requirement("R45")
def test_a_set_up_that_waited_too_long_begins_again(ada: Ada) -> None:
    phone = ada.begin()
    ada.clock.forward(minutes=11)
    answer = ada.browser.post("/mfa/setup/confirm", code=phone.code())
    assert answer.status_code == 400
    assert "Begin again" in answer.text


@pytest.mark.requirement("R12", "R28")
def test_a_set_up_forgives_mistakes_of_typing_and_ends_with_the_tenth_wrong_code(ada: Ada) -> None:
    phone = ada.begin()
    for typed, told in (("12345", "this has 5."), ("1234567", "this has 7."), ("no code", "and nothing else.")):
        answer = ada.browser.post("/mfa/setup/confirm", code=typed)
        assert answer.status_code == 400
        assert "The code has 6\xa0digits" in answer.text
        assert told in answer.text
    for _ in range(9):
        answer = ada.browser.post("/mfa/setup/confirm", code=phone.wrong_code())
        assert (answer.status_code, phone.secret in answer.text) == (400, True)
    for code in (phone.wrong_code(), phone.code()):
        answer = ada.browser.post("/mfa/setup/confirm", code=code)
        assert answer.status_code == 400
        assert "or there were too many wrong ones. Begin again." in answer.text
        assert phone.secret not in answer.text
    assert "is off" in ada.browser.get("/mfa/security").text
    ada.enroll()
    assert len(ada.backup_codes) == 10


@pytest.mark.requirement("R19", "R20")
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"suspend_after": 5}, "until it is set up anew. Confirm with a backup code"),
        ({"failure_limit": 20, "first_wait": 1, "longest_wait": 1}, "After too many wrong codes in a month"),
        ({}, "After wrong codes, codes from the app are refused for another"),
    ],
    ids=["suspended", "exhausted", "waiting"],
)
def test_the_security_page_says_what_stands_in_the_way_of_the_app(
    make_app: Callable[..., FastAPI],
    open_browser: Callable[..., Browser],
    clock: Clock,
    settings: dict[str, int],
    told: str,
) -> None:
    ada = Ada(open_browser(on=make_app(**settings)), clock)
    ada.register()
    ada.enroll()
    assert ada.phone is not None
    assert told not in ada.browser.get("/mfa/security").text
    ada.browser.get("/mfa/reverify?next=security")
    for _ in range(settings.get("failure_limit", 5)):
        ada.browser.post("/mfa/reverify?next=security", code=ada.phone.wrong_code())
        clock.forward(seconds=2)
    assert told in ada.browser.get("/mfa/security").text


@pytest.mark.requirement("R37")
def test_backup_codes_are_shown_on_their_own_page_alone(enrolled: Ada) -> None:
    for path in ("/mfa/security", "/mfa/setup", "/mfa/backup-codes/regenerate", "/"):
        page = enrolled.browser.get(path).text
        assert not any(code in page for code in enrolled.backup_codes)


@pytest.mark.requirement("R36", "R40")
def test_new_backup_codes_end_the_old_ones(enrolled: Ada) -> None:
    made = enrolled.regenerate()
    assert len(made) == 10
    assert not set(made) & set(enrolled.backup_codes)
    enrolled.sign_out()
    enrolled.sign_in()
    assert enrolled.browser.post("/mfa/challenge", code=enrolled.backup_codes[0]).status_code == 400
    assert enrolled.browser.post("/mfa/challenge", code=made[0]).headers["location"] == "/"


@pytest.mark.requirement("R38", "R47", "R83")
def test_a_proof_that_is_too_old_asks_for_a_code(enrolled: Ada) -> None:
    enrolled.keep_codes()
    enrolled.clock.forward(minutes=6)
    enrolled.browser.get("/mfa/backup-codes/regenerate")
    answer = enrolled.browser.post("/mfa/backup-codes/regenerate", sure="yes")
    assert answer.headers["location"].startswith("/mfa/reverify?next=security&then=")
    enrolled.browser.get("/mfa/reverify?next=security")
    assert enrolled.browser.post("/mfa/reverify?next=security", code="000 000").status_code == 400
    enrolled.browser.post("/mfa/reverify?next=security", code=enrolled.code())
    assert len(enrolled.regenerate()) == 10


def test_turning_off_must_be_meant(enrolled: Ada) -> None:
    assert enrolled.browser.post("/mfa/disable").status_code == 400
    assert enrolled.browser.post("/mfa/disable", sure="yes").status_code == 303
    assert "Two-step sign-in is off" in enrolled.browser.get("/mfa/security").text
    enrolled.sign_out()
    assert enrolled.sign_in().headers["location"] == "/"


def test_another_phone_takes_over_without_a_gap(enrolled: Ada) -> None:
    old = enrolled.phone
    assert old is not None
    new = enrolled.begin()
    assert "Use another authenticator app" in enrolled.browser.get("/mfa/setup").text
    enrolled.browser.get("/mfa/reverify")
    assert enrolled.browser.post("/mfa/reverify", code=enrolled.code()).status_code == 303
    enrolled.browser.get("/mfa/setup")
    answer = enrolled.browser.post("/mfa/setup/confirm", code=new.code())
    assert answer.headers["location"] == "/mfa/backup-codes"
    assert "Save your backup codes" in enrolled.browser.get("/mfa/backup-codes").text
    enrolled.phone = new
    enrolled.browser.get("/")
    enrolled.sign_out()
    enrolled.sign_in()
    enrolled.clock.forward(seconds=60)
    assert enrolled.browser.post("/mfa/challenge", code=old.code()).status_code == 400
    assert enrolled.browser.post("/mfa/challenge", code=enrolled.code()).headers["location"] == "/"


@pytest.mark.requirement("R46")
@pytest.mark.attack("A23")
def test_the_secret_to_come_is_shown_to_nobody_without_a_fresh_code(enrolled: Ada) -> None:
    enrolled.begin()
    enrolled.clock.forward(minutes=6)
    assert enrolled.browser.get("/mfa/setup").headers["location"] == "/mfa/reverify?next=setup"


@pytest.mark.requirement("R79")
def test_devices_can_be_revoked_one_by_one_and_all_at_once(waiting: Ada) -> None:
    waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    page = waiting.browser.get("/mfa/security").text
    [device] = re.findall(r"/mfa/devices/(\d+)/revoke", page)
    assert waiting.browser.post(f"/mfa/devices/{device}/revoke").headers["location"].endswith("done=revoked")
    assert waiting.browser.post(f"/mfa/devices/{device}/revoke").headers["location"].endswith("done=revoked")
    assert waiting.browser.post("/mfa/devices/revoke-all").headers["location"].endswith("done=all_revoked")
    waiting.sign_out()
    assert waiting.sign_in().headers["location"] == "/mfa/challenge"


@pytest.mark.requirement("R49", "R79")
@pytest.mark.attack("A25")
def test_nobody_revokes_the_device_of_somebody_else(waiting: Ada, open_browser: Callable[..., Browser]) -> None:
    waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    [device] = re.findall(r"/mfa/devices/(\d+)/revoke", waiting.browser.get("/mfa/security").text)
    mallory = type(waiting)(open_browser(), waiting.clock, "mallory@example.com")
    mallory.register()
    mallory.enroll()
    assert mallory.browser.post(f"/mfa/devices/{device}/revoke").status_code == 404
    assert "Stop trusting" in waiting.browser.get("/mfa/security").text


def test_what_happened_is_told_in_words_and_page_by_page(enrolled: Ada) -> None:
    for number in range(12):
        # From another place each time: what is the same again would be one line.
        enrolled.browser.client.headers["user-agent"] = (FIREFOX if number % 2 else SAFARI).user_agent or ""
        enrolled.browser.get("/mfa/reverify")
        enrolled.browser.post("/mfa/reverify", code=enrolled.code())
    first = enrolled.browser.get("/mfa/security").text
    assert first.count("Confirmed with a code from the app") == 10
    [older] = re.findall(r"/mfa/security\?before=(\d+)", first)
    second = enrolled.browser.get(f"/mfa/security?before={older}").text
    assert second.count("Confirmed with a code from the app") == 2
    assert "The authenticator app was set up" in second
    assert "Set-up of an authenticator app was started" in second


def test_what_happens_again_and_again_is_one_line(enrolled: Ada) -> None:
    for _ in range(12):
        enrolled.browser.get("/mfa/reverify")
        enrolled.browser.post("/mfa/reverify", code=enrolled.code())
    page = enrolled.browser.get("/mfa/security").text
    assert page.count("Confirmed with a code from the app") == 1
    assert "12\xa0times" in page
    assert "?before=" not in page


@pytest.mark.requirement("R55")
def test_a_session_of_somebody_who_is_gone_is_ended(ada: Ada, database: Database) -> None:
    with database.engine().begin() as connection:
        connection.exec_driver_sql("DELETE FROM users")
    assert ada.browser.get("/mfa/security").headers["location"] == "/login"


@pytest.mark.requirement("R64")
def test_an_altered_row_is_an_outage_and_lets_nobody_in(waiting: Ada, database: Database) -> None:
    with database.engine().begin() as connection:
        connection.exec_driver_sql("UPDATE user_mfa_secrets SET is_enabled = 0")
    answer = waiting.browser.post("/mfa/challenge", code=waiting.code())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "Traceback" not in answer.text
    assert waiting.browser.get("/").headers["location"] == "/mfa/challenge"
    waiting.browser.post("/sign-out")
    assert waiting.sign_in().status_code == 503


@pytest.mark.requirement("R64", "R67")
def test_altered_backup_codes_are_told_as_such_and_the_app_lets_in_and_puts_them_right(
    waiting: Ada, database: Database
) -> None:
    with database.engine().begin() as connection:
        connection.exec_driver_sql("UPDATE mfa_backup_codes SET is_used = 1 WHERE id = 1")
    for code in waiting.backup_codes[:2]:
        answer = waiting.browser.post("/mfa/challenge", code=code)
        assert "Backup codes cannot be used at the moment. Use the app, and then make new ones." in answer.text
    assert waiting.browser.post("/mfa/challenge", code=waiting.code()).headers["location"] == "/"
    shown = waiting.browser.get("/mfa/security").text
    assert shown.count("Stored backup codes did not fit and do not count") == 1
    fresh = waiting.regenerate()
    assert len(fresh) == 10
    waiting.sign_out()
    waiting.sign_in()
    assert waiting.browser.post("/mfa/challenge", code=fresh[0]).headers["location"] == "/"


@pytest.mark.requirement("R64")
def test_altered_devices_are_shown_as_trusted_no_more_and_are_revoked_together(
    enrolled: Ada, database: Database
) -> None:
    enrolled.sign_out()
    enrolled.sign_in()
    enrolled.browser.post("/mfa/challenge", code=enrolled.code(), trust_device="yes")
    assert "Stop trusting" in enrolled.browser.get("/mfa/security").text
    with database.engine().begin() as connection:
        connection.exec_driver_sql("UPDATE mfa_device_trusts SET trusted_until = '2099-01-01 00:00:00'")
    assert "Stop trusting" not in enrolled.browser.get("/mfa/security").text
    enrolled.sign_out()
    assert enrolled.sign_in().headers["location"] == "/mfa/challenge"


@pytest.mark.requirement("R64")
def test_missing_tables_are_an_outage_and_let_nobody_in(waiting: Ada, database: Database) -> None:
    with database.engine().begin() as connection:
        connection.exec_driver_sql("DROP TABLE user_mfa_secrets")
    assert waiting.browser.post("/mfa/challenge", code=waiting.code()).status_code == 503
    assert waiting.browser.get("/").headers["location"] == "/mfa/challenge"


@pytest.mark.requirement("R64", "R89")
def test_a_lost_key_is_an_outage_and_lets_nobody_in(
    waiting: Ada, make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser]
) -> None:
    other = open_browser(on=make_app(keys=generate_key("k2")))
    other.client.cookies.update(waiting.browser.client.cookies)
    other.get("/mfa/challenge")
    answer = other.post("/mfa/challenge", code=waiting.code())
    assert "Please sign in again" in answer.text
    other.get("/login")
    assert other.post("/login", email=waiting.email, password=PASSWORD).status_code == 503
    assert other.get("/").headers["location"] == "/login"


@pytest.mark.requirement("R45", "R52")
@pytest.mark.attack("A28")
def test_another_session_of_the_user_does_not_see_the_waiting_secret_and_ends_with_the_set_up(
    ada: Ada, open_browser: Callable[..., Browser]
) -> None:
    thief = open_browser()
    thief.get("/login")
    thief.post("/login", email=ada.email, password=PASSWORD)
    assert thief.get("/").status_code == 200
    phone = ada.begin()
    assert phone.secret not in thief.get("/mfa/setup").text
    assert ada.browser.post("/mfa/setup/confirm", code=phone.code()).status_code == 303
    assert thief.get("/").headers["location"] == "/login"
    assert ada.browser.get("/").status_code == 200


def test_devices_of_one_name_are_told_apart_and_this_one_is_named(
    enrolled: Ada, open_browser: Callable[..., Browser]
) -> None:
    others = [Ada(open_browser(), enrolled.clock, phone=enrolled.phone) for _ in range(2)]
    for person in (*others, enrolled):
        person.browser.client.headers["user-agent"] = FIREFOX.user_agent or ""
        if person is enrolled:
            person.sign_out()
        person.sign_in()
        person.browser.post("/mfa/challenge", code=person.code(), trust_device="yes")
    page = enrolled.browser.get("/mfa/security").text
    labels = re.findall(r'aria-label="Stop trusting ([^"]+)"', page)
    assert labels == ["Firefox on Linux (3)", "Firefox on Linux (2)", "Firefox on Linux"]
    assert page.count("This device") == 1
    assert page.index("Firefox on Linux (3)") < page.index("This device") < page.index("Firefox on Linux (2)")
    assert page.count("first trusted") == 3
