"""Passkeys through the pages, with one that is no hardware: set up, asked for, named, removed, and refused."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.databases import add_passkeys
from tests.passkeys.makers import MODEL, key_of
from tests.visitors import Ada
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from httpx2 import Response

    from tests.databases import Database
    from tests.people import Clock
    from tests.visitors import Browser

ORIGIN = "https://testserver"


@pytest.fixture
def database(database: Database) -> Database:
    """The four tables, and that of passkeys."""
    add_passkeys(database)
    return database


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    return make_app(public_url=ORIGIN)


@dataclass
class Owner:
    """Ada, and what a script would do with her passkey on the page that she sees."""

    ada: Ada
    passkey: VirtualPasskey = field(default_factory=lambda: VirtualPasskey(ORIGIN))

    @property
    def browser(self) -> Browser:
        return self.ada.browser

    def register(self, passkey: VirtualPasskey | None = None) -> Response:
        page = self.browser.post("/mfa/passkeys/begin")
        assert page.status_code == 200
        return self.confirm(page, passkey)

    def confirm(self, page: Response, passkey: VirtualPasskey | None = None, **bent: Any) -> Response:
        credential = (passkey or self.passkey).register(options(page), **bent)
        return self.browser.post("/mfa/passkeys/confirm", passkey=credential)

    def answer(self, path: str = "/mfa/challenge", **bent: Any) -> Response:
        """Sign what the page at this address asks for, and send it."""
        asked = options(self.browser.get(path))
        return self.browser.post(path, passkey=self.passkey.sign(asked, **bent))

    def sign_in(self, **bent: Any) -> Response:
        self.ada.sign_out()
        assert self.ada.sign_in().headers["location"] == "/mfa/challenge"
        return self.answer(**bent)

    def read(self, path: str = "/mfa/security") -> str:
        return self.browser.get(path).text


def options(page: Response) -> dict[str, Any]:
    """What the page asks the browser."""
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found is not None
    asked: dict[str, Any] = json.loads(unescape(found[1]))
    return asked


@pytest.fixture
def owner(ada: Ada) -> Owner:
    """Ada, signed in with her password alone."""
    ada.browser.get("/mfa/setup")
    return Owner(ada)


@pytest.fixture
def of_one(owner: Owner) -> Owner:
    """Ada, whose only factor is a passkey, and who has her backup codes."""
    assert owner.register().headers["location"] == "/mfa/backup-codes"
    owner.ada.backup_codes = owner.ada.shown_codes()
    owner.browser.get("/mfa/security")
    return owner


def test_a_passkey_is_set_up_first_and_signs_in(owner: Owner) -> None:
    setup = owner.read("/mfa/setup")
    assert setup.index("/passkeys/begin") < setup.index("/setup/begin")
    page = owner.browser.post("/mfa/passkeys/begin")
    assert options(page)["user"]["name"] == "ada@example.com"
    assert "passkeys.js" in page.text
    allowed = page.headers["permissions-policy"].split(", ")
    assert {"publickey-credentials-create=(self)", "publickey-credentials-get=(self)"} <= set(allowed)
    assert "<noscript>" in page.text
    assert owner.confirm(page).headers["location"] == "/mfa/backup-codes"
    codes = owner.ada.shown_codes()
    assert len(codes) == 10
    assert "When your passkey is not at hand" in owner.read("/mfa/backup-codes")
    assert "when your passkey is not at hand" in owner.browser.post("/mfa/backup-codes/download").text
    assert "Two-step sign-in is on" in owner.read()
    assert owner.sign_in().headers["location"] == "/"
    # Whoever has no app is asked for none.
    owner.ada.sign_out()
    owner.ada.sign_in()
    page = owner.browser.get("/mfa/challenge")
    assert 'name="code"' not in page.text
    assert "/mfa/challenge?with=backup-code" in page.text
    by_code = owner.read("/mfa/challenge?with=backup-code")
    assert 'name="code"' in by_code
    assert "Use your passkey" in by_code
    assert owner.browser.post("/mfa/challenge?with=backup-code", code=codes[0]).headers["location"] == "/"


def test_passkeys_are_offered_to_nobody_where_no_domain_is_set(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], clock: Clock
) -> None:
    ada = Ada(open_browser(on=make_app()), clock)
    ada.register()
    for path in ("/mfa/setup", "/mfa/security"):
        assert "asskey" not in ada.browser.get(path).text
    assert ada.browser.post("/mfa/passkeys/begin").headers["location"] == "/mfa/setup"


def test_beside_an_app_both_ways_are_open(owner: Owner) -> None:
    owner.ada.enroll()
    owner.ada.keep_codes()
    assert owner.register().headers["location"] == "/mfa/security?done=passkey"
    owner.ada.sign_out()
    owner.ada.sign_in()
    page = owner.browser.get("/mfa/challenge")
    assert options(page)["rpId"] == "testserver"
    assert 'name="code"' in page.text
    assert owner.browser.post("/mfa/challenge", code=owner.ada.code(), passkey="").headers["location"] == "/"
    assert owner.sign_in().headers["location"] == "/"
    owner.browser.get("/mfa/security")
    # The app goes, and the passkey stays; without another way that does not go.
    assert owner.browser.post("/mfa/app/remove").headers["location"] == "/mfa/security?done=app_removed"
    assert owner.browser.post("/mfa/app/remove").headers["location"] == "/mfa/security?done=app_removed"
    security = owner.read()
    assert "None is set up." in security
    assert "Your last way to confirm." in security
    assert owner.sign_in().headers["location"] == "/"
    phone = owner.ada.begin()
    assert "Set up an authenticator app" in owner.read("/mfa/setup")
    answer = owner.browser.post("/mfa/setup/confirm", code=phone.code())
    assert answer.headers["location"] == "/mfa/backup-codes"


def test_the_app_is_not_removed_where_it_is_all_there_is(owner: Owner) -> None:
    owner.ada.enroll()
    answer = owner.browser.post("/mfa/app/remove")
    assert answer.status_code == 409
    assert "This is your last way to confirm" in answer.text


def test_a_step_up_by_passkey_goes_on_with_what_was_asked_for(of_one: Owner, clock: Clock) -> None:
    clock.forward(minutes=6)
    of_one.browser.get("/mfa/security")
    asked = of_one.browser.post("/mfa/passkeys/begin").headers["location"]
    assert asked.startswith("/mfa/reverify?")
    page = of_one.browser.get(asked)
    assert "the set-up of another passkey begins" in page.text
    answer = of_one.browser.post(asked, passkey=of_one.passkey.sign(options(page)))
    other = VirtualPasskey(ORIGIN)
    assert of_one.confirm(answer, other).headers["location"] == "/mfa/backup-codes"
    of_one.ada.keep_codes()
    clock.forward(minutes=6)
    number = re.findall(r"/passkeys/(\d+)/revoke", of_one.read())[0]
    asked = of_one.browser.post(f"/mfa/passkeys/{number}/revoke").headers["location"]
    page = of_one.browser.get(asked)
    assert "the passkey is removed" in page.text
    answered = of_one.browser.post(asked, passkey=of_one.passkey.sign(options(page)))
    assert answered.headers["location"] == "/mfa/security?done=passkey_removed"
    assert "/revoke" not in of_one.read()


def test_an_assertion_that_is_sent_twice_is_answered_twice(of_one: Owner, clock: Clock) -> None:
    clock.forward(minutes=6)
    asked = options(of_one.browser.get("/mfa/reverify?next=security"))
    answer = of_one.passkey.sign(asked)
    for _ in range(2):
        proven = of_one.browser.post("/mfa/reverify?next=security", passkey=answer)
        assert proven.headers["location"] == "/mfa/security?done=confirmed"
    of_one.ada.sign_out()
    of_one.ada.sign_in()
    profile = of_one.browser.profile()
    answer = of_one.passkey.sign(options(of_one.browser.get("/mfa/challenge")))
    csrf = of_one.browser.csrf
    for _ in range(2):
        of_one.browser.put_back(profile)
        of_one.browser.csrf = csrf
        assert of_one.browser.post("/mfa/challenge", passkey=answer).headers["location"] == "/"


def test_a_registration_that_is_sent_twice_is_answered_twice(owner: Owner) -> None:
    page = owner.browser.post("/mfa/passkeys/begin")
    credential = owner.passkey.register(options(page))
    for _ in range(2):
        answer = owner.browser.post("/mfa/passkeys/confirm", passkey=credential)
        assert answer.headers["location"] == "/mfa/backup-codes"
    assert len(owner.ada.shown_codes()) == 10


def test_what_does_not_hold_is_refused_and_asked_for_again(owner: Owner, clock: Clock) -> None:
    page = owner.browser.post("/mfa/passkeys/begin")
    refused = owner.confirm(page, origin="https://elsewhere.example")
    assert refused.status_code == 400
    assert "none was set up" in refused.text
    clock.forward(minutes=11)
    late = owner.confirm(refused)
    assert late.status_code == 400
    assert "That took too long" in late.text
    assert owner.confirm(late).headers["location"] == "/mfa/backup-codes"
    for nonsense in ("{}", "null", "x" * 20_000):
        assert owner.browser.post("/mfa/passkeys/confirm", passkey=nonsense).status_code == 400
    assert owner.browser.post("/mfa/passkeys/confirm").status_code == 400
    refused = owner.sign_in(signature=b"none")
    assert refused.status_code == 400
    assert "The passkey was not accepted." in refused.text
    answer = owner.browser.post("/mfa/challenge", passkey=owner.passkey.sign(options(refused)))
    assert answer.headers["location"] == "/"


def test_a_copied_passkey_is_told_of_and_replaced(of_one: Owner) -> None:
    thief = of_one.passkey.copied()
    assert of_one.sign_in().headers["location"] == "/"
    good, of_one.passkey = of_one.passkey, thief
    refused = of_one.sign_in()
    assert "This passkey may have been copied" in refused.text
    # What is left is asked for, and nothing else.
    assert "data-options" not in refused.text
    code = of_one.ada.backup_codes[0]
    assert of_one.browser.post("/mfa/challenge?with=backup-code", code=code).headers["location"] == "/"
    security = of_one.read()
    assert security.count("It may have been copied, so it is not accepted any more.") == 1
    of_one.passkey = VirtualPasskey(ORIGIN)
    of_one.register()
    number = re.findall(r"/passkeys/(\d+)/revoke", of_one.read())
    assert len(number) == 1
    assert of_one.browser.post(f"/mfa/passkeys/{number[0]}/revoke").headers["location"].endswith("passkey_removed")
    assert of_one.sign_in().headers["location"] == "/"
    assert good.counter is not None


def test_passkeys_are_named_and_removed_by_their_owner_alone(
    of_one: Owner, open_browser: Callable[..., Browser], clock: Clock
) -> None:
    other = VirtualPasskey(ORIGIN, can_sync=True, is_synced=True, counter=None)
    of_one.register(other)
    of_one.ada.keep_codes()
    security = of_one.read()
    assert "Synced, so on several of your devices" in security
    assert "On one device only" in security
    newest, oldest = re.findall(r"/passkeys/(\d+)/rename", security)
    renamed = of_one.browser.post(f"/mfa/passkeys/{newest}/rename", name="My phone")
    assert renamed.headers["location"] == "/mfa/security?done=passkey_renamed"
    empty = of_one.browser.post(f"/mfa/passkeys/{newest}/rename", name=" ")
    assert empty.status_code == 400
    assert "Type a name." in empty.text
    assert "My phone" in of_one.read()
    grace = Owner(Ada(open_browser(), clock, email="grace@example.com"))
    grace.ada.register()
    grace.browser.get("/mfa/setup")
    grace.register()
    grace.browser.get("/mfa/security")
    for path in (f"/mfa/passkeys/{newest}/rename", f"/mfa/passkeys/{newest}/revoke", "/mfa/passkeys/none/revoke"):
        assert grace.browser.post(path, name="Mine now").status_code == 404
    of_one.browser.get("/mfa/security")
    for _ in range(2):
        gone = of_one.browser.post(f"/mfa/passkeys/{oldest}/revoke")
        assert gone.headers["location"] == "/mfa/security?done=passkey_removed"
    last = of_one.browser.post(f"/mfa/passkeys/{newest}/revoke")
    assert last.status_code == 409
    assert "This is your last way to confirm" in last.text
    assert of_one.sign_in().status_code == 400
    of_one.passkey = other
    assert of_one.answer().headers["location"] == "/"
    of_one.browser.get("/mfa/security")
    off = of_one.browser.post("/mfa/disable", sure="yes")
    assert off.headers["location"] == "/mfa/security?done=disabled"
    of_one.ada.sign_out()
    assert of_one.ada.sign_in().headers["location"] == "/"


def test_there_is_a_limit(make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], clock: Clock) -> None:
    owner = Owner(Ada(open_browser(on=make_app(public_url=ORIGIN, passkey_limit=1)), clock))
    owner.ada.register()
    owner.browser.get("/mfa/setup")
    owner.register()
    owner.browser.get("/mfa/security")
    refused = owner.browser.post("/mfa/passkeys/begin")
    assert refused.status_code == 409
    assert "as many passkeys as there may be" in refused.text


def test_a_kind_that_is_not_on_the_list_is_refused_by_name_and_another_one_is_asked_for(
    make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], clock: Clock
) -> None:
    owner = Owner(Ada(open_browser(on=make_app(public_url=ORIGIN, passkey_aaguids=MODEL)), clock))
    owner.ada.register()
    owner.browser.get("/mfa/setup")
    refused = owner.register()
    assert refused.status_code == 400
    assert "This kind of passkey is not accepted here, so none was set up." in refused.text
    assert owner.confirm(refused, key_of(ORIGIN)).headers["location"] == "/mfa/backup-codes"
    assert "A passkey was not accepted" in owner.browser.get("/mfa/security").text


@pytest.mark.parametrize("has_app", [True, False])
def test_altered_passkeys_are_told_of_and_can_be_ended(owner: Owner, database: Database, *, has_app: bool) -> None:
    if has_app:
        owner.ada.enroll()
    assert owner.register().status_code == 303
    owner.ada.backup_codes = owner.ada.shown_codes()
    with database.engine().begin() as connection:
        connection.execute(sa.text("UPDATE mfa_passkeys SET sign_count = 0, backup_eligible = true"))
    owner.ada.sign_out()
    owner.ada.sign_in()
    page = owner.browser.get("/mfa/challenge")
    assert "data-options" not in page.text
    code = owner.ada.code() if has_app else owner.ada.backup_codes[1]
    assert owner.browser.post("/mfa/challenge", code=code).headers["location"] == "/"
    security = owner.read()
    assert "The stored passkeys do not fit, so none of them counts." in security
    if has_app:
        ended = owner.browser.post("/mfa/passkeys/revoke-all")
        assert ended.headers["location"] == "/mfa/security?done=passkeys_removed"
    owner.passkey = VirtualPasskey(ORIGIN)
    assert owner.register().status_code == 303
    assert "do not fit" not in owner.read()
    assert owner.sign_in().headers["location"] == "/"


def test_passkeys_that_do_not_read_are_no_outage(owner: Owner, database: Database) -> None:
    owner.ada.enroll()
    owner.register()
    with database.engine().begin() as connection:
        connection.execute(sa.text("UPDATE mfa_passkeys SET created_at = 'never', backup_eligible = 'perhaps'"))
    security = owner.browser.get("/mfa/security")
    assert security.status_code == 200
    assert "The stored passkeys do not fit, so none of them counts." in security.text
    ended = owner.browser.post("/mfa/passkeys/revoke-all")
    assert ended.headers["location"] == "/mfa/security?done=passkeys_removed"
    assert "do not fit" not in owner.read()


def test_a_browser_that_a_passkey_let_in_may_be_trusted(of_one: Owner) -> None:
    of_one.ada.sign_out()
    of_one.ada.sign_in()
    page = of_one.browser.get("/mfa/challenge")
    assert 'name="trust_device"' in page.text
    answer = of_one.browser.post("/mfa/challenge", passkey=of_one.passkey.sign(options(page)), trust_device="yes")
    assert answer.headers["location"] == "/"
    of_one.ada.sign_out()
    assert of_one.ada.sign_in().headers["location"] == "/"


def test_a_passkey_of_another_domain_is_told_of(
    of_one: Owner, make_app: Callable[..., FastAPI], open_browser: Callable[..., Browser], clock: Clock
) -> None:
    moved = make_app(public_url="https://other.example")
    ada = Ada(open_browser("https://other.example", on=moved), clock)
    ada.sign_in()
    page = ada.browser.get("/mfa/challenge")
    assert "data-options" not in page.text
    code = of_one.ada.backup_codes[0]
    assert ada.browser.post("/mfa/challenge?with=backup-code", code=code).headers["location"] == "/"
    assert "It belongs to testserver and does not work here." in ada.browser.get("/mfa/security").text
