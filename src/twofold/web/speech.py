"""In which language and zone a request is answered: as the host says of the person, else as the browser asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twofold.web.called import called

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import tzinfo

    from twofold.web.languages import Language, Languages

RequestT = TypeVar("RequestT")


@dataclass(frozen=True, slots=True)
class Speech(Generic[RequestT]):
    """How one application speaks to those who ask it. `in_thread` runs what blocks."""

    languages: Languages
    in_thread: Callable[..., Awaitable[Any]]
    said_language: Callable[[RequestT], str | Awaitable[str | None] | None] | None = None
    said_zone: Callable[[RequestT], str | tzinfo | Awaitable[str | tzinfo | None] | None] | None = None

    async def to(self, request: RequestT, accepted: str) -> Language:
        """The language of an answer; `accepted` is the header `Accept-Language`."""
        tag = await called(self.in_thread, self.said_language, request) if self.said_language else None
        zone = await called(self.in_thread, self.said_zone, request) if self.said_zone else None
        return self.languages.choose(accepted, said=tag, zone=_zone(zone))


def _zone(said: str | tzinfo | None) -> tzinfo | None:
    """The zone of a name. One that this machine does not know is as good as none: moments are then said in UTC."""
    if isinstance(said, str):
        try:
            return ZoneInfo(said)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return None
    return said
