"""Attacks on passkeys, each with a key that is real: what browsers, thieves and writers of the database may bring."""

from __future__ import annotations

import json
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.attacks.act import refusal
from tests.attacks.passkey_acts import asked, begun, registered, signed, signs_in
from tests.passkeys.bombs import BOMBS
from tests.people import FIREFOX, ORIGIN, Clock, Open, Phone, Sql, challenged, enroll, kinds
from twofold import Challenge, Cleared, EnrollmentExpired, Rejected, Stale, base64url
from twofold.errors import AlreadyEnrolled, LastFactor, Tampered
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from twofold import MFA

pytestmark = pytest.mark.passkeys

WRONG_ORIGINS = [
    "https://example.org",
    "https://example.com:8443",
    "https://login.example.com",
    "http://example.com",
    "https://example.com.",
    "https://EXAMPLE.com",
    "https://example.com/",
    "https://example.com@example.org",
    "https://еxample.com",
    "HTTPS://example.com",
    " https://example.com",
    "null",
    "",
    None,
    7,
    ["https://example.com"],
]
FRAMED: list[dict[str, Any]] = [
    {"cross_origin": True},
    {"cross_origin": True, "top_origin": "https://example.org"},
    {"cross_origin": True, "top_origin": ORIGIN},
    {"top_origin": "https://example.org"},
    {"top_origin": [ORIGIN]},
    {"top_origin": {}},
    {"cross_origin": "true"},
    {"cross_origin": 1},
    {"cross_origin": None},
]


def login(mfa: MFA, user_id: int, passkey: VirtualPasskey, **bent: Any) -> str:
    """What comes of a login with what this passkey signs, bent so."""
    token, assertion = signed(mfa, user_id, passkey, **bent)
    return refusal(lambda: mfa.verify(token, assertion))


def answered(mfa: MFA, token: str, answer: Any) -> str:
    return refusal(lambda: mfa.verify(token, answer))


def stepped(mfa: MFA, user_id: int, answer: Any) -> str:
    return refusal(lambda: mfa.reverify(user_id, answer))


def confirmed(mfa: MFA, user_id: int, answer: Any) -> str:
    return refusal(lambda: mfa.passkeys.confirm(user_id, answer))


def registration(mfa: MFA, user_id: int, passkey: VirtualPasskey, **bent: Any) -> str:
    credential = passkey.register(begun(mfa, user_id), **bent)
    return refusal(lambda: mfa.passkeys.confirm(user_id, credential))


def whys(mfa: MFA, user_id: int) -> list[Any]:
    """Why passkeys were refused, the newest first."""
    return [line.details["why"] for line in mfa.events.recent(user_id, limit=1000) if "why" in line.details]


