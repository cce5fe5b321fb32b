"""Origins: scheme, host and port, as browsers compare them (RFC 6454 §4). Pure.

Tests: `tests/web/test_outside.py`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_.])?")
"""A host's name as it stands in a header: a name of other letters comes as `xn--`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an address belongs to. The port is always there, so that `:443` and nothing are the same."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, address: str) -> Origin | None:
        """Read the origin of an absolute address, as `https://example.com:8443/path`; None for anything else."""
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            return None
        host = (parts.hostname or "").lower()
        is_clean = address.isascii() and address.isprintable() and not re.search(r"[\s\\]", address)
        if not is_clean or parts.scheme not in _PORTS or "@" in parts.netloc or not _is_host(host):
            return None
        return cls(parts.scheme, host, port or _PORTS[parts.scheme])

    @property
    def is_the_machine(self) -> bool:
        """Whether it names the machine that the browser itself runs on."""
        return self.host in _LOOPBACK or self.host.endswith(".localhost")

    @property
    def is_address(self) -> bool:
        """Whether the host is a number and no name: a browser keeps nothing for the domain of one."""
        return ":" in self.host or re.fullmatch(r"[0-9.]+", self.host) is not None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return True
    return _NAME.fullmatch(host) is not None
