"""Moments as one number, which is exact, the same in every zone, and written fast; and clocks that disagree. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

CLOCKS_APART = timedelta(minutes=1)
"""The processes of one deployment may disagree by so much about the time."""


def microseconds(moment: datetime) -> int:
    """The microseconds since 1970. Raises TypeError for a moment without a zone."""
    # A type derived from datetime may answer with an interval of its own.
    since = datetime.__sub__(moment, _EPOCH)
    # In half the time of a division by timedelta(microseconds=1).
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment_at(microseconds: int) -> datetime:
    """The moment so many microseconds after 1970, in UTC. Raises OverflowError past the year 9999."""
    return _EPOCH + microseconds * _MICROSECOND


def is_of_the_future(moment: datetime | None, now: datetime) -> bool:
    """Whether this was written by a clock that stood further ahead than clocks of one deployment may."""
    return moment is not None and moment - now > CLOCKS_APART


def is_within(span: timedelta, moment: datetime, now: datetime) -> bool:
    """Whether a moment is no longer ago than this. One that is still to come was written by a clock that stood ahead.

    So whoever sets a clock back lengthens the span by what clocks of one deployment may differ, and by no more than
    the span itself.
    """
    return -min(span, CLOCKS_APART) <= now - moment <= span
