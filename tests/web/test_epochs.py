"""A change of the factors ends every other session, whoever makes it and wherever; the one that makes it goes on."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import pytest

from tests.visitors import PASSWORD, Ada

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from tests.visitors import Browser
    from twofold import MFA

ANOTHER = "another horse battery"


def set_up(ada: Ada) -> None:
    ada.phone = ada.begin()
    assert ada.browser.post("/mfa/setup/confirm", code=ada.phone.code()).headers["location"] == "/mfa/backup-codes"


def regenerate(ada: Ada) -> None:
    ada.browser.get("/mfa/security")
    assert len(ada.regenerate()) == 10


def disable(ada: Ada) -> None:
    ada.browser.get("/mfa/security")
    assert ada.browser.post("/mfa/disable", sure="yes").headers["location"] == "/mfa/security?done=disabled"


def change_password(ada: Ada) -> None:
    ada.browser.get("/password")
    assert ada.browser.post("/password", current=PASSWORD, password=ANOTHER).headers["location"] == "/"


def trust_nothing(ada: Ada) -> None:
    ada.browser.get("/mfa/security")
    assert ada.browser.post("/mfa/devices/revoke-all").headers["location"] == "/mfa/security?done=all_revoked"


CHANGES = {
    "another app": set_up,
    "new backup codes": regenerate,
    "turned off": disable,
    "another password": change_password,
}


def elsewhere(ada: Ada, browser: Browser) -> Ada:
    """Ada again, signed in at another browser."""
    other = Ada(browser, ada.clock, phone=ada.phone, backup_codes=ada.backup_codes)
    if other.sign_in().headers["location"] == "/mfa/challenge":
        other.browser.post("/mfa/challenge", code=ada.backup_codes.pop())
    assert other.browser.get("/").status_code == 200
    return other


SAID = "Your session has ended"


def is_ended(other: Ada) -> bool:
    """Whether every page leads to the login, which says why."""
    paths = ("/", "/mfa/security", "/password")
    lead_there = all(other.browser.get(path).headers.get("location") == "/login" for path in paths)
    return lead_there and SAID in other.browser.get("/login").text


@pytest.fixture
def mfa(app: FastAPI) -> MFA:
    found: MFA = app.state.sample.mfa
    return found


@pytest.mark.requirement("R52", "R82")
@pytest.mark.parametrize("change", CHANGES)
def test_whoever_changes_the_factors_goes_on_and_every_other_session_ends(
    enrolled: Ada, open_browser: Callable[..., Browser], mfa: MFA, change: str
) -> None:
    other, before = elsewhere(enrolled, open_browser()), mfa.status(1).epoch
    CHANGES[change](enrolled)
    assert mfa.status(1).epoch != before
    for path in ("/", "/mfa/security"):
        assert enrolled.browser.get(path).status_code == 200
    assert is_ended(other)
    # The login after that is one like any other.
    password = ANOTHER if change == "another password" else PASSWORD
    assert other.sign_in(password).headers["location"] == ("/" if change == "turned off" else "/mfa/challenge")


def test_whoever_loses_the_answer_to_a_new_password_reads_why_the_session_ended(
    enrolled: Ada, open_browser: Callable[..., Browser]
) -> None:
    lost = copy(enrolled)
    lost.browser = open_browser()
    lost.browser.client.cookies.set("__Host-sample_session", enrolled.browser.cookie("__Host-sample_session") or "")
    assert lost.browser.get("/").status_code == 200
    CHANGES["another password"](enrolled)
    assert is_ended(lost)
    assert lost.sign_in(ANOTHER).headers["location"] == "/mfa/challenge"


def test_whoever_signs_out_or_never_was_in_reads_of_no_session_that_ended(
    enrolled: Ada, open_browser: Callable[..., Browser]
) -> None:
    enrolled.sign_out()
    assert SAID not in enrolled.browser.get("/login").text
    stranger = open_browser()
    for _ in range(2):
        assert SAID not in stranger.get("/login").text


@pytest.mark.requirement("R52")
def test_the_first_set_up_ends_the_sessions_of_the_password_alone(
    ada: Ada, open_browser: Callable[..., Browser]
) -> None:
    other = elsewhere(ada, open_browser())
    set_up(ada)
    assert ada.browser.get("/mfa/security").status_code == 200
    assert is_ended(other)


@pytest.mark.requirement("R52", "R53")
@pytest.mark.parametrize("operation", ["reset", "repair"])
def test_what_an_operator_does_ends_every_session(
    enrolled: Ada, open_browser: Callable[..., Browser], mfa: MFA, operation: str
) -> None:
    other = elsewhere(enrolled, open_browser())
    getattr(mfa, operation)(1, by="grace@example.com", reason="lost phone")
    assert is_ended(other)
    assert is_ended(enrolled)
    assert enrolled.sign_in().headers["location"] == "/"


@pytest.mark.requirement("R56")
def test_a_password_that_is_changed_by_another_program_ends_every_session(
    enrolled: Ada, open_browser: Callable[..., Browser], mfa: MFA
) -> None:
    other = elsewhere(enrolled, open_browser())
    mfa.password_changed(1)
    assert is_ended(other)
    assert is_ended(enrolled)


def test_trust_that_ends_ends_no_session(enrolled: Ada, open_browser: Callable[..., Browser]) -> None:
    other = elsewhere(enrolled, open_browser())
    trust_nothing(enrolled)
    assert other.browser.get("/mfa/security").status_code == 200
    assert enrolled.browser.get("/mfa/security").status_code == 200


@pytest.mark.requirement("R52")
def test_a_login_that_waits_while_the_factors_change_ends_when_it_is_done(
    enrolled: Ada, open_browser: Callable[..., Browser], mfa: MFA
) -> None:
    other = Ada(open_browser(), enrolled.clock, phone=enrolled.phone)
    assert other.sign_in().headers["location"] == "/mfa/challenge"
    before = mfa.status(1).epoch
    regenerate(enrolled)
    assert mfa.status(1).epoch != before
    assert other.browser.post("/mfa/challenge", code=other.code()).headers["location"] == "/"
    assert is_ended(other)
    assert enrolled.browser.get("/").status_code == 200
