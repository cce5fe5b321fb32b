"""In which language and zone a request is answered: as the host says of the person, else as the browser asks."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import tzinfo

    from twofold.web.languages import Language, Languages

RequestT = TypeVar("RequestT")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Speech(Generic[RequestT]):
    """How one application speaks to those who ask it."""

    languages: Languages
    said_language: Callable[[RequestT], str | Awaitable[str | None] | None] | None = None
    said_zone: Callable[[RequestT], str | tzinfo | Awaitable[str | tzinfo | None] | None] | None = None

    async def to(self, request: RequestT, accepted: str) -> Language:
        """The language of an answer; `accepted` is the header `Accept-Language`."""
        tag = await _settled(self.said_language(request)) if self.said_language else None
        zone = await _settled(self.said_zone(request)) if self.said_zone else None
        return self.languages.choose(accepted, said=tag, zone=_zone(zone))


async def _settled(said: T | Awaitable[T]) -> T:
    return cast("T", await said if isawaitable(said) else said)


def _zone(said: str | tzinfo | None) -> tzinfo | None:
    """The zone of a name. One that this machine does not know is as good as none: moments are then said in UTC."""
    if isinstance(said, str):
        try:
            return ZoneInfo(said)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return None
    return said
