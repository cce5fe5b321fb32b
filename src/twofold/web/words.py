"""Moments, waits and numbers as a person would say them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def day(at: datetime) -> str:
    """`5 November 2026`."""
    return f"{at.day} {at:%B %Y}"


def moment(at: datetime, now: datetime) -> str:
    """`12 minutes ago`, `today, 14:05 UTC`, `5 November 2026, 14:05 UTC`; the zone of the reader is not known."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    age = now - at
    if age < timedelta(minutes=1):
        return "just now"
    if age < timedelta(hours=1):
        return f"{count(age // timedelta(minutes=1), 'minute')} ago"
    on = {0: "today", 1: "yesterday"}.get((now.date() - at.date()).days, day(at))
    return f"{on}, {at:%H:%M} UTC"


def duration(span: timedelta) -> str:
    """`30 seconds`, `2 minutes`, `30 days`, rounded up to what one would say."""
    seconds = max(1, -(-span // timedelta(seconds=1)))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and (seconds % length == 0 or seconds > 2 * length):
            return count(-(-seconds // length), unit)
    return count(seconds, "second")


def groups(text: str, size: int = 4) -> list[str]:
    """A secret in groups that the eye can keep."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def count(number: int, noun: str) -> str:
    """`1 minute`, `2 minutes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
