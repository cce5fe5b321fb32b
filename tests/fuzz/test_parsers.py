"""Whatever reads what a stranger sent refuses by name what was not issued, and never fails in another way."""

from __future__ import annotations

import base64
import io
import ipaddress
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pyotp
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from tests.fuzz.model import one_form
from tests.fuzz.strange import anything, attempt, characters, huge, often, spoilt, texts
from tests.people import plain_settings
from twofold import ConfigurationError, Enrollment, MissingKey, Request, Settings, Tampered, tokens
from twofold.backup_codes import codec, factor
from twofold.database import create_async_engine, create_engine
from twofold.keyring import Keyring, generate_key
from twofold.metadata import UsersColumn
from twofold.request import printable
from twofold.totp.algorithm import SECRET_BYTES, Parameters, generate_secret, is_code, matching_step
from twofold.totp.provisioning import label, uri
from twofold.web import forms

KEY = generate_key("k1")
RING = Keyring.parse(KEY)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHALLENGE = tokens.write_challenge(RING, tokens.ChallengeToken(7, 3, NOW, NOW))
PROOF = tokens.write_proof(RING, tokens.ProofToken(7, "totp", NOW, NOW, 3))
SEALED = RING.seal(b"the secret of somebody", b"here")
MAC = RING.mac("state", b"message")
FORM = forms.token(RING, "a session")


@pytest.mark.requirement("R2", "R12")
@often(150)
@given(anything)
def test_a_code_is_its_digits_or_nothing(text: Any) -> None:
    is_digits = isinstance(text, str) and len(text) == 6 and set(text) <= set("0123456789")
    assert is_code(text, Parameters()) == is_digits
    if is_digits:
        matched = matching_step(b"x" * 20, text, step=5, window=1, parameters=Parameters())
        assert matched in {None, 4, 5, 6}


@pytest.mark.requirement("R41")
@often(150)
@given(st.one_of(anything, spoilt("0123A-BCDEF-GHJKM-NPQRS-TVWXY"), st.text(codec.ALPHABET + "oil -", max_size=40)))
def test_a_backup_code_has_one_form_or_none(text: Any) -> None:
    read, older = codec.canonical(text), codec.older_spellings(text)
    assert read is None or (len(read) == 25 and set(read) <= set(codec.ALPHABET))
    assert read is None or codec.canonical(codec.printed(read)) == read
    assert len(older) == len(set(older)) <= 6
    if older:
        # The first is what was typed; each other one is the same letters and digits.
        plain = one_form(text)
        assert plain.isascii()
        assert plain.isalnum()
        assert 6 <= len(plain) <= 32
        assert older[0] == text.strip()
        assert {one_form(spelling).lower() for spelling in older} == {plain.lower()}
        assert {plain, plain.upper(), plain.lower()} <= set(older)
    # What has the form of ours is hashed in one spelling, whatever else it could be.
    judged = factor.read(text)
    assert (judged is None) == (read is None and not older)
    assert judged is None or judged.spellings == ((read,) if read else older)


@pytest.mark.requirement("R61", "R73")
@often(150)
@given(st.one_of(anything, spoilt(CHALLENGE), spoilt(PROOF)))
def test_a_token_that_was_not_issued_is_none(text: Any) -> None:
    for read, issued in ((tokens.read_challenge, CHALLENGE), (tokens.read_proof, PROOF)):
        assert (read(RING, text) is not None) == (text == issued)


@pytest.mark.requirement("R87", "R89")
@often(150)
@given(st.one_of(texts, huge, spoilt(SEALED)), st.sampled_from([b"here", b"there"]))
def test_a_value_that_was_not_sealed_does_not_open(text: str, context: bytes) -> None:
    opened, refused = attempt(lambda: RING.open(text, context), Tampered, MissingKey)
    if refused is None:
        # The same value may be written with other marks between its letters; it opens in its place, to what was sealed.
        assert (opened, context) == (b"the secret of somebody", b"here")
    else:
        assert (text, context) != (SEALED, b"here")


@often(150)
@given(st.one_of(texts, huge, spoilt(MAC)))
def test_a_mac_that_was_not_made_is_none(text: str) -> None:
    with suppress(Tampered, MissingKey):
        assert RING.check("state", b"message", text) == (text == MAC)
        assert not RING.check("events", b"message", text)


@pytest.mark.requirement("R92")
@often(150)
@given(st.one_of(texts, huge, spoilt(KEY), spoilt(f"{KEY},{generate_key('k0')}")))
def test_keys_are_read_or_refused_without_a_word_of_them(text: str) -> None:
    ring, refused = attempt(lambda: Keyring.parse(text), ConfigurationError)
    if ring is not None:
        assert ring.check("state", b"message", ring.mac("state", b"message"))
    # Of the key itself, not eight letters in a row.
    encoded = KEY.partition(":")[2]
    assert not any(encoded[first : first + 8] in str(refused) for first in range(len(encoded) - 8))


issuers = st.text(characters, min_size=1, max_size=64)
parameters = st.builds(
    Parameters, st.sampled_from(list(SECRET_BYTES)), st.integers(6, 8), st.sampled_from([15, 30, 60, 120])
)


