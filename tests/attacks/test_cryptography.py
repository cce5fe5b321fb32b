"""Whoever has the database, or a piece of it, and tries what the cryptography is there to stop."""

from __future__ import annotations

import base64
import hmac
import re
from itertools import permutations
from typing import TYPE_CHECKING, Any, get_args

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.databases import ROOT
from tests.people import FIREFOX, Clock, Enrolment, Open, Sql, challenged, enroll, log_in
from twofold import MFA, MissingKey, Reason, Rejected, Tampered, WrongKey
from twofold.account import reading, store
from twofold.account.attempt import Fact
from twofold.backup_codes import codec
from twofold.keyring import Keyring, Purpose, canonical, generate_key
from twofold.kinds import Kind
from twofold.totp.algorithm import SECRET_BYTES

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tests.databases import Database


@pytest.fixture
def face() -> str:
    """These attacks aim at what both faces share."""
    return "blocking"


def derived(keys: str, purpose: str) -> bytes:
    """HKDF-SHA-256 of RFC 5869, written out: extract with an empty salt, expand once."""
    master = base64.b64decode(keys.partition(":")[2])
    return hmac.digest(hmac.digest(bytes(32), master, "sha256"), f"twofold v1 {purpose}".encode() + b"\1", "sha256")


@pytest.mark.requirement("R86", "R91")
@pytest.mark.backends("sqlite")
def test_what_is_at_rest_is_what_is_documented(mfa: MFA, enrolled: Enrolment, keys: str, sql: Sql) -> None:
    ((sealed,),) = sql("SELECT secret FROM user_mfa_secrets")
    _, kid, check, body = sealed.split(":")
    assert check == hmac.digest(derived(keys, "check"), b"check", "sha256").hex()[:8]
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    place = canonical("user_mfa_secrets", "secret", enrolled.user_id, "SHA1", 6, 30, None)
    secret = AESGCM(derived(keys, "secrets")).decrypt(raw[:12], raw[12:], f"{kid}:".encode() + place)
    assert base64.b32encode(secret).decode() == enrolled.phone.secret
    hashes = {row.code_hash for row in sql("SELECT code_hash FROM mfa_backup_codes")}
    for code in enrolled.backup_codes:
        message = canonical("backup code", enrolled.user_id, code.replace("-", ""))
        assert f"v1:{kid}:{check}:{hmac.digest(derived(keys, 'backup codes'), message, 'sha256').hex()}" in hashes


def rewrite(mfa: MFA, engine: sa.Engine, user_id: int, **changes: Any) -> None:
    """Change a row as nobody but the holder of the keys could: its MAC fits again."""
    with engine.begin() as connection:
        work = mfa._runtime.attempt(connection, is_locking=False, in_transaction=True)
        account = reading.find(work, user_id)
        assert account is not None
        store.save(work, account, account._replace(**changes), Fact(Kind.RESEALED))


