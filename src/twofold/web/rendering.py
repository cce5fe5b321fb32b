"""Templates into HTML, and the style sheet and script that go with them."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from twofold.web import words

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTENT_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

ASSETS: Mapping[str, tuple[bytes, str]] = {
    entry.name: (entry.read_bytes(), f"{_CONTENT_TYPES[entry.name.rpartition('.')[2]]}; charset=utf-8")
    for entry in files("twofold.web").joinpath("static").iterdir()
}
"""The static files by name: bytes and content type."""

VERSION = hashlib.sha256(b"".join(ASSETS[name][0] for name in sorted(ASSETS))).hexdigest()[:12]
"""Changes with any static file, so that a browser may keep what it has for a year."""

ASSET_HEADERS: Mapping[str, str] = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def environment(*packages: str) -> Environment:
    """The templates of the package; a host that extends `layout.html` names the packages that hold its own."""
    loader = ChoiceLoader([PackageLoader(package) for package in (*packages, "twofold.web")])
    made = Environment(
        loader=loader,
        autoescape=select_autoescape(enabled_extensions=("html",), disabled_extensions=("txt",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"moment": words.moment, "day": words.day, "duration": words.duration, "groups": words.groups}
    made.globals["version"] = VERSION
    return made


_environment = environment()


def render(template: str, context: Mapping[str, Any]) -> str:
    """Render one of the package's templates. A name that the context lacks is an error, never an empty place."""
    return _environment.get_template(template).render(context)
