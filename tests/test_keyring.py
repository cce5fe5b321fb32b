"""Keys: sealing binds a value to its place, and nothing weak or secret gets through."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twofold.errors import ConfigurationError, MissingKey, Tampered, WrongKey
from twofold.keyring import Keyring, Purpose, _is_weak, canonical, generate_key

ring = Keyring.parse(generate_key("k1"))
GOOD, *OTHERS = (base64.b64encode(hashlib.sha256(one).digest()).decode() for one in (b"good", b"other", b"another"))


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_is_sealed_opens_in_its_place(plaintext: bytes, context: bytes) -> None:
    assert ring.open(ring.seal(plaintext, context), context) == plaintext


@pytest.mark.requirement("R87")
@settings(deadline=None)
@given(st.binary(min_size=20, max_size=20), st.integers(0))
def test_a_flipped_bit_does_not_open(plaintext: bytes, position: int) -> None:
    prefix, _, body = ring.seal(plaintext, b"here").rpartition(":")
    raw = bytearray(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    raw[position % len(raw)] ^= 1 << (position % 8)
    with pytest.raises(Tampered):
        ring.open(f"{prefix}:{base64.urlsafe_b64encode(raw).decode().rstrip('=')}", b"here")


@pytest.mark.requirement("R87")
def test_a_sealed_value_does_not_open_elsewhere() -> None:
    with pytest.raises(Tampered):
        ring.open(ring.seal(b"secret", b"here"), b"there")


@pytest.mark.requirement("R87")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "v1",
        "v1:k1",
        "v1:k1:AAAA",
        "CHECK",
        "CHECK!!",
        "CHECKAAAA:x",
        "v2:k1:00000000:AAAA",
        "plaintext",
        "v1:k1:0000000G:AAAA",
        "v1:k1:0000000:AAAA",
        "v1:k1:000000000:AAAA",
        "v1:k1:00000000:ä",
    ],
)
def test_what_is_no_sealed_value_does_not_open(value: str) -> None:
    with pytest.raises(Tampered):
        ring.open(value.replace("CHECK", ring.prefixes["k1"]), b"here")


@pytest.mark.requirement("R89")
def test_a_key_that_is_not_there_is_named() -> None:
    sealed = Keyring.parse(generate_key("old")).seal(b"secret", b"here")
    with pytest.raises(MissingKey, match="'old'"):
        ring.open(sealed, b"here")


@pytest.mark.requirement("R89")
def test_another_key_of_the_same_name_is_told_from_what_was_altered() -> None:
    """The check value tells two keys apart, and proves nothing: whoever copies the right one has no value yet."""
    other = Keyring.parse(generate_key("k1"))
    sealed, mac = other.seal(b"secret", b"here"), other.mac("state", b"message")
    for look in (lambda: ring.open(sealed, b"here"), lambda: ring.check("state", b"message", mac)):
        with pytest.raises(WrongKey, match=r"another key of the name 'k1', .*or it was altered") as told:
            look()
        assert told.value.kid == "k1"
    own, foreign = ring.prefixes["k1"], other.prefixes["k1"]
    assert own != foreign
    assert not ring.check("state", b"message", mac.replace(foreign, own))
    with pytest.raises(Tampered):
        ring.open(sealed.replace(foreign, own), b"here")


@pytest.mark.requirement("R91")
def test_one_key_is_another_in_another_deployment() -> None:
    text = generate_key("k1")
    rings = [Keyring.parse(text, deployment=name) for name in ("", "staging", "production")]
    assert len({one.prefixes["k1"] for one in rings}) == len(
        {one.mac("state", b"x").rpartition(":")[2] for one in rings}
    )
    for one, other in permutations(rings, 2):
        with pytest.raises(WrongKey, match="TWOFOLD_DEPLOYMENT"):
            other.open(one.seal(b"secret", b"here"), b"here")
        for purpose in get_args(Purpose):
            mac = one.mac(purpose, b"message").replace(one.prefixes["k1"], other.prefixes["k1"])
            assert not other.check(purpose, b"message", mac)


@pytest.mark.requirement("R89", "R90", "R91")
def test_a_key_for_audits_proves_events_and_tombstones_and_nothing_else() -> None:
    old, new = generate_key("k1"), generate_key("k2")
    before, now = Keyring.parse(old), Keyring.parse(new, audit=f" {old},")
    assert (now.kids, now.audit_kids, now.active) == (("k2",), ("k1",), "k2")
    assert repr(now) == "Keyring(k2, k1 for audits)"
    assert now.prefixes == Keyring.parse(new).prefixes | before.prefixes
    for purpose in get_args(Purpose):
        mac = before.mac(purpose, b"message")
        assert now.mac(purpose, b"message").startswith("v1:k2:")
        assert len(now.macs(purpose, b"message")) == 1
        if purpose in {"events", "tombstones"}:
            assert now.check(purpose, b"message", mac)
            assert not now.check(purpose, b"another", mac)
            with pytest.raises(WrongKey):
                now.check(purpose, b"message", mac.replace(before.prefixes["k1"], "v1:k1:00000000:"))
        else:
            with pytest.raises(MissingKey, match="TWOFOLD_AUDIT_KEYS alone") as refused:
                now.check(purpose, b"message", mac)
            assert refused.value.kid == "k1"
    with pytest.raises(MissingKey, match="TWOFOLD_AUDIT_KEYS alone"):
        now.open(before.seal(b"secret", b"here"), b"here")


@pytest.mark.requirement("R92")
@pytest.mark.parametrize(
    ("audit", "problem"),
    [
        ("k2", "Audit key 1 is not written as kid:base64"),
        (f"k1:{GOOD[::-1]}", "Audit key 1 is not base64."),
        ("k2:AAAA", "Audit key 1 has 3 bytes; a key has 32."),
        (f"k2:{GOOD}", "Audit key 1 is there twice."),
        (f"k2:{OTHERS[0]},k1:{OTHERS[1]}", "Audit key 2 is there twice."),
        (f"k2:{OTHERS[0]},k2:{OTHERS[1]}", "Audit key 2 is there twice."),
    ],
)
def test_keys_for_audits_are_as_good_as_the_others_and_not_among_them(audit: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(problem)}"):
        Keyring.parse(f"k1:{GOOD}", audit=audit)


@pytest.mark.requirement("R90")
def test_the_first_key_writes_and_all_of_them_read() -> None:
    old, new = generate_key("k1"), generate_key("k2")
    sealed = Keyring.parse(old).seal(b"secret", b"here")
    both = Keyring.parse(f"{new},{old}")
    assert both.open(sealed, b"here") == b"secret"
    assert both.seal(b"secret", b"here").startswith("v1:k2:")
    assert both.prefixes == Keyring.parse(new).prefixes | Keyring.parse(old).prefixes
    assert both.kids == ("k2", "k1")


@pytest.mark.requirement("R91")
def test_purposes_have_keys_of_their_own() -> None:
    macs = {ring.mac(purpose, b"message") for purpose in ("backup codes", "device tokens", "events", "state")}
    assert len(macs) == 4


@pytest.mark.requirement("R88")
def test_ten_thousand_seals_never_repeat_a_nonce() -> None:
    bodies = {ring.seal(b"the same", b"here").split(":")[3][:16] for _ in range(10_000)}
    assert len(bodies) == 10_000


@pytest.mark.requirement("R92")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "k1",
        f"K1:{GOOD}",
        f"k 1:{GOOD}",
        f"{'k' * 17}:{GOOD}",
        "k1:not base64!",
        "k1:" + base64.b64encode(b"short").decode(),
        "k1:" + base64.b64encode(bytes(32)).decode(),
        "k1:" + base64.b64encode(b"ab" * 16).decode(),
        "k1:" + base64.b64encode(bytes(range(32))).decode(),
        "k1:" + base64.b64encode(bytes(range(250, -6, -8))).decode(),
        "k1:" + base64.b64encode(bytes(number * 77 % 256 for number in range(32))).decode(),
        "k1:" + base64.b64encode(b"password-password-password-12345").decode(),
        "k1:" + base64.b64encode(b"\xd1\x02\xf3\x04\xa5\x06\xb7\x08" * 4).decode(),
        "k1:" + base64.b64encode(hashlib.md5(b"half").digest() * 2).decode(),
        f"k1:{GOOD},k1:{GOOD}",
        f"k1:{GOOD},k2:{GOOD}",
        f"k1:{GOOD};k2:{GOOD}",
    ],
)
def test_weak_or_odd_keys_are_refused_without_a_word_of_them(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Keyring.parse(text)
    assert GOOD not in str(refused.value)


def test_a_key_that_was_made_is_never_taken_for_a_weak_one() -> None:
    for _ in range(20_000):
        assert not _is_weak(os.urandom(32))


@pytest.mark.parametrize("kid", ["K1", "-k", "k 1", "é", "k" * 17])
def test_a_key_is_made_under_an_id_that_can_be_read_back(kid: str) -> None:
    assert re.fullmatch(r"k\d{6}-[0-9a-f]{4}:[A-Za-z0-9+/]{43}=", generate_key())
    longest = generate_key("k" * 16)
    assert Keyring.parse(longest).kids == ("k" * 16,)
    with pytest.raises(ConfigurationError):
        generate_key(kid)


def test_keys_may_be_written_in_either_alphabet_and_with_space_around_them() -> None:
    master = bytes(range(223, 254)) + b"\xff"
    plain, safe = base64.b64encode(master).decode(), base64.urlsafe_b64encode(master).decode()
    assert plain != safe
    sealed = Keyring.parse(f"k1:{plain}").seal(b"secret", b"here")
    assert re.fullmatch("v1:k1:[0-9a-f]{8}:[A-Za-z0-9_-]{46}", sealed)
    read = Keyring.parse(f" k1:{safe} , {generate_key('k2')} , ")
    assert read.kids == ("k1", "k2")
    assert read.open(sealed, b"here") == b"secret"


def test_a_key_needs_eight_different_bytes_at_least() -> None:
    for different in (7, 8):
        # Bytes of no sense, and of so many kinds.
        master = [number % different for number in hashlib.sha256(b"so many").digest()]
        text = "k1:" + base64.b64encode(bytes(master)).decode()
        if different < 8:
            with pytest.raises(ConfigurationError, match=r"^Key 1 is not random"):
                Keyring.parse(text)
        else:
            assert Keyring.parse(text).kids == ("k1",)


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ("k2", "Key 2 is not written as kid:base64"),
        ("k2:x:AAAA", "Key 2 is not base64."),
        ("k2:AAAA", "Key 2 has 3 bytes; a key has 32."),
        ("k2:" + base64.b64encode(bytes(32)).decode(), "Key 2 is not random"),
        (f"k2:{GOOD}", "Key 2 is there twice."),
    ],
)
def test_the_operator_is_told_which_key_is_wrong(second: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(problem)}"):
        Keyring.parse(f"k1:{GOOD},{second}")


def test_a_missing_key_is_named_by_sixteen_characters() -> None:
    with pytest.raises(MissingKey, match=f"the key '{'x' * 16}', which"):
        ring.open(f"v1:{'x' * 40}:00000000:AAAA", b"here")


@pytest.mark.requirement("R93")
def test_a_keyring_prints_ids_alone() -> None:
    assert repr(ring) == "Keyring(k1)"
    assert repr(Keyring.parse(f"{generate_key('k2')},{generate_key('k1')}")) == "Keyring(k2, k1)"


parts = st.lists(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.text(max_size=8),
        st.binary(max_size=8),
        st.uuids(),
    ),
    max_size=4,
)


# The first text that is drawn on a machine waits for the tables of Unicode.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(parts, parts)
def test_different_values_are_never_encoded_alike(one: list[Any], other: list[Any]) -> None:
    same = [(type(part), part) for part in one] == [(type(part), part) for part in other]
    assert (canonical(*one) == canonical(*other)) == same


def test_one_moment_is_encoded_alike_in_every_zone() -> None:
    moment = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert canonical(moment) == canonical(moment.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert canonical(UUID(int=5)) != canonical(UUID(int=5).hex)
