"""Bound what a stranger's CBOR costs, before anything decodes it (CTAP 2.2 §8, RFC 8949). Pure.

A decoder follows tags that share a value, and whoever writes what it read again writes each of them out: two hundred
bytes become a thousand million, before a signature was looked at. Authenticators write neither tags nor lengths that
are not known beforehand, and nest four levels deep at most; so what does is refused here.

Tests: `tests/passkeys/test_cbor.py`.
"""

from __future__ import annotations

from typing import Final

_DEEPEST: Final = 4
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_BYTES, _TEXT, _ARRAY, _MAP, _TAG = 2, 3, 4, 5, 6

# Of authenticator data (WebAuthn Level 3 §6.1): hash of the domain, flags, counter; then what the flags announce.
_FLAGS_AT, _HEAD, _AAGUID, _ID_LENGTH = 32, 37, 16, 2
_HAS_CREDENTIAL, _HAS_EXTENSIONS = 0x40, 0x80


def end_of(data: bytes, start: int = 0) -> int:
    """Find where the value ends that begins there. Raises ValueError for what no authenticator writes."""
    at, waiting = start, [1]
    while waiting:
        if waiting[-1] == 0:
            waiting.pop()
            continue
        waiting[-1] -= 1
        if at >= len(data):
            raise ValueError("It ends too soon.")
        major, info = data[at] >> 5, data[at] & 0x1F
        if major == _TAG or info > max(_WIDTHS):
            raise ValueError("It has tags, or lengths that are not known.")
        width = _WIDTHS.get(info, 0)
        argument = int.from_bytes(data[at + 1 : at + 1 + width], "big") if width else info
        at += 1 + width + (argument if major in {_BYTES, _TEXT} else 0)
        if at > len(data):
            raise ValueError("It ends too soon.")
        if major in {_ARRAY, _MAP}:
            waiting.append(argument * (2 if major == _MAP else 1))
            if len(waiting) > _DEEPEST + 1:
                raise ValueError("It is nested too deeply.")
    return at


def require_one(data: bytes) -> None:
    """Require that these bytes are one value. Raises ValueError."""
    if end_of(data) != len(data):
        raise ValueError("Something stands behind it.")


def require_authenticator_data(data: bytes) -> None:
    """Require that the values within authenticator data are such, and that nothing else is. Raises ValueError."""
    if len(data) < _HEAD:
        raise ValueError("It ends too soon.")
    at, flags = _HEAD, data[_FLAGS_AT]
    if flags & _HAS_CREDENTIAL:
        at += _AAGUID
        at += _ID_LENGTH + int.from_bytes(data[at : at + _ID_LENGTH], "big")
        at = end_of(data, at)
    if flags & _HAS_EXTENSIONS:
        at = end_of(data, at)
    if at != len(data):
        raise ValueError("Something stands behind it.")
