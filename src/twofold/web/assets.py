"""The style sheet, the script and the mark that go with the pages, as they are sent."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTENT_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# Comments that fill their lines, indentation and empty lines are for whoever reads the source. Nothing else goes: what
# stands behind a statement may be a part of it.
_COMMENT = re.compile(rb"^[ \t]*(?:/\*.*?\*/[ \t]*|//[^\n]*)$", re.MULTILINE | re.DOTALL)
_SPACE = re.compile(rb"(?<=\n)\s+")


def _lean(content: bytes) -> bytes:
    return _SPACE.sub(b"", _COMMENT.sub(b"", content)).lstrip()


ASSETS: Mapping[str, tuple[bytes, str]] = {
    entry.name: (_lean(entry.read_bytes()), f"{_CONTENT_TYPES[entry.name.rpartition('.')[2]]}; charset=utf-8")
    for entry in files("twofold.web").joinpath("static").iterdir()
}
"""The static files by name: bytes and content type."""

VERSION = hashlib.sha256(b"".join(ASSETS[name][0] for name in sorted(ASSETS))).hexdigest()[:12]
"""Changes with any static file, so that a browser may keep what it has for a year."""

HEADERS: Mapping[str, str] = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
