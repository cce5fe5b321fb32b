"""The contest as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

from rich.table import Table

from bench.peers.contest import RACERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.peers.contest import Contestant, Race

_NOTE = (
    "The ratio is taken against Twofold within each round, then the median (lowest-highest) over the rounds; above 1 "
    "is faster than Twofold. Each peer does what it ships, and keeps what the second column says; no other one writes "
    "an audit log here. In the races eight processes offer a code for the same user at the same moment: the same right "
    "code, of which one may be accepted, and eight different wrong ones, each of which should count if it is compared. "
    "allauth limits attempts in its form, which is not part of this; Flask-Security-Too leaves that to the application."
)


def ratios(own: Contestant, reference: Contestant) -> list[float]:
    """The rate of each round, in parts of the reference's in the same round."""
    return [each.rate / other.rate for each, other in zip(own.rounds, reference.rounds, strict=True)]


def as_json(contestants: Sequence[Contestant], missing: Mapping[str, str], about: Mapping[str, Any]) -> str:
    """The contest as a program reads it."""
    reference = contestants[0]
    rows = [
        {
            "peer": each.kind.name,
            "versions": each.versions,
            "keeps": each.kind.keeps,
            "verifications_per_second": round(each.rate, 1),
            "client_cpu_us": round(each.cpu, 1),
            "ratio": round(statistics.median(ratios(each, reference)), 3),
            "ratios": [round(ratio, 3) for ratio in ratios(each, reference)],
            "races": {name: race.plain() for name, race in each.races.items()},
        }
        for each in contestants
    ]
    return json.dumps({"machine": about, "note": _NOTE, "peers": rows, "missing": missing}, indent=1) + "\n"


def as_table(contestants: Sequence[Contestant], missing: Mapping[str, str], about: Mapping[str, Any]) -> Table:
    """The contest as a person reads it."""
    title = "{rounds} rounds, {cpus} CPUs with a load of {load[0]}-{load[1]}, Python {python}, PostgreSQL {postgresql}"
    notes = [_NOTE, *(f"Left out: {name}, because {why}" for name, why in missing.items())]
    notes += [
        f"{each.kind.name}: {number} attempts of the {name} race ended by {error}"
        for each in contestants
        for name, race in each.races.items()
        for error, number in race.errors.items()
    ]
    table = Table(
        title=title.format(**about),
        title_justify="left",
        caption="\n".join(notes),
        caption_justify="left",
    )
    for name in ("peer", "an accepted code leaves"):
        table.add_column(name)
    for name in (
        "per second",
        "ratio to Twofold",
        "CPU",
        f"right code: accepted of {RACERS}",
        f"wrong codes: compared of {RACERS}",
        "counted",
        "lost",
    ):
        table.add_column(name, justify="right")
    for each in contestants:
        found = ratios(each, contestants[0])
        table.add_row(
            f"{each.kind.name} {next(iter(each.versions.values()))}",
            each.kind.keeps,
            f"{each.rate:,.0f}",
            "1" if each is contestants[0] else f"{statistics.median(found):.2f} ({min(found):.2f}-{max(found):.2f})",
            f"{each.cpu:,.0f} µs",
            _accepted(each.races.get("right")),
            *_guesses(each.races.get("wrong")),
        )
    return table


def _accepted(race: Race | None) -> str:
    """How many of eight were let in: the median and the most, and for how many users it was more than one."""
    if race is None:
        return "-"
    middle, most = statistics.median(race.accepted), max(race.accepted)
    return f"{middle:g}, at most {most}; doubled {race.doubled} of {race.users}"


def _guesses(race: Race | None) -> tuple[str, str, str]:
    """How many of eight were compared and counted, and the share that was compared for nothing."""
    if race is None:
        return "-", "-", "-"
    compared = f"{race.compared / race.users:.1f}"
    if race.counted is None or race.lost is None:
        return compared, "-", "-"
    return compared, f"{race.counted / race.users:.1f}", f"{race.lost / max(race.compared, 1):.0%}"
