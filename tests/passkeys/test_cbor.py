"""CBOR of a stranger costs what it is long, and what authenticators write passes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.strange import often
from tests.passkeys.bombs import BOMBS
from twofold.passkeys import cbor

if TYPE_CHECKING:
    from collections.abc import Callable

keys = st.one_of(st.integers(-(2**64), 2**64 - 1), st.text(max_size=8), st.binary(max_size=8))
plain = st.one_of(keys, st.booleans(), st.none(), st.floats(), st.text(max_size=300), st.binary(max_size=300))
shallow = st.recursive(
    plain, lambda one: st.one_of(st.lists(one, max_size=4), st.dictionaries(keys, one, max_size=4)), max_leaves=12
)


def depth(value: Any) -> int:
    match value:
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case list():
            return 1 + max(map(depth, value), default=0)
        case _:
            return 0


@often(200)
@given(shallow, st.binary(max_size=8))
def test_where_a_value_ends_is_what_a_decoder_says(value: Any, behind: bytes) -> None:
    encoded = cbor2.dumps(value)
    if depth(value) > 4:
        with pytest.raises(ValueError, match="deeply"):
            cbor.end_of(encoded + behind)
    else:
        assert cbor.end_of(encoded + behind) == len(encoded)
        assert cbor.end_of(behind + encoded, len(behind)) == len(behind + encoded)


@often(300)
@given(st.binary(max_size=120))
def test_what_passes_is_read_and_written_again_at_its_length(data: bytes) -> None:
    try:
        end = cbor.end_of(data)
    except ValueError:
        return
    assert 0 < end <= len(data)
    # A value may have a second form, and none that is longer than itself by more than its own numbers.
    try:
        written = cbor2.dumps(cbor2.loads(data[:end]))
    except (cbor2.CBORDecodeError, cbor2.CBOREncodeError):
        return
    assert len(written) <= 9 * end


@pytest.mark.requirement("R116")
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_it_is_lit(bomb: bytes) -> None:
    data = bytes(32) + b"\xc1" + bytes(4) + bytes(16) + b"\x00\x20" + bytes(32) + bomb
    checks: list[Callable[[], object]] = [
        lambda: cbor.require_one(bomb),
        lambda: cbor.require_authenticator_data(data),
        lambda: cbor.require_authenticator_data(bytes(32) + b"\x81" + bytes(4) + bomb),
    ]
    for check in checks:
        began = time.process_time()
        with pytest.raises(ValueError, match="It "):
            check()
        assert time.process_time() - began < 0.5


def test_authenticator_data_is_what_its_flags_say() -> None:
    head, key = bytes(32), cbor2.dumps({1: 2, 3: -7})
    credential, more = bytes(16) + b"\x00\x03abc" + key, cbor2.dumps({"credProtect": 2})
    for flags, behind in ((0x01, b""), (0x41, credential), (0x81, more), (0xC1, credential + more)):
        data = head + bytes([flags]) + bytes(4) + behind
        cbor.require_authenticator_data(data)
        for wrong in (data[:-1], data + b"\x00", data[:36]):
            with pytest.raises(ValueError, match=r"too soon|behind"):
                cbor.require_authenticator_data(wrong)
