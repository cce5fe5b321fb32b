"""Who waits for a plan, and how long: its locks, put together by table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from twofold.schema.plan.plan import Plan, Size

Who = Literal["nobody", "writers of the same rows", "writers", "everybody"]
_WHO: tuple[Who, ...] = ("everybody", "writers of the same rows", "writers", "nobody")
_INSTANT = "for an instant"


@dataclass(frozen=True, slots=True)
class Wait:
    """For `table`, in the steps with these numbers, `who` waits: for an instant, or for as long as its rows take."""

    table: str
    who: Who
    is_long: bool
    steps: tuple[int, ...]

    def how_long(self, size: Size | None) -> str:
        """The time in words. What takes as long as the rows take is told by how much they are."""
        if self.who == "nobody":
            return ""
        if self.is_long:
            if size is None:
                return "while rows are written"
            rows = "" if size.rows is None else f"about {size.rows:,} rows"
            written = "" if size.bytes is None else f"{size.bytes / (1 << 20):,.1f} MiB"
            return f"while {', '.join(filter(None, (rows, written))) or 'its rows'} are gone through"
        return "an instant" if len(self.steps) == 1 else f"an instant, {len(self.steps)} times"


def waits(plan: Plan) -> tuple[Wait, ...]:
    """Every table that is locked, in the order of the steps, and of each the longest waits first."""
    found: dict[str, dict[tuple[Who, bool], list[int]]] = {}
    for number, step in enumerate(plan.steps, 1):
        for lock in step.locks:
            who: Who = next(one for one in _WHO if lock.waits.startswith(one))
            is_long = who != "nobody" and not lock.waits.endswith(_INSTANT)
            of_table = found.setdefault(lock.table, {}).setdefault((who, is_long), [])
            of_table.append(number)
    return tuple(
        Wait(table, who, is_long, tuple(numbers))
        for table, kinds in found.items()
        for (who, is_long), numbers in sorted(kinds.items(), key=lambda one: (not one[0][1], _WHO.index(one[0][0])))
    )
