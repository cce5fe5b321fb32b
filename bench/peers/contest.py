"""Right codes verified by Twofold and by its peers, on one server in one run, and races: `make bench-peers`."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pyotp.totp import TOTP

from bench import server
from bench.clients import Measured
from bench.report import IS_QUICK, Options, Row, machine, run, table, tell
from twofold.keyring import generate_key

_ROOT = Path(__file__).resolve().parents[2]
_DATA = tomllib.loads(Path(__file__).with_name("peers.toml").read_text(encoding="utf-8"))
_RACERS = 8
# Of each peer, and of them in its race.
_USERS, _RACING = (100, 10) if IS_QUICK else (400, 60)
# No peer looks further than one step from the present one, or two.
_OTHER_STEPS = [step for step in range(-3, 4) if step]
_STEP = 30
_NOTE = (
    "Each peer does what it ships, and keeps what the second column says; no other one writes an audit log. In the "
    "races eight processes offer the same right code for the same user at the same moment: one may be accepted."
)


def installed(environment: str | None) -> str:
    """Return the Python of an environment, made on the first call. Raises RuntimeError where it cannot be made."""
    if environment is None:
        return sys.executable
    folder, pins = _ROOT / "var" / "peers" / environment, _DATA["environments"][environment]
    mark = folder / "installed.txt"
    if not mark.exists() or mark.read_text() != pins:
        tell(f"Installing {environment}")
        # pip reads where packages come from, and uv does not; uv makes an environment where the venv module is missing.
        uv = f"uv venv -q --clear --no-config --python {sys.executable} {folder}"
        pip = f"pip --python {folder} install -q --no-deps {pins}"
        for command in (uv, pip):
            words = [sys.executable, "-m", *command.split()]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{environment} was not installed: {done.stderr.strip().splitlines()[-1:]}")
        mark.write_text(pins)
    return str(folder / "bin" / "python")


class Program:
    """A program of a peer in a process of its own. One that ends by itself has said why on its standard error."""

    def __init__(self, key: str, python: str, url: str, folder: Path) -> None:
        self._log = (folder / f"{key}.log").open("a+", encoding="utf-8")
        self._process: Any = subprocess.Popen(
            [python, "-m", "bench.peers.programs", key, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (_ROOT, _ROOT / "src")))},
            cwd=folder,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate()
        self._log.close()

    def ask(self, what: str, **order: Any) -> Callable[[], Any]:
        """Give an order; what comes back waits for the answer. Raises RuntimeError where the program ends instead."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"do": what, **order}), file=self._process.stdin, flush=True)

        def answer() -> Any:
            if line := self._process.stdout.readline():
                return json.loads(line)
            errors = Path(self._log.name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RuntimeError(f"the program {Path(self._log.name).stem} ended: {errors[-1:]}")

        return answer


class Contestant(Row):
    """A peer with its users. The users of the races are its last ones, whom no round touches."""

    def __init__(self, peer: dict[str, Any], spawn: Callable[[], Program], open_: contextlib.ExitStack) -> None:
        super().__init__(peer["name"])
        self.keeps = peer["keeps"]
        pinned = _DATA["environments"].get(peer.get("environment"), f"twofold=={version('twofold')}")
        self.version = re.search(rf"(?<!\S){peer['package']}==(\S+)", pinned)[1]  # type: ignore[index]
        self._spawn, self._program = spawn, open_.enter_context(contextlib.closing(spawn()))
        self._apps = [TOTP(secret) for secret in self._program.ask("make", number=_USERS + _RACING)()]
        self._program.ask("open")()
        self.races, self._now, self._turns = dict[str, Any](), time.time(), itertools.count()

    def measure(self, seconds: float) -> Measured:
        """Verify right codes, one after the other, for about so many seconds. Raises where one is refused."""
        spent, number = Measured(0, 0.0, 0.0), 10
        while spent.seconds < seconds:
            answers = list(itertools.islice(self._codes(), number))
            self._program.ask("ready", now=self._now, users=[user for user, _ in answers])()
            done = self._program.ask("answer", now=self._now, answers=answers)()
            if done["failed"] or len(done["accepted"]) != len(answers):
                raise RuntimeError(f"{self.path}: {[*done['failed'], 'a right code was refused'][0]}")
            spent = Measured(spent.operations + len(answers), spent.seconds + done["seconds"], spent.cpu + done["cpu"])
            # The next batch takes what is left of the time, as far as there are users for it.
            number = max(10, min(round((seconds - spent.seconds) * spent.rate), _USERS))
        return spent

    def _codes(self) -> Iterator[tuple[int, str]]:
        """Yield codes of the next users; the clock is moved by two steps, so that each has an unused one."""
        self._now += 2 * _STEP
        for user in (turn % _USERS for turn in itertools.islice(self._turns, _USERS)):
            right, others = self._shown(user)
            # A code that another step has too may be taken for that one, which was used.
            if right not in others:
                yield user, right

    def _shown(self, user: int) -> tuple[str, set[str]]:
        """Return what the app shows now, and what it shows in the steps around."""
        app, now = self._apps[user], int(self._now)
        return app.at(now), {app.at(now, counter_offset=step) for step in _OTHER_STEPS}

    def race(self) -> None:
        """Offer the same right code eight times at once, for so many users."""
        self._now += 2 * _STEP
        users, rights = range(len(self._apps)), [self._shown(user)[0] for user in range(len(self._apps))]
        with contextlib.ExitStack() as running:
            programs = list[Program]()
            for user in range(_RACERS):
                programs.append(running.enter_context(contextlib.closing(self._spawn())))
                programs[-1].ask("open", now=self._now)()
                # What a process does once only, like its first connection, is done before the race.
                programs[-1].ask("ready", now=self._now, users=[user])()
                programs[-1].ask("answer", now=self._now, answers=[(user, rights[user])])()
            racing = list(users[-_RACING:])
            for answer in [program.ask("ready", now=self._now, users=racing) for program in programs]:
                answer()
            cpu, codes = self.median("cpu_each") or 0.0, [(user, rights[user]) for user in racing]
            when = {"begin": time.monotonic() + 0.5, "pause": max(0.03, 2 * _RACERS * cpu / 1e6)}
            asked = [program.ask("answer", now=self._now, answers=codes, **when) for program in programs]
            done = [answer() for answer in asked]
        accepted = Counter(user for each in done for user in each["accepted"])
        failed = Counter(failed.partition(":")[0] for each in done for failed in each["failed"])
        self.races = {"accepted_of_each_user": [accepted[user] for user in racing], "errors": failed}

    def plain(self) -> dict[str, Any]:
        return super().plain() | {"keeps": self.keeps, "version": self.version, "races": self.races}

    def cells(self) -> tuple[str, ...]:
        """Return the line of the table, where the ratio is told the other way round."""
        accepted = self.races.get("accepted_of_each_user", [])
        more, let_in = sum(one > 1 for one in accepted), "1, always" if accepted else "-"
        if more:
            let_in = f"up to {max(accepted)}; more than one for {more} of {len(accepted)} users"
        faster = f"{1 / statistics.median(self.figures):.1f} times"
        name = f"{self.path} {self.version}"
        return name, self.keeps, f"{self.median('rate'):,.0f}", faster, let_in


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start the server and the programs, measure every peer in every round, and let each race."""
    peers, missing = list[Contestant](), dict[str, str]()
    os.environ["TWOFOLD_KEYS"] = generate_key("bench")
    with contextlib.ExitStack() as open_:
        made = tempfile.TemporaryDirectory(prefix="twofold-peers-", ignore_cleanup_errors=True)
        folder, running = Path(open_.enter_context(made)), open_.enter_context(server.started())
        for peer in _DATA["peers"]:
            if peers and peer["key"] not in options.peers:
                continue
            try:
                python = installed(peer.get("environment"))
            except RuntimeError as error:
                missing[peer["name"]] = str(error)
                continue
            tell(f"Users of {peer['name']}")
            url = running.create(peer["key"], migrated=not peers).replace("postgresql:", "postgresql+psycopg:", 1)
            spawn = partial(Program, peer["key"], python, url, folder)
            peers.append(Contestant(peer, spawn, open_))
            running.settle(peer["key"])
        for each in peers:
            each.measure(options.seconds / 2)
        for number in range(options.rounds):
            tell(f"Round {number + 1} of {options.rounds}")
            done = {each.path: each.measure(options.seconds) for each in (reversed(peers) if number % 2 else peers)}
            for each in peers:
                each.add(done[each.path], done[peers[0].path])
        for each in peers:
            tell(f"Races of {each.path}")
            try:
                each.race()
            except RuntimeError as error:
                missing[f"The races of {each.path}"] = str(error)
        about = machine(running.version())
    columns = ("library", "an accepted code leaves", "a second", "Twofold is faster", "one code 8 times: let in")
    left_out = (f"\n{name} was left out: {why}" for name, why in missing.items())
    what, cells = f"{options.rounds} rounds, one client.", [each.cells() for each in peers]
    found = table(about, what, columns, cells, *left_out)
    return found | {"notes": [_NOTE], "peers": [each.plain() for each in peers], "missing": missing}


def main() -> None:
    """Measure and print; fails unless every right code is accepted in every round."""
    options = Options("python -m bench.peers.contest", description=__doc__)
    options.number("rounds", "rounds", 7, 2)
    options.number("seconds", "about the length of one measurement", 2.0, 0.5)
    peers = [peer["key"] for peer in _DATA["peers"][1:]]
    options.add_argument("--peers", nargs="*", choices=peers, default=peers, help="beside Twofold (default: all)")
    run("peers", measure, options.read())


if __name__ == "__main__":
    main()
