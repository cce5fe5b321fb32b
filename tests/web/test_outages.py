"""When something of the host's own fails under a page: our page, a way to try again, and nobody is let in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from starlette.exceptions import HTTPException
from starlette.responses import Response

from examples.sample import tables
from twofold import DatabaseUnavailable

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.databases import Database
    from tests.visitors import Ada, Browser


@pytest.mark.requirement("R64")
@pytest.mark.parametrize(
    ("method", "path", "again"),
    [
        ("GET", "/mfa/challenge?with=backup-code", "/mfa/challenge?with=backup-code"),
        ("POST", "/mfa/challenge", "/mfa/challenge"),
        ("GET", "/mfa/security", "/mfa/security"),
        ("POST", "/mfa/disable", "/mfa/security"),
        ("POST", "/mfa/setup/confirm", "/mfa/setup"),
    ],
)
def test_sessions_that_cannot_be_read_are_an_outage_with_a_way_to_try_again(
    enrolled: Ada, database: Database, method: str, path: str, again: str, caplog: pytest.LogCaptureFixture
) -> None:
    with database.engine().begin() as connection:
        connection.execute(sa.schema.DropTable(tables.sessions))
    with caplog.at_level(logging.ERROR, "twofold.web"):
        answer = enrolled.browser.client.request(method, path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.headers["cache-control"] == "no-store"
    assert f'href="{again}">Try again</a>' in answer.text
    assert "nothing was changed" in answer.text
    assert "OperationalError" in caplog.text
    # What the driver says may hold what a person typed.
    assert "sample_sessions" not in caplog.text + answer.text


@pytest.mark.parametrize(
    ("seam", "path", "fields"),
    [
        ("remember", "/mfa/reverify", {}),
        ("changed", "/mfa/disable", {"sure": "yes"}),
        ("log_out", "/mfa/challenge/cancel", {}),
        ("log_in", "/mfa/challenge", {}),
    ],
)
@pytest.mark.requirement("R64")
def test_a_host_that_fails_after_the_answer_is_told_without_a_false_word(
    waiting: Ada, app: FastAPI, monkeypatch: pytest.MonkeyPatch, seam: str, path: str, fields: dict[str, str]
) -> None:
    if seam in {"remember", "changed"}:
        waiting.browser.post("/mfa/challenge", code=waiting.code())
        waiting.browser.get("/mfa/security")

    async def fail(*_: Any) -> None:
        raise ConnectionError("The store of sessions is away.")

    monkeypatch.setattr(type(app.state.sample.host), seam, fail)
    answer = waiting.browser.post(path, **fields | {"code": waiting.code()})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "Try again" in answer.text
    assert "nothing was changed" not in answer.text
    assert "store of sessions" not in answer.text
    if seam == "log_in":
        assert waiting.browser.get("/").headers["location"] == "/mfa/challenge"


def test_what_the_host_answers_itself_stays_its_own(
    browser: Browser, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moved(Exception):
        pass

    @app.exception_handler(Moved)
    async def moved(*_: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        return Response(status_code=418)

    for problem, status in ((HTTPException(401), 401), (Moved(), 418)):

        async def refuse(*_: Any, problem: Exception = problem) -> None:
            raise problem

        monkeypatch.setattr(type(app.state.sample.host), "session", refuse)
        assert browser.get("/mfa/security").status_code == status


def test_an_outage_in_the_middle_does_not_say_that_nothing_happened(
    waiting: Ada, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    mfa = app.state.sample.mfa

    def unsure(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("It stopped; it is not known whether the code was used.", is_unknown=True)

    monkeypatch.setattr(type(mfa), "verify", unsure)
    answer = waiting.browser.post("/mfa/challenge", code=waiting.code())
    assert answer.status_code == 503
    assert "it is not known whether your answer counted" in answer.text
