"""The contest: rates in alternating rounds, and what becomes of codes that come eight times at once."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyotp.totp import TOTP

from bench.clients import Measured
from bench.peers.programs import Program, ask_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.peers.programs import Kind

RACERS = 8
# privacyIDEA looks at six steps around the present one, the others at fewer.
_WIDEST = 7
_STEP = 30


@dataclass
class Race:
    """What became of codes that eight processes offered at the same moment, for so many users."""

    users: int
    accepted: list[int]
    compared: int
    counted: int | None
    errors: dict[str, int]

    @property
    def doubled(self) -> int:
        """For how many users more than one process was let in."""
        return sum(number > 1 for number in self.accepted)

    @property
    def lost(self) -> int | None:
        """How many codes were compared and never counted; None where nothing counts."""
        return None if self.counted is None else max(0, self.compared - self.counted)

    def plain(self) -> dict[str, Any]:
        """The race as JSON has it."""
        return {
            "users": self.users,
            "processes": RACERS,
            "accepted_of_each_user": self.accepted,
            "compared": self.compared,
            "counted": self.counted,
            "lost": self.lost,
            "errors": self.errors,
        }


@dataclass
class Contestant:
    """A peer with its users. The users of the races are its last ones, whom no round touches."""

    kind: Kind
    spawn: Callable[[], Program]
    program: Program
    apps: list[TOTP]
    versions: dict[str, str]
    rounds: list[Measured] = field(default_factory=list[Measured])
    races: dict[str, Race] = field(default_factory=dict[str, Race])
    now: float = field(default_factory=time.time)
    _turn: int = 0

    @property
    def rate(self) -> float:
        """Verifications per second, the median of the rounds."""
        return statistics.median(each.rate for each in self.rounds)

    @property
    def cpu(self) -> float:
        """Microseconds of the peer's CPU for one verification, the median of the rounds."""
        return statistics.median(each.cpu / each.operations * 1e6 for each in self.rounds)

    def measure(self, seconds: float, racing: int) -> Measured:
        """Verify right codes, one after the other, for about so many seconds. Raises where one is refused."""
        spent = Measured(0, 0.0, 0.0)
        number = 10
        while spent.seconds < seconds:
            answers = list(itertools.islice(self._codes(len(self.apps) - 2 * racing), number))
            self.program.ask("ready", now=self.now, users=[user for user, _ in answers])
            done = self.program.ask("verify", now=self.now, answers=answers)
            if done["failed"] or len(done["accepted"]) != len(answers):
                why = done["failed"][0] if done["failed"] else "a right code was refused"
                raise RuntimeError(f"{self.kind.name}: {why}")
            spent = Measured(spent.operations + len(answers), spent.seconds + done["seconds"], spent.cpu + done["cpu"])
            # The next batch takes what is left of the time, as far as there are users for it.
            left = (seconds - spent.seconds) * spent.rate
            number = max(10, min(round(left), len(self.apps) - 2 * racing))
        return spent

    def _codes(self, among: int) -> Iterator[tuple[int, str]]:
        """The codes of the next users; the clock is moved by two steps, so that each has an unused one."""
        self.now += 2 * _STEP
        for _ in range(among):
            user = self._turn % among
            self._turn += 1
            code = self._right(user)
            # A code that another step has too may be taken for that one, which was used.
            if code not in self._others(user):
                yield user, code

    def _right(self, user: int) -> str:
        return self.apps[user].at(int(self.now))

    def _others(self, user: int) -> set[str]:
        return {self.apps[user].at(int(self.now), counter_offset=step) for step in range(-_WIDEST, _WIDEST + 1) if step}

    def _wrong(self, user: int, number: int) -> str:
        """A wrong code, another one for each number."""
        live = self._others(user) | {self._right(user)}
        wrong = (code for code in (f"{n:06}" for n in range(100)) if code not in live)
        return next(itertools.islice(wrong, number, None))

    def race(self, racing: int) -> None:
        """Offer the same right code eight times at once, then eight wrong ones, for so many users each."""
        self.now += 2 * _STEP
        users = range(len(self.apps))
        pause = max(0.03, 2 * RACERS * self.cpu / 1e6)
        with contextlib.ExitStack() as running:
            programs = list[Program]()
            for _ in range(RACERS):
                # One after the other: two of privacyIDEA that start at the same moment meet in its table of nodes.
                programs.append(running.enter_context(self.spawn()))
                programs[-1].ask("open", now=self.now)
            # What a process does once only, like its first connection, is done before the race.
            warm = users[: RACERS * 2]
            ask_all(programs, "ready", now=self.now, users=[*warm])
            for program, user in zip(programs, warm, strict=False):
                program.ask("verify", now=self.now, answers=[(user, self._right(user))])
            right, wrong = users[-2 * racing : -racing], users[-racing:]
            self.races["right"] = self._raced(
                programs, right, [[(user, self._right(user)) for user in right]] * RACERS, pause
            )
            guesses = [[(user, self._wrong(user, number)) for user in wrong] for number in range(RACERS)]
            self.races["wrong"] = self._raced(programs, wrong, guesses, pause)

    def _raced(
        self, programs: Sequence[Program], users: range, answers: Sequence[Sequence[tuple[int, str]]], pause: float
    ) -> Race:
        ask_all(programs, "ready", now=self.now, users=[*users])
        before = self.program.ask("counted", now=self.now, users=[*users])["counted"]
        begin = time.monotonic() + 0.5
        for program, mine in zip(programs, answers, strict=True):
            program.tell("verify", now=self.now, answers=mine, begin=begin, pause=pause)
        done = [program.answer() for program in programs]
        after = self.program.ask("counted", now=self.now, users=[*users])["counted"]
        errors: dict[str, int] = {}
        for failed in itertools.chain.from_iterable(each["failed"] for each in done):
            kind = str(failed).partition(":")[0]
            errors[kind] = errors.get(kind, 0) + 1
        return Race(
            users=len(users),
            accepted=[sum(each["accepted"].count(user) for each in done) for user in users],
            compared=sum(each["compared"] for each in done),
            counted=None if after is None else sum(after) - sum(before),
            errors=errors,
        )


def contestant(kind: Kind, spawn: Callable[[], Program], running: contextlib.ExitStack, number: int) -> Contestant:
    """Start the program of a peer and make its users."""
    program = running.enter_context(spawn())
    secrets = program.ask("make", number=number)["secrets"]
    versions = program.ask("open")["versions"]
    return Contestant(kind, spawn, program, [TOTP(secret) for secret in secrets], versions)
