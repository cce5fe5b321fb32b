"""A login over HTTP: the password, the code, and the browser that is trusted afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.visitors import PASSWORD, Ada

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from tests.people import Clock
    from tests.visitors import Browser

SESSION = "__Host-sample_session"


def test_a_code_opens_the_door(waiting: Ada) -> None:
    answer = waiting.browser.post("/mfa/challenge", code=waiting.code())
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Password and a second step" in waiting.browser.get("/").text


@pytest.mark.requirement("R40", "R41")
def test_a_backup_code_opens_it_as_well_however_it_is_typed(waiting: Ada) -> None:
    page = waiting.browser.get("/mfa/challenge?with=backup-code").text
    assert 'inputmode="text"' in page
    code = f" {waiting.backup_codes[0].lower().replace('-', ' ')} "
    assert waiting.browser.post("/mfa/challenge?with=backup-code", code=code).headers["location"] == "/"
    assert "9 of 10 left" in waiting.browser.get("/mfa/security").text


def test_one_field_takes_both_kinds_of_code(waiting: Ada) -> None:
    page = waiting.browser.get("/mfa/challenge").text
    assert 'autocomplete="one-time-code"' in page
    assert 'inputmode="numeric"' in page
    assert "pattern=" not in page
    assert waiting.browser.post("/mfa/challenge", code=waiting.backup_codes[1]).headers["location"] == "/"


@pytest.mark.requirement("R62")
@pytest.mark.attack("A29")
def test_every_step_has_a_session_of_its_own_and_the_old_one_is_dead(enrolled: Ada) -> None:
    browser, seen = enrolled.browser, [enrolled.browser.cookie(SESSION)]
    enrolled.sign_out()
    browser.get("/login")
    seen.append(browser.cookie(SESSION))
    browser.post("/login", email=enrolled.email, password=PASSWORD)
    seen.append(browser.cookie(SESSION))
    browser.get("/mfa/challenge")
    browser.post("/mfa/challenge", code=enrolled.code())
    seen.append(browser.cookie(SESSION))
    assert len(set(seen)) == 4
    for dead in seen[:-1]:
        browser.client.cookies.clear()
        assert browser.client.get("/", headers={"cookie": f"{SESSION}={dead}"}).headers["location"] == "/login"
    assert browser.client.get("/", headers={"cookie": f"{SESSION}={seen[-1]}"}).status_code == 200


@pytest.mark.requirement("R25")
def test_wrong_codes_lead_to_a_wait_that_a_right_one_does_not_shorten(waiting: Ada) -> None:
    assert waiting.phone is not None
    answers = [waiting.browser.post("/mfa/challenge", code=waiting.phone.wrong_code()) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 429]
    assert answers[4].headers["retry-after"] == "30"
    right = waiting.browser.post("/mfa/challenge", code=waiting.phone.code())
    assert (right.status_code, right.headers["retry-after"]) == (429, "30")
    assert right.text == answers[4].text
    assert "Try again in 30\xa0seconds." in right.text
    assert '<a href="/mfa/challenge?with=backup-code">A backup code works at once.</a>' in right.text
    assert waiting.browser.post("/mfa/challenge", code=waiting.backup_codes[0]).headers["location"] == "/"


@pytest.mark.requirement("R12")
def test_what_does_not_look_like_a_code_is_said_so_and_costs_nothing(waiting: Ada) -> None:
    for typed in ("12345", "1234567", "hello", "ABCD-2345", "１２３"):
        answer = waiting.browser.post("/mfa/challenge", code=typed)
        assert answer.status_code == 400
        assert "The code has 6\xa0digits" in answer.text
        assert "retry-after" not in answer.headers
    code = waiting.code()
    assert waiting.browser.post("/mfa/challenge", code=f" {code[:3]} {code[3:]} ").headers["location"] == "/"


@pytest.mark.requirement("R19", "R26")
def test_whoever_is_suspended_reads_that_only_a_set_up_helps_and_gets_there_by_a_backup_code(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], clock: Clock
) -> None:
    ada = Ada(open_browser(on=make_app(suspend_after=5)), clock)
    ada.register()
    ada.enroll()
    ada.sign_out()
    ada.sign_in()
    assert ada.phone is not None
    for _ in range(5):
        ada.browser.post("/mfa/challenge", code=ada.phone.wrong_code())
    clock.forward(minutes=1)
    answer = ada.browser.post("/mfa/challenge", code=ada.phone.code())
    assert answer.status_code == 429
    assert "until it is set up anew. A backup code lets you in to do that" in answer.text
    assert ada.browser.post("/mfa/challenge", code=ada.backup_codes[0]).headers["location"] == "/"


@pytest.mark.requirement("R20", "R26")
def test_whoever_failed_too_often_in_a_month_reads_how_long_it_takes(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], clock: Clock
) -> None:
    ada = Ada(open_browser(on=make_app(failure_limit=20, first_wait=1, longest_wait=1)), clock)
    ada.register()
    ada.enroll()
    ada.sign_out()
    ada.sign_in()
    assert ada.phone is not None
    for _ in range(20):
        assert ada.browser.post("/mfa/challenge", code=ada.phone.wrong_code()).status_code in {400, 429}
        clock.forward(seconds=2)
    answer = ada.browser.post("/mfa/challenge", code=ada.phone.code())
    assert answer.status_code == 429
    assert timedelta(hours=35) < timedelta(seconds=int(answer.headers["retry-after"])) <= timedelta(hours=36)
    assert "Try again in 36\xa0hours, and begin the sign-in anew then." in answer.text
    assert "A backup code works at once." in answer.text
    assert ada.browser.post("/mfa/challenge", code=ada.backup_codes[0]).headers["location"] == "/"


@pytest.mark.requirement("R67")
@pytest.mark.attack("A40")
def test_a_used_code_is_refused_in_the_same_words_as_a_wrong_one(waiting: Ada) -> None:
    assert waiting.phone is not None
    code = waiting.code()
    waiting.browser.post("/mfa/challenge", code=code)
    waiting.sign_out()
    waiting.sign_in()
    used = waiting.browser.post("/mfa/challenge", code=code)
    wrong = waiting.browser.post("/mfa/challenge", code=waiting.phone.wrong_code())
    assert (used.status_code, used.text) == (wrong.status_code, wrong.text)
    waiting.clock.forward(days=-1)
    right = waiting.browser.post("/mfa/challenge", code=waiting.phone.code())
    assert (right.status_code, right.text) == (wrong.status_code, wrong.text)


@pytest.mark.requirement("R61")
def test_a_login_that_waited_too_long_begins_again(waiting: Ada) -> None:
    waiting.clock.forward(minutes=11)
    answer = waiting.browser.post("/mfa/challenge", code=waiting.code())
    assert answer.status_code == 400
    assert "This sign-in waited too long." in answer.text
    assert "No sign-in is waiting here." in waiting.browser.get("/mfa/challenge").text


def test_a_login_can_be_given_up(waiting: Ada) -> None:
    assert waiting.browser.post("/mfa/challenge/cancel").headers["location"] == "/login"
    assert "No sign-in is waiting here." in waiting.browser.get("/mfa/challenge").text


@pytest.mark.requirement("R68")
@pytest.mark.attack("A33")
def test_unknown_address_and_wrong_password_read_alike(ada: Ada) -> None:
    ada.sign_out()
    ada.browser.get("/login")
    known = ada.browser.post("/login", email=ada.email, password="wrong")
    unknown = ada.browser.post("/login", email="eve@example.com", password="wrong")
    assert known.status_code == unknown.status_code == 400
    assert known.text.replace(ada.email, "") == unknown.text.replace("eve@example.com", "")


def trust(ada: Ada) -> None:
    ada.browser.post("/mfa/challenge", code=ada.code(), trust_device="yes")
    ada.sign_out()


def test_a_trusted_browser_skips_the_code_and_gets_a_new_cookie_each_time(waiting: Ada) -> None:
    trust(waiting)
    before = waiting.browser.device()
    assert waiting.sign_in().headers["location"] == "/"
    assert waiting.browser.device() not in {before, None}
    assert "on a trusted device" in waiting.browser.get("/").text


def test_a_browser_that_is_trusted_again_is_one_device(waiting: Ada) -> None:
    for _ in range(3):
        trust(waiting)
        old = waiting.browser.profile()
        assert waiting.sign_in().headers["location"] == "/"
        waiting.sign_out()
        waiting.clock.forward(minutes=2)
        waiting.browser.put_back(old)
        assert waiting.sign_in().headers["location"] == "/mfa/challenge"
    waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    page = waiting.browser.get("/mfa/security").text
    assert page.count("Stop trusting") == 2  # its words and its label
    assert "An old cookie of it came" not in page


def test_the_security_page_says_of_which_device_an_old_cookie_came(waiting: Ada) -> None:
    trust(waiting)
    old = waiting.browser.profile()
    assert waiting.sign_in().headers["location"] == "/"
    page = waiting.browser.get("/mfa/security").text
    assert "until " in page
    assert "An old cookie of it came" not in page
    waiting.sign_out()
    waiting.clock.forward(minutes=2)
    waiting.browser.put_back(old)
    assert waiting.sign_in().headers["location"] == "/mfa/challenge"
    waiting.browser.post("/mfa/challenge", code=waiting.code())
    page = waiting.browser.get("/mfa/security").text
    assert "An old cookie of it came, so the second step is asked for the next time." in page
    assert "until " not in page
    assert page.count("Stop trusting") == 2


@pytest.mark.requirement("R60")
def test_the_cookie_of_a_trusted_browser_opens_nothing_by_itself(waiting: Ada) -> None:
    trust(waiting)
    assert waiting.browser.get("/").headers["location"] == "/login"


@pytest.mark.requirement("R77")
def test_a_backup_code_makes_no_browser_trusted(waiting: Ada) -> None:
    waiting.browser.post("/mfa/challenge", code=waiting.backup_codes[0], trust_device="yes")
    assert waiting.browser.device() is None


@pytest.mark.requirement("R46", "R47", "R76")
@pytest.mark.attack("A23")
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/mfa/setup/begin", {}),
        ("/mfa/backup-codes/regenerate", {"sure": "yes"}),
        ("/mfa/disable", {"sure": "yes"}),
        ("/mfa/devices/1/rename", {"name": "laptop"}),
        ("/mfa/devices/1/revoke", {}),
        ("/mfa/devices/revoke-all", {}),
    ],
)
def test_a_trusted_browser_changes_nothing_without_a_code(waiting: Ada, path: str, fields: dict[str, str]) -> None:
    trust(waiting)
    waiting.sign_in()
    waiting.browser.get("/mfa/security")
    answer = waiting.browser.post(path, **fields)
    assert answer.headers["location"].startswith("/mfa/reverify?next=")
    page = waiting.browser.get("/mfa/security").text
    assert "Two-step sign-in is on" in page
    assert "Stop trusting" in page


@pytest.mark.requirement("R76")
def test_without_trusted_devices_none_is_offered_or_made(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], ada: Ada
) -> None:
    ada.browser = open_browser(on=make_app(device_limit=0))
    ada.sign_in()
    ada.enroll()
    ada.sign_out()
    ada.sign_in()
    assert "Trust this device" not in ada.browser.get("/mfa/challenge").text
    assert ada.browser.post("/mfa/challenge", code=ada.code(), trust_device="yes").headers["location"] == "/"
    assert ada.browser.device() is None


@pytest.mark.requirement("R56", "R78")
def test_another_password_ends_every_session_and_all_trust(waiting: Ada, open_browser: Callable[..., Browser]) -> None:
    waiting.browser.post("/mfa/challenge", code=waiting.code(), trust_device="yes")
    elsewhere = open_browser()
    elsewhere.client.cookies.update(waiting.browser.client.cookies)
    waiting.browser.get("/password")
    wrong = waiting.browser.post("/password", current="wrong", password="another horse")
    assert wrong.status_code == 400
    answer = waiting.browser.post("/password", current=PASSWORD, password="another horse")
    assert answer.headers["location"] == "/"
    assert elsewhere.get("/").headers["location"] == "/login"
    waiting.sign_out()
    assert waiting.sign_in("another horse").headers["location"] == "/mfa/challenge"


def test_the_password_page_asks_for_a_code_first(enrolled: Ada) -> None:
    enrolled.clock.forward(minutes=6)
    assert enrolled.browser.get("/password").headers["location"] == "/mfa/reverify?next=password"
    enrolled.browser.get("/mfa/reverify?next=password")
    answer = enrolled.browser.post("/mfa/reverify?next=password", code=enrolled.code())
    assert answer.headers["location"] == "/password"
    assert enrolled.browser.get("/password").status_code == 200