@pytest.mark.requirement("R111", "R112")
@often(60)
@given(issuers, st.one_of(texts, huge, st.text("😀é:/?#&=%+ ", max_size=300)), parameters)
def test_an_app_reads_back_any_name_that_the_settings_take(issuer: str, account: str, parameters: Parameters) -> None:
    settings, _ = attempt(lambda: plain_settings(issuer=issuer), ValidationError)
    if settings is None:
        return
    issuer = settings.issuer
    secret = generate_secret(parameters.algorithm)
    text = uri(secret, issuer=issuer, account=account, parameters=parameters)
    assert text.isascii()
    assert text.isprintable()
    assert "+" not in text
    name, path = label(account), unquote(urlsplit(text).path)
    assert ":" not in name
    # The issuer stands before the name where that leaves the picture readable.
    with_it = f"otpauth://totp/{quote(issuer, safe='')}:{quote(name, safe='')}?{urlsplit(text).query}"
    assert path == (f"/{issuer}:{name}" if name and len(with_it) <= 400 else f"/{name or issuer}")
    read = pyotp.parse_uri(text)
    assert (read.secret, read.issuer) == (base64.b32encode(secret).decode().rstrip("="), issuer)
    with Image.open(io.BytesIO(Enrollment("", text, NOW).qr_png(scale=1))) as picture:
        assert picture.width == picture.height


@pytest.mark.requirement("R100")
@often(200)
@given(anything, anything, anything, st.sampled_from(["ours", "Starlette", "Flask"]))
def test_whatever_a_request_says_of_itself_becomes_bounded_lines(
    address: Any, agent: Any, location: Any, made_by: str
) -> None:
    headers = {"user-agent": agent}
    read = Request.of(
        {
            "ours": Request(address, agent, location),
            "Starlette": SimpleNamespace(client=SimpleNamespace(host=address), headers=headers),
            "Flask": SimpleNamespace(remote_addr=address, headers=headers),
        }[made_by]
    )
    assert read.ip_address is None or str(ipaddress.ip_address(read.ip_address)) == read.ip_address
    for line, limit in ((read.user_agent, 512), (read.location, 255), (read.device_name, 60), (printable(agent, 9), 9)):
        assert line is None or (line.isprintable() and 0 < len(line) <= limit)
        assert line is None or line.encode()


pairs = st.lists(st.tuples(texts, texts), max_size=4)
bodies = st.one_of(
    st.binary(max_size=200),
    st.text("csrf=code&%;+0123456789ABCDEFabcdef", max_size=200).map(str.encode),
    huge.map(lambda text: text.encode(errors="surrogatepass")),
    st.builds(lambda code: f"csrf=x&code={code}".encode(errors="surrogatepass"), texts),
)
types = st.one_of(
    st.sampled_from(["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=x", ""]), texts
)


@pytest.mark.requirement("R12", "R65")
@often(150)
@given(types, bodies)
def test_a_form_is_read_whole_or_refused(content_type: str, body: bytes) -> None:
    form, bad = attempt(lambda: forms.read({"content-type": content_type}, body), forms.BadForm)
    if form is None:
        assert bad is not None
        assert bad.status in {400, 413}
        return
    assert len(body) <= forms.LIMIT
    # Whatever was read can be written into a page and into a database.
    assert "".join([*form, *form.values()]).encode() is not None
    code, _ = attempt(lambda: forms.field(form, "code"), forms.BadForm)
    assert code is None or len(code) <= 128


@pytest.mark.requirement("R65")
@often(150)
@given(st.one_of(texts, huge, spoilt(FORM)), texts)
def test_a_form_token_is_that_of_its_session_or_refused(given: str, session: str) -> None:
    if given != FORM:
        with pytest.raises(forms.BadForm):
            forms.check_token(RING, "a session", given)
    if session != "a session":
        with pytest.raises(forms.BadForm):
            forms.check_token(RING, session, FORM)


@pytest.mark.requirement("R65")
@often(150)
@given(
    st.dictionaries(
        st.sampled_from(["origin", "host", "sec-fetch-site"]),
        st.one_of(texts, spoilt("https://app.example.com"), st.sampled_from(["same-origin", "none", "null"])),
    )
)
def test_a_form_of_another_site_is_refused_whatever_the_headers_say(headers: dict[str, str]) -> None:
    _, bad = attempt(lambda: forms.check_origin(headers), forms.BadForm)
    if bad is None:
        assert headers.get("sec-fetch-site", "same-origin") == "same-origin"
    else:
        assert bad.status == 403


@pytest.mark.requirement("R92")
@often(100)
@given(st.sampled_from(sorted(Settings.model_fields)), st.one_of(texts, huge, spoilt("P10DT5H"), spoilt("30.5")))
def test_a_setting_is_taken_or_refused_without_being_repeated(name: str, text: str) -> None:
    made, refused = attempt(lambda: plain_settings(**{name: text}), ValidationError)
    assert len(text) < 12 or text not in str(refused)
    if made is not None:
        assert made.window <= 2
        assert made.suspend_after <= 100
        assert made.proof_max_age <= timedelta(hours=12)


@often(200)
@given(
    st.one_of(
        texts,
        spoilt("users.id"),
        spoilt("postgresql+psycopg://ada:a-long-password@db.example.com:5432/app?sslmode=require"),
        spoilt("mariadb://ada:a-long-password@db.example.com/app"),
        spoilt("sqlite:///folder/file.db"),
    )
)
def test_an_address_of_a_database_is_taken_or_refused_without_its_password(text: str) -> None:
    with suppress(ConfigurationError):
        UsersColumn.parse(text)
    for make in (create_engine, create_async_engine):
        engine, refused = attempt(lambda make=make: make(text), ConfigurationError)  # type: ignore[misc]
        assert "a-long-password" not in str(refused)
        assert refused is not None or isinstance(getattr(engine, "sync_engine", engine), sa.Engine)