def flipped(sealed: str, position: int) -> str:
    prefix, _, body = sealed.rpartition(":")
    raw = bytearray(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    raw[position] ^= 1
    return f"{prefix}:{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


@pytest.mark.requirement("R87", "R89")
def test_a_seal_opens_in_its_own_place_alone(
    open_mfa: Open, migrated: Database, ada: int, grace: int, clock: Clock, keys: str, sql: Sql
) -> None:
    both = f"{keys},{generate_key('k2')}"
    mfa = open_mfa(keys=both, free_failures=10)
    enrolment = enroll(mfa, ada, clock)
    enroll(mfa, grace, clock)
    verified = log_in(mfa, ada, enrolment.phone.code())
    mfa.totp.begin(ada, account_name="ada@example.com", verified=verified)
    ((own, waiting),) = sql("SELECT secret, pending_secret FROM user_mfa_secrets WHERE user_id = :id", id=ada)
    ((graces,),) = sql("SELECT secret FROM user_mfa_secrets WHERE user_id = :id", id=grace)
    places: list[dict[str, Any]] = [
        {"secret": graces},
        {"secret": waiting},
        {"digits": 8},
        {"period": 60},
        {"algorithm": "SHA256"},
        {"secret": own.replace(*(Keyring.parse(both).prefixes[kid] for kid in ("k1", "k2")))},
        {"secret": own.replace("v1:", "v2:")},
        {"secret": own[:-1]},
        {"secret": "v1:k1:"},
        {"secret": own.rpartition(":")[0] + ":"},
        {"secret": enrolment.phone.secret},
        *({"secret": flipped(own, position)} for position in (0, 11, 12, 31, 32, 47)),
    ]
    as_it_was: dict[str, Any] = {"secret": own, "digits": 6, "period": 30, "algorithm": "SHA1"}
    engine, told = migrated.engine(), set[str]()
    clock.forward(seconds=60)
    for place in places:
        rewrite(mfa, engine, ada, **as_it_was | place)
        with pytest.raises(Tampered) as refused:
            mfa.reverify(ada, enrolment.phone.code().zfill(place.get("digits", 6)))
        told.add(str(refused.value))
        latest = mfa.events.recent(ada, limit=1)[0]
        assert (latest.kind, latest.status) == ("seal_broken", "alarm"), place
    assert len(told) == 1
    rewrite(mfa, engine, ada, **as_it_was)
    assert mfa.status(ada).failed_attempts == 0
    assert mfa.reverify(ada, enrolment.phone.code())

    for other, error in (("v1:k9:", MissingKey), ("v1:k2:", WrongKey)):
        rewrite(mfa, engine, ada, secret=own.replace("v1:k1:", other))
        with pytest.raises(error, match=f"'{other[3:5]}'"):
            mfa.reverify(ada, enrolment.phone.code())
        latest = mfa.events.recent(ada, limit=1)[0]
        assert (latest.kind, latest.status) == ("key_missing", "alarm")


@pytest.mark.requirement("R89")
def test_everything_that_a_key_made_names_its_key(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    mfa.challenge(enrolled.user_id, device_token=device.token, request=FIREFOX)
    mfa.totp.begin(enrolled.user_id, account_name="ada@example.com", verified=verified)
    made = [
        *sql("SELECT secret, pending_secret, state_mac, event_head FROM user_mfa_secrets"),
        *sql("SELECT trust_token, previous_token, device_fingerprint FROM mfa_device_trusts"),
        *sql("SELECT code_hash FROM mfa_backup_codes"),
        *sql("SELECT mac FROM mfa_events"),
    ]
    assert len(made) == 2 + 10 + 7
    assert all(value.startswith("v1:k1:") for row in made for value in row)
    for token in (verified.token, challenged(mfa, enrolled.user_id)):
        assert token.startswith("v1~k1~")


@pytest.mark.requirement("R91")
def test_what_one_purpose_made_means_nothing_for_another() -> None:
    ring = Keyring.parse(generate_key("k1"))
    purposes: tuple[Purpose, ...] = get_args(Purpose)
    assert {"secrets", "backup codes", "device tokens", "events", "state"} <= set(purposes)
    for made_for, used_for in permutations(purposes, 2):
        assert not ring.check(used_for, b"message", ring.mac(made_for, b"message"))


@pytest.mark.requirement("R94")
def test_backup_codes_of_a_retired_key_are_refused_and_reported(
    open_mfa: Open, ada: int, grace: int, clock: Clock, keys: str
) -> None:
    adas, new = enroll(open_mfa(), ada, clock), generate_key("k2")
    both = open_mfa(keys=f"{new},{keys}")
    graces = enroll(both, grace, clock)
    assert log_in(both, ada, adas.backup_codes[0])
    assert log_in(both, grace, graces.backup_codes[0])
    both.keys.rotate()

    new_alone = open_mfa(keys=new)
    with pytest.raises(Rejected) as refused:
        log_in(new_alone, ada, adas.backup_codes[1])
    assert refused.value.reason is Reason.WRONG_CODE
    assert log_in(new_alone, grace, graces.backup_codes[1])
    (_, retired) = new_alone.keys.status()
    assert (retired.kid, retired.is_configured, retired.is_needed, retired.backup_codes) == ("k1", False, True, 9)


@pytest.mark.requirement("R95")
@pytest.mark.backends("sqlite")
def test_nobody_finds_a_token_by_trying(mfa: MFA, enrolled: Enrolment) -> None:
    for token in (enrolled.verified.token, challenged(mfa, enrolled.user_id)):
        assert len(bytes.fromhex(token.rpartition("~")[2])) * 8 == 256


@pytest.mark.requirement("R96")
def test_the_inventory_of_the_cryptography_is_what_the_code_does() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| ([a-z][^|]+?) \| ([^|]+?) \|", text.partition("## Cryptography")[2], re.MULTILINE))
    bits = [8 * size for size in SECRET_BYTES.values()]
    assert table["secrets"].startswith(f"{bits[0]}, {bits[1]} or {bits[2]} bits")
    assert table["backup codes"].startswith(f"{codec.SYMBOLS * (len(codec.ALPHABET).bit_length() - 1)} bits")
    sealed = Keyring.parse(generate_key("k1")).seal(b"", b"").rpartition(":")[2]
    nonce_bits = 8 * (len(base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))) - 16)
    assert table["secrets at rest"].startswith(f"AES-256-GCM, random {nonce_bits}-bit nonce")
    master_bits = 8 * len(base64.b64decode(generate_key("k1").partition(":")[2]))
    assert table["keys by purpose"] == f"HKDF-SHA-256 from a {master_bits}-bit master key, for one deployment"


@pytest.mark.requirement("R87")
@pytest.mark.backends("sqlite")
def test_a_number_of_another_kind_in_a_column_is_an_alarm(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    columns = ("digits", "period", "last_used_step", "last_challenge", "failed_attempts", "event_count")
    for column in columns:
        ((before,),) = sql(f"SELECT {column} FROM user_mfa_secrets")
        for value in (before + 0.5, f"{before}x", f"{before}".encode()):
            sql(f"UPDATE user_mfa_secrets SET {column} = :value", value=value)
            with pytest.raises(Tampered):
                mfa.challenge(enrolled.user_id)
        sql(f"UPDATE user_mfa_secrets SET {column} = :value", value=before)
    assert mfa.challenge(enrolled.user_id)
