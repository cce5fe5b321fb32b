"""Right codes verified by Twofold and by its peers, on one server in one run, and races: `make bench-peers`."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from pyotp.totp import TOTP

from bench import server
from bench.clients import Measured
from bench.report import Options, load, machine, markdown, run, tell
from twofold.keyring import generate_key

RESULT = "peers"
_ROOT = Path(__file__).resolve().parents[2]
_DATA = tomllib.loads(Path(__file__).with_name("peers.toml").read_text(encoding="utf-8"))
_RACERS = 8
# privacyIDEA looks at six steps around the present one, the others at fewer.
_OTHER_STEPS = [step for step in range(-7, 8) if step]
_STEP = 30
_NOTE = (
    "Each peer does what it ships, and keeps what the second column says; no other one writes an audit log. In the "
    "races eight processes offer a code for the same user at the same moment: the same right code, of which one may "
    "be accepted, and eight wrong ones, each of which should count if it is compared. allauth limits attempts in its "
    "form, which is not part of this; Flask-Security-Too leaves that to the application."
)


def installed(environment: str | None) -> str:
    """Return the Python of an environment, made on the first call. Raises RuntimeError where it cannot be made."""
    if environment is None:
        return sys.executable
    folder, pins = _ROOT / "var" / "peers" / environment, _DATA["environments"][environment]
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    if not mark.exists() or mark.read_text() != pins:
        tell(f"Installing {environment}")
        # pip reads where packages come from, and uv does not; uv makes an environment where the venv module is missing.
        uv = [
            sys.executable,
            "-m",
            "uv",
            "venv",
            "-q",
            "--clear",
            "--no-config",
            "--python",
            sys.executable,
            str(folder),
        ]
        pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "-q", "--no-deps", *pins.split()]
        for command in (uv, pip):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{environment} was not installed: {done.stderr.strip().splitlines()[-1:]}")
        mark.write_text(pins)
    return str(python)


class Program:
    """A program of a peer in a process of its own. One that ends by itself has said why on its standard error."""

    def __init__(self, peer: Mapping[str, Any], python: str, url: str, folder: Path, keys: str) -> None:
        self._name, self._log = peer["name"], (folder / f"{peer['program']}.log").open("a+", encoding="utf-8")
        self._process = subprocess.Popen(
            [python, "-m", "bench.peers.programs", peer["program"], url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"TWOFOLD_KEYS": keys, "BENCH_FOLDER": str(folder), "PYTHONPATH": str(_ROOT)},
            cwd=folder,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._log.close()

    def ask(self, what: str, **order: Any) -> Callable[[], Any]:
        """Give an order; what comes back waits for the answer. Raises RuntimeError where the program ends instead."""
        streams: Any = (self._process.stdin, self._process.stdout)
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"do": what, **order}), file=streams[0], flush=True)

        def answer() -> Any:
            if line := streams[1].readline():
                return json.loads(line)
            said = Path(self._log.name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RuntimeError(f"the program of {self._name} ended: {said[-1:]}")

        return answer


class Contestant:
    """A peer with its users. The users of the races are its last ones, whom no round touches."""

    def __init__(
        self, peer: Mapping[str, Any], spawn: Callable[[], Program], open_: contextlib.ExitStack, number: int
    ) -> None:
        self.peer, self._spawn, self._program = peer, spawn, open_.enter_context(spawn())
        self._apps = [TOTP(secret) for secret in self._program.ask("make", number=number)()]
        self._program.ask("open")()
        self.versions: dict[str, str] = self._program.ask("versions", packages=peer["versions"])()
        self.rounds, self.races = list[Measured](), dict[str, dict[str, Any]]()
        self._now, self._turns = time.time(), itertools.count()

    def measure(self, seconds: float, racing: int) -> Measured:
        """Verify right codes, one after the other, for about so many seconds. Raises where one is refused."""
        spent, number, among = Measured(0, 0.0, 0.0), 10, len(self._apps) - 2 * racing
        while spent.seconds < seconds:
            answers = list(itertools.islice(self._codes(among), number))
            self._program.ask("ready", now=self._now, users=[user for user, _ in answers])()
            done = self._program.ask("answer", now=self._now, answers=answers)()
            if done["failed"] or len(done["accepted"]) != len(answers):
                raise RuntimeError(f"{self.peer['name']}: {[*done['failed'], 'a right code was refused'][0]}")
            spent = Measured(spent.operations + len(answers), spent.seconds + done["seconds"], spent.cpu + done["cpu"])
            # The next batch takes what is left of the time, as far as there are users for it.
            number = max(10, min(round((seconds - spent.seconds) * spent.rate), among))
        return spent

    def _codes(self, among: int) -> Iterator[tuple[int, str]]:
        """Yield codes of the next users; the clock is moved by two steps, so that each has an unused one."""
        self._now += 2 * _STEP
        for user in (turn % among for turn in itertools.islice(self._turns, among)):
            right, others = self._shown(user)
            # A code that another step has too may be taken for that one, which was used.
            if right not in others:
                yield user, right

    def _shown(self, user: int) -> tuple[str, set[str]]:
        """Return what the app shows now, and what it shows in the steps around."""
        app, now = self._apps[user], int(self._now)
        return app.at(now), {app.at(now, counter_offset=step) for step in _OTHER_STEPS}

    def race(self, racing: int) -> None:
        """Offer the same right code eight times at once, then eight wrong ones, for so many users each."""
        self._now += 2 * _STEP
        users, rights = range(len(self._apps)), [self._shown(user)[0] for user in range(len(self._apps))]
        with contextlib.ExitStack() as running:
            programs = list[Program]()
            for _ in range(_RACERS):
                # One after the other: two of privacyIDEA that start at the same moment meet in its table of nodes.
                programs.append(running.enter_context(self._spawn()))
                programs[-1].ask("open", now=self._now)()
            # What a process does once only, like its first connection, is done before the race.
            for user, program in enumerate(programs):
                program.ask("ready", now=self._now, users=[user])()
                program.ask("answer", now=self._now, answers=[(user, rights[user])])()
            right, wrong = users[-2 * racing : -racing], users[-racing:]
            self.races["right"] = self._raced(programs, right, [[(user, rights[user]) for user in right]] * _RACERS)
            guesses = [[(user, self._wrong(user)[number]) for user in wrong] for number in range(_RACERS)]
            self.races["wrong"] = self._raced(programs, wrong, guesses)

    def _wrong(self, user: int) -> list[str]:
        right, others = self._shown(user)
        return [code for code in (f"{n:06}" for n in range(100)) if code not in {right, *others}]

    def _raced(self, programs: Sequence[Program], users: range, answers: Sequence[Any]) -> dict[str, Any]:
        """Return what became of the codes; `lost` were compared and never counted, None where nothing counts."""
        everybody = {"now": self._now, "users": list(users)}
        for answer in [program.ask("ready", **everybody) for program in programs]:
            answer()
        before = self._program.ask("counted", **everybody)()
        cpu = statistics.median(each.cpu / each.operations for each in self.rounds)
        when = {"begin": time.monotonic() + 0.5, "pause": max(0.03, 2 * _RACERS * cpu)}
        pairs = zip(programs, answers, strict=True)
        asked = [program.ask("answer", now=self._now, answers=mine, **when) for program, mine in pairs]
        done = [answer() for answer in asked]
        after, compared = self._program.ask("counted", **everybody)(), sum(each["compared"] for each in done)
        counted = None if after is None else sum(after) - sum(before)
        return {
            "users": len(users),
            "processes": _RACERS,
            "accepted_of_each_user": [sum(each["accepted"].count(user) for each in done) for user in users],
            "compared": compared,
            "counted": counted,
            "lost": None if counted is None else max(0, compared - counted),
            "errors": Counter(failed.partition(":")[0] for each in done for failed in each["failed"]),
        }

    def plain(self, reference: Contestant) -> dict[str, Any]:
        """Return the peer as JSON has it; the ratio is taken against the reference within each round."""
        pairs = zip(self.rounds, reference.rounds, strict=True)
        ratios = [mine.rate / other.rate for mine, other in pairs]
        return {
            "peer": self.peer["name"],
            "versions": self.versions,
            "keeps": self.peer["keeps"],
            "verifications_per_second": round(statistics.median(each.rate for each in self.rounds), 1),
            "client_cpu_us": round(statistics.median(each.cpu_each for each in self.rounds), 1),
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(ratio, 3) for ratio in ratios],
            "races": self.races,
        }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start the server and the programs, measure every peer in every round, and let each race."""
    before, contestants, missing, keys = load(), list[Contestant](), dict[str, str](), generate_key("bench")
    with contextlib.ExitStack() as open_:
        folder = Path(
            open_.enter_context(tempfile.TemporaryDirectory(prefix="twofold-peers-", ignore_cleanup_errors=True))
        )
        running = open_.enter_context(server.started())
        names: list[str] = []
        for number, peer in enumerate(_DATA["peers"]):
            if number and peer["program"] not in options.peers:
                continue
            try:
                python = installed(peer.get("environment"))
            except RuntimeError as error:
                missing[peer["name"]] = str(error)
                continue
            tell(f"Users of {peer['name']}")
            names.append(peer["program"].lower())
            url = running.create(names[-1], migrated=number == 0)
            spawn = partial(Program, peer, python, url, folder, keys)
            contestants.append(Contestant(peer, spawn, open_, options.users + 2 * options.racing))
        running.settle(*names)
        for each in contestants:
            each.measure(options.seconds / 2, options.racing)
        for number in range(options.rounds):
            tell(f"Round {number + 1} of {options.rounds}")
            for each in reversed(contestants) if number % 2 else contestants:
                each.rounds.append(each.measure(options.seconds, options.racing))
        for each in contestants:
            tell(f"Races of {each.peer['name']}")
            try:
                each.race(options.racing)
            except RuntimeError as error:
                missing[f"The races of {each.peer['name']}"] = str(error)
        about = {"rounds": options.rounds, "seconds": options.seconds, "users": options.users}
        about |= machine(running.version()) | {"load": [before, load()]}
    peers = [each.plain(contestants[0]) for each in contestants]
    return {"machine": about, "note": _NOTE, "peers": peers, "missing": missing}


