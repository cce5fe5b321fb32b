"""Who asks: the address and the browser of a request, cleaned before they are stored. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_USER_AGENT_LIMIT = 512
_LOCATION_LIMIT = 255

# The first match wins: Edge and Opera call themselves Chrome, and Chrome calls itself Safari.
_BROWSERS = (
    ("Edge", r"\bEdg(e|A|iOS)?/"),
    ("Opera", r"\b(OPR|Opera)/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(Firefox|FxiOS)/"),
    ("Chrome", r"\b(Chrome|CriOS|Chromium|HeadlessChrome)/"),
    ("Safari", r"\bVersion/[\d.]+.*Safari/"),
)
_PLATFORMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\b(Macintosh|Mac OS X)\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
)


@lru_cache(maxsize=1024)
def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((name for name, pattern in patterns if re.search(pattern, text)), None)


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

        The address is read as Starlette and FastAPI, Flask and Werkzeug, Django, aiohttp, Sanic and Tornado have it.
        """
        if request is None:
            return cls()
        if isinstance(request, cls):
            address, agent, location = request.ip_address, request.user_agent, request.location
        else:
            address, agent, location = _address_of(request), request.headers.get("user-agent"), None
        return _cleaned(_part(address), _part(agent), _part(location))

    @property
    def browser(self) -> str | None:
        """The family that the browser claims, as `Firefox`."""
        return _first(_BROWSERS, self.user_agent or "")

    @property
    def platform(self) -> str | None:
        """The platform that the browser claims, as `Android`."""
        return _first(_PLATFORMS, self.user_agent or "")

    @property
    def device_name(self) -> str:
        """What its owner would call it: `Firefox on Linux`."""
        return f"{self.browser or 'A browser'} on {self.platform or 'an unknown system'}"


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
