"""Which passkeys are let in: what the list and the roots of the settings are told, by honest keys and by liars."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.passkeys.makers import MODEL, OTHER_MODEL, Maker, key_of, new_key
from tests.passkeys.test_page import of_before
from tests.passkeys.test_story import registered, signed_in
from tests.people import ORIGIN, Open, plain_settings
from twofold import Reason, Rejected, base64url
from twofold.errors import ConfigurationError
from twofold.passkeys.policy import Policy
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from pathlib import Path

    from twofold import MFA

pytestmark = pytest.mark.passkeys

OVER = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def strict(open_mfa: Open, maker: Maker, tmp_path: Path) -> MFA:
    """Settings that take one model, of one maker, who has to vouch for it."""
    return open_mfa(public_url=ORIGIN, **attested(maker, tmp_path), passkey_aaguids=MODEL)


def attested(maker: Maker, folder: Path) -> dict[str, Any]:
    return {"passkey_attestation": "required", "passkey_roots": maker.roots(folder)}


def registration(mfa: MFA, user_id: int, passkey: VirtualPasskey, **said: Any) -> Reason | None:
    """How a registration ends: None where it holds."""
    asked = mfa.passkeys.begin(user_id, account_name="ada@example.com")
    return confirmation(mfa, user_id, passkey.register(asked, **said))


def confirmation(mfa: MFA, user_id: int, credential: str) -> Reason | None:
    try:
        mfa.passkeys.confirm(user_id, credential)
    except Rejected as rejected:
        return rejected.reason
    return None


def why(mfa: MFA, user_id: int) -> tuple[str, Any, Any]:
    """What the log says of the last refusal."""
    line = mfa.events.recent(user_id)[0]
    return line.status, line.details["reason"], line.details["why"]


@pytest.mark.requirement("R124")
def test_a_model_of_the_list_that_its_maker_vouches_for_is_let_in(
    strict: MFA, ada: int, grace: int, maker: Maker
) -> None:
    passkey, below = key_of(ORIGIN), Maker("Below", above=maker)
    asked = strict.passkeys.begin(ada, account_name="ada@example.com")
    assert asked.options["attestation"] == "direct"
    made = strict.passkeys.confirm(ada, passkey.register(asked, **maker.attests())).passkey
    assert made.aaguid == MODEL
    assert signed_in(strict, ada, passkey).amr == ("pwd", "hwk", "user", "mfa")
    # A chain may have more between the two ends.
    assert registration(strict, grace, key_of(ORIGIN), **below.attests(beside=[below.der])) is None


_ALONE, _UNKNOWN = "it vouches for itself alone", "no trusted root vouches for its certificate, or not any more"
_NONE, _NAMELESS = (
    "its maker does not vouch for it in a format that is taken",
    "its certificate does not name its model",
)
_NO_AUTHENTICATOR, _OTHER = "its certificate is none of an authenticator", "its model is not on the list"
LIES: dict[str, tuple[Any, str]] = {
    "no statement": (lambda _key, _maker: {}, _NONE),
    "vouching for itself": (lambda key, _maker: {"attested_by": key.key}, _ALONE),
    "vouching for itself beside no certificate": (
        lambda key, _maker: {"attested_by": key.key, "certificates": []},
        _ALONE,
    ),
    "an unknown root": (lambda _key, _maker: Maker("Nobody").attests(), _UNKNOWN),
    "a root of the same name": (lambda _key, maker: Maker(maker.name).attests(), _UNKNOWN),
    "a root of its own in the chain": (
        lambda _key, maker: (own := Maker(maker.name)).attests(beside=[own.der]),
        _UNKNOWN,
    ),
    "the true root beside a stranger's certificate": (
        lambda _key, maker: Maker("Nobody").attests(beside=[maker.der]),
        _UNKNOWN,
    ),
    "a certificate that is over": (lambda _key, maker: maker.attests(ends=OVER), _UNKNOWN),
    "a chain that is over": (
        lambda _key, maker: (below := Maker("Below", above=maker, ends=OVER)).attests(beside=[below.der]),
        _UNKNOWN,
    ),
    "a chain without its middle": (lambda _key, maker: Maker("Below", above=maker).attests(), _UNKNOWN),
    "an authenticator that plays the maker": (
        lambda _key, maker: (leaf := Maker("A key", above=maker, is_authority=False)).attests(beside=[leaf.der]),
        _UNKNOWN,
    ),
    "a certificate of another model": (lambda _key, maker: maker.attests(model=OTHER_MODEL), _NAMELESS),
    "a certificate that names no model": (lambda _key, maker: maker.attests(model=None), _NAMELESS),
    "a certificate with a model that is none": (
        lambda _key, maker: maker.attests(model=b"\x04\x02ab"),
        _NO_AUTHENTICATOR,
    ),
    "a model that has another type": (
        lambda _key, maker: maker.attests(model=b"\x0c\x10" + bytes(16)),
        _NO_AUTHENTICATOR,
    ),
    "a model that is critical": (lambda _key, maker: maker.attests(is_critical=True), _UNKNOWN),
    "a certificate for something else": (lambda _key, maker: maker.attests(unit="Payroll"), _NO_AUTHENTICATOR),
    "a certificate of an authority": (lambda _key, maker: maker.attests(is_authority=True), _NO_AUTHENTICATOR),
    "a certificate that does not say": (lambda _key, maker: maker.attests(is_authority=None), _NO_AUTHENTICATOR),
    "a true model that is not on the list": (
        lambda key, maker: {"aaguid": key_of(ORIGIN, OTHER_MODEL).aaguid} | maker.attests(model=OTHER_MODEL),
        _OTHER,
    ),
}


@pytest.mark.requirement("R124")
@pytest.mark.parametrize("lie", LIES)
def test_what_the_maker_does_not_vouch_for_is_refused(strict: MFA, ada: int, maker: Maker, lie: str) -> None:
    passkey, (said, told) = key_of(ORIGIN), LIES[lie]
    assert registration(strict, ada, passkey, **said(passkey, maker)) is Reason.PASSKEY_NOT_ALLOWED
    assert why(strict, ada) == ("refused", "passkey_not_allowed", told)
    assert not strict.status(ada).is_enrolled
    assert strict.passkeys.list(ada) == ()
    assert strict.events.verify(ada).is_intact


@pytest.mark.requirement("R124")
def test_a_signature_that_does_not_hold_is_refused_as_ever(strict: MFA, ada: int, maker: Maker) -> None:
    # The certificate is true, and whoever sends it does not have its key.
    stolen = maker.attests() | {"attested_by": new_key()}
    assert registration(strict, ada, key_of(ORIGIN), **stolen) is Reason.PASSKEY_REFUSED
    assert registration(strict, ada, key_of(ORIGIN), **maker.attests(), origin="https://example.org") is (
        Reason.PASSKEY_REFUSED
    )
    # Neither has the maker's own certificate a key that signs.
    own = {"attested_by": new_key(), "certificates": [maker.der]}
    assert registration(strict, ada, key_of(ORIGIN), **own) is Reason.PASSKEY_REFUSED
    chains: list[Any] = [[b""], [b"\x30"], [maker.der[:-9]], ["text"], [None], "text", {}, 7]
    for broken in chains:
        said = {"attestation": {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x", "x5c": broken}}}
        assert registration(strict, ada, key_of(ORIGIN), **said) in {
            Reason.PASSKEY_REFUSED,
            Reason.PASSKEY_NOT_ALLOWED,
        }, broken


def of_u2f(credential: str, passkey: VirtualPasskey, maker: Maker) -> str:
    """The same registration as a key of the years before WebAuthn attests it (WebAuthn Level 3 §8.6)."""
    said = json.loads(credential)
    attested = cbor2.loads(base64url.read(said["response"]["attestationObject"]))
    client_data = base64url.read(said["response"]["clientDataJSON"])
    point = passkey.key.public_key().public_numbers()
    signed = b"\x00" + attested["authData"][:32] + sha256(client_data).digest() + passkey.credential_id
    signed += b"\x04" + point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    batch = maker.attests(model=None)
    signature = batch["attested_by"].sign(signed, ec.ECDSA(SHA256()))
    attested |= {"fmt": "fido-u2f", "attStmt": {"sig": signature, "x5c": batch["certificates"]}}
    said["response"]["attestationObject"] = base64url.written(cbor2.dumps(attested))
    return json.dumps(said)


@pytest.mark.requirement("R124")
def test_a_format_that_does_not_sign_the_model_proves_none(
    mfa: MFA, open_mfa: Open, ada: int, maker: Maker, tmp_path: Path
) -> None:
    # Without a list as well: in this format who holds the browser may write that the user was verified.
    vouched = open_mfa(public_url=ORIGIN, **attested(maker, tmp_path))
    for strict, expected in ((vouched, Reason.PASSKEY_NOT_ALLOWED), (mfa, None)):
        passkey = VirtualPasskey(ORIGIN)
        asked = strict.passkeys.begin(ada, account_name="ada@example.com")
        credential = of_u2f(passkey.register(asked), passkey, maker)
        assert confirmation(strict, ada, credential) is expected


@pytest.mark.requirement("R124")
def test_without_a_list_a_maker_vouches_for_any_model(open_mfa: Open, ada: int, maker: Maker, tmp_path: Path) -> None:
    mfa = open_mfa(public_url=ORIGIN, **attested(maker, tmp_path))
    assert registration(mfa, ada, key_of(ORIGIN), **maker.attests(model=OTHER_MODEL)) is Reason.PASSKEY_NOT_ALLOWED
    assert registration(mfa, ada, key_of(ORIGIN)) is Reason.PASSKEY_NOT_ALLOWED
    # A root of a single model need not name it (§8.2.1).
    assert registration(mfa, ada, key_of(ORIGIN), **maker.attests(model=None)) is None


@pytest.mark.requirement("R124")
def test_a_list_alone_believes_what_it_is_told(open_mfa: Open, ada: int, grace: int) -> None:
    mfa = open_mfa(public_url=ORIGIN, passkey_aaguids=f" {OTHER_MODEL.upper()}, {MODEL}")
    # A browser that is asked for nothing takes the model off what a security key says.
    assert mfa.passkeys.begin(ada, account_name="ada@example.com").options["attestation"] == "direct"
    for model in ("cb69481e-8ff7-4039-93ec-0a2729a154a8", "00000000-0000-0000-0000-000000000000"):
        assert registration(mfa, ada, key_of(ORIGIN, model)) is Reason.PASSKEY_NOT_ALLOWED
        assert why(mfa, ada) == ("refused", "passkey_not_allowed", _OTHER)
    assert registration(mfa, ada, key_of(ORIGIN)) is None
    # Whoever holds the browser says what is wished for.
    assert registration(mfa, grace, VirtualPasskey(ORIGIN), aaguid=key_of(ORIGIN).aaguid) is None


@pytest.mark.requirement("R124")
def test_passkeys_of_before_go_on_and_are_adopted(mfa: MFA, strict: MFA, ada: int, grace: int) -> None:
    passkey, adopted = VirtualPasskey(ORIGIN), VirtualPasskey(ORIGIN)
    assert mfa.passkeys.begin(ada, account_name="ada@example.com").options["attestation"] == "none"
    registered(mfa, ada, passkey)
    assert signed_in(strict, ada, passkey)
    strict.passkeys.adopt(grace, **of_before(adopted))
    assert signed_in(strict, grace, adopted)


@pytest.mark.requirement("R124")
def test_what_was_asked_for_before_the_policy_is_judged_by_it(mfa: MFA, strict: MFA, ada: int, maker: Maker) -> None:
    asked = mfa.passkeys.begin(ada, account_name="ada@example.com")
    assert confirmation(strict, ada, key_of(ORIGIN).register(asked)) is Reason.PASSKEY_NOT_ALLOWED
    assert confirmation(strict, ada, key_of(ORIGIN).register(asked, **maker.attests())) is None


@pytest.mark.requirement("R124")
def test_roots_are_read_with_each_registration_and_nothing_is_let_in_without_them(
    strict: MFA, ada: int, maker: Maker, tmp_path: Path
) -> None:
    asked = strict.passkeys.begin(ada, account_name="ada@example.com")
    file = maker.roots(tmp_path)
    file.unlink()
    with pytest.raises(ConfigurationError, match="TWOFOLD_PASSKEY_ROOTS is wrong: it cannot be read"):
        strict.passkeys.confirm(ada, key_of(ORIGIN).register(asked, **maker.attests()))
    with pytest.raises(ConfigurationError, match="TWOFOLD_PASSKEY_ROOTS is wrong"):
        strict.passkeys.begin(ada, account_name="ada@example.com")
    later = Maker("A maker")
    later.roots(tmp_path)
    assert confirmation(strict, ada, key_of(ORIGIN).register(asked, **maker.attests())) is Reason.PASSKEY_NOT_ALLOWED
    assert confirmation(strict, ada, key_of(ORIGIN).register(asked, **later.attests())) is None


def test_settings_that_went_around_their_checks_let_nothing_in(maker: Maker, tmp_path: Path) -> None:
    said = plain_settings(**attested(maker, tmp_path))
    assert Policy.of(said).roots
    with pytest.raises(ConfigurationError, match="TWOFOLD_PASSKEY_ROOTS is wrong: it is not set"):
        Policy.of(said.model_copy(update={"passkey_roots": None}))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"passkey_attestation": "required"}, "go together"),
        ({"passkey_attestation": "required", "passkey_roots": ""}, "go together"),
        ({"passkey_roots": "roots.pem"}, "go together"),
        ({"passkey_attestation": "required", "passkey_roots": "nowhere.pem"}, "it cannot be read"),
        ({"passkey_attestation": "preferred"}, "none"),
        ({"passkey_aaguids": "ee882879"}, "it is AAGUIDs with commas between"),
        ({"passkey_aaguids": "ee882879721c491397753dfcce97072a"}, "it is AAGUIDs with commas between"),
        ({"passkey_aaguids": f"{MODEL} {OTHER_MODEL}"}, "it is AAGUIDs with commas between"),
        ({"passkey_aaguids": f"{MODEL},00000000-0000-0000-0000-000000000000"}, "none of zeros"),
    ],
)
def test_settings_that_contradict_each_other_do_not_start(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    maker.roots(tmp_path).rename("roots.pem")
    with pytest.raises(ValueError, match=why):
        plain_settings(**said)


def test_nothing_that_is_empty_is_a_policy() -> None:
    said = plain_settings(passkey_aaguids=" , ", passkey_roots="")
    assert (said.passkey_aaguids, said.passkey_roots) == (None, None)
    assert Policy.of(said).conveyance == "none"
