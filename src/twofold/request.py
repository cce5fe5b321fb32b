"""Who asks: the address and the browser of a request, cleaned before they are stored. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from twofold import browsers

_USER_AGENT_LIMIT = 512
_LOCATION_LIMIT = 255


def printable(text: object, limit: int) -> str | None:
    """One line of at most `limit` characters without control or bidirectional characters, or None (ASVS 16.4.1)."""
    if not isinstance(text, str):
        return None
    if text.isprintable() and 0 < len(text) <= limit and text == " ".join(text.split()):
        return text
    line = "".join(character if character.isprintable() else " " for character in text[: limit * 4])
    line = " ".join(line.encode("utf-8", "replace").decode().split())
    if not line:
        return None
    return line if len(line) <= limit else line[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Request:
    """Where an operation comes from. All of it is what the client says, or a proxy: for the log and the owner's eyes.

    `ip_address` must come from a proxy that the host trusts; it decides nothing by itself.
    """

    ip_address: str | None = None
    user_agent: str | None = None
    location: str | None = None

    @classmethod
    def of(cls, request: Any) -> Request:
        """Read a `Request`, None, or a web framework's request.

        The address is read as Starlette and FastAPI, Flask and Werkzeug, Django, Litestar, Pyramid, aiohttp, Sanic and
        Tornado have it.
        """
        if request is None:
            return _NOBODY
        if isinstance(request, cls):
            address, agent, location = request.ip_address, request.user_agent, request.location
        else:
            address, agent, location = _address_of(request), request.headers.get("user-agent"), None
        return _cleaned(_part(address), _part(agent), _part(location))

    @property
    def family(self) -> browsers.Family:
        """The family and the platform that the browser claims, as `Firefox` and `Android`."""
        return browsers.family(self.user_agent or "")

    @property
    def device_name(self) -> str:
        """What its owner would call it: `Firefox on Linux`."""
        return browsers.name(self.user_agent or "")


_NOBODY = Request()


def _address_of(request: Any) -> str | None:
    """The address that the server has seen. No header is read: whose word counts there is the host's to say."""
    client = getattr(request, "client", None)
    environ = getattr(request, "META", None)
    for address in (
        getattr(client, "host", None),
        *(getattr(request, name, None) for name in ("ip", "remote_ip", "remote", "remote_addr")),
        environ.get("REMOTE_ADDR") if isinstance(environ, dict) else None,
    ):
        if isinstance(address, str) and address:
            return address
    return None


def _part(text: object) -> str | None:
    """As much of a text as can be of use, since it is remembered."""
    return text[: _USER_AGENT_LIMIT * 4] if isinstance(text, str) else None


@lru_cache(maxsize=1024)
def _cleaned(address: str | None, agent: str | None, location: str | None) -> Request:
    return Request(_address(address), printable(agent, _USER_AGENT_LIMIT), printable(location, _LOCATION_LIMIT))


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
