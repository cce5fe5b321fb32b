"""The code of a login that is sent twice, whose first answer the browser throws away, and what it must not open."""

from __future__ import annotations

from threading import Timer
from typing import TYPE_CHECKING

import pytest

from examples.sample import sessions
from tests.visitors import Ada, Browser
from twofold import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI
    from httpx2 import Response

    from tests.databases import Database, Sources


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, databases: Sources) -> Iterator[Database]:
    with databases.database(request.param, migrated=True) as ready:
        yield ready


def lost(ada: Ada, path: str, **fields: str) -> Response:
    """Send a form whose answer the browser throws away, with every cookie that it brought."""
    before, csrf = ada.browser.profile(), ada.browser.csrf
    answer = ada.browser.post(path, **fields)
    ada.browser.put_back(before)
    ada.browser.csrf = csrf
    return answer


def kinds(app: FastAPI) -> list[str]:
    return [event.kind for event in app.state.sample.mfa.events.recent(1, limit=50)]


@pytest.mark.requirement("R11", "R62")
@pytest.mark.parametrize("times", [1, 2])
def test_the_second_answer_signs_in_where_the_first_was_lost(waiting: Ada, app: FastAPI, times: int) -> None:
    code = waiting.code()
    for _ in range(times):
        assert lost(waiting, "/mfa/challenge", code=code).headers["location"] == "/"
    assert waiting.browser.post("/mfa/challenge", code=code).headers["location"] == "/"
    assert "Password and a second step" in waiting.browser.get("/").text
    assert kinds(app).count("code_accepted") == 1
    assert "code_refused" not in kinds(app)


@pytest.mark.requirement("R62")
def test_whichever_of_two_answers_the_browser_keeps_signs_it_in(
    waiting: Ada, open_browser: Callable[..., Browser]
) -> None:
    code, before, csrf = waiting.code(), waiting.browser.profile(), waiting.browser.csrf
    waiting.browser.post("/mfa/challenge", code=code)
    first = open_browser()
    first.put_back(waiting.browser.profile())
    assert first.get("/").status_code == 200
    waiting.browser.put_back(before)
    assert waiting.browser.post("/mfa/challenge", csrf=csrf, code=code).headers["location"] == "/"
    assert waiting.browser.get("/").status_code == 200
    assert first.get("/").status_code == 200


@pytest.mark.requirement("R11", "R61")
@pytest.mark.attack("A29")
def test_the_session_that_waited_opens_nothing_but_the_same_answer(waiting: Ada) -> None:
    code = waiting.code()
    lost(waiting, "/mfa/challenge", code=code)
    assert waiting.browser.get("/").headers["location"] == "/login"
    page = waiting.browser.get("/mfa/challenge")
    assert (page.status_code, "You may be signed in already" in page.text) == (400, True)
    assert waiting.browser.get("/mfa/security").headers["location"] == "/mfa/challenge"
    for other in (waiting.code(), waiting.backup_codes[0], "000000"):
        answer = waiting.browser.post("/mfa/challenge", code=other)
        assert "You may be signed in already" in answer.text
        assert answer.headers.get("set-cookie") is None
    # Once another code was tried, the right one is none any more.
    assert "You may be signed in already" in waiting.browser.post("/mfa/challenge", code=code).text


@pytest.mark.requirement("R11")
def test_after_half_a_minute_it_is_over(waiting: Ada) -> None:
    code = waiting.code()
    lost(waiting, "/mfa/challenge", code=code)
    waiting.clock.forward(seconds=31)
    assert "You may be signed in already" in waiting.browser.post("/mfa/challenge", code=code).text


@pytest.mark.requirement("R72")
def test_a_browser_that_is_trusted_twice_is_one_device(waiting: Ada) -> None:
    code = waiting.code()
    lost(waiting, "/mfa/challenge", code=code, trust_device="yes")
    assert waiting.browser.post("/mfa/challenge", code=code, trust_device="yes").headers["location"] == "/"
    assert waiting.browser.get("/mfa/security").text.count("Stop trusting</button>") == 1
    waiting.sign_out()
    assert waiting.sign_in().headers["location"] == "/"


@pytest.mark.requirement("R72")
def test_a_browser_is_one_device_however_late_the_lost_answer_trusted_it(
    waiting: Ada, app: FastAPI, database: Database
) -> None:
    mfa, code = app.state.sample.mfa, waiting.code()
    origin = Request(user_agent=waiting.browser.client.headers["user-agent"])
    session = sessions.find(database.engine(), waiting.browser.cookie("__Host-sample_session"))
    assert session is not None
    # What the first request does, on a machine that is busy: two seconds lie between the code and the trust.
    verified = mfa.verify(session.challenge, code, request=origin)
    late = Timer(2, mfa.trusted_devices.trust, (verified,), {"request": origin})
    late.start()
    answer = waiting.browser.post("/mfa/challenge", code=code, trust_device="yes")
    late.join()
    assert answer.headers["location"] == "/"
    assert [device.is_active for device in mfa.trusted_devices.list(1)] == [True, False]
    assert waiting.browser.get("/mfa/security").text.count("Stop trusting</button>") == 1
    waiting.sign_out()
    assert waiting.sign_in().headers["location"] == "/"


def test_a_step_up_that_is_sent_twice_goes_on(enrolled: Ada) -> None:
    enrolled.browser.get("/mfa/reverify?next=setup")
    code = enrolled.code()
    for _ in range(2):
        assert enrolled.browser.post("/mfa/reverify?next=setup", code=code).headers["location"] == "/mfa/setup"
    enrolled.clock.forward(seconds=31)
    assert enrolled.browser.post("/mfa/reverify?next=setup", code=code).status_code == 400


@pytest.mark.requirement("R61")
def test_a_sign_in_that_another_one_ended_is_not_told_that_it_waited(
    waiting: Ada, open_browser: Callable[..., Browser]
) -> None:
    laptop = Ada(open_browser(), waiting.clock, phone=waiting.phone)
    laptop.sign_in()
    assert laptop.browser.post("/mfa/challenge", code=laptop.code()).headers["location"] == "/"
    waiting.clock.forward(seconds=31)
    answer = waiting.browser.post("/mfa/challenge", code=waiting.code())
    assert answer.status_code == 400
    assert "Another sign-in to this account was finished meanwhile" in answer.text
    assert "waited too long" not in answer.text
