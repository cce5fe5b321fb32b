"""The cookie of a trusted device. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OF_PROXIES = frozenset({"forwarded", "via", "x-real-ip"})
_MARK = "__Host-"


@dataclass(frozen=True, slots=True)
class Cookie:
    """How a cookie is called and kept. Always HttpOnly, SameSite=Lax and for the whole site."""

    name: str
    is_secure: bool


def cookie(name: str, *, scheme: str, headers: Mapping[str, str]) -> Cookie:
    """A `__Host-` cookie, which no other host can set (RFC 6265bis §4.1.3.2). Names of headers are in lower case.

    Safari refuses Secure cookies on plain http even on the machine itself, so only there both marks are left away.
    Plain http to any other name keeps them: behind a proxy the browser does speak TLS, and without one the cookie must
    not travel. A proxy that speaks to the machine's own name gives itself away by its headers, or by the page's origin.
    """
    if _is_loopback(scheme, headers) and not _is_proxied(headers):
        return Cookie(name, is_secure=False)
    return Cookie(f"{_MARK}{name}", is_secure=True)


def own(brought: Mapping[str, str], *, scheme: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The cookies that a browser brings, by their names of before the mark; one that lacks it may be anybody's.

    On the machine itself a page is asked for without an origin, so that a cookie without the mark counts there after
    one that has it.
    """
    marked = {name.removeprefix(_MARK): value for name, value in brought.items() if name.startswith(_MARK)}
    return {**brought, **marked} if _is_loopback(scheme, headers) else marked


def _is_loopback(scheme: str, headers: Mapping[str, str]) -> bool:
    return scheme == "http" and _is_the_machine(f"//{headers.get('host', '')}")


def _is_proxied(headers: Mapping[str, str]) -> bool:
    origins = (headers.get(name) for name in ("origin", "referer"))
    return any(name in _OF_PROXIES or name.startswith("x-forwarded-") for name in headers) or any(
        origin and origin != "null" and not _is_the_machine(origin) for origin in origins
    )


def _is_the_machine(address: str) -> bool:
    try:
        hostname = (urlsplit(address).hostname or "").lower()
    except ValueError:
        return False
    return hostname in _LOOPBACK or hostname.endswith(".localhost")
