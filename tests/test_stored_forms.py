"""What stands in databases, cookies and checkpoint files already, byte by byte: another release must read it alike."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from twofold.account import chain, digests
from twofold.account.row import Account
from twofold.account.statements import HeldPasskey
from twofold.backup_codes import codec
from twofold.checkpoints import checkpoint
from twofold.checkpoints.checkpoint import Checkpoint, Head, Heads
from twofold.checkpoints.signing import PrivateKey, PublicKey
from twofold.errors import ConfigurationError, Tampered
from twofold.keyring import Keyring, canonical
from twofold.kinds import Kind
from twofold.passkeys import held
from twofold.tokens import (
    CeremonyToken,
    ChallengeToken,
    ProofToken,
    Tombstone,
    read_ceremony,
    read_challenge,
    read_proof,
    read_tombstone,
    write_ceremony,
    write_challenge,
    write_proof,
    write_tombstone,
)
from twofold.totp import factor
from twofold.totp.algorithm import Parameters
from twofold.trusted_devices import series

if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTES = base64.b64encode(bytes(range(32))).decode()
RING = Keyring({"k1": bytes(range(32))})
SIGNER = PrivateKey.parse(f"ed25519-private:{_BYTES}")
AT = datetime(2026, 11, 22, 14, 0, 5, 123456, tzinfo=timezone(timedelta(hours=2)))
LATER = AT + timedelta(seconds=1)
SOMEBODY = UUID(int=5)


@pytest.fixture(autouse=True)
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server may stand anywhere; what it stores is the same."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


class Text(str):
    __slots__ = ()


class Number(int):
    __slots__ = ()


class Moment(datetime):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, b"n"),
        (True, b"b1"),
        (False, b"b0"),
        (0, b"i0"),
        (-12, b"i-12"),
        (Number(12), b"i12"),
        ("", b"s0:"),
        ("é", b"s1:\xc3\xa9"),
        ("\ud800", b"s1:\xed\xa0\x80"),
        (Text("é\ud800"), b"s2:\xc3\xa9\xed\xa0\x80"),
        (Kind.RESET, b"s5:reset"),
        (b"\0x", b"y0078"),
        (1.5, b"f1.5"),
        (SOMEBODY, b"u00000000000000000000000000000005"),
        (AT, b"t1795348805123456"),
        (AT.replace(microsecond=0), b"t1795348805000000"),
        (Moment(2026, 11, 22, 14, 0, 5, tzinfo=AT.tzinfo), b"t1795348805000000"),
    ],
)
def test_each_type_has_one_encoding(value: Any, stored: bytes) -> None:
    assert canonical(value) == stored
    assert canonical(value, "x", value) == stored + b",s1:x," + stored


def test_what_is_none_of_the_types_has_no_encoding() -> None:
    with pytest.raises(TypeError, match=r"^list has"):
        canonical([])  # type: ignore[arg-type]


def test_what_was_sealed_opens() -> None:
    assert RING.open("v1:k1:7294c2e4:qP44yBDi45fiZroC8rij_zk_YFOFb9EbzpeXuFAsAYZA2A", b"here") == b"secret"


def test_a_deployment_is_part_of_every_key() -> None:
    ring = Keyring({"k1": bytes(range(32))}, deployment="Prod.1_a-b")
    keys = {}
    for purpose in ("check", "state"):
        info = f"twofold v1 {purpose}/Prod.1_a-b".encode()
        extracted = hmac.digest(bytes(32), bytes(range(32)), "sha256")
        keys[purpose] = hmac.digest(extracted, info + b"\1", "sha256")
    check = hmac.digest(keys["check"], b"check", "sha256").hex()[:8]
    assert ring.mac("state", b"message") == f"v1:k1:{check}:{hmac.digest(keys['state'], b'message', 'sha256').hex()}"


def test_the_state_of_a_user_is_authenticated_in_this_form() -> None:
    state = b"s7:state 1,i7,n,n,n,s4:SHA1,i6,i30,b0,b0,n,i0,n,i0,n,n,i0,n,i0,n,n,n,n,i0,i0,n,i0,i0,n,n,n,n,n,n,n,n"
    assert Account(7).message() == state
    # Each column has its place, so that none can be taken for another.
    numbers: Any = range(1, len(Account._fields) + 1)
    filled = Account(*numbers)
    assert filled.message() == b"s7:state 1," + b",".join(b"i%d" % number for number in range(1, 36))
    assert Account._fields[15:33] == (
        "event_count",
        "event_head",
        "version",
        "codes_digest",
        "devices_digest",
        "passkeys_digest",
        "cases_digest",
        "proofs_after",
        "failure_level",
        "failure_level_at",
        "setup_tries",
        "lines_today",
        "lines_day",
        "told_refusal",
        "epoch",
        "shown_codes",
        "last_answer",
        "changes_suspended_at",
    )


def test_what_a_row_says_of_the_rows_of_another_table_has_this_form() -> None:
    assert (digests.CODES, digests.DEVICES) == (
        ("id", "code_hash", "expires_at"),
        (
            "id",
            "device_fingerprint",
            "browser",
            "platform",
            "trust_token",
            "previous_token",
            "rotated_at",
            "trusted_until",
            "last_used_at",
            "created_at",
        ),
    )
    rows = [(1, "v1:k1:00", None), (2, "v1:k1:01", AT)]
    encoded = b"s6:rows 1,y" + b"i1,s8:v1:k1:00,n".hex().encode() + b",y"
    encoded += b"i2,s8:v1:k1:01,t1795348805123456".hex().encode()
    stored = "fe43ed8ceed1b7d2efc8372acb0b69cde99978c6dff2be432d5c82ed140f014b"
    assert digests.digest(rows) == hashlib.sha256(encoded).hexdigest() == stored
    assert digests.digest([]) is None
    assert len({digests.digest(other) for other in (rows, rows[::-1], rows[:1], [rows[0] + rows[1]])}) == 4


def test_an_altered_state_that_was_told_stands_behind_the_digest_in_this_form() -> None:
    whole = digests.digest([(1, "v1:k1:00", None)])
    for rows, seen in (([(2, "x", None)], digests.digest([(2, "x", None)])), ([], "none"), (None, "unreadable")):
        comparison = digests.compare(whole, rows)
        assert comparison == (False, False, f"{whole} {str(seen)[:32]}")
        assert digests.compare(comparison.reported, rows) == (False, True, comparison.reported)
        assert digests.compare(comparison.reported, [(1, "v1:k1:00", None)]).is_intact
    assert digests.compare(None, []) == (True, False, " none")
    assert not digests.compare(None, [(1, "x", None)]).is_intact
    # SQLite keeps whatever is written into a column.
    assert digests.compare(whole, [([], "x", None)]) == (False, False, f"{whole} unreadable")


def test_a_secret_is_sealed_for_its_place_in_this_form() -> None:
    place = b"s16:user_mfa_secrets,s6:secret,i7,s6:SHA256,i8,i60"
    parameters = Parameters("SHA256", 8, 60)
    assert factor._context(Account(7), "secret", parameters, None) == place + b",n"
    assert factor._context(Account(7), "secret", parameters, "hers") == place + b",s4:hers"


def test_an_event_is_chained_in_this_form() -> None:
    text = chain.details_text({"reason": "lost phone", "by": "grace@example.com"})
    assert text == '{"by":"grace@example.com","reason":"lost phone"}'
    assert chain.details_text({}) is None
    link = chain.Link(7, 1, "reset", "success", text, "192.0.2.1", "curl/8", None, AT)
    first = "v1:k1:7294c2e4:0123456789ab28b2006a12fd43a7d0444badab18814aeb4f42a673834deb82c946daacfad08d"
    second = "v1:k1:7294c2e4:ba98765432103797e270a8ea014bb438bd8ac5c2c7f9033072c48738cdd05b6bc29c893d655c"
    assert chain.fits(RING, link, None, first)
    assert chain.fits(RING, link, first, second)
    # Two events are never the same, whatever they say.
    again = [chain.mac(RING, link, first) for _ in range(100)]
    assert len(set(again)) == 100
    assert all(chain.fits(RING, link, first, mac) for mac in again)
    assert not chain.fits(RING, link, first, second.replace("ba98", "ba99"))
    assert not chain.fits(RING, link, None, second)
    assert not chain.fits(RING, link._replace(seq=2), first, second)


def test_a_backup_code_is_hashed_in_this_form() -> None:
    code = "ABCDEFGHJKMNPQRSTVWXYZ012"
    good = "v1:k1:7294c2e4:2421a3828e7be756732a3284e26c176719e70016bb2afc54a6e5fc2e92c7949b"
    assert codec.digests(RING, 7, code) == (good,)
    assert RING.mac("backup codes", canonical("backup code", 7, code)) == good


def test_a_code_of_before_that_was_adopted_is_hashed_in_this_form() -> None:
    legacy = "e0bebd22819993425814866b62701e2919ea26f1370499c1037b53b9d49c2c8a"
    adopted = "v1:k1:7294c2e4:5610dd26e719aa22eb5b87362fdd0b72ecaa9f2f075be046b72d182d5bfbce19"
    assert codec.legacy_digest("ABC123") == legacy
    # Applications wrote the hex in either case.
    assert codec.adopted(RING, 7, legacy) == codec.adopted(RING, 7, legacy.upper()) == adopted
    assert codec.digests(RING, 7, "ABC123", is_older=True) == (adopted,)
    assert RING.mac("backup codes", canonical("older backup code", 7, legacy)) == adopted
    assert codec.adopted(RING, 8, legacy) != adopted
    assert codec.digests(RING, 7, "ABC123") != (adopted,)


def test_the_token_of_a_device_is_hashed_in_this_form() -> None:
    work: Any = SimpleNamespace(keyring=RING)
    line = canonical("device line", 7, "line")
    assert series.series_digests(work, 7, "line.token") == (RING.mac("device tokens", line),)
    token = canonical("device token", 7, AT, LATER, "line.token")
    hashes = series.token_digests(work, Account(7, enabled_at=AT), "line.token", LATER)
    assert hashes == (RING.mac("device tokens", token),)


def test_a_challenge_is_signed_in_this_form() -> None:
    first = (
        "v1~k1~7294c2e4~MywxNzk1MzQ4ODA1MTIzNDU2LCxpNw~a1304dd8763708bc58958d04a340f2cbdce10f4fac7a7f674ceae69ebf954d80"
    )
    again = (
        "v1~k1~7294c2e4~MywxNzk1MzQ4ODA1MTIzNDU2LDE3OTUzNDg4MDUxMjM0NTYsdTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA1"
        "~53a35d236299d13c1a749c16c4e0ad590f2de8cb933820634ed56059fb174d05"
    )
    for token, text in ((ChallengeToken(7, 3, AT, None), first), (ChallengeToken(SOMEBODY, 3, AT, AT), again)):
        assert write_challenge(RING, token) == text
        assert read_challenge(RING, text) == token
        assert read_proof(RING, text) is None
        assert read_tombstone(RING, text) is None


def test_what_a_passkey_signs_is_signed_in_this_form() -> None:
    first = (
        "v1~k1~7294c2e4~c3RlcF91cCwzLDE3OTUzNDg4MDUxMjM0NTYsMTc5NTM0ODgwNTEyMzQ1NiwsLGk3~4f826bc30d"
        "e162880c75d22693d5f50f560ef6a8004b3938fed1dd967fa1491d"
    )
    again = (
        "v1~k1~7294c2e4~cmVnaXN0ZXIsMywxNzk1MzQ4ODA1MTIzNDU2LCxhR0Z1Wkd4bCwwMTIzNDU2Nzg5YWJjZGVmLHN"
        "hLGJ-Yw~df807c12d1b9c32af9ca58a4292e6d61ce8d1be2190d539811dac86f242b490b"
    )
    step_up = CeremonyToken(7, "step_up", 3, AT, AT)
    register = CeremonyToken("a,b~c", "register", 3, AT, None, "aGFuZGxl", "0123456789abcdef")
    for token, text in ((step_up, first), (register, again)):
        assert write_ceremony(RING, token) == text
        assert read_ceremony(RING, text) == token
        assert read_challenge(RING, text) is None
        assert read_proof(RING, text) is None
        assert read_tombstone(RING, text) is None
    challenge = write_challenge(RING, ChallengeToken(7, 3, AT, None))
    assert read_ceremony(RING, challenge) is None


def test_a_passkey_is_found_and_opened_in_this_form() -> None:
    id_, key = bytes(range(16)), b"a key in COSE"
    found = "v1:k1:7294c2e4:fd0466909a8dd1da7d5ceab0a7754d2d9b9317b0284f7f5bcef91c73633f80c3"
    assert held.keys(RING, "example.com", id_) == (found,)
    assert held.keys(RING, "example.org", id_) != (found,)
    account = Account(7)
    kept = held.Sealed(
        "",
        "v1:k1:7294c2e4:-kjM69y2n-VO81j5e7UrosxTd56DEsLSX0aDANNRwAFcmoXVfVjbn-CFRzk",
        "v1:k1:7294c2e4:oWOZPpyppoGzTpchiVFhZRH2ibH8nEaQnYB25iSPLsAZrsZerbs7SgA",
    )
    passkey = HeldPasskey(1, *kept, "aGFuZGxl", "example.com", -7, 0, False, False, False, None, "A key", None)  # noqa: FBT003
    work: Any = SimpleNamespace(keyring=RING)
    assert held.credential_id(work, account, passkey) == id_
    assert held.public_key(work, account, passkey, id_) == key
    for wrong in (account._replace(user_id=8), account._replace(user_id="7")):
        with pytest.raises(Tampered):
            held.credential_id(work, wrong, passkey)
    with pytest.raises(Tampered):
        held.public_key(work, account, passkey, id_[::-1])


def test_passkeys_are_sealed_by_this_digest() -> None:
    names = ("v1:k1:00000000:00", "v1:k1:00000000:AA", "v1:k1:00000000:AB", "aGFuZGxl", "example.com")
    flags = (True, False, True)
    row = HeldPasskey(1, *names, -7, 4, *flags, AT, "A key", "usb")
    assert digests.digest([row.digested]) == "4281849fe48da42b521df56a761f0086913b96b116011794e689c0bbee8e642c"
    # The name that its owner gives it, and how it is reached, decide nothing.
    assert (
        digests.digest([row._replace(name="Another", transports=None).digested])
        == "4281849fe48da42b521df56a761f0086913b96b116011794e689c0bbee8e642c"
    )


def test_a_proof_is_signed_in_this_form() -> None:
    text = (
        "v1~k1~7294c2e4~dG90cCwxNzk1MzQ4ODA1MTIzNDU2LDE3OTUzNDg4MDUxMjM0NTYsNCxzYWRh"
        "~9ad21ce0765914cdb1eb20ac13ec2b83c6da1032237580b3ad575c142119f52c"
    )
    token = ProofToken("ada", "totp", AT, AT, 4)
    assert write_proof(RING, token) == text
    assert read_proof(RING, text) == token
    assert read_challenge(RING, text) is None


def test_a_tombstone_is_signed_in_this_form() -> None:
    text = (
        "v1~k1~7294c2e4~OSx2MTprMTowMCwxLDE3OTUzNDg4MDUxMjM0NTYsdTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA1"
        "~9c10012d8e221caba8c1d2038833cc7bfb5833d2e9dcd3dde122dc0ba636105a"
    )
    tombstone = Tombstone(SOMEBODY, 9, "v1:k1:00", True, AT)  # noqa: FBT003 -- All of it, in order.
    assert write_tombstone(RING, tombstone) == text
    assert read_tombstone(RING, text) == tombstone


class Ada(int, Enum):
    ID = 7


class Odd(int):
    def __str__(self) -> str:
        return "somebody"

    def __format__(self, _: str) -> str:
        return "8"


class Ring(str, Enum):  # noqa: UP042 -- This one prints its own name.
    ID = "a,b~c"


@pytest.mark.parametrize("user_id", [7, "7", "", ",", "i7", "a,b~c", 2**63 - 1, -(2**63), Ada.ID, Odd(7), Ring.ID])
def test_a_token_names_whom_it_was_written_for(user_id: Any) -> None:
    challenge = read_challenge(RING, write_challenge(RING, ChallengeToken(user_id, 3, AT, None)))
    proof = read_proof(RING, write_proof(RING, ProofToken(user_id, "totp", AT, AT, 4)))
    mac = "v1:k1:00,1,1767225600000000,svictim"
    tombstone = read_tombstone(RING, write_tombstone(RING, Tombstone(user_id, 9, mac, False, AT)))  # noqa: FBT003
    assert challenge
    assert proof
    assert tombstone
    assert challenge.user_id == proof.user_id == tombstone.user_id == user_id
    assert type(challenge.user_id) is (str if isinstance(user_id, str) else int)
    assert (tombstone.count, tombstone.mac, tombstone.is_intact) == (9, mac, False)


@pytest.mark.parametrize("payload", [b'{"n":1}', b"1,2", b"x,y,z,i7", b"1,99999999999999999999,,i7", b"\xff,1,,i7"])
def test_a_signed_token_of_another_form_is_none(payload: bytes) -> None:
    for purpose, read in (("challenges", read_challenge), ("proofs", read_proof), ("tombstones", read_tombstone)):
        body = base64.urlsafe_b64encode(payload).decode().rstrip("=")
        version, kid, check, mac = RING.mac(purpose, body.encode()).split(":")  # type: ignore[arg-type]
        assert read(RING, f"{version}~{kid}~{check}~{body}~{mac}") is None


def test_a_token_is_read_up_to_its_longest_and_nothing_else_is_one() -> None:
    ring = Keyring({"k01": bytes(range(32))})
    tokens = [write_challenge(ring, ChallengeToken("x" * length, 3, AT, None)) for length in range(6050, 6090)]
    assert 8192 in {len(token) for token in tokens}
    for token in tokens:
        assert (read_challenge(ring, token) is not None) == (len(token) <= 8192)
    good = write_challenge(RING, ChallengeToken(7, 3, AT, None))
    for text in (good + "é", good + "~", "v1~k1~e30", "", b"", None, "v2" + good[2:], "v1~k9" + good[5:]):
        assert read_challenge(RING, text) is None


def test_a_checkpoint_file_is_written_in_this_form() -> None:
    kid = "56475aa75463474c"
    assert (str(SIGNER.public), SIGNER.public.kid) == (
        "ed25519-public:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
        kid,
    )
    assert repr(SIGNER) == f"PrivateKey({kid})"
    heads = b'{"type":"heads","heads":[[7,2,"v1:k1:00"],[{"uuid":"%b"},0,null]],"previous":null}\n' % (
        b"00000000-0000-0000-0000-000000000005"
    )
    closing = (
        b'{"type":"checkpoint","version":1,"begun_at":"2026-11-22T12:00:05.123456+00:00",'
        b'"at":"2026-11-22T12:00:06.123456+00:00","users":2,'
        b'"previous":"3ccee7494b7f16aaf28011b85d1f8cba8ac7849b70c71edf95374473f508437a","key":"56475aa75463474c",'
        b'"signature":"Ggp6lmumIXXQHjxMPtPx4s9zsGHU6gRxSgojB0tqjiaUKMU5mdbKRqePHmnvnA15UVhZNiGK7TdIOVXAF0xvDg=="}\n'
    )
    erased = (
        b'{"type":"tombstone","version":1,"user":"ada","count":9,"mac":null,"is_intact":false,'
        b'"at":"2026-11-22T12:00:05.123456+00:00",'
        b'"previous":"9613943f7680b03f23583d393bf3ba8e8f6b6d340655c1eb42761fcc8b3f18dd","key":"56475aa75463474c",'
        b'"signature":"kIsOFNl4iEUdm/31O4JdNaARCI7C4Psnmd0xjUBKAvbpWbWM0Lp5mv8u4wjUHXqnfo5AcJuFdfCOXxZtPgXPBA=="}\n'
    )
    public = PublicKey.parse(str(SIGNER.public))
    previous = None
    for entry, line in (
        (Heads((Head(7, 2, "v1:k1:00"), Head(SOMEBODY, 0, None))), heads),
        (Checkpoint(AT, LATER, 2), closing),
        (Tombstone("ada", 9, None, False, AT), erased),  # noqa: FBT003 -- All of it, in order.
    ):
        assert checkpoint.write(entry, previous, SIGNER) == line
        assert checkpoint.read(line, previous, public) == entry
        previous = checkpoint.digest(line)
    read = checkpoint.read(closing, checkpoint.digest(heads), public)
    assert isinstance(read, Checkpoint)
    assert (read.at.tzinfo, read.begun_at.tzinfo) == (UTC, UTC)


def test_a_line_of_a_checkpoint_file_is_taken_as_it_was_signed_or_not_at_all() -> None:
    public = PublicKey.parse(str(SIGNER.public))
    line = checkpoint.write(Tombstone(7, 9, "v1:k1:00", True, AT), None, SIGNER)  # noqa: FBT003 -- All of it, in order.
    changes = {
        b'"user":7': b'"user":8',
        b'"count":9': b'"count":8',
        b'"mac":"v1:k1:00"': b'"mac":"v1:k1:01"',
        b'"is_intact":true': b'"is_intact":false',
        b"12:00:05.123456": b"12:00:05.123457",
    }
    for old, new in changes.items():
        assert old in line
        with pytest.raises(ValueError, match=r"^was changed: its signature does not fit$"):
            checkpoint.read(line.replace(old, new), None, public)
    for broken in (b"", line.replace(b'"signature":"', b'"signature":"!'), line.replace(b'"type":"tomb', b'"type":"t')):
        with pytest.raises(ValueError, match=r"^is no line of a checkpoint file$"):
            checkpoint.read(broken, None, public)
    unsigned = line[: line.index(b',"signature"')] + b"}"
    with pytest.raises(ValueError, match="signature"):
        checkpoint.read(unsigned, None, public)
    with pytest.raises(ValueError, match=r"^does not follow the line before it"):
        checkpoint.read(line, checkpoint.digest(line), public)
    assert checkpoint.digest(line) == checkpoint.digest(line.rstrip(b"\n"))
    assert len({checkpoint.digest(b"x" + end) for end in (b"\n", b" \n", b"\r\n", b"X\n")}) == 4


@pytest.mark.parametrize(("half", "parse"), [("public", PublicKey.parse), ("private", PrivateKey.parse)])
def test_a_checkpoint_key_is_its_half_and_nothing_else(half: str, parse: Any) -> None:
    short = base64.b64encode(bytes(31)).decode()
    for text in ("", _BYTES, f"ed25519-{half}:", f"ed25519-{half}:!{_BYTES}", f"ed25519-{half}:{short}", f"x:{_BYTES}"):
        with pytest.raises(ConfigurationError, match=f"^A {half} checkpoint key is one line"):
            parse(text)
    assert parse(f" ed25519-{half}:{_BYTES}\n")
