"""What a login costs when there are a million users and ten million events: `make bench-scale`."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from bench import report, server
from bench.crowd import CHANCE, EVENTS, LEGACY, LONG, Crowd, challenged
from bench.hot import Filled, filled
from bench.people import BROWSER, Clock
from bench.plot import Line, drawn
from bench.scaled import as_json, as_table, hot_table
from twofold import Cleared, MFAError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twofold.upkeep.legacy import Rowless

_RESULTS = Path(__file__).with_name("results") / "scale.json"
_PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "scale.svg"
_BATCH = 100
_PRUNED = 50
_FILLFACTORS = (100, 90, 85, 80)


@dataclass
class Operation:
    """One line of the figures: what is done, and the seconds that it took in each round, by the number of users."""

    name: str
    perform: Callable[[Scene], Sequence[float]]
    rounds: dict[int, list[float]] = field(default_factory=dict[int, list[float]])

    def measure(self, scene: Scene) -> None:
        """Add a round: the median of what was done in it."""
        self.rounds.setdefault(scene.crowd.people, []).append(statistics.median(self.perform(scene)))

    def milliseconds(self, people: int) -> list[float]:
        """The medians of the rounds."""
        return [seconds * 1000 for seconds in self.rounds[people]]


class Scene:
    """A crowd that is measured, and how far adoption and rotation have come in it."""

    def __init__(self, crowd: Crowd, clock: Clock, samples: int) -> None:
        self.crowd, self._clock, self._samples = crowd, clock, samples
        # Whose log is pruned has no trusted device in it any more, which is then looked up elsewhere.
        self._pruned, self._members = crowd.members[:_PRUNED], crowd.members[_PRUNED:]
        self._adopted: int | Rowless = crowd.first_legacy_row - 1
        self._rotating, self._rotated = next(crowd.rotating), crowd.first_row - 1

    def verify(self) -> Sequence[float]:
        """Right codes of members, each with a challenge issued beforehand."""
        members = self._some()
        challenges = [challenged(self.crowd, member) for member in members]
        self._clock.forward()
        return [
            _timed(self.crowd.mfa.verify, token, member.app.at(self._clock.now), request=BROWSER)
            for token, member in zip(challenges, members, strict=True)
        ]

    def challenge(self) -> Sequence[float]:
        """Logins that are asked for a code."""
        return [_timed(challenged, self.crowd, member) for member in self._some()]

    def recognize(self) -> Sequence[float]:
        """Logins with the cookie of a trusted device, which is changed by it."""
        taken: list[float] = []
        for member in self._some():
            began = time.perf_counter()
            cleared = self.crowd.mfa.challenge(member.user_id, device_token=member.device_token, request=BROWSER)
            taken.append(time.perf_counter() - began)
            if not isinstance(cleared, Cleared) or cleared.device is None:
                raise TypeError("a trusted device was not recognized")
            member.device_token = cleared.device.token
        return taken

    def newest_events(self) -> Sequence[float]:
        """The first page of users with as many events as most have."""
        return [_timed(self.crowd.mfa.events.recent, self.crowd.anybody) for _ in range(self._samples)]

    def oldest_events(self) -> Sequence[float]:
        """Pages far back of the user with very many events."""
        befores = [CHANCE.randint(100, LONG // 10) for _ in range(self._samples)]
        return [_timed(self.crowd.mfa.events.recent, self.crowd.long, before=before) for before in befores]

    def adopt(self) -> Sequence[float]:
        """One batch of rows of before Twofold."""
        began = time.perf_counter()
        batch = self.crowd.mfa.legacy.adopt(after=self._adopted, limit=_BATCH)
        taken = time.perf_counter() - began
        if batch.done != _BATCH or batch.last_id is None:
            raise RuntimeError(f"{batch.done} of {_BATCH} rows were adopted")
        self._adopted = batch.last_id
        return [taken]

    def rotate(self) -> Sequence[float]:
        """One batch of rows that another key has sealed; behind the last batch, back to the key of before."""
        if self._rotated + _BATCH >= self.crowd.first_row + len(self.crowd.members):
            self._rotating, self._rotated = next(self.crowd.rotating), self.crowd.first_row - 1
        began = time.perf_counter()
        batch = self._rotating.keys.rotate(after=self._rotated, limit=_BATCH)
        taken = time.perf_counter() - began
        if batch.done != _BATCH or batch.last_id is None:
            raise RuntimeError(f"{batch.done} of {_BATCH} rows were re-sealed")
        self._rotated = batch.last_id
        return [taken]

    def nothing_old(self) -> Sequence[float]:
        """The search for events that are old enough to go, where none is."""
        before = self._clock.now - timedelta(days=3650)
        return [_timed(self.crowd.mfa.events.prunable, before) for _ in range(self._samples)]

    def prune(self) -> Sequence[float]:
        """All events of one member, a few of them."""
        members = CHANCE.sample(self._pruned, min(self._samples, len(self._pruned)))
        for member in members:
            challenged(self.crowd, member)
        self._clock.forward()
        return [_timed(self.crowd.mfa.events.prune, member.user_id, self._clock.now) for member in members]

    def _some(self) -> list[Any]:
        return CHANCE.sample(self._members, min(self._samples, len(self._members)))


def operations() -> list[Operation]:
    """All that is measured; a new line is one more here."""
    return [
        Operation("verify a code", Scene.verify),
        Operation("challenge", Scene.challenge),
        Operation("challenge, trusted device", Scene.recognize),
        Operation("newest events of a user", Scene.newest_events),
        Operation(f"old events of {LONG:,}", Scene.oldest_events),
        Operation("search, nothing to prune", Scene.nothing_old),
        Operation("prune the events of a user", Scene.prune),
        Operation(f"adopt {_BATCH} rows", Scene.adopt),
        Operation(f"rotate {_BATCH} rows", Scene.rotate),
    ]


def measure(
    options: argparse.Namespace, told: Callable[[str], None]
) -> tuple[list[Operation], list[Filled], dict[str, Any]]:
    """Start the server, make a crowd of every size, and measure every operation on each in every round."""
    load, clock, found = os.getloadavg()[0], Clock(), operations()
    told("Starting PostgreSQL")
    with server.started() as running:
        with _roomy(running):
            crowds = [Crowd(running, people, options.members, clock, told) for people in options.people]
        about: dict[str, Any] = {
            "rows": {crowd.people: crowd.rows() for crowd in crowds},
            "seeding_seconds": {crowd.people: crowd.seconds for crowd in crowds},
            "rounds": options.rounds,
            "samples": options.samples,
            **report.machine(running.version()),
        }
        scenes = [Scene(crowd, clock, options.samples) for crowd in crowds]
        for number in range(options.rounds + 1):
            told(f"Round {number} of {options.rounds}" if number else "Warming up")
            for scene in reversed(scenes) if number % 2 else scenes:
                for operation in found:
                    operation.measure(scene) if number else operation.perform(scene)
        for crowd in crowds:
            crowd.engine.dispose()
        smallest = crowds[0]
        hot = [filled(running, smallest.name, smallest.people, factor, told) for factor in _FILLFACTORS]
        about["load"] = [round(load, 1), round(os.getloadavg()[0], 1)]
        return found, hot, about


def picture(found: Sequence[Operation]) -> str:
    """The medians as a drawing."""
    lines = [
        Line(each.name, [(people, statistics.median(each.milliseconds(people))) for people in sorted(each.rounds)])
        for each in found
    ]
    return drawn(lines, across="users", up="milliseconds")


def _timed(call: Callable[..., Any], *args: Any, **kwargs: Any) -> float:
    began = time.perf_counter()
    call(*args, **kwargs)
    return time.perf_counter() - began


@contextlib.contextmanager
def _roomy(running: server.Server) -> Iterator[None]:
    """Let the server write a crowd without a checkpoint every few seconds; what is measured has the usual settings."""
    with psycopg.connect(running.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        connection.execute("SELECT pg_reload_conf()")
        yield
        connection.execute("ALTER SYSTEM RESET max_wal_size")
        connection.execute("SELECT pg_reload_conf()")


def _options() -> argparse.Namespace:
    quick = bool(os.environ.get("QUICK"))
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=__doc__, epilog="With QUICK=1 in the environment it takes a minute."
    )
    parser.add_argument(
        "--people",
        type=int,
        nargs="+",
        default=[10_000] if quick else [10_000, 100_000, 1_000_000],
        help=f"users of each database, {EVENTS} events each (default: %(default)s)",
    )
    parser.add_argument("--members", type=int, default=500, help="users whom the library enrols (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2 if quick else 9, help="rounds (default: %(default)s)")
    parser.add_argument(
        "--samples", type=int, default=100, help="operations of a kind in a round (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.members < _BATCH or min(options.people) < 10 * options.members or options.samples <= 0:
        parser.error(f"there are at least {_BATCH} members, ten times as many users, and one sample")
    if not 0 < options.rounds < LEGACY // _BATCH:
        parser.error(f"there are rows of before Twofold for {LEGACY // _BATCH - 1} rounds")
    options.people = sorted(set(options.people))
    return options


def main() -> int:
    """Measure, print and draw; 0 when every operation did what it should."""
    options = _options()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
            task = progress.add_task("", total=None)

            def told(what: str) -> None:
                progress.update(task, description=what)
                progress.refresh()

            found, hot, about = measure(options, told)
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, OSError, MFAError, psycopg.Error, SQLAlchemyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(as_json(found, hot, about))
    if len(options.people) > 1:
        _PICTURE.parent.mkdir(exist_ok=True)
        _PICTURE.write_text(picture(found))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(as_table(found, about))
    console.print(hot_table(hot))
    return 0


if __name__ == "__main__":
    sys.exit(main())
