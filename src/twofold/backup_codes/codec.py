"""Backup codes as text: make, print, read. Pure.

Twenty-five symbols of Crockford's base32 carry 125 bits, past the 112 above which NIST SP 800-63B-4 §3.1.2.2 asks for
no slow hash, and far past guessing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING

from twofold.keyring import canonical as framed
from twofold.typed import SHORTEST, one_form

if TYPE_CHECKING:
    from twofold.keyring import Keyring
    from twofold.outcomes import UserId

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SYMBOLS = 25
GROUP = 5

# What people write for the symbols that Crockford left out because they look alike.
_READ = str.maketrans({"O": "0", "I": "1", "L": "1"})
# ` 1  XXXXX-…`, as our own file has it, `10. XXXXX-…`, as a list that was printed and copied.
_NUMBERED = re.compile(r"\s*\d{1,2}(?:\s*[.):]\s*|\s+)(.+)", re.DOTALL)
# The spellings of before Twofold: letters and digits, with or without dashes between them.
_LONGEST_OLDER = 32


def generate(count: int) -> tuple[str, ...]:
    """Make so many codes, in the form in which people are shown them."""
    return tuple(printed("".join(secrets.choice(ALPHABET) for _ in range(SYMBOLS))) for _ in range(count))


def printed(code: str) -> str:
    """A canonical code in groups of five: `XXXXX-XXXXX-XXXXX-XXXXX-XXXXX`."""
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))


def canonical(text: object) -> str | None:
    """The one form that is hashed: upper case, no dashes or spaces, O as 0, I and L as 1. None for what is no code.

    A line out of a list, with the number of the code before it, is that code.
    """
    code = _read(text)
    if code is None and isinstance(text, str) and (listed := _NUMBERED.match(text)):
        return _read(listed[1])
    return code


def _read(text: object) -> str | None:
    typed = one_form(text)
    # Unicode has letters whose upper case is two ASCII letters; only ASCII is read.
    if not typed.isascii():
        return None
    code = typed.upper().translate(_READ)
    return code if len(code) == SYMBOLS and all(symbol in ALPHABET for symbol in code) else None


def older_spellings(text: object) -> tuple[str, ...]:
    """How an application of before may have spelled this code when it hashed it; none for what is no such code.

    As it was typed, in upper and in lower case, each with and without what stands between letters and digits.
    """
    if not isinstance(text, str):
        return ()
    plain = one_form(text)
    if not (plain.isascii() and plain.isalnum() and SHORTEST <= len(plain) <= _LONGEST_OLDER):
        return ()
    typed = text.strip()
    spellings = (case for form in (typed, plain) for case in (form, form.upper(), form.lower()))
    return tuple(dict.fromkeys(spellings))


def legacy_digest(code: str) -> str:
    """What the row of such a code held before it was adopted: the SHA-256 of the code in hex, whoever owns it."""
    return hashlib.sha256(code.encode()).hexdigest()


def digests(keyring: Keyring, user_id: UserId, code: str, *, is_older: bool = False) -> tuple[str, ...]:
    """What a row of this user may hold for a code, the active key's digest first.

    The owner is part of what is hashed, so a row that is copied to another user matches nothing.
    """
    if is_older:
        return keyring.macs("backup codes", _older(user_id, legacy_digest(code)))
    return keyring.macs("backup codes", framed("backup code", user_id, code))


def adopted(keyring: Keyring, user_id: UserId, hash_: str) -> str:
    """Hash a hash of before Twofold again, under the active key: by itself it opens nothing any more."""
    return keyring.mac("backup codes", _older(user_id, hash_.lower()))


def _older(user_id: UserId, hash_: str) -> bytes:
    return framed("older backup code", user_id, hash_)
