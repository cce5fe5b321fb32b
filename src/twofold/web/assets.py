"""The style sheets, the scripts and the mark that go with the pages, as they are sent."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.resources.abc import Traversable

_CONTENT_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# Comments that fill their lines, indentation and empty lines are for whoever reads the source. Of a script nothing else
# goes: what stands behind a statement may be a part of it.
_COMMENT = re.compile(rb"^[ \t]*(?:/\*.*?\*/[ \t]*|//[^\n]*)$", re.MULTILINE | re.DOTALL)
_SPACE = re.compile(rb"(?<=\n)\s+")
_BETWEEN_RULES = re.compile(rb"(?<=[;{},])\n|;\n(?=})| (?={)")
_BEFORE_VALUES = re.compile(rb"(?<=[{;])([\w-]+): ")


def _lean(content: bytes) -> bytes:
    return _SPACE.sub(b"", _COMMENT.sub(b"", content)).lstrip()


def _lean_sheet(content: bytes) -> bytes:
    """A style sheet in one line. How its rules are read is tested: `tests/web/test_assets.py`."""
    return _BEFORE_VALUES.sub(rb"\1:", _BETWEEN_RULES.sub(b"", _lean(content)))


_LEAN: Mapping[str, Callable[[bytes], bytes]] = {"css": _lean_sheet, "js": _lean, "svg": _lean}


def _sent(entry: Traversable) -> tuple[bytes, str]:
    kind = entry.name.rpartition(".")[2]
    return _LEAN[kind](entry.read_bytes()), f"{_CONTENT_TYPES[kind]}; charset=utf-8"


ASSETS: Mapping[str, tuple[bytes, str]] = {
    entry.name: _sent(entry) for entry in files("twofold.web").joinpath("static").iterdir()
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
