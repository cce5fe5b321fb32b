"""What one route answered to each session, and whether that means that it opened."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from twofold.testing.doors import client

if TYPE_CHECKING:
    from collections.abc import Collection

    from twofold.testing.doors.route import Route

SESSIONS: Final[tuple[str, ...]] = ("nobody", "waiting", "trusted", "stale", "fresh")
_SHUT: Final = {401, 403}
# Too many requests, or out of order: nothing is learnt from that.
_NOTHING_LEARNT: Final = {429, 502, 503, 504}
_NOT_THERE: Final = {404, 410}


@dataclass(frozen=True)
class Answer:
    """What was answered.

    It `asks` where it leads to a page that asks who somebody is, or is one; `failed` names what the application raised.
    """

    status: int = 0
    asks: bool = False
    failed: str = ""

    @property
    def reaches(self) -> bool:
        """Whether what is behind the guards was reached. A failure is behind them, and so is a mistake in the form."""
        return not (self.asks or self.status in _SHUT | _NOTHING_LEARNT | _NOT_THERE)

    @property
    def refuses(self) -> bool:
        """Whether a guard said no, so that the route is there and wants somebody."""
        return self.asks or self.status in _SHUT

    def __str__(self) -> str:
        words = self.failed or str(self.status)
        if self.asks:
            return f"asks {words}"
        if self.reaches:
            return f"OPENS {words}"
        return f"shut {words}" if self.status in _SHUT else f"? {words}"


class Asking:
    """The pages that ask who somebody is: for a password, for a code, or for a fresh one."""

    def __init__(self, addresses: Collection[str], nobody: Any) -> None:
        self._addresses = tuple(addresses)
        fetched = (client.send(nobody, "GET", one) for one in addresses if not one.endswith("*"))
        self._kinds = {kind for one in fetched if (kind := _kind(one)) is not None}

    def __contains__(self, address: str) -> bool:
        path = urlsplit(address).path
        return any(path == one or (one.endswith("*") and path.startswith(one[:-1])) for one in self._addresses)

    def answer(self, route: Route, response: Any) -> Answer:
        """Judge a response by its status, by where it leads, and by what kind of page it is."""
        where = client.location(response)
        if where is not None:
            return Answer(response.status_code, asks=where in self)
        is_asked = route.path not in self and _kind(response) in self._kinds
        return Answer(response.status_code, asks=is_asked)


def _kind(response: Any) -> tuple[str, ...] | None:
    """What tells one form from another, whatever is filled in: its title and the names of its fields."""
    if response.status_code in _SHUT:
        return None
    text = client.body(response).decode(errors="replace")
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
    fields = re.findall(r"<input[^>]*\bname=[\"']?([\w.:\-\[\]]+)", text, re.IGNORECASE)
    return (" ".join(title[1].split()) if title else "", *sorted(set(fields))) if fields else None


@dataclass(frozen=True)
class Door:
    """One route, and its answer to each session."""

    name: str
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])

    @property
    def opens_to(self) -> set[str]:
        """The sessions to which the route opens."""
        return {session for session, answer in self.answers.items() if answer.reaches}

    @property
    def is_unknown(self) -> bool:
        """Whether nothing was learnt: it opens to no session, or the server had no answer for some."""
        return not self.opens_to or any(answer.status in _NOTHING_LEARNT for answer in self.answers.values())
