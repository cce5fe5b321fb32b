"""Verifications of right codes by Twofold and by its peers, on one server in one run: `make bench-peers`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from bench import report as machines
from bench import server
from bench.peers import report
from bench.peers.contest import Contestant, contestant
from bench.peers.programs import KINDS, Program, installed
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESULTS = Path(__file__).parents[1] / "results" / "peers.json"


def measure(options: argparse.Namespace, progress: Progress) -> tuple[list[Contestant], dict[str, str], dict[str, Any]]:
    """Start the server and the programs, measure every peer in every round, and let each race."""
    chosen = [kind for kind in KINDS if kind is KINDS[0] or kind.module in options.peers]
    load, contestants, missing = round(os.getloadavg()[0], 1), list[Contestant](), dict[str, str]()
    task = progress.add_task("Starting PostgreSQL", total=len(chosen))
    with contextlib.ExitStack() as open_:
        folder = open_.enter_context(_folder())
        running = open_.enter_context(server.started())
        environment = {"TWOFOLD_KEYS": generate_key("bench")}
        for kind in chosen:
            try:
                python = installed(kind.environment, partial(_told, progress, task))
            except RuntimeError as error:
                missing[kind.name] = str(error)
                continue
            _told(progress, task, f"Users of {kind.name}")
            url = running.create(kind.database) if kind is KINDS[0] else running.empty(kind.database)
            spawn = partial(Program, kind, python, url, folder, environment)
            contestants.append(contestant(kind, spawn, open_, options.users + 2 * options.racing))
            progress.advance(task)
        running.settle(*(each.kind.database for each in contestants))
        for each in contestants:
            each.measure(options.seconds / 2, options.racing)
        task = progress.add_task("Measuring", total=options.rounds * len(contestants))
        for number in range(options.rounds):
            for each in reversed(contestants) if number % 2 else contestants:
                each.rounds.append(each.measure(options.seconds, options.racing))
                progress.advance(task)
                progress.refresh()
        task = progress.add_task("Racing", total=len(contestants))
        for each in contestants:
            try:
                each.race(options.racing)
            except RuntimeError as error:
                missing[f"The races of {each.kind.name}"] = str(error)
            progress.advance(task)
            progress.refresh()
        about = {
            "load": [load, round(os.getloadavg()[0], 1)],
            "rounds": options.rounds,
            "seconds": options.seconds,
            "users": options.users,
            **machines.machine(running.version()),
        }
        return contestants, missing, about


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="twofold-peers-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(progress: Progress, task: Any, what: str) -> None:
    progress.update(task, description=what)
    progress.refresh()


def _options() -> argparse.Namespace:
    quick = bool(os.environ.get("QUICK"))
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description=__doc__, epilog="With QUICK=1 in the environment it takes a minute."
    )
    parser.add_argument("--rounds", type=int, default=2 if quick else 7, help="rounds (default: %(default)s)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.5 if quick else 2.0,
        help="about the length of one measurement (default: %(default)s)",
    )
    parser.add_argument(
        "--users", type=int, default=100 if quick else 400, help="users of each peer (default: %(default)s)"
    )
    parser.add_argument(
        "--racing", type=int, default=10 if quick else 60, help="users of each race (default: %(default)s)"
    )
    peers = list(dict.fromkeys(kind.module for kind in KINDS[1:]))
    parser.add_argument(
        "--peers", nargs="*", choices=peers, default=peers, help="the peers beside Twofold (default: all of them)"
    )
    options = parser.parse_args()
    if min(options.rounds, options.seconds, options.racing) <= 0 or options.users < 20:
        parser.error("every number is positive, and there are at least 20 users")
    return options


def main() -> int:
    """Measure and print; 0 when every right code was accepted in every round."""
    options = _options()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
            contestants, missing, about = measure(options, progress)
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, OSError, psycopg.Error, SQLAlchemyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(report.as_json(contestants, missing, about))
    Console(width=None if sys.stdout.isatty() else 180).print(report.as_table(contestants, missing, about))
    return 0


if __name__ == "__main__":
    sys.exit(main())
