"""The clients of two families, asked alike: those like httpx, as Starlette's `TestClient`, and Flask's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REDIRECTS = range(300, 400)


def send(client: Any, method: str, address: str, **what: Any) -> Any:
    """Send a request and follow nothing."""
    if hasattr(client, "request"):
        return client.request(method, address, follow_redirects=False, **what)
    return client.open(address, method=method, follow_redirects=False, **what)


def location(response: Any) -> str | None:
    """Where a redirect leads; None for any other answer."""
    return response.headers.get("location") if response.status_code in _REDIRECTS else None


def body(response: Any) -> bytes:
    """What was answered."""
    given: bytes = response.content if hasattr(response, "content") else response.data
    return given


def said(response: Any) -> Any:
    """What was answered in JSON, or None."""
    try:
        return json.loads(body(response))
    except ValueError:
        return None


def cookies(client: Any) -> dict[str, str]:
    """The cookies that a client has by now."""
    if hasattr(client, "request"):
        return {one.name: one.value or "" for one in client.cookies.jar}
    return {one.key: one.value for one in vars(client).get("_cookies", {}).values()}


def carrying(client: Any, given: Mapping[str, str]) -> Any:
    """The same client, with these cookies."""
    for name, value in given.items():
        if hasattr(client, "request"):
            client.cookies.set(name, value)
        else:
            client.set_cookie(name, value)
    return client


def responses(given: Any) -> Iterator[Any]:
    """Every response among what a function of the host's returned, and those that led to them."""
    for one in given if isinstance(given, list | tuple) else (given,):
        if hasattr(one, "status_code"):
            yield from getattr(one, "history", ())
            yield one
