"""Backup codes as text."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.backup_codes.codec import ALPHABET, SYMBOLS, canonical, digests, generate, legacy, printed
from twofold.keyring import Keyring, generate_key

codes = st.text(ALPHABET, min_size=SYMBOLS, max_size=SYMBOLS)


@pytest.mark.requirement("R31", "R33")
def test_a_code_carries_125_bits() -> None:
    assert SYMBOLS * math.log2(len(ALPHABET)) == 125
    assert len(set(ALPHABET)) == 32


@pytest.mark.requirement("R41")
@given(codes)
def test_what_is_printed_reads_back(code: str) -> None:
    assert canonical(printed(code)) == code
    assert canonical(printed(code).lower()) == code
    assert canonical(f"  {printed(code).replace('-', ' ')} ") == code


@pytest.mark.requirement("R41")
@given(codes)
def test_look_alikes_are_read_as_what_they_look_like(code: str) -> None:
    confused = code.replace("0", "o").replace("1", "l")
    assert canonical(confused) == code
    assert canonical(code.replace("1", "I").replace("0", "O")) == code


@given(st.text(max_size=80))
def test_anything_else_is_no_code(text: str) -> None:
    read = canonical(text)
    assert read is None or (len(read) == SYMBOLS and set(read) <= set(ALPHABET))


@pytest.mark.parametrize("value", [None, 5, b"x", ["A" * 25], "A" * 10_000, "Ａ" * 25, "ﬀ" * 13, "123456"])
def test_odd_input_is_no_code(value: object) -> None:
    assert canonical(value) is None


@pytest.mark.requirement("R31")
def test_codes_are_uniform_and_never_the_same() -> None:
    batch = generate(4000)
    assert len(set(batch)) == len(batch)
    counted = Counter("".join(batch).replace("-", ""))
    expected = 4000 * SYMBOLS / 32
    chi_square = sum((counted[symbol] - expected) ** 2 / expected for symbol in ALPHABET)
    # For 31 degrees of freedom a fair generator passes 90 once in ten million runs.
    assert chi_square < 90


def test_a_code_is_read_up_to_64_characters_of_ascii() -> None:
    code = "S" * SYMBOLS
    assert canonical(code + " " * 39) == code
    assert canonical(code + " " * 40) is None
    # The capital of the long s is the S of everybody, and that of the dotless i an I.
    assert canonical("ſ" + code[1:]) is None
    assert canonical("ı" + code[1:]) is None


def test_a_code_of_before_has_6_to_16_letters_and_digits() -> None:
    assert [length for length in range(30) if legacy("a" * length)] == list(range(6, 17))
    assert legacy(" ab-cd 12 ") == "ABCD12"
    assert legacy("abcd12" + " " * 58) == "ABCD12"
    for text in ("abcd12" + " " * 59, "abc!12", "ſbcd12", "abcd1²", b"abcd12", None, 123456):
        assert legacy(text) is None


@pytest.mark.requirement("R32", "R35")
def test_the_digest_belongs_to_one_owner_and_names_its_key() -> None:
    keyring = Keyring.parse(f"{generate_key('k2')},{generate_key('k1')}")
    code = canonical(generate(1)[0])
    assert code is not None
    ours, theirs = digests(keyring, 1, code), digests(keyring, 2, code)
    assert [digest.split(":")[1] for digest in ours] == ["k2", "k1"]
    assert not set(ours) & set(theirs)
    assert digests(keyring, 1, code) != digests(keyring, "1", code)
