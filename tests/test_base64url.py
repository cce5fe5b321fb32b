"""Base64 as tokens and seals have it: what the standard library writes and reads, without padding."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold import base64url


@given(st.binary(max_size=100))
def test_what_is_written_is_that_of_the_standard_library_without_padding(raw: bytes) -> None:
    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert base64url.written(raw) == text
    assert base64url.read(text) == raw


@given(st.text("AZaz09-_+/= \n~", max_size=20))
def test_what_the_standard_library_does_not_read_is_not_read(text: str) -> None:
    expected = None
    with suppress(ValueError):
        expected = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    found = None
    with suppress(ValueError):
        found = base64url.read(text)
    assert found == expected


def test_a_letter_outside_of_ascii_is_refused() -> None:
    with pytest.raises(ValueError, match="ascii"):
        base64url.read("é")
