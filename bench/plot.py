"""A drawing of a few lines over a range of sizes, as SVG: both axes logarithmic, every line named where it ends."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDTH, _HEIGHT = 820, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 600, 24, 390
_NAME_HEIGHT = 15
# Told apart by people who see fewer colours too.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#6a51a3")
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #444 }
  .paper { fill: #fff }
  .grid { stroke: #ddd }
  .line { fill: none; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #bbb }
    .paper { fill: #0d1117 }
    .grid { stroke: #30363d }
  }
"""


@dataclass(frozen=True)
class Line:
    """A name and its points, from left to right. No coordinate is below or at zero."""

    name: str
    points: Sequence[tuple[float, float]]


def drawn(lines: Sequence[Line], *, across: str, up: str) -> str:
    """The drawing, with what the two axes count."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    horizontal = _Axis(min(xs), max(xs), _LEFT, _RIGHT)
    low, high = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys)))
    vertical = _Axis(low, high, _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(up)} by {escape(across)}</title><style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
        *_grid(horizontal, vertical, sorted(set(xs))),
        f'<text x="{_LEFT - 50}" y="{_TOP - 10}">{escape(up)}</text>',
        f'<text x="{(_LEFT + _RIGHT) / 2:.0f}" y="{_BOTTOM + 38}" text-anchor="middle">{escape(across)}</text>',
    ]
    colours = dict(zip((line.name for line in lines), itertools.cycle(_COLOURS), strict=False))
    for line in lines:
        points = " ".join(f"{horizontal.at(x):.1f},{vertical.at(y):.1f}" for x, y in line.points)
        parts.append(f'<polyline class="line" stroke="{colours[line.name]}" points="{points}"/>')
    for line, place in _named(lines, vertical):
        last = line.points[-1][1]
        parts.append(
            f'<text x="{_RIGHT + 10}" y="{place + 4:.1f}" style="fill: {colours[line.name]}">'
            f"{escape(line.name)} · {last:.3g}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        span = math.log10(self.high / self.low) or 1
        return self.begin + (self.end - self.begin) * math.log10(value / self.low) / span


def _grid(horizontal: _Axis, vertical: _Axis, xs: Sequence[float]) -> Iterator[str]:
    for x in xs:
        place = horizontal.at(x)
        yield f'<line class="grid" x1="{place:.1f}" y1="{_TOP}" x2="{place:.1f}" y2="{_BOTTOM}"/>'
        yield f'<text x="{place:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{x:,.0f}</text>'
    for power in range(round(math.log10(vertical.low)), round(math.log10(vertical.high)) + 1):
        place = vertical.at(10**power)
        yield f'<line class="grid" x1="{_LEFT}" y1="{place:.1f}" x2="{_RIGHT}" y2="{place:.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'


def _named(lines: Sequence[Line], vertical: _Axis) -> Iterator[tuple[Line, float]]:
    """Where each name stands: beside the end of its line, or below the name above it."""
    place = -math.inf
    for line in sorted(lines, key=lambda line: -line.points[-1][1]):
        place = max(vertical.at(line.points[-1][1]), place + _NAME_HEIGHT)
        yield line, place