@pytest.mark.requirement("R116")
@pytest.mark.attack("A32")
def test_what_was_signed_for_one_purpose_serves_no_other(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    passkey, other = VirtualPasskey(ORIGIN), VirtualPasskey(ORIGIN)
    first = registered(mfa, ada, passkey)
    registered(mfa, grace, other)
    waiting, stepping = asked(mfa, ada), mfa.passkeys.ask(ada)
    registering = begun(mfa, ada, first.verified)
    for_login = passkey.sign(waiting.passkey_options or {})
    for_session = passkey.sign(stepping)
    for_registering = passkey.sign({"challenge": registering.options["challenge"], "rpId": "example.com"})
    for wrong in (for_session, for_registering):
        assert answered(mfa, waiting.token, wrong) == "passkey_refused"
    for wrong in (for_login, for_registering):
        assert stepped(mfa, ada, wrong) == "passkey_refused"
    for challenge in ((waiting.passkey_options or {})["challenge"], stepping.options["challenge"]):
        made = VirtualPasskey(ORIGIN).register(registering, challenge=challenge)
        with pytest.raises(EnrollmentExpired):
            mfa.passkeys.confirm(ada, made)
    # The ceremonies are told apart by what the browser says, too.
    assert login(mfa, ada, passkey, type="webauthn.create") == "passkey_refused"
    assert registration_of(mfa, ada, first.verified, type="webauthn.get") == "passkey_refused"
    # Another login's challenge, of the same user, and of somebody else.
    assert refusal(lambda: mfa.verify(asked(mfa, ada).token, for_login)) == "passkey_refused"
    assert refusal(lambda: mfa.verify(asked(mfa, grace).token, for_login)) == "passkey_refused"
    clock.forward(minutes=11)
    assert refusal(lambda: mfa.verify(waiting.token, for_login)) == "challenge_expired"
    assert refusal(lambda: mfa.reverify(ada, for_session)) == "code_already_used"
    assert signs_in(mfa, ada, passkey)


def registration_of(mfa: MFA, user_id: int, verified: Any, **bent: Any) -> str:
    credential = VirtualPasskey(ORIGIN).register(begun(mfa, user_id, verified), **bent)
    return refusal(lambda: mfa.passkeys.confirm(user_id, credential))


@pytest.mark.requirement("R116")
@pytest.mark.attack("A32")
def test_one_passkey_comes_of_one_registration(mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock) -> None:
    verified = registered(mfa, ada, passkey).verified
    registering = begun(mfa, ada, verified)
    second = VirtualPasskey(ORIGIN)
    credential = second.register(registering)
    made = mfa.passkeys.confirm(ada, credential)
    with pytest.raises(EnrollmentExpired):
        mfa.passkeys.confirm(ada, VirtualPasskey(ORIGIN).register(registering))
    # The same once more is told the same again, with the moment of then, and for half a minute.
    clock.forward(seconds=20)
    again = mfa.passkeys.confirm(ada, credential)
    assert (again.passkey.id, again.verified.at) == (made.passkey.id, made.verified.at)
    assert mfa.passkeys.revoke(verified, made.passkey.id)
    assert refusal(lambda: mfa.passkeys.confirm(ada, credential)) == "passkey_refused"
    clock.forward(seconds=31)
    with pytest.raises(EnrollmentExpired):
        mfa.passkeys.confirm(ada, credential)
    # What was revoked is not registered anew, whatever it is asked.
    answer = second.register(begun(mfa, ada, verified))
    assert refusal(lambda: mfa.passkeys.confirm(ada, answer)) == "passkey_refused"


@pytest.mark.requirement("R116")
def test_an_assertion_of_before_an_erasure_is_worth_nothing(
    mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock
) -> None:
    registered(mfa, ada, passkey)
    token, assertion = signed(mfa, ada, passkey)
    mfa.erase(ada)
    clock.forward(seconds=5)
    registered(mfa, ada, passkey)
    # The numbers of the challenges are the same ones again.
    waiting = asked(mfa, ada)
    passkey.counter = 0
    assert refusal(lambda: mfa.verify(waiting.token, assertion)) == "passkey_refused"
    assert refusal(lambda: mfa.verify(token, assertion)) == "challenge_expired"


@pytest.mark.requirement("R117")
def test_another_origin_is_refused_in_both_ceremonies(mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey) -> None:
    registered(mfa, ada, passkey)
    for origin in WRONG_ORIGINS:
        said = {"client_data": {"origin": origin}}
        assert login(mfa, ada, passkey, **said) == "passkey_refused", origin
        assert whys(mfa, ada)[0] == "it was asked for by another origin"
        assert registration(mfa, grace, VirtualPasskey(ORIGIN), **said) == "passkey_refused", origin
    assert login(mfa, ada, passkey) == "success"


@pytest.mark.requirement("R117")
def test_another_domain_is_refused_in_both_ceremonies(mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey) -> None:
    registered(mfa, ada, passkey)
    for domain in ("example.org", "login.example.com", "EXAMPLE.com", "com", ""):
        assert login(mfa, ada, passkey, rp_id=domain) == "passkey_refused"
        assert registration(mfa, grace, VirtualPasskey(ORIGIN), rp_id=domain) == "passkey_refused"
    assert whys(mfa, ada)[0] == "it is of another domain"


@pytest.mark.requirement("R117")
def test_a_frame_of_somebody_else_is_refused_in_both_ceremonies(
    mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey
) -> None:
    registered(mfa, ada, passkey)
    for framed in FRAMED:
        assert login(mfa, ada, passkey, **framed) == "passkey_refused", framed
        assert registration(mfa, grace, VirtualPasskey(ORIGIN), **framed) == "passkey_refused", framed
        assert whys(mfa, ada)[0] == whys(mfa, grace)[0] == "it was asked for in a frame of another origin"


@pytest.mark.requirement("R117")
def test_a_frame_is_allowed_by_name_alone(open_mfa: Open, ada: int, passkey: VirtualPasskey) -> None:
    mfa = open_mfa(public_url=ORIGIN, top_origins="https://portal.example.net")
    framed = {"cross_origin": True, "top_origin": "https://portal.example.net"}
    assert registration(mfa, ada, passkey, **framed) == "success"
    assert login(mfa, ada, passkey, **framed) == "success"
    for wrong in ({"cross_origin": True}, framed | {"top_origin": "https://portal.example.net.evil.example"}):
        assert login(mfa, ada, passkey, **wrong) == "passkey_refused"


@pytest.mark.requirement("R117", "R118")
def test_somebody_has_to_be_there_and_to_be_verified_where_that_is_asked(
    mfa: MFA, open_mfa: Open, ada: int, grace: int, passkey: VirtualPasskey
) -> None:
    registered(mfa, ada, passkey)
    assert login(mfa, ada, passkey, is_present=False) == "passkey_refused"
    assert registration(mfa, grace, VirtualPasskey(ORIGIN), is_present=False) == "passkey_refused"
    # Not verified, it is one factor: with the password before it, it makes two, and says so.
    token, assertion = signed(mfa, ada, passkey, is_verified=False)
    assert mfa.verify(token, assertion).amr == ("pwd", "hwk", "mfa")
    strict = open_mfa(public_url=ORIGIN, passkey_user_verification="required")
    assert (asked(strict, ada).passkey_options or {})["userVerification"] == "required"
    assert login(strict, ada, passkey, is_verified=False) == "passkey_refused"
    assert whys(mfa, ada)[0] == "its user was not verified"
    assert registration(strict, grace, VirtualPasskey(ORIGIN), is_verified=False) == "passkey_refused"
    assert login(strict, ada, passkey) == "success"


@pytest.mark.requirement("R117")
def test_the_passkey_of_somebody_else_opens_nothing(mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey) -> None:
    registered(mfa, ada, passkey)
    other = VirtualPasskey(ORIGIN)
    registered(mfa, grace, other)
    ways: list[dict[str, Any]] = [
        {},
        {"handle": passkey.handle},
        {"credential_id": passkey.credential_id},
        {"credential_id": passkey.credential_id, "handle": passkey.handle},
    ]
    for bent in ways:
        assert login(mfa, ada, other, **bent) == "passkey_refused"
    # Her own key, as somebody else's, or as nobody's.
    handles: list[Any] = [other.handle, "", "AAAA", "\ud800", 7, ["x"], {}]
    for handle in handles:
        assert login(mfa, ada, passkey, handle=handle) == "passkey_refused"
    assert whys(mfa, ada)[0] == "it is of another user"
    assert "passkey_cloned" not in kinds(mfa, ada)
    # A security key may keep no name of its user.
    assert login(mfa, ada, passkey, handle=None) == "success"


@pytest.mark.requirement("R117", "R122")
def test_a_credential_that_is_somebodys_is_registered_for_nobody_else(
    mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey
) -> None:
    verified = registered(mfa, ada, passkey).verified
    for thief in (copy(passkey), VirtualPasskey(ORIGIN, credential_id=passkey.credential_id)):
        answer = thief.register(begun(mfa, grace))
        with pytest.raises(Rejected) as refused:
            mfa.passkeys.confirm(grace, answer)
        # It is told like every other refusal.
        assert str(refused.value) == "The code was not accepted."
    assert not mfa.status(grace).is_enrolled
    answer = copy(passkey).register(begun(mfa, ada, verified))
    assert refusal(lambda: mfa.passkeys.confirm(ada, answer)) == "passkey_refused"
    assert mfa.status(ada).passkeys == 1


@pytest.mark.requirement("R121")
@pytest.mark.parametrize(("stored", "now"), [(5, 5), (5, 4), (5, 0), (2**32 - 1, 2**32 - 1), (2**32 - 1, 1)])
def test_a_counter_that_does_not_rise_suspends_and_alarms_once(mfa: MFA, ada: int, stored: int, now: int) -> None:
    passkey = VirtualPasskey(ORIGIN, counter=stored)
    codes = registered(mfa, ada, passkey).backup_codes
    assert login(mfa, ada, passkey.copied(), counter=now) == "passkey_cloned"
    assert mfa.status(ada).passkeys == 0
    waiting = challenged(mfa, ada)
    for counter in (now, stored + 1 if stored < 2**32 - 1 else stored):
        assertion = passkey.sign({"challenge": base64url.written(waiting.encode())}, counter=counter)
        assert answered(mfa, waiting, assertion) == "passkey_refused"
    assert kinds(mfa, ada).count("passkey_cloned") == 1
    assert mfa.verify(waiting, codes[0])


@pytest.mark.requirement("R121")
@pytest.mark.parametrize("where", ["login", "session"])
def test_nothing_that_a_copy_has_opened_stays_open(mfa: MFA, ada: int, passkey: VirtualPasskey, where: str) -> None:
    codes = registered(mfa, ada, passkey).backup_codes
    thief = passkey.copied()
    proven = mfa.verify(*signed(mfa, ada, thief))
    stolen = mfa.trusted_devices.trust(proven, request=FIREFOX)
    planted = VirtualPasskey(ORIGIN).register(begun(mfa, ada, proven))
    assert not mfa.challenge(ada, device_token=stolen.token, request=FIREFOX)
    if where == "login":
        assert login(mfa, ada, passkey) == "passkey_cloned"
    else:
        assert stepped(mfa, ada, passkey.sign(mfa.passkeys.ask(ada))) == "passkey_cloned"
    assert mfa.status(ada).trusted_devices == 0
    with pytest.raises(Stale):
        mfa.proof(proven.token)
    with pytest.raises(EnrollmentExpired):
        mfa.passkeys.confirm(ada, planted)
    waiting = mfa.challenge(ada, device_token=stolen.token, request=FIREFOX)
    assert isinstance(waiting, Challenge)
    assert mfa.verify(waiting.token, codes[0])
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R121")
def test_a_counter_that_rises_and_none_at_all_are_no_signal(mfa: MFA, ada: int, sql: Sql) -> None:
    passkey = VirtualPasskey(ORIGIN, counter=None)
    registered(mfa, ada, passkey)
    for counter in (None, 0, 1, 7, 2**32 - 1):
        assert login(mfa, ada, passkey, counter=counter) == "success"
    assert sql("SELECT sign_count FROM mfa_passkeys") == [(2**32 - 1,)]
    assert "passkey_cloned" not in kinds(mfa, ada)


@pytest.mark.requirement("R121")
def test_a_forged_counter_alarms_nobody(mfa: MFA, ada: int) -> None:
    passkey = VirtualPasskey(ORIGIN, counter=5)
    registered(mfa, ada, passkey)
    before = mfa.status(ada)
    stranger = VirtualPasskey(ORIGIN, credential_id=passkey.credential_id, handle=passkey.handle)
    for counter in (0, 1, 5, 6, 2**32 - 1):
        assert login(mfa, ada, stranger, counter=counter) == "passkey_refused"
        assert (
            login(mfa, ada, passkey, counter=counter, signature=b"\x30\x06\x02\x01\x01\x02\x01\x01")
            == "passkey_refused"
        )
    assert not {"passkey_cloned", "rows_altered"} & set(kinds(mfa, ada))
    assert mfa.status(ada).failed_attempts == before.failed_attempts == 0
    assert login(mfa, ada, passkey, counter=6) == "success"


@pytest.mark.requirement("R119", "R120")
def test_what_may_be_synced_is_decided_once(mfa: MFA, ada: int, grace: int, sql: Sql) -> None:
    bound, synced = VirtualPasskey(ORIGIN), VirtualPasskey(ORIGIN, can_sync=True, counter=None)
    assert registration(mfa, ada, VirtualPasskey(ORIGIN), is_synced=True) == "passkey_refused"
    registered(mfa, ada, bound)
    registered(mfa, grace, synced)
    for state in (False, True):
        assert login(mfa, ada, bound, can_sync=True, is_synced=state) == "passkey_refused"
    assert login(mfa, ada, bound, is_synced=True) == "passkey_refused"
    for state in (True, False, True):
        token, assertion = signed(mfa, grace, synced, is_synced=state)
        # A key that may be copied is one in software, whether it was or not.
        assert "swk" in mfa.verify(token, assertion).amr
        assert sql("SELECT backup_state FROM mfa_passkeys WHERE user_id = :id", id=grace) == [(state,)]
    assert login(mfa, grace, synced, can_sync=False) == "passkey_refused"


@pytest.mark.requirement("R117")
def test_a_key_of_another_algorithm_is_refused(mfa: MFA, ada: int, grace: int) -> None:
    own = {algorithm: VirtualPasskey(ORIGIN, algorithm=algorithm) for algorithm in (-7, -8, -257)}
    for algorithm, one in own.items():
        for said in {-7, -8, -257, -35, -37, -39, -65535, 0, 7} - {algorithm}:
            key = cbor2.dumps(cbor2.loads(one.public_key) | {3: said})
            assert registration(mfa, ada, one, public_key=key) == "passkey_refused", (algorithm, said)
    large = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    wrong: list[Any] = [
        {1: 2, 3: -7, -1: 2, -2: large.x.to_bytes(48, "big"), -3: large.y.to_bytes(48, "big")},
        {1: 2, 3: -7, -1: 1, -2: bytes(31) + b"\x01", -3: bytes(31) + b"\x01"},
        {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)},
        {1: 3, 3: -257, -1: b"\x0f", -2: b"\x03"},
        {1: 3, 3: -257, -1: b"\xff" * 64, -2: b"\x01\x00\x01"},
        {1: 1, 3: -8, -1: 6, -2: bytes(31)},
        {1: 1, 3: -8, -1: 7, -2: bytes(57)},
        {1: 2, 3: -7},
        {},
        4,
        "key",
        None,
    ]
    for held in wrong:
        assert registration(mfa, ada, VirtualPasskey(ORIGIN), public_key=cbor2.dumps(held)) == "passkey_refused", held
    # A key signs by its own algorithm, whatever the one of the answer says.
    registered(mfa, grace, own[-7])
    for algorithm in (-8, -257):
        assert login(mfa, grace, own[-7], key=own[algorithm].key, algorithm=algorithm) == "passkey_refused"
    assert whys(mfa, grace)[0] == "its signature does not hold"


