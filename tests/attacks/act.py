"""One operation that writes, ready to be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twofold import Rejected, Stale

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Act:
    """One operation that is ready to be asked for."""

    user_id: int
    ask: Callable[[], Any]
    lines: tuple[str, ...]
    # Looks at the answer, and whether it is true of what stands now.
    holds: Callable[[Any], object] = field(default=bool)
    outcome: str = "success"
    failures: int = 0

    @property
    def is_refusal(self) -> bool:
        """Whether the answer is a refusal."""
        return self.outcome != "success"


def refusal(ask: Callable[[], Any]) -> str:
    """What comes of it: success, or the reason of a refusal."""
    try:
        ask()
    except Rejected as rejected:
        return str(rejected.reason)
    except Stale:
        return "stale"
    return "success"
