"""What was measured of databases of several sizes, as tables for people and as JSON for programs."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.hot import Filled
    from bench.scale import Operation

_NOTE = (
    "One client, milliseconds: the median of each round, then the median (lowest-highest) over the rounds. The "
    "databases are on one server and take turns in every round, so the last column is the figure."
)


def as_json(found: Sequence[Operation], hot: Sequence[Filled], about: Mapping[str, Any]) -> str:
    """The run as a program reads it."""
    rows = [
        {
            "operation": each.name,
            "milliseconds": {
                people: {
                    "median": round(statistics.median(each.milliseconds(people)), 3),
                    "rounds": [round(number, 3) for number in each.milliseconds(people)],
                }
                for people in each.rounds
            },
        }
        for each in found
    ]
    told = {"machine": about, "note": _NOTE, "operations": rows, "hot": [each.plain() for each in hot]}
    return json.dumps(told, indent=1) + "\n"


def as_table(found: Sequence[Operation], about: Mapping[str, Any]) -> Table:
    """The operations as a person reads them."""
    sizes = sorted(about["rows"])
    title = "{rounds} rounds of {samples}, {cpus} CPUs with a load of {load[0]}-{load[1]}, Python {python}, "
    title += "PostgreSQL {postgresql}"
    seeding = (
        f"{people:,} users: {about['rows'][people]['mfa_events']:,} events, {about['rows'][people]['bytes'] / 1e9:.1f} "
        f"GB, made in {sum(about['seeding_seconds'][people].values()):.0f} s"
        for people in sizes
    )
    table = Table(
        title=title.format(**about),
        title_justify="left",
        caption="\n".join([_NOTE, *seeding]),
        caption_justify="left",
    )
    table.add_column("operation")
    for people in sizes:
        table.add_column(f"{people:,} users", justify="right")
    table.add_column("largest / smallest", justify="right")
    for each in found:
        medians = {people: statistics.median(each.milliseconds(people)) for people in sizes}
        spans = (
            f"{medians[people]:.2f} ({min(each.milliseconds(people)):.2f}-{max(each.milliseconds(people)):.2f})"
            for people in sizes
        )
        table.add_row(each.name, *spans, f"{medians[sizes[-1]] / medians[sizes[0]]:.2f}")
    return table


def hot_table(hot: Sequence[Filled]) -> Table:
    """The shares of HOT as a person reads them."""
    table = Table(
        title="Updates of user_mfa_secrets that write no index (HOT), each slice a verification for each user",
        title_justify="left",
    )
    table.add_column("fillfactor", justify="right")
    for number in range(len(hot[0].shares)):
        table.add_column(f"slice {number + 1}", justify="right")
    for name in ("verifications/s, pgbench", "table before", "table after"):
        table.add_column(name, justify="right")
    for each in hot:
        table.add_row(
            str(each.fillfactor),
            *(f"{share:.1%}" for share in each.shares),
            f"{statistics.median(each.rates):,.0f}",
            f"{each.bytes_before / 1e6:.1f} MB",
            f"{each.bytes_after / 1e6:.1f} MB",
        )
    return table
