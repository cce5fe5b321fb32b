"""Try what the host gives out for a password, a link or a provider's word on doors that want a second factor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urljoin, urlsplit

from twofold.testing.doors import client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twofold.testing.doors.door import Asking
    from twofold.testing.doors.route import Route

_SHORTEST: Final = 12
_TOKEN: Final = re.compile(r"[A-Za-z0-9_\-.~+/:]+=*")
# No header of these holds anything to sign in with.
_USUAL: Final = re.compile(
    r"content-|date$|server$|set-cookie$|location$|vary$|etag$|last-mod|cache-|allow$|x-frame|strict-"
)


@dataclass(frozen=True)
class Way:
    """Something that the host gives out, and what opened with it: `GET /account with its access_token`."""

    name: str
    opened: tuple[str, ...]

    @property
    def goes_round(self) -> bool:
        """Whether it goes round the second factor."""
        return bool(self.opened)


@dataclass(frozen=True)
class Trying:
    """The doors to try, their addresses, and how a client is made that has nothing yet."""

    doors: Sequence[tuple[Route, str]]
    asking: Asking
    nobody: Callable[[], Any]

    def way(self, name: str, gives_out: Callable[[Any], Any]) -> Way:
        """Take what is given out to somebody who has enrolled and gave no second factor, and try it everywhere."""
        visitor = self.nobody()
        given = list(client.responses(gives_out(visitor)))
        for response in given[-1:]:
            given += _followed(visitor, response)
        opened = [
            f"{route.name} {how}"
            for how, make, what in self._tries(visitor, given)
            for route in self._opened(make, what)
        ]
        return Way(name, tuple(dict.fromkeys(opened)))

    def _tries(self, visitor: Any, given: Sequence[Any]) -> Iterator[tuple[str, Callable[[], Any], dict[str, Any]]]:
        has = client.cookies(visitor)
        if has:
            yield "with its cookies", self._carrying(has), {}
        for name in has if len(has) > 1 else ():
            # A cookie that remembers somebody speaks once the session is over.
            yield f"with its cookie {name} alone", self._carrying({name: has[name]}), {}
        tokens = {value: name for response in given for name, value in _tokens(response)}
        for value, name in tokens.items():
            for header, told in (
                ("Authorization", f"Bearer {value}"),
                ("Authorization", f"Token {value}"),
                ("X-API-Key", value),
            ):
                yield f"with its {name}", self.nobody, {"headers": {header: told}}

    def _carrying(self, given: dict[str, str]) -> Callable[[], Any]:
        return lambda: client.carrying(self.nobody(), given)

    def _opened(self, make: Callable[[], Any], what: dict[str, Any]) -> Iterator[Route]:
        for route, address in self.doors:
            response = client.send(make(), route.method, address, **what)
            if self.asking.answer(route, response).reaches:
                yield route


def _followed(visitor: Any, response: Any) -> Iterator[Any]:
    """Go where a redirect leads, as a browser does, at most five times and never to another site."""
    address = "/"
    for _ in range(5):
        where = client.location(response)
        if where is None:
            return
        address = urljoin(address, where)
        parts = urlsplit(address)
        if parts.netloc and not re.match(r"(localhost|testserver|127\.)", parts.netloc):
            return
        address = parts.path + (f"?{parts.query}" if parts.query else "")
        response = client.send(visitor, "GET", address)
        yield response


def _tokens(response: Any) -> Iterator[tuple[str, str]]:
    """Whatever may be a token: in JSON, in headers, and in the address of a redirect."""
    found = list(_strings("answer", client.said(response)))
    found += [(name, value) for name, value in response.headers.items() if not _USUAL.match(name.lower())]
    parts = urlsplit(client.location(response) or "")
    found += parse_qsl(parts.query) + parse_qsl(parts.fragment)
    for name, value in found:
        bare = value.removeprefix("Bearer ")
        if len(bare) >= _SHORTEST and _TOKEN.fullmatch(bare):
            yield name, bare


def _strings(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(name, inner)
