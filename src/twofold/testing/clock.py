"""A clock that stands until it is turned."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Clock:
    """The moment at which a test happens: give it to `MFA(clock=)`, and turn it `forward`.

    It begins now, unless a moment is given, which has to be aware.
    """

    now: datetime = field(default_factory=_now)

    def __call__(self) -> datetime:
        """Tell the moment."""
        return self.now

    def forward(self, by: timedelta | None = None, **amount: float) -> None:
        """Turn it by a duration, or by what `timedelta` takes: `clock.forward(minutes=5)`; back, if it is negative."""
        self.now += timedelta(**amount) if by is None else by
