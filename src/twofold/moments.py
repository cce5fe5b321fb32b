"""A moment as one number, which is exact, the same in every zone, and written fast. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """The microseconds since 1970. Raises TypeError for a moment without a zone."""
    # A type derived from datetime may answer with an interval of its own.
    return datetime.__sub__(moment, _EPOCH) // _MICROSECOND


def moment_at(microseconds: int) -> datetime:
    """The moment so many microseconds after 1970, in UTC. Raises OverflowError past the year 9999."""
    return _EPOCH + timedelta(microseconds=microseconds)
