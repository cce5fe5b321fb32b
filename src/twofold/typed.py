"""What people type, in one form: a code stays the same code with spaces in it, or in full-width digits. Pure.

Tests: `tests/test_bad_input.py`, `tests/totp`.
"""

from __future__ import annotations

import unicodedata

_LONGEST = 64
SHORTEST = 6
"""No code of any kind has fewer characters."""

# White space, dashes, underscores, quotes, brackets, marks of direction and other characters that are not seen.
_LEFT_OUT = frozenset({"Zs", "Zl", "Zp", "Pd", "Pc", "Pi", "Pf", "Ps", "Pe", "Cf", "Cc"})
# What stands between groups, and around a code that was copied out of a sentence. The last ones are the minus, and the
# comma and the full stop of Arabic, Urdu and Hindi.
_MARKS = frozenset(".,;:'\"`·•。、\u2212\u060c\u06d4\u0964")


def one_form(text: object) -> str:
    """The text in its compatible form (NFKC), without what stands in and around a code, digits as ASCII.

    White space, dashes, quotes, full stops, marks of direction: none of it is part of a code. Empty for what is no
    text, or too long for any code.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return ""
    if text.isascii() and text.isalnum():
        # As nearly everybody types it: it has that form already.
        return text
    return "".join(_as_ascii(one) for one in unicodedata.normalize("NFKC", text) if not _is_left_out(one))


def _is_left_out(one: str) -> bool:
    return one in _MARKS or unicodedata.category(one) in _LEFT_OUT


def _as_ascii(one: str) -> str:
    digit = unicodedata.decimal(one, None)
    return one if digit is None else str(digit)
