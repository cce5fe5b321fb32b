"""The pages over a real server: what a browser, a cache, a history and a log keep of them holds nothing secret."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx2
import pytest

from examples.sample import tables
from examples.sample.app import build
from tests.attacks.witness import everything_heard
from tests.canaries import Canaries
from tests.people import FIREFOX, Clock, plain_settings
from tests.served import served
from tests.visitors import PASSWORD, Ada, Browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.people import Sql

pytestmark = pytest.mark.backends("sqlite")

# What is shown to its owner: the secret while it is set up, and the codes when they are made.
OWNERS = {
    ("GET", "/mfa/setup"): ("the secret",),
    ("POST", "/mfa/setup/confirm"): ("the secret",),
    ("GET", "/mfa/backup-codes"): ("a backup code",),
    ("POST", "/mfa/backup-codes/kept"): ("a backup code",),
    ("POST", "/mfa/backup-codes/download"): ("a backup code",),
}


@dataclass
class Seen:
    """Every answer of the server."""

    answers: list[httpx2.Response] = field(default_factory=list[httpx2.Response])

    def __call__(self, response: httpx2.Response) -> None:
        response.read()
        self.answers.append(response)

    def pages(self) -> Iterator[tuple[str, str, httpx2.Response]]:
        for answer in self.answers:
            if not answer.url.path.startswith("/mfa/static/"):
                yield answer.request.method, answer.url.path, answer


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC).replace(microsecond=1))


@pytest.mark.requirement("R37", "R66", "R93")
@pytest.mark.attack("A26", "A37", "A39")
def test_no_page_header_address_or_log_holds_what_is_not_for_its_reader(
    migrated: Database, clock: Clock, keys: str, sql: Sql
) -> None:
    engine, canaries, seen = migrated.engine(), Canaries(), Seen()
    tables.create(engine)
    app = build(engine, plain_settings(keys=keys), clock=clock)
    with (
        everything_heard() as heard,
        served(app) as address,
        # After an error of its own uvicorn closes the connection, on which the next request may be under way already.
        httpx2.Client(base_url=address, trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)) as client,
    ):
        client.headers["user-agent"] = FIREFOX.user_agent or ""
        client.event_hooks["response"] = [seen]
        live(Ada(Browser(client), clock), canaries, sql)
    canaries.hide_keys(keys)
    assert {answer.status_code for answer in seen.answers} >= {200, 303, 400, 403, 404, 405, 413, 429, 500, 503}

    for method, path, answer in seen.pages():
        text = answer.text + re.sub(r"<[^>]+>", "", answer.text)
        expected = OWNERS.get((method, path), ())
        others = [name for name in canaries.seen_in(text) if not name.startswith(expected)]
        assert others == [], (method, path, answer.status_code)
        headers = {name: value for name, value in answer.headers.multi_items() if name != "set-cookie"}
        assert canaries.seen_in(repr(headers) + str(answer.url)) == [], (method, path)
        if "text/html" in answer.headers.get("content-type", "") or "set-cookie" in answer.headers:
            assert answer.headers["cache-control"] == "no-store", (method, path)
            assert answer.headers["referrer-policy"] in {"no-referrer", "same-origin"}, (method, path)
    # The secret was on a page, or the search would prove nothing.
    assert any("the secret" in str(canaries.seen_in(answer.text)) for _, _, answer in seen.pages())

    said = heard.said.getvalue()
    assert '"POST /mfa/challenge HTTP/1.1" 303' in said
    assert "Traceback" in said
    assert canaries.seen_in(said) == []


def live(ada: Ada, canaries: Canaries, sql: Sql) -> None:
    """Register, set up, sign in, trust, manage, and every way in which that fails."""
    browser, clock = ada.browser, ada.clock
    canaries.hide("the password", PASSWORD)

    def cookies() -> None:
        for name, value in {"sample_session": browser.cookie("sample_session"), **browser.devices()}.items():
            if value:
                canaries.hide(name, value)

    def code(*, is_wrong: bool = False) -> str:
        clock.forward(seconds=60)
        assert ada.phone is not None
        made = ada.phone.wrong_code() if is_wrong else ada.phone.code()
        if not is_wrong:
            canaries.hide("a code", made)
        return made

    ada.register()
    cookies()
    ada.phone = ada.begin()
    canaries.hide_secret(ada.phone.secret)
    browser.post("/mfa/setup/confirm", code=code(is_wrong=True))
    browser.post("/mfa/setup/confirm", code=code())
    ada.backup_codes = ada.shown_codes()
    canaries.hide("a backup code", *ada.backup_codes)
    browser.post("/mfa/backup-codes/download")
    browser.post("/mfa/backup-codes/kept")
    ada.keep_codes()
    browser.get("/mfa/security")

    ada.sign_out()
    ada.sign_in(password="not " + PASSWORD)
    ada.sign_in()
    cookies()
    for path in ("/", "/mfa/security", "/mfa/setup", "/mfa/challenge?with=backup-code"):
        browser.get(path)
    browser.post("/mfa/challenge", code=code(is_wrong=True))
    right = code()
    browser.post("/mfa/challenge", code=right, trust_device="yes")
    cookies()
    ada.sign_out()
    ada.sign_in()
    cookies()
    browser.get("/mfa/security")
    browser.get("/mfa/backup-codes/regenerate")
    browser.post("/mfa/backup-codes/regenerate", sure="yes")
    browser.get("/mfa/reverify?next=security")
    browser.post("/mfa/reverify", code=right)
    browser.post("/mfa/reverify", code=code())
    browser.get("/mfa/security?done=confirmed")
    canaries.hide("a backup code", *ada.regenerate())

    # A device that is not there, a form of nowhere, one that is too long, a page that is not there, a wrong method.
    browser.post("/mfa/devices/404/revoke")
    browser.client.post("/mfa/reverify", data={"csrf": "no", "code": right})
    browser.client.post("/mfa/reverify", content=b"x" * 100_000)
    browser.client.post("/mfa/reverify", data={"csrf": browser.csrf})
    browser.client.post("/mfa/reverify", data={"csrf": browser.csrf, "code": right * 100})
    browser.client.get("/mfa/nothing")
    browser.client.delete("/mfa/setup")
    for _ in range(5):
        browser.post("/mfa/reverify", code=code(is_wrong=True))

    # An outage of the second factor, and one of the sample itself.
    sql("ALTER TABLE mfa_events RENAME TO hidden")
    browser.post("/mfa/reverify", code=ada.backup_codes[1])
    browser.get("/mfa/security")
    sql("ALTER TABLE hidden RENAME TO mfa_events")
    sql("ALTER TABLE sample_sessions RENAME TO gone")
    browser.post("/mfa/reverify", code=ada.backup_codes[1])
    browser.get("/")
