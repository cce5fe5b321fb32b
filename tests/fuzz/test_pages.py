"""The pages against forms, addresses, cookies and headers that no browser of theirs would send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from examples.sample import tables
from examples.sample.app import build
from tests.fuzz.strange import characters, often, spoilt, texts
from tests.people import FIREFOX, Clock, plain_settings
from tests.visitors import PASSWORD, Ada, Browser
from twofold import MFA
from twofold.web import gate

if TYPE_CHECKING:
    from httpx2 import Response

    from tests.databases import Database

pytestmark = pytest.mark.backends("sqlite")

ANSWERS = {200, 303, 400, 403, 404, 405, 413, 429}
FORMS = [f"/mfa{route.path}" for route in gate.ROUTES if route.method == "POST"]
PAGES = [f"/mfa{route.path}" for route in gate.ROUTES if route.method == "GET"]
HOSTS = ["/", "/login", "/register", "/password"]
ENDS = {"/mfa/challenge/cancel"}

raw = st.one_of(
    texts.map(lambda text: text.encode(errors="surrogatepass")), st.binary(max_size=40), st.just(b"x" * 40_000)
)
names = st.sampled_from(["code", "codes", "trust_device", "sure", "email", "password", "current"])
fields = st.dictionaries(st.one_of(names, texts), raw, max_size=4)
forgeries = st.sampled_from(["none", "a form of ours"])
words = st.text(characters, max_size=12).map(lambda text: quote(text.encode(errors="surrogatepass"), safe=""))
headers = st.dictionaries(
    st.sampled_from([b"user-agent", b"host", b"origin", b"sec-fetch-site", b"x-forwarded-for", b"accept", b"referer"]),
    st.binary(max_size=40),
    max_size=3,
)


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def mfa(migrated: Database, keys: str, clock: Clock) -> MFA:
    return MFA(migrated.engine(), plain_settings(keys=keys), clock=clock)


@pytest.fixture
def ada(migrated: Database, keys: str, clock: Clock) -> Ada:
    """Ada, signed in with two steps, whose proof is no longer fresh."""
    engine = migrated.engine()
    tables.create(engine)
    app = build(engine, plain_settings(keys=keys), clock=clock)
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    client.headers["user-agent"] = FIREFOX.user_agent or ""
    ada = Ada(Browser(client), clock)
    ada.register()
    ada.enroll()
    ada.browser.get("/mfa/security")
    clock.forward(minutes=10)
    return ada


def encoded(form: dict[str, bytes], csrf: str) -> bytes:
    pairs: list[tuple[str | bytes, object]] = [("csrf", csrf)]
    pairs += [(name.encode(errors="surrogatepass"), value) for name, value in form.items()]
    return urlencode(pairs).encode()


def send(ada: Ada, path: str, body: bytes, given: dict[bytes, bytes]) -> Response:
    content_type = {b"content-type": b"application/x-www-form-urlencoded"}
    answer = ada.browser.client.post(path, content=body, headers=list({**content_type, **given}.items()))
    assert answer.status_code in ANSWERS
    return answer


def concrete(path: str, word: str) -> str:
    return path.replace("{device_id}", word or "1")


@pytest.mark.requirement("R12", "R47", "R60", "R63", "R65")
@pytest.mark.attack("A34", "A38")
def test_no_form_changes_anything_without_a_code_that_was_made(ada: Ada, mfa: MFA, clock: Clock) -> None:
    before = mfa.status(1)

    @often(80)
    @given(st.sampled_from([path for path in FORMS if path not in ENDS]), fields, headers, words, forgeries)
    def post(path: str, form: dict[str, bytes], given: dict[bytes, bytes], word: str, forgery: str) -> None:
        clock.forward(hours=2)
        body = encoded(form, ada.browser.csrf) if forgery == "a form of ours" else b"&".join(form.values())
        send(ada, concrete(path, word), body, given)

    post()
    after = mfa.status(1)
    assert (after.is_enrolled, after.enabled_at, after.is_pending) == (True, before.enabled_at, False)
    assert (after.backup_codes_remaining, after.last_used_at) == (10, before.last_used_at)
    assert mfa.events.verify(1).is_intact
    assert ada.browser.get("/").status_code == 200


@pytest.mark.requirement("R12", "R60", "R61", "R63")
@pytest.mark.attack("A20", "A34", "A38")
def test_no_form_gets_past_the_challenge_without_a_code_that_was_made(ada: Ada, mfa: MFA, clock: Clock) -> None:
    ada.sign_out()
    ada.sign_in()
    session = ada.browser.cookie("__Host-sample_session")

    @often(80)
    @given(st.one_of(st.just("/mfa/challenge"), st.sampled_from(FORMS)), fields, headers, raw, forgeries)
    def post(path: str, form: dict[str, bytes], given: dict[bytes, bytes], code: bytes, forgery: str) -> None:
        is_ours = forgery == "a form of ours" and path not in ENDS
        body = encoded({"code": code, **form}, ada.browser.csrf if is_ours else "x")
        answer = send(ada, concrete(path, "1"), body, given)
        assert answer.headers.get("location") in {None, "/mfa/challenge"}
        assert ada.browser.cookie("__Host-sample_session") == session
        assert ada.browser.device() is None
        assert ada.browser.client.get("/").headers["location"] == "/mfa/challenge"

    post()
    assert mfa.events.verify(1).is_intact


@pytest.mark.requirement("R60", "R66")
def test_any_address_is_a_page_or_none(ada: Ada) -> None:
    @often(80)
    @given(st.sampled_from([*PAGES, *HOSTS, "/mfa/static/", "/mfa/devices/"]), words, words, words, headers)
    def get(path: str, more: str, name: str, value: str, given: dict[bytes, bytes]) -> None:
        address = f"{path}{more if path.endswith('/') else ''}?{name}={value}&next={value}&before={name}&done={value}"
        answer = ada.browser.client.get(address, headers=list(given.items()))
        assert answer.status_code in ANSWERS
        assert answer.headers.get("location", "/").startswith("/")
        assert not answer.headers.get("location", "/").startswith("//")

    get()


@pytest.mark.requirement("R63", "R72", "R73")
@pytest.mark.attack("A21")
def test_no_cookie_that_was_not_given_opens_anything(ada: Ada) -> None:
    client = ada.browser.client
    session = ada.browser.cookie("__Host-sample_session") or ""
    ada.sign_out()
    ada.sign_in()
    ada.browser.post("/mfa/challenge", code=ada.code(), trust_device="yes")
    ((name, device),) = ada.browser.devices().items()
    ada.sign_out()
    client.cookies.clear()

    spoils = st.one_of(spoilt(session), spoilt(device)).map(lambda text: text.encode("latin-1", "replace"))

    @often(60)
    @given(st.one_of(raw, spoils))
    def get(value: bytes) -> None:
        if value in {session.encode(), device.encode()}:
            return
        cookies = b"__Host-sample_session=%s; %s=%s" % (value, name.encode(), value)
        for path in ("/", "/mfa/security", "/mfa/challenge", "/password"):
            answer = client.get(path, headers=[(b"cookie", cookies)])
            # Nobody waits for a code, and that is said.
            went = (400, None) if path == "/mfa/challenge" else (303, "/login")
            assert (answer.status_code, answer.headers.get("location")) == went
        client.cookies.clear()

    get()

    @often(5)
    @given(spoilt(device).filter(lambda text: text != device and text.isascii() and text.isprintable()))
    def log_in(value: str) -> None:
        client.cookies.clear()
        ada.browser.get("/login")
        cookies = f"__Host-sample_session={ada.browser.cookie('__Host-sample_session')}; {name}={value}"
        client.cookies.clear()
        form = {"csrf": ada.browser.csrf, "email": ada.email, "password": PASSWORD}
        answer = client.post("/login", data=form, headers={"cookie": cookies})
        assert answer.headers["location"] == "/mfa/challenge"

    log_in()
