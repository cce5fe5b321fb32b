"""Base64 in the alphabet of addresses and without padding (RFC 4648 §5), as tokens and sealed values have it. Pure.

Tests: `tests/test_base64url.py`.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def written(raw: bytes) -> str:
    """Write these bytes as text."""
    return b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL).decode()


def read(text: str) -> bytes:
    """Read such a text. Raises ValueError for what is none."""
    return a2b_base64(text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4))
