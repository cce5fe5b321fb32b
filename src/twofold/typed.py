"""What people type, in one form: a code stays the same code with spaces in it, or in full-width digits. Pure.

Tests: `tests/test_bad_input.py`, `tests/totp`.
"""

from __future__ import annotations

import unicodedata

_LONGEST = 64
SHORTEST = 6
"""No code of any kind has fewer characters."""

# White space, dashes, marks of direction and other characters that are not seen.
_LEFT_OUT = frozenset({"Zs", "Zl", "Zp", "Pd", "Cf", "Cc"})


def one_form(text: object) -> str:
    """The text in its compatible form (NFKC), without white space, dashes and marks of direction, digits as ASCII.

    Empty for what is no text, or too long for any code.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return ""
    if text.isascii() and text.isalnum():
        # As nearly everybody types it: it has that form already.
        return text
    characters = (one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one) not in _LEFT_OUT)
    return "".join(_as_ascii(one) for one in characters)


def _as_ascii(one: str) -> str:
    digit = unicodedata.decimal(one, None)
    return one if digit is None else str(digit)
