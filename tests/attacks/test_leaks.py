"""Whatever is logged, printed, raised, pickled or echoed, it holds no code, secret, token, URI or key."""

from __future__ import annotations

import base64
import hashlib
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyotp
import pytest
import sqlalchemy as sa
from pyotp.totp import TOTP

from tests.attacks.witness import Witness, everything_heard, printed, told
from tests.canaries import Canaries
from tests.people import FIREFOX, SAFARI, Clock, Open, Sql, challenged
from twofold import MFA, Challenge, Cleared, MFAError, Verified
from twofold.keyring import Keyring, generate_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.witness import Heard
    from tests.databases import Database

pytestmark = pytest.mark.every_driver

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
KEYS = "k1:" + base64.b64encode(hashlib.sha256(b"a key").digest()).decode()
URI = f"otpauth://totp/Acme:ada%40example.com?secret={SECRET}&issuer=Acme"


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def heard() -> Iterator[Heard]:
    with everything_heard() as heard:
        yield heard


def live(mfa: MFA, user_id: int, clock: Clock, canaries: Canaries, witness: Witness) -> tuple[str, ...]:
    """Ada's life with a second factor, with all that goes wrong in one; everything secret is hidden on the way."""
    given, refused = witness.given, witness.refused

    def proven(verified: Verified) -> Verified:
        canaries.hide("a proof", verified.token)
        return given(verified)

    def asked(**options: Any) -> str:
        challenge = given(mfa.challenge(user_id, **options))
        assert isinstance(challenge, Challenge)
        canaries.hide("a challenge", challenge.token)
        return challenge.token

    enrollment = given(mfa.totp.begin(user_id, account_name="ada@example.com", request=FIREFOX))
    given(mfa.totp.pending(user_id, account_name="ada@example.com"))
    canaries.hide_secret(enrollment.secret)
    canaries.hide("the URI", enrollment.uri)
    app = pyotp.parse_uri(enrollment.uri)
    assert isinstance(app, TOTP)

    def code(*, is_wrong: bool = False) -> str:
        clock.forward(seconds=60)
        made = app.at(clock.now)
        if is_wrong:
            made = f"{(int(made) + 50_000_000) % 100_000_000:08}"
        canaries.hide("a wrong code" if is_wrong else "a code", made)
        return made

    refused(lambda: mfa.totp.confirm(user_id, code(is_wrong=True), request=FIREFOX))
    enrolled = given(mfa.totp.confirm(user_id, code()))
    canaries.hide("a backup code", *enrolled.backup_codes)
    proven(enrolled.verified)

    # A login with a wrong code, the right one, the same again, and forgeries.
    token, right = asked(request=FIREFOX), code()
    refused(lambda: mfa.verify(token, code(is_wrong=True), request=FIREFOX))
    clock.forward(seconds=-60)
    verified = proven(mfa.verify(token, right, request=FIREFOX))
    refused(
        lambda: mfa.verify(asked(), right),
        lambda: mfa.verify(token + "x", right),
        lambda: mfa.reverify(user_id, right),
        lambda: mfa.reverify(404, right),
        lambda: mfa.verify(verified.token, right),
        lambda: mfa.proof(token),
        lambda: mfa.totp.begin(user_id, account_name="ada@example.com"),
        lambda: mfa.totp.confirm(user_id, right),
    )

    # A browser is trusted, comes back, and its old token as well.
    device = given(mfa.trusted_devices.trust(verified, request=FIREFOX))
    cleared = given(mfa.challenge(user_id, device_token=device.token, request=FIREFOX))
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    canaries.hide("a device token", device.token, cleared.device.token)
    given(mfa.trusted_devices.list(user_id))
    clock.forward(minutes=2)
    asked(device_token=device.token, request=SAFARI)

    # A backup code, twice; wrong ones until there is a wait; and then too late for everything.
    proven(mfa.verify(asked(), enrolled.backup_codes[0]))
    refused(lambda: mfa.verify(asked(), enrolled.backup_codes[0]))
    for _ in range(4):
        refused(lambda: mfa.reverify(user_id, code(is_wrong=True)))
    refused(lambda: mfa.reverify(user_id, app.at(clock.now)))
    fresh = proven(mfa.reverify(user_id, enrolled.backup_codes[1]))
    codes = given(mfa.backup_codes.regenerate(fresh, request=FIREFOX))
    canaries.hide("a new backup code", *codes)
    clock.forward(hours=1)
    refused(
        lambda: mfa.backup_codes.regenerate(fresh),
        lambda: mfa.trusted_devices.trust(fresh, name="a browser"),
        lambda: mfa.totp.begin(user_id, account_name="ada@example.com", verified=fresh),
        lambda: mfa.totp.disable(fresh),
        lambda: mfa.proof(fresh.token),
        lambda: mfa.verify(token, right),
    )
    given(mfa.status(user_id))
    given(mfa.events.recent(user_id, limit=100))
    given(mfa.events.export())
    given(mfa.events.verify(user_id))
    return codes


