"""Backup codes as text."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.backup_codes.codec import ALPHABET, SYMBOLS, canonical, digests, generate, older_spellings, printed
from twofold.keyring import Keyring, generate_key

codes = st.text(ALPHABET, min_size=SYMBOLS, max_size=SYMBOLS)


@pytest.mark.requirement("R31", "R33")
def test_a_code_carries_125_bits() -> None:
    assert SYMBOLS * math.log2(len(ALPHABET)) == 125
    assert len(set(ALPHABET)) == 32


@pytest.mark.requirement("R41")
@settings(deadline=None)
@given(codes)
def test_what_is_printed_reads_back(code: str) -> None:
    assert canonical(printed(code)) == code
    assert canonical(printed(code).lower()) == code
    assert canonical(f"  {printed(code).replace('-', ' ')} ") == code


@pytest.mark.requirement("R41")
@settings(deadline=None)
@given(codes)
def test_look_alikes_are_read_as_what_they_look_like(code: str) -> None:
    confused = code.replace("0", "o").replace("1", "l")
    assert canonical(confused) == code
    assert canonical(code.replace("1", "I").replace("0", "O")) == code


@pytest.mark.requirement("R12", "R41")
@settings(deadline=None)
@given(codes)
def test_letters_and_digits_of_another_width_are_the_same(code: str) -> None:
    wide = "".join(chr(ord(symbol) + 0xFEE0) for symbol in code)
    assert canonical(wide) == canonical(wide.lower()) == code


@pytest.mark.requirement("R41")
@settings(deadline=None)
@given(codes, st.integers(1, 99))
def test_a_line_of_a_list_is_the_code_on_it(code: str, number: int) -> None:
    for line in (
        f"{number:2d}  {printed(code)}",
        f"{number}. {printed(code)}",
        f"{number}) {code}",
        f"{number}.{code}",
    ):
        assert canonical(line) == canonical(f"{line}\r\n") == canonical(line.lower()) == code
    # A symbol too many or too few is a mistake of typing, and no other code.
    for line in (f"{number}{code}", code[1:], f"{code}7", f"{number}.  {code[3:]}", f"{number}  {code}7"):
        assert canonical(line) is None


@pytest.mark.requirement("R41")
@pytest.mark.parametrize(
    "around",
    ["“{}”", "'{}'", '"{}"', "«{}»", "({})", "[{}]", "{}.", "{},", "{};", "{}。", "\u2066{}\u2069", "\ufeff{}", "`{}`"],
)
@pytest.mark.parametrize(
    "between", ["-", " ", "_", ".", "·", "–", "—", "\u2011", "\u2212", "\u00ad", "\u200b", "\t", "\n"]
)
def test_what_stands_in_and_around_a_code_is_no_part_of_it(around: str, between: str) -> None:
    for code in generate(3):
        assert canonical(around.format(code.replace("-", between))) == code.replace("-", "")


@settings(deadline=None)
@given(st.text(max_size=80))
def test_anything_else_is_no_code(text: str) -> None:
    read = canonical(text)
    assert read is None or (len(read) == SYMBOLS and set(read) <= set(ALPHABET))


@pytest.mark.parametrize(
    "value", [None, 5, b"x", ["A" * 25], "A" * 10_000, "Ａ" * 24, "Α" * 25, "ﬀ" * 13, "ß" * 25, "123456"]
)
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


def test_a_code_is_read_up_to_64_characters_in_any_of_its_forms() -> None:
    code = "S" * SYMBOLS
    assert canonical(code + " " * 39) == code
    assert canonical(code + " " * 40) is None
    # What is the same letter in another form is the same letter: the long s, and the full-width one.
    assert canonical("ſ" + code[1:]) == canonical("Ｓ" + code[1:]) == code
    # The capital of the dotless i would be an I to everybody.
    assert canonical("ı" + code[1:]) is None


def test_a_code_of_before_is_tried_in_the_spellings_that_applications_used() -> None:
    assert older_spellings("a1B2-c3D4") == ("a1B2-c3D4", "A1B2-C3D4", "a1b2-c3d4", "a1B2c3D4", "A1B2C3D4", "a1b2c3d4")
    assert older_spellings(" 482913 ") == ("482913",)
    assert "ABCDEFGH" in older_spellings("abcd efgh")
    assert [length for length in range(40) if older_spellings("a" * length)] == list(range(6, 33))
    for text in ("abc!12", "abcd1²x!", b"abcd12", None, 123456, "a" * 65):
        assert older_spellings(text) == ()


@pytest.mark.requirement("R32", "R35")
def test_the_digest_belongs_to_one_owner_and_names_its_key() -> None:
    keyring = Keyring.parse(f"{generate_key('k2')},{generate_key('k1')}")
    code = canonical(generate(1)[0])
    assert code is not None
    ours, theirs = digests(keyring, 1, code), digests(keyring, 2, code)
    assert [digest.split(":")[1] for digest in ours] == ["k2", "k1"]
    assert not set(ours) & set(theirs)
    assert digests(keyring, 1, code) != digests(keyring, "1", code)
