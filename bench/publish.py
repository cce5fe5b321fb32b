"""Write the last results into docs/performance.md, with a drawing: `python -m bench.publish`."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_RESULTS = Path(__file__).with_name("results")
_DOCS = Path(__file__).parents[1] / "docs"
_PAGE, _PICTURE = _DOCS / "performance.md", _DOCS / "pictures" / "verify.svg"

_WIDTH, _LEFT, _RIGHT, _TOP, _LINE = 890, 360, 850, 46, 26
_MOST = 1.2
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #444 }
  .paper { fill: #fff }
  .grid { stroke: #ddd }
  .range { stroke: #0072b2; stroke-width: 3; stroke-linecap: round; opacity: .45 }
  .figure { fill: #0072b2 }
  .goal { stroke: #d55e00; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #bbb }
    .paper { fill: #0d1117 }
    .grid { stroke: #30363d }
  }
"""


def drawn(rows: Sequence[dict[str, Any]]) -> str:
    """Every ratio as a point in its range, and beside it the least that it should be."""
    height = _TOP + _LINE * len(rows) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>Ratio of each path to its limit</title><style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        '<text x="16" y="24">ratio to the limit: median, range over the rounds, and the goal (a stroke)</text>',
    ]
    for tenth in range(0, round(_MOST * 10) + 1, 2):
        x = _at(tenth / 10)
        parts.append(f'<line class="grid" x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{height - 28}"/>')
        parts.append(f'<text x="{x}" y="{height - 10}" text-anchor="middle">{tenth / 10:g}</text>')
    for number, row in enumerate(rows):
        y = _TOP + _LINE * number + 8
        low, high = _at(min(row["figures"])), _at(max(row["figures"]))
        name = escape(f"{row['path']} · {row['clients']}")
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{name}</text>')
        parts.append(f'<line class="range" x1="{low}" y1="{y}" x2="{high}" y2="{y}"/>')
        if row["goal"]:
            x = _at(row["goal"])
            parts.append(f'<line class="goal" x1="{x}" y1="{y - 9}" x2="{x}" y2="{y + 9}"/>')
        parts.append(f'<circle class="figure" cx="{_at(row["figure"])}" cy="{y}" r="5"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _at(ratio: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * min(ratio, _MOST) / _MOST, 1)


def table(found: dict[str, Any], day: str) -> Iterator[str]:
    """What `make bench` measured, as Markdown."""
    about = found["machine"]
    rounds = max(len(row["figures"]) for row in found["rows"])
    yield (
        f"{day}: {about['cpus']} cores ({about['cpu']}), load {about['load']} at the beginning, client and server "
        f"together; Python {about['python']}, PostgreSQL {about['postgresql']}, SQLAlchemy {about['sqlalchemy']}, "
        f"psycopg {about['psycopg']}, asyncpg {about['asyncpg']}; {rounds} rounds."
    )
    yield ""
    yield "| path | clients | figure, median (range) | goal | a second | CPU, µs | statements |"
    yield "|---|---|---|---|---|---|---|"
    for row in found["rows"]:
        low, high = min(row["figures"]), max(row["figures"])
        is_ratio = row["unit"] == "ratio"
        figure = f"{row['figure']:.2f} ({low:.2f}-{high:.2f})" if is_ratio else f"{row['figure']:.0f} {row['unit']}"
        goal = f"{'≥' if is_ratio else '≤'} {row['goal']:g}: {row['reached']}" if row["goal"] else ""
        rate, cpu, sent = (row[name] for name in ("operations_per_second", "client_cpu_us", "statements"))
        cells = (row["path"], row["clients"], figure, goal, *(f"{each:,.0f}" if each else "" for each in (rate, cpu)))
        yield f"| {' | '.join(map(str, cells))} | {f'{sent:g}' if sent else ''} |"


def peers(found: dict[str, Any], day: str) -> Iterator[str]:
    """What `make bench-peers` measured, as Markdown."""
    about = found["machine"]
    yield (
        f"{day}: {about['cpus']} cores, load {about['load'][0]} at the beginning, Python {about['python']}, "
        f"PostgreSQL {about['postgresql']}, {about['rounds']} rounds, one client."
    )
    yield ""
    yield "| | an accepted code leaves | a second | Twofold is faster | one code 8 times: let in | wrong codes lost |"
    yield "|---|---|---|---|---|---|"
    for row in found["peers"]:
        name = f"{row['peer']} {next(iter(row['versions'].values()))}"
        right, wrong = row["races"].get("right"), row["races"].get("wrong")
        let_in = _let_in(right["accepted_of_each_user"]) if right else "-"
        lost = f"{wrong['lost']} of {wrong['compared']}" if wrong and wrong["lost"] is not None else "counts none"
        times = f"{1 / row['ratio']:.1f} times"
        yield f"| {name} | {row['keeps']} | {row['verifications_per_second']:,.0f} | {times} | {let_in} | {lost} |"
    for name, why in found["missing"].items():
        yield f"\n{name} was left out: {why}"


def _let_in(accepted: list[int]) -> str:
    """How many of eight simultaneous right codes were accepted."""
    more = sum(one > 1 for one in accepted)
    return f"up to {max(accepted)}; more than one for {more} of {len(accepted)} users" if more else "1, always"


def sizes(found: dict[str, Any], day: str) -> Iterator[str]:
    """What `make bench-scale` measured, as Markdown."""
    about, people = found["machine"], sorted(found["operations"][0]["milliseconds"], key=int)
    yield (
        f"{day}: {about['cpus']} cores, load {about['load'][0]} at the beginning, Python {about['python']}, "
        f"PostgreSQL {about['postgresql']}, {about['rounds']} rounds; milliseconds of one client."
    )
    yield ""
    yield f"| operation | {' | '.join(f'{int(each):,} users' for each in people)} | largest / smallest |"
    yield f"|---|{'---|' * len(people)}---|"
    for row in found["operations"]:
        medians = [row["milliseconds"][each]["median"] for each in people]
        cells = (row["operation"], *(f"{each:.2f}" for each in (*medians, medians[-1] / medians[0])))
        yield f"| {' | '.join(cells)} |"


def lengths(found: dict[str, Any], day: str) -> Iterator[str]:
    """What `make bench-log` measured, as Markdown."""
    about = found["machine"]
    yield (
        f"{day}: {about['cpus']} cores, load {about['load'][0]} at the beginning, Python {about['python']}, "
        f"{about['rounds']} rounds of {about['samples']}; milliseconds of one client."
    )
    yield ""
    yield f"| operation | 10 events | {about['events']:,} events | ratio, median (range) | goal |"
    yield "|---|---|---|---|---|"
    for row in found["operations"]:
        ratio = f"{row['ratio']:.2f} ({min(row['ratios']):.2f}-{max(row['ratios']):.2f})"
        cells = (f"{row['database']}: {row['operation']}", f"{row['short_ms']:.2f}", f"{row['long_ms']:.2f}", ratio)
        yield f"| {' | '.join(cells)} | ≤ 1.2: {row['reached']} |"


def _between(text: str, name: str, lines: Iterator[str]) -> str:
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    body = "\n".join(lines)
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{body}\n{end}", text, flags=re.DOTALL)


_PARTS: dict[str, tuple[str, Callable[[dict[str, Any], str], Iterator[str]]]] = {
    "figures": ("latest.json", table),
    "peers": ("peers.json", peers),
    "sizes": ("scale.json", sizes),
    "lengths": ("log.json", lengths),
}


def main() -> int:
    """Publish what there is."""
    page, published = _PAGE.read_text(encoding="utf-8"), 0
    for name, (file, written) in _PARTS.items():
        path = _RESULTS / file
        if not path.exists():
            print(f"There is no {path.name}.", file=sys.stderr)
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        day = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%d}"
        page = _between(page, name, written(found, day))
        published += 1
        if name == "figures":
            with_goals = [row for row in found["rows"] if row["unit"] == "ratio" and row["goal"]]
            _PICTURE.parent.mkdir(exist_ok=True)
            _PICTURE.write_text(drawn(with_goals), encoding="utf-8")
    _PAGE.write_text(page, encoding="utf-8")
    return 0 if published else 1


if __name__ == "__main__":
    sys.exit(main())