@pytest.mark.requirement("R37", "R93", "R99")
@pytest.mark.attack("A26", "A37", "A39")
def test_nothing_secret_is_logged_echoed_printed_or_raised(
    open_mfa: Open,
    ada: int,
    clock: Clock,
    keys: str,
    sql: Sql,
    canaries: Canaries,
    heard: Heard,
    capfd: pytest.CaptureFixture[str],
) -> None:
    witness, new = Witness(), generate_key("k2")
    clock.now = clock.now.replace(microsecond=1)
    canaries.hide_keys(f"{keys},{new}")
    canaries.hide("a derived key", *derived(keys), *derived(new))

    def open_(**settings: Any) -> MFA:
        return echoing(open_mfa(digits=8, issuer="Acme", **settings))

    mfa = open_()
    backup_codes = live(mfa, ada, clock, canaries, witness)
    both, new_alone = open_(keys=f"{new},{keys}"), open_(keys=new)
    witness.refused(lambda: new_alone.challenge(ada), lambda: new_alone.events.verify(ada))
    witness.given(both.keys.rotate())
    witness.given(both.keys.status())
    token = challenged(both, ada)
    sql("UPDATE user_mfa_secrets SET failed_attempts = 77")
    witness.refused(
        lambda: both.verify(token, backup_codes[0]),
        lambda: both.totp.begin(ada, account_name="ada@example.com"),
    )
    both.repair(ada, by="grace@example.com", reason="a test")
    witness.refused(lambda: both.reset(ada, by="grace@example.com", reason="a test"))
    again = witness.given(both.totp.begin(ada, account_name="ada@example.com"))
    canaries.hide_secret(again.secret)
    sql("ALTER TABLE mfa_events RENAME TO hidden")
    witness.refused(
        lambda: both.totp.confirm(ada, TOTP(again.secret, digits=8).at(clock.now)),
        lambda: both.totp.begin(ada, account_name="ada@example.com"),
    )
    sql("ALTER TABLE hidden RENAME TO mfa_events")
    both.erase(ada)

    out, err = capfd.readouterr()
    said = heard.said.getvalue()
    # The echo has every parameter and every row, so what is not in it was never sent.
    assert "UPDATE user_mfa_secrets" in said
    assert "'v1:k1:" in said
    assert "Row (" in said
    assert canaries.seen_in(said) == []
    assert canaries.seen_in(out + err) == []
    assert {type(error).__name__ for error in witness.errors} >= {"Rejected", "Stale", "Tampered", "MissingKey"}
    assert {repr(error): seen for error in witness.errors if (seen := canaries.seen_in(told(error)))} == {}
    shown = [value for value in witness.values if not (isinstance(value, tuple) and isinstance(value[0], str))]
    assert {type(value): seen for value in shown if (seen := canaries.seen_in(printed(value)))} == {}


def echoing(mfa: MFA) -> MFA:
    """Let the engine of a face log every statement, parameter and row, as a host's may: it hides nothing."""
    face: Any = getattr(mfa, "_face", mfa)
    engine: Any = face._source if isinstance(face, MFA) else face._engine
    engine.echo, engine.hide_parameters = "debug", False
    return mfa


def derived(keys: str) -> list[bytes]:
    (by_purpose,) = Keyring.parse(keys)._keys.values()
    return list(by_purpose.values())


def test_our_own_engines_keep_parameters_out_of_the_echo_too(migrated: Database, heard: Heard) -> None:
    engine = migrated.engine()
    engine.echo = "debug"
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1 WHERE :parameter = 'x'"), {"parameter": "kept out of it"})
    said = heard.said.getvalue()
    assert "SELECT" in said
    assert "[SQL parameters hidden due to hide_parameters=True]" in said
    assert "kept out of it" not in said


PLANTED = [SECRET.encode(), base64.b32decode(SECRET), URI.encode(), b"ABCDE-ABCDE", b"correct horse battery"]


@pytest.mark.parametrize("planted", PLANTED)
def test_the_search_finds_what_is_there_in_every_form(planted: bytes, canaries: Canaries) -> None:
    canaries.hide_secret(SECRET)
    canaries.hide("planted", *(one.decode() if one.isascii() else one for one in PLANTED))
    forms = [
        planted,
        planted.hex().encode(),
        planted.hex().upper().encode(),
        base64.b32encode(planted),
        *(base64.b64encode(b"before"[:first] + planted + b"after") for first in range(4)),
        *(base64.urlsafe_b64encode(b"before"[:first] + planted + b"after") for first in range(4)),
        quote(planted, safe="").encode(),
        quote(planted).encode(),
        repr(planted).encode(),
        repr(list(planted)).encode(),
        planted.lower() if planted.isascii() else planted,
        planted.replace(b"-", b""),
    ]
    for form in forms:
        assert canaries.seen_in(b"before " + form + b" after"), form


@pytest.mark.parametrize("around", ["'{}'", "code={}&x", '{{"code":"{}"}}', " {} ", "({},)", "{}\n"])
def test_the_search_finds_a_short_code_that_stands_alone(around: str, canaries: Canaries) -> None:
    canaries.hide("a code", "123456")
    assert canaries.seen_in(around.format("123456")) == (["a code"] if around[:5] != "code=" else [])
    assert canaries.seen_in("5f123456ab .123456 1234567 2026-123456") == []


def test_the_search_hears_what_is_logged_raised_and_returned(canaries: Canaries, heard: Heard) -> None:
    canaries.hide_secret(SECRET)
    logging.getLogger("anything").debug("the secret is %s", SECRET)
    logging.getLogger("sqlalchemy.anything").debug("in a field", extra={"hidden": {"secret": SECRET}})
    first, second = heard.said.getvalue().splitlines()
    assert canaries.seen_in(first)
    assert canaries.seen_in(second)
    witness = Witness()
    names: dict[str, Any] = {"error": MFAError}
    exec(compile(f"def fail():\n    kept = {SECRET!r}\n    raise error('no')", "elsewhere.py", "exec"), names)
    witness.refused(names["fail"])
    assert canaries.seen_in(told(witness.errors[0]))
    assert canaries.seen_in(printed({"secret": SECRET}))