def maker(name: str) -> tuple[Any, bytes]:
    """A key that signs for a maker nobody knows, with its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(called).issuer_name(called).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    made = made.not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
    return key, made.sign(key, SHA256()).public_bytes(Encoding.DER)


@pytest.mark.requirement("R117")
def test_what_a_maker_says_is_checked_and_nothing_rests_on_it(mfa: MFA, ada: int, passkey: VirtualPasskey) -> None:
    none: list[dict[str, Any]] = [{"attStmt": {"sig": b"x"}}, {"attStmt": {"x": 1}}, {"attStmt": []}, {"attStmt": None}]
    for attestation in (*none, {"fmt": "packed"}, {"fmt": "unheard-of"}, {"fmt": 7}, {"fmt": None}, {"authData": b""}):
        assert registration(mfa, ada, passkey, attestation=attestation) == "passkey_refused", attestation
    stranger, certificate = maker("Nobody")
    # Signed by itself with another key, or by a maker with another certificate.
    assert registration(mfa, ada, passkey, attested_by=stranger) == "passkey_refused"
    other = maker("Somebody")[1]
    assert registration(mfa, ada, passkey, attested_by=stranger, certificates=[other]) == "passkey_refused"
    for broken in ([b""], [b"\x30"], [certificate[:-9]]):
        assert registration(mfa, ada, passkey, attested_by=stranger, certificates=broken) == "passkey_refused"
    # None is asked for. Whoever sends one all the same registers, and it opens nothing more than another one.
    verified = registered(mfa, ada, passkey).verified
    for bent in ({"attested_by": stranger, "certificates": [certificate]}, {}):
        one = VirtualPasskey(ORIGIN)
        answer = one.register(begun(mfa, ada, verified), **({"attested_by": one.key} | bent))
        assert mfa.passkeys.confirm(ada, answer).verified.amr == ("pwd", "hwk", "user", "mfa")
        assert signs_in(mfa, ada, one)


@pytest.mark.requirement("R117")
@pytest.mark.parametrize(
    "change",
    [
        "sign_count = sign_count - 1",
        "backup_eligible = true",
        "backup_state = true, backup_eligible = true",
        "user_verified = false",
        "algorithm = -257",
        "rp_id = 'example.org'",
        "user_handle = 'AAAA'",
        "suspended_at = '2026-01-01 00:00:00'",
        "revoked_at = '2026-01-01 00:00:00'",
        "public_key = credential_id",
        "credential_id = public_key",
        "credential_key = 'v1:k1:00000000:00'",
    ],
)
def test_a_row_that_was_changed_by_hand_answers_nothing(
    mfa: MFA, ada: int, passkey: VirtualPasskey, sql: Sql, clock: Clock, change: str
) -> None:
    enrolled = enroll(mfa, ada, clock)
    registered(mfa, ada, passkey, enrolled.verified)
    assert signs_in(mfa, ada, passkey)
    waiting, assertion = signed(mfa, ada, passkey)
    sql(f"UPDATE mfa_passkeys SET {change} WHERE user_id = :id", id=ada)
    assert refusal(lambda: mfa.verify(waiting, assertion)) in {"altered", "passkey_refused"}
    challenge = mfa.challenge(ada)
    assert isinstance(challenge, Challenge)
    assert challenge.factors == ("totp", "backup_codes")
    assert kinds(mfa, ada).count("rows_altered") == 1
    assert mfa.status(ada).altered == ("mfa_passkeys",)
    assert not any(one.is_active for one in mfa.passkeys.list(ada))
    # Nothing that may rest on it goes on silently, and the owner may end it.
    verified = mfa.verify(challenge.token, enrolled.phone.code(steps=1))
    with pytest.raises(Tampered):
        mfa.totp.disable(verified)
    assert mfa.status(ada).is_enrolled
    mfa.passkeys.revoke_all(verified)
    assert mfa.status(ada).altered == ()
    assert refusal(lambda: mfa.verify(waiting, assertion)) != "success"


@pytest.mark.requirement("R117")
def test_rows_that_are_moved_copied_or_put_back_answer_nothing(
    mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey, sql: Sql
) -> None:
    verified = registered(mfa, ada, passkey).verified
    codes = registered(mfa, grace, VirtualPasskey(ORIGIN)).backup_codes
    # Grace's row becomes ada's key: all that a writer of the database has.
    names = "credential_id, public_key, user_handle, sign_count"
    for name in names.split(", "):
        sql(
            f"UPDATE mfa_passkeys SET {name} = (SELECT taken FROM (SELECT {name} AS taken FROM mfa_passkeys"
            " WHERE user_id = :ada) AS other) WHERE user_id = :grace",
            ada=ada,
            grace=grace,
        )
    waiting = challenged(mfa, grace)
    answer = passkey.sign({"challenge": base64url.written(waiting.encode())})
    assert refusal(lambda: mfa.verify(waiting, answer)) == "altered"
    # Even with ada's row moved as it is, and grace's taken away.
    sql("DELETE FROM mfa_passkeys WHERE user_id = :grace", grace=grace)
    sql("UPDATE mfa_passkeys SET user_id = :grace WHERE user_id = :ada", ada=ada, grace=grace)
    assert refusal(lambda: mfa.verify(waiting, answer)) == "altered"
    assert mfa.verify(waiting, codes[0])
    sql("UPDATE mfa_passkeys SET user_id = :ada WHERE user_id = :grace", ada=ada, grace=grace)
    assert signs_in(mfa, ada, passkey)
    # A passkey that was revoked is put back.
    other = VirtualPasskey(ORIGIN)
    second = registered(mfa, ada, other, verified)
    assert mfa.passkeys.revoke(verified, second.passkey.id)
    sql("UPDATE mfa_passkeys SET revoked_at = NULL, revoked_reason = NULL WHERE user_id = :ada", ada=ada)
    waiting = challenged(mfa, ada)
    answer = other.sign({"challenge": base64url.written(waiting.encode())})
    assert refusal(lambda: mfa.verify(waiting, answer)) == "altered"


@pytest.mark.requirement("R117")
def test_nothing_that_was_planted_is_sealed_or_shown_by_a_registration(
    mfa: MFA, ada: int, passkey: VirtualPasskey, sql: Sql
) -> None:
    verified = registered(mfa, ada, passkey).verified
    sql("UPDATE mfa_passkeys SET user_handle = 'cGxhbnRlZA'")
    registering = begun(mfa, ada, verified)
    assert registering.options["user"]["id"] != "cGxhbnRlZA"
    assert registering.options["excludeCredentials"] == []
    assert "rows_altered" in kinds(mfa, ada)
    fresh = VirtualPasskey(ORIGIN)
    mfa.passkeys.confirm(ada, fresh.register(registering))
    assert [one.is_active for one in mfa.passkeys.list(ada)].count(True) == 1
    assert signs_in(mfa, ada, fresh)
    # Rows of somebody without a factor keep nobody from a first one.
    mfa.reset(ada, by="grace", reason="lost it")
    sql("UPDATE mfa_passkeys SET revoked_at = NULL")
    registered(mfa, ada, VirtualPasskey(ORIGIN))
    assert mfa.status(ada).passkeys == 1


@pytest.mark.requirement("R117")
def test_the_last_factor_stays_and_an_end_ends_passkeys_too(
    mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey, clock: Clock
) -> None:
    first = registered(mfa, ada, passkey)
    with pytest.raises(LastFactor):
        mfa.passkeys.revoke(first.verified, first.passkey.id)
    with pytest.raises(LastFactor):
        mfa.passkeys.revoke_all(first.verified)
    assert signs_in(mfa, ada, passkey)
    for end in ("reset", "repair", "disable"):
        waiting, assertion = signed(mfa, ada, passkey)
        registering = begun(mfa, ada, mfa.reverify(ada, passkey.sign(mfa.passkeys.ask(ada))))
        late = VirtualPasskey(ORIGIN).register(registering)
        clock.forward(seconds=2)
        match end:
            case "reset":
                mfa.reset(ada, by="grace", reason="lost it")
            case "repair":
                mfa.repair(ada, by="grace", reason="lost it")
            case _:
                mfa.disable(mfa.reverify(ada, passkey.sign(mfa.passkeys.ask(ada))))
        assert isinstance(mfa.challenge(ada), Cleared)
        assert not any(one.is_active for one in mfa.passkeys.list(ada))
        assert answered(mfa, waiting, assertion) == "not_enrolled"
        with pytest.raises(EnrollmentExpired):
            mfa.passkeys.confirm(ada, late)
        passkey = VirtualPasskey(ORIGIN)
        registered(mfa, ada, passkey)
    with pytest.raises(AlreadyEnrolled):
        begun(mfa, ada, registered(mfa, grace, VirtualPasskey(ORIGIN)).verified)


@pytest.mark.requirement("R117")
def test_a_registration_needs_a_proof_of_a_moment_ago_and_its_own_session(
    mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock
) -> None:
    verified = registered(mfa, ada, passkey).verified
    with pytest.raises(AlreadyEnrolled):
        begun(mfa, ada)
    options = mfa.passkeys.begin(ada, account_name="ada", verified=verified, session="a session of ada")
    credential = VirtualPasskey(ORIGIN).register(options)
    for session in (None, "another session"):
        with pytest.raises(EnrollmentExpired):
            mfa.passkeys.confirm(ada, credential, session=session)
    clock.forward(seconds=301)
    with pytest.raises(Stale):
        begun(mfa, ada, verified)
    # A new password ends what was begun before.
    mfa.password_changed(ada)
    with pytest.raises(EnrollmentExpired):
        mfa.passkeys.confirm(ada, credential, session="a session of ada")


@pytest.mark.requirement("R69", "R115", "R123")
@pytest.mark.attack("A19")
def test_whoever_has_a_passkey_alone_is_asked_at_every_login(
    mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock
) -> None:
    # An app was begun without a factor, and is not confirmed beside one that came since.
    waiting = mfa.totp.begin(ada, account_name="ada")
    first = registered(mfa, ada, passkey)
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(ada, Phone(waiting.secret, clock).code())
    for token in (None, "", "v1~k1~e30~00", "x" * 9000):
        challenge = mfa.challenge(ada, device_token=token)
        assert isinstance(challenge, Challenge)
        assert challenge.factors == ("passkeys", "backup_codes")
    for code in (Phone(waiting.secret, clock).code(), "000000", ""):
        assert answered(mfa, challenged(mfa, ada), code) == "malformed"
    # A trusted device skips the challenge, and is no second factor for anything else.
    device = mfa.trusted_devices.trust(first.verified, request=FIREFOX)
    cleared = mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert not hasattr(cleared, "amr")
    assert mfa.status(ada).is_enrolled


@pytest.mark.requirement("R123")
@pytest.mark.attack("A19")
def test_an_app_begun_before_a_passkey_was_adopted_is_not_confirmed(mfa: MFA, ada: int, clock: Clock) -> None:
    waiting = mfa.totp.begin(ada, account_name="ada")
    passkey, handle = VirtualPasskey(ORIGIN), bytes(range(64))
    passkey.handle = base64url.written(handle)
    held: dict[str, Any] = {
        "credential_id": passkey.credential_id,
        "public_key": passkey.public_key,
        "user_handle": handle,
    }
    mfa.passkeys.adopt(ada, **held, can_sync=False, name="A key of before")
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(ada, Phone(waiting.secret, clock).code())
    assert signs_in(mfa, ada, passkey)


@pytest.mark.requirement("R122")
def test_nobody_learns_who_has_passkeys(mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey) -> None:
    registered(mfa, ada, passkey)
    told: set[str] = set()
    for token in (challenged(mfa, ada), "v1~k1~e30~00", ""):
        for answer in (
            passkey.sign({"challenge": "AAAA"}),
            "{}",
            VirtualPasskey(ORIGIN).sign({"challenge": "AAAA", "rpId": ""}),
        ):
            with pytest.raises(Rejected) as refused:
                mfa.verify(token, answer)
            told.add(str(refused.value))
    assert told == {"The code was not accepted."}
    # Which passkeys there are is told after the first factor, to whoever holds that challenge.
    assert mfa.passkeys.asked("v1~k1~e30~00") is None
    assert isinstance(mfa.challenge(grace), Cleared)
    # A handle tells nothing of its user, and differs from user to user.
    other = VirtualPasskey(ORIGIN)
    registered(mfa, grace, other)
    assert {len(base64url.read(one.handle or "")) for one in (passkey, other)} == {32}
    assert passkey.handle != other.handle


@pytest.mark.requirement("R116", "R117")
def test_what_costs_more_than_it_is_long_is_refused_plainly(
    mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey
) -> None:
    registered(mfa, ada, passkey)
    large = VirtualPasskey(ORIGIN, credential_id=bytes(10_000))
    assert registration(mfa, grace, large) == "passkey_refused"
    longest = VirtualPasskey(ORIGIN, credential_id=bytes(range(256)) * 3 + bytes(255))
    registered(mfa, grace, longest)
    assert signs_in(mfa, grace, longest)
    verified = mfa.reverify(grace, longest.sign(mfa.passkeys.ask(grace)))
    for name, bomb in BOMBS.items():
        if bomb:
            assert login(mfa, ada, passkey, extensions=bomb) == "passkey_refused", name
        assert registration_of(mfa, grace, verified, public_key=bomb) == "passkey_refused", name
        said = {"response": {"attestationObject": base64url.written(bomb)}}
        assert registration_of(mfa, grace, verified, **said) == "passkey_refused", name
    twice = cbor2.dumps({1: 2, 3: -7}) + cbor2.dumps({1: 2})
    for key in (
        twice,
        b"\xa2\x01\x02\x01\x02",
        passkey.public_key + b"\x00",
        b"\xa5" + passkey.public_key[1:] + b"\x01\x02",
    ):
        assert registration_of(mfa, grace, verified, public_key=key) == "passkey_refused"


@pytest.mark.requirement("R116", "R117")
def test_what_has_another_form_is_refused_plainly(mfa: MFA, ada: int, passkey: VirtualPasskey) -> None:
    registered(mfa, ada, passkey)
    token, assertion = signed(mfa, ada, passkey)
    said = json.loads(assertion)
    for name, value in said["response"].items():
        for form in (f"{value}=", f"{value}\n", f" {value}", value + "*", f"é{value}", [value], None, 7):
            if name == "userHandle" and form is None:
                continue
            bent = json.dumps(said | {"response": said["response"] | {name: form}})
            assert answered(mfa, token, bent) == "passkey_refused", (name, form)
    for name in ("id", "rawId", "type"):
        for form in ("", "AAAA", said[name] + "=", None, 10**400, -1, [], {}):
            bent = json.dumps(said | {name: form})
            assert answered(mfa, token, bent) == "passkey_refused", (name, form)
    for text in (
        "{",
        "{}",
        '{"a":' * 5000,
        '{"rawId":' + "9" * 60_000 + "}",
        "{" + " " * 70_000,
        '{"rawId": "\ud800"}',
    ):
        assert answered(mfa, token, text) == "passkey_refused"
    things: list[Any] = [None, 7, b"{}", [], {}, True, {"rawId": "AAAA"}]
    for thing in things:
        assert confirmed(mfa, ada, thing) == "passkey_refused"
        assert answered(mfa, token, thing) == "malformed"
    assert mfa.verify(token, assertion)
    assert mfa.events.verify(ada).is_intact


def test_a_passkey_of_a_host_without_a_domain_is_refused_plainly(
    mfa: MFA, open_mfa: Open, ada: int, passkey: VirtualPasskey
) -> None:
    registered(mfa, ada, passkey)
    for host in (open_mfa(), open_mfa(public_url="https://example.org")):
        waiting = challenged(host, ada)
        asked_for = {"challenge": base64url.written(waiting.encode()), "rpId": "example.com"}
        assert answered(host, waiting, passkey.sign(asked_for)) == "passkey_refused"
        assert stepped(host, ada, passkey.sign(mfa.passkeys.ask(ada))) == "passkey_refused"
    assert login(mfa, ada, passkey) == "success"


def test_what_a_browser_says_besides_is_not_judged(mfa: MFA, ada: int, passkey: VirtualPasskey) -> None:
    for said in ("unheard-of", None, 7, ["platform"]):
        more = {"authenticatorAttachment": said, "clientExtensionResults": said, "newer": said}
        one = VirtualPasskey(ORIGIN)
        verified = mfa.reverify(ada, passkey.sign(mfa.passkeys.ask(ada))) if mfa.status(ada).is_enrolled else None
        answer = one.register(begun(mfa, ada, verified), more=more)
        assert confirmed(mfa, ada, answer) == "success", said
        assert login(mfa, ada, one, more=more) == "success", said
        passkey = one


def test_the_lifetimes_are_those_of_the_settings(open_mfa: Open, ada: int, passkey: VirtualPasskey) -> None:
    mfa = open_mfa(public_url=ORIGIN, challenge_lifetime=60, enrollment_lifetime=120)
    ceremony = begun(mfa, ada)
    assert ceremony.options["timeout"] == 120_000
    mfa.passkeys.confirm(ada, passkey.register(ceremony))
    assert (asked(mfa, ada).passkey_options or {})["timeout"] == 60_000
    assert mfa.passkeys.ask(ada).options["timeout"] == 60_000
