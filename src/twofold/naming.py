"""The name that its owner gives to a device or a passkey. Pure.

Tests: `tests/trusted_devices/test_renaming.py`.
"""

from __future__ import annotations

import unicodedata
from typing import Final, Literal

LONGEST: Final = 64
"""So many characters has the longest name that an owner may give."""

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Persian and the languages of India write words with them, and emoji are joined by one.
_JOINERS: Final = frozenset("\u200c\u200d")
# Letters and a sign that are drawn as nothing.
_BLANKS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


class BadName(ValueError):
    """A name that nothing is given; `why` says what is wrong with it, without the name itself."""

    def __init__(self, why: Literal["empty", "too long", "unseen"]) -> None:
        super().__init__(
            f"A name is 1 to {LONGEST} characters that can be seen, without those that control or turn "
            f"the text around; this one is {why}."
        )
        self.why = why


def checked(name: object) -> str:
    """The name as it is kept: composed (NFC), without spaces around it. Raises TypeError for no text, and BadName."""
    if not isinstance(name, str):
        raise TypeError(f"name is a text, not {type(name).__name__}.")
    name = name.strip(" ")
    # No character is made of more than four, so nothing of a longer text has to be composed.
    if len(name) > 4 * LONGEST:
        raise BadName("too long")
    spaced = "".join(" " if unicodedata.category(one) == "Zs" else one for one in name)
    composed = unicodedata.normalize("NFC", spaced).strip(" ")
    if any(unicodedata.category(one) in _UNSEEN and one not in _JOINERS for one in composed):
        raise BadName("unseen")
    if not any(unicodedata.category(one)[0] in "LNPS" and one not in _BLANKS for one in composed):
        raise BadName("unseen" if composed else "empty")
    if len(composed) > LONGEST:
        raise BadName("too long")
    return composed
