"""How a browser reaches this site, whatever stands between: by the setting, else by what one request shows. Pure.

Tests: `tests/web/test_outside.py`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twofold import lines
from twofold.confidential import Confidential
from twofold.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_PROXIES = frozenset({"forwarded", "via", "x-real-ip"})


@dataclass(frozen=True, slots=True)
class Outside(Confidential):
    """One request as it reached the server, and `TWOFOLD_PUBLIC_URL`, which settles what the request leaves open.

    `scheme` is that of the connection, as the server knows it. Names of headers are in lower case.
    """

    scheme: str
    headers: Mapping[str, str] = field(repr=False)
    public: Origin | None = None

    @classmethod
    def of(cls, public_url: str | None, *, scheme: str, headers: Mapping[str, str]) -> Outside:
        """Take the setting as it is written."""
        return cls(scheme, headers, Origin.of(public_url) if public_url else None)

    @property
    def address(self) -> str | None:
        """What a person types to come here, as `https://example.com`; None where nothing tells."""
        if self.public is not None:
            return str(self.public)
        told = next(iter(self._told()), None)
        if told is not None and self._is_host_of(told):
            return str(told)
        seen = self._seen(self.scheme)
        return None if seen is None or (seen.is_the_machine and self.is_proxied) else str(seen)

    def absolute(self, path: str) -> str | None:
        """What a person types to come to a path of this site, for what is read elsewhere; None where nothing tells."""
        if not path.startswith("/"):
            return path
        return None if self.address is None else f"{self.address}{path}"

    @property
    def keeps_secure(self) -> bool:
        """Whether cookies are Secure: everywhere but on plain http to the machine itself."""
        if self.public is not None:
            return self.public.scheme == "https"
        return not self.is_plain_here or self.is_proxied

    @property
    def takes_unmarked(self) -> bool:
        """Whether a cookie without the mark counts: on the machine itself, where some browsers keep no other."""
        return self.is_plain_here if self.public is None else not self.keeps_secure

    @property
    def is_plain_here(self) -> bool:
        """Whether this is plain http to the machine's own name, as far as the request says."""
        seen = self._seen(self.scheme)
        return self.scheme == "http" and seen is not None and seen.is_the_machine

    @property
    def is_proxied(self) -> bool:
        """Whether a proxy stands between although the request names the machine itself: its headers or a page tell."""
        return any(name in _OF_PROXIES or name.startswith("x-forwarded-") for name in self.headers) or any(
            text != "null" and (found is None or not found.is_the_machine)
            for text, found in ((text, Origin.of(text)) for text in self._texts())
        )

    @property
    def loses_cookies(self) -> bool:
        """Whether the page before was read over plain http from another machine, and no cookie came back.

        There a browser throws every Secure cookie away, so that no session can begin.
        """
        told = next(iter(self._told()), None)
        is_plain = told is not None and told.scheme == "http" and not told.is_the_machine
        return is_plain and "cookie" not in self.headers

    def is_own(self, text: str) -> bool:
        """Whether an `Origin` header names this site: scheme, host and port, as far as they are known."""
        told = Origin.of(text)
        if told is None:
            return False
        if self.public is not None:
            return told == self.public
        # Inside a proxy the scheme is not known; where the server itself speaks TLS it is.
        return self._is_host_of(told) and not (self.scheme == "https" and told.scheme != "https")

    def notice_mistakes(self) -> None:
        """Log, once in a process, that a proxy hides the address and nothing says what it is."""
        if self.public is None and self.is_plain_here and any(t.scheme == "https" for t in self._elsewhere()):
            _warn_of_hidden_host()

    def _elsewhere(self) -> list[Origin]:
        return [told for told in self._told() if not told.is_the_machine]

    def _is_host_of(self, told: Origin) -> bool:
        seen = self._seen(told.scheme)
        return seen is not None and (seen.host, seen.port) == (told.host, told.port)

    def _seen(self, scheme: str) -> Origin | None:
        # A Host without a port means the default one of the scheme that the browser speaks.
        return Origin.of(f"{scheme}://{self.headers.get('host', '')}")

    def _texts(self) -> list[str]:
        return [text for name in ("origin", "referer") if (text := self.headers.get(name))]

    def _told(self) -> list[Origin]:
        return [told for text in self._texts() if (told := Origin.of(text)) is not None]


@functools.cache
def _warn_of_hidden_host() -> None:
    lines.HOST_HEADER.write()
