"""What must be seen nowhere, and the search for it in whatever was said, kept or shown."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

# Six or eight digits stand in many a hash by chance, so a short code counts only where it stands alone.
_SHORT = 8
_ALONE = rb"(?<![0-9A-Za-z+/=_.:-])%s(?![0-9A-Za-z+/=_-])"


@dataclass
class Canaries:
    """Hidden values, each under a name, in every form in which somebody might have written it."""

    _forms: dict[bytes, str] = field(default_factory=dict[bytes, str])
    _codes: dict[bytes, str] = field(default_factory=dict[bytes, str])

    def hide(self, name: str, *values: str | bytes) -> None:
        """Search for these from now on."""
        for value in values:
            if isinstance(value, str) and len(value) <= _SHORT:
                self._codes[value.encode()] = name
                continue
            for form, written in _written(value):
                self._forms[written] = f"{name} ({form})"

    def hide_secret(self, base32: str) -> None:
        """A secret as the app has it, and its bytes."""
        self.hide("the secret", base32, base64.b32decode(base32 + "=" * (-len(base32) % 8)))

    def hide_keys(self, keys: str) -> None:
        """Master keys as TWOFOLD_KEYS has them, and their bytes."""
        for key in keys.split(","):
            kid, _, encoded = key.partition(":")
            self.hide(f"the key {kid}", encoded, base64.b64decode(encoded))

    def seen_in(self, text: str | bytes) -> list[str]:
        """The names of what is there."""
        where = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        seen = {name for form, name in self._forms.items() if form in where}
        seen |= {name for code, name in self._codes.items() if re.search(_ALONE % code, where)}
        return sorted(seen)


def _written(value: str | bytes) -> Iterator[tuple[str, bytes]]:
    raw = value.encode() if isinstance(value, str) else value
    yield "as it is", raw
    yield "hex", raw.hex().encode()
    yield "hex", raw.hex().upper().encode()
    yield "base32", base64.b32encode(raw).rstrip(b"=")
    yield "url-quoted", quote(raw, safe="").encode()
    yield "as Python shows it", repr(raw)[2:-1].encode()
    yield "decimal", ", ".join(map(str, raw)).encode()
    # In a longer text that was encoded as a whole, its first bit may fall on any of three places of a letter.
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        yield "base64", base64.b64encode(bytes(before) + raw)[first:last]
        yield "base64", base64.urlsafe_b64encode(bytes(before) + raw)[first:last]
    if isinstance(value, str):
        yield "escaped for HTML", html.escape(value).encode()
        yield "in lower case", value.lower().encode()
        yield "without its dashes", value.replace("-", "").encode()
