"""The cookie of a trusted device. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Cookie:
    """How a cookie is called and kept. Always HttpOnly, SameSite=Lax and for the whole site."""

    name: str
    is_secure: bool


def cookie(name: str, *, scheme: str, host: str) -> Cookie:
    """A `__Host-` cookie, which no other host can set (RFC 6265bis §4.1.3.2).

    Safari refuses Secure cookies on plain http even on the machine itself, so only there both marks are left away.
    Plain http to any other name keeps them: behind a proxy the browser does speak TLS, and without one the cookie must
    not travel.
    """
    try:
        hostname = (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        hostname = ""
    if scheme == "http" and (hostname in _LOOPBACK or hostname.endswith(".localhost")):
        return Cookie(name, is_secure=False)
    return Cookie(f"__Host-{name}", is_secure=True)


def own(brought: Mapping[str, str], *, scheme: str, host: str) -> dict[str, str]:
    """The cookies that a browser brings, by their names of before the mark; one that lacks it may be anybody's."""
    mark = cookie("", scheme=scheme, host=host).name
    return {name.removeprefix(mark): value for name, value in brought.items() if name.startswith(mark)}
