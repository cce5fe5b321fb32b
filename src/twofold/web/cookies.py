"""The cookies of trusted devices, and any that a host keeps alike: called and marked as the browser's address allows.

Tests: `tests/web/test_headers.py`, `tests/web/test_shared_browser.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from twofold.trusted_devices import cookie as device_cookie
from twofold.web.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twofold.outcomes import DeviceToken

_MARK = "__Host-"


@dataclass(frozen=True, slots=True)
class Cookie:
    """How a cookie is called and kept. Always HttpOnly, SameSite=Lax and for the whole site."""

    name: str
    is_secure: bool


class Response(Protocol):
    """A response, as Starlette and Werkzeug have it."""

    @property
    def headers(self) -> Any:
        """Its headers, whatever the case of their names."""
        ...

    @property
    def set_cookie(self) -> Callable[..., None]:
        """Give the browser a cookie: a name, a value and how it is kept."""
        ...

    @property
    def delete_cookie(self) -> Callable[..., None]:
        """Take a cookie away, as it was given."""
        ...


def cookie(name: str, *, scheme: str, headers: Mapping[str, str], public_url: str | None = None) -> Cookie:
    """A `__Host-` cookie, which no other host can set (RFC 6265bis §4.1.3.2). Names of headers are in lower case.

    Safari refuses Secure cookies on plain http even on the machine itself, so only there both marks are left away.
    Plain http to any other name keeps them: behind a proxy the browser does speak TLS, and without one the cookie must
    not travel. `public_url`, the setting, settles which it is. Without it, a proxy that speaks to the machine's own
    name gives itself away by its headers, or by the page's origin.
    """
    return at(Outside.of(public_url, scheme=scheme, headers=headers), name)


def own(
    brought: Mapping[str, str], *, scheme: str, headers: Mapping[str, str], public_url: str | None = None
) -> dict[str, str]:
    """The cookies that a browser brings, by their names of before the mark; one that lacks it may be anybody's.

    On the machine itself a page is asked for without an origin, so that a cookie without the mark counts there after
    one that has it.
    """
    return brought_to(Outside.of(public_url, scheme=scheme, headers=headers), brought)


def at(outside: Outside, name: str) -> Cookie:
    """How a cookie is called and kept where the browser stands."""
    return Cookie(f"{_MARK}{name}", is_secure=True) if outside.keeps_secure else Cookie(name, is_secure=False)


def brought_to(outside: Outside, brought: Mapping[str, str]) -> dict[str, str]:
    """Those of the cookies that no other host can have set, by their names of before the mark."""
    marked = {name.removeprefix(_MARK): value for name, value in brought.items() if name.startswith(_MARK)}
    return {**brought, **marked} if outside.takes_unmarked else marked


def keep(response: Response, outside: Outside, device: DeviceToken, brought: Mapping[str, str]) -> None:
    """Put the new token of a trusted device into its cookie, and take the oldest away where there are too many."""
    for name in device_cookie.crowded_out(device.cookie_name, brought):
        take_away(response, outside, name)
    kept = at(outside, device.cookie_name)
    response.set_cookie(
        kept.name, device.token, expires=device.expires_at, httponly=True, secure=kept.is_secure, samesite="lax"
    )


def take_away(response: Response, outside: Outside, name: str) -> None:
    """Take a cookie away, as it was given."""
    kept = at(outside, name)
    response.delete_cookie(kept.name, httponly=True, secure=kept.is_secure, samesite="lax")