def table(found: dict[str, Any]) -> str:
    """Return the contest as a page has it."""
    title = (
        "{cpus} cores, load {load[0]} at the beginning, Python {python}, PostgreSQL {postgresql}, {rounds} rounds, one "
        "client."
    )
    columns = ("library", "an accepted code leaves", "a second", "Twofold is faster", "one code 8 times: let in")
    rows: list[tuple[str, ...]] = []
    for row in found["peers"]:
        name, rate = f"{row['peer']} {next(iter(row['versions'].values()))}", f"{row['verifications_per_second']:,.0f}"
        right, wrong = row["races"].get("right"), row["races"].get("wrong")
        let_in = _let_in(right["accepted_of_each_user"]) if right else "-"
        lost = f"{wrong['lost']} of {wrong['compared']}" if wrong and wrong["lost"] is not None else "counts none"
        rows.append((name, row["keeps"], rate, f"{1 / row['ratio']:.1f} times", let_in, lost))
    left_out = [f"\n{name} was left out: {why}" for name, why in found["missing"].items()]
    return "\n".join([markdown(title.format(**found["machine"]), (*columns, "wrong codes lost"), rows), *left_out])


def _let_in(accepted: Sequence[int]) -> str:
    """Return how many of eight simultaneous right codes were accepted."""
    more = sum(one > 1 for one in accepted)
    return f"up to {max(accepted)}; more than one for {more} of {len(accepted)} users" if more else "1, always"


def main() -> int:
    """Measure and print; 0 when every right code was accepted in every round."""
    options = Options("python -m bench.peers.contest", description=__doc__)
    options.number("rounds", "rounds", 7, 2)
    options.number("seconds", "about the length of one measurement", 2.0, 0.5)
    options.number("users", "users of each peer", 400, 100)
    options.number("racing", "users of each race", 60, 10)
    peers = [peer["program"] for peer in _DATA["peers"][1:]]
    options.add_argument("--peers", nargs="*", choices=peers, default=peers, help="beside Twofold (default: all)")
    chosen = options.read()
    if chosen.users < 20:
        options.error("there are at least 20 users")
    run(RESULT, partial(measure, chosen), table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
