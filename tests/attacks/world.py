"""Two users, the library, and the truth about both: whatever the library answers is held against it.

What an operation may answer and write follows from the version that the user's row is of (`tests.attacks.versions`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hypothesis import reject

from tests.attacks.adversary import Adversary, Move
from tests.attacks.intruder import EVENTS, SECRETS
from tests.attacks.of_before import adopted, have_ours_among_them, were_adopted
from tests.attacks.rows import TABLES
from tests.attacks.truth import NOBODY, Truth
from tests.attacks.versions import Version, Versions, Write
from twofold import MFA, MFAError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.attacks.rows import Row, Shot, Tables
    from tests.people import Clock
    from twofold import Verified
    from twofold.testing import VirtualPasskey

    Then = Callable[[Truth | None, Any], Truth | None]


class Hole(AssertionError):
    """The library did what it must not do; `name` says in a few words what."""

    def __init__(self, name: str, story: str) -> None:
        super().__init__(f"{name}\n{story}")
        self.name = name


@dataclass(frozen=True)
class Answer:
    """What came of an operation."""

    value: Any = None
    error: MFAError | None = None

    def __bool__(self) -> bool:
        return self.error is None


@dataclass
class Held:
    """Everything that was ever handed out or put in: spent, void, expired or in force, and whoever it was for."""

    papers: dict[str, None] = field(default_factory=dict[str, None])
    apps: dict[str, None] = field(default_factory=dict[str, None])
    typed: list[str] = field(default_factory=list[str])
    answers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    keys: dict[str, VirtualPasskey] = field(default_factory=dict[str, "VirtualPasskey"])
    asked: dict[str, tuple[int, datetime]] = field(default_factory=dict[str, tuple[int, datetime]])
    proven: dict[str, Verified] = field(default_factory=dict[str, "Verified"])


class World:
    """The users `ada` and `grace` of one database."""

    def __init__(
        self,
        mfa: MFA,
        later: MFA,
        tables: Tables,
        clock: Clock,
        users: tuple[int, int],
        tolerated: Collection[str] = (),
    ) -> None:
        self.mfa, self._later, self.tables, self.clock, self.users = mfa, later, tables, clock, users
        self.adversary = Adversary(tables, users)
        self.held = Held()
        self.journal: list[str] = []
        self._tolerated = tolerated
        self._versions = Versions(tables, self.hole)
        self.is_touched: dict[int, bool] = dict.fromkeys(users, False)
        self.refused: dict[int, int] = dict.fromkeys(users, 0)
        self._is_forked: dict[int, bool] = dict.fromkeys(users, False)
        self._base: Version | None = None
        self._shots: dict[int, Shot] = {}
        self.look()

    def use_the_next_key(self) -> None:
        """Let a new key be the active one from now on."""
        self.mfa = self._later

    # What stands there, and what should.

    def look(self) -> None:
        self._shots = self.tables.read(self.users)
        self.adversary.remember(self._shots)

    def row(self, user: int) -> Row | None:
        return next(iter(self._shots[user][SECRETS]), None)

    def version(self, user: int) -> Version | None:
        """The version that the user's row is of; None where no honest step wrote it."""
        return self._versions.of(self._shots[user])

    def truth(self, user: int) -> Truth | None:
        version = self.version(user)
        return version.truth if version else None

    def altered(self, user: int) -> frozenset[str]:
        """The tables whose rows of this user are not those that belong to the user's row."""
        return self._versions.altered(self._shots[user])

    def is_clean(self, user: int) -> bool:
        """Whether all rows of this user stand as they stood at one moment, to the letter."""
        return self._versions.is_clean(self._shots[user])

    def has_rows_of_ours(self, user: int) -> bool:
        return have_ours_among_them(self.tables, self._shots[user])

    # The adversary.

    def tamper(self, user: int, move: Move) -> None:
        """Let him do something."""
        before = self._shots
        said = self.adversary.move(user, move)
        self._seen_after(user, before, said)

    def saved(self, user: int) -> Shot:
        return self._shots[user]

    def put_back(self, user: int, shot: Shot, *names: str) -> None:
        """Let him put tables back as they were, or all of them."""
        before = self._shots
        self.adversary.put_back(user, shot, names or TABLES)
        self._seen_after(user, before, f"{', '.join(names) or 'everything'} put back")

    def sql(self, user: int, statement: str, **parameters: Any) -> None:
        """Let him run a statement."""
        before = self._shots
        self.tables.run(statement, user=user, **parameters)
        self._seen_after(user, before, statement)

    def _seen_after(self, user: int, before: dict[int, Shot], said: str) -> None:
        self.look()
        for one, shot in self._shots.items():
            self.is_touched[one] |= shot != before[one]
        self._tell(user, f"SQL: {said}")

    # Honest steps, and what anybody tries.

    def do(
        self,
        user: int,
        what: str,
        operation: Callable[[], Any],
        then: Then = lambda truth, _: truth,
        *,
        opens: Callable[[Any], bool] = lambda _: False,
        leaves: Collection[str] = (),
        ends: bool = False,
        is_for_all: bool = False,
    ) -> Answer:
        """Call the library, and hold its answer and its writes against the truth.

        `opens` says whether an answer lets anybody in; for `leaves` and `ends` see `Write`.
        """
        self.clock.forward(microseconds=1)
        before = self._shots
        untold = self._versions.untold(before[user], self.version(user))
        bases = {one: self.version(one) for one in self.users}
        answer = self._answer(user, what, operation)
        self.look()
        for one in self.users:
            if bases[one] is None and not ends and were_adopted(self.tables, before[one], self._shots[one]):
                bases[one] = self._adopted(one, before[one])
                untold = untold if one != user else frozenset[str]()
        self._base = base = bases[user]
        truth = base.truth if base else None
        if answer:
            truth = then(truth, answer.value)
        for one in self.users:
            write = Write(what, before[one], self._shots[one], bases[one], leaves if answer else (), ends)
            if one == user or is_for_all:
                kept = bases[one]
                self._write(one, write, (truth if one == user else kept.truth if kept else None) or NOBODY)
            elif write.before != write.now:
                self.hole("rows of another user were written", what)
        is_open = bool(answer) and opens(answer.value)
        if (
            base is not None
            and not (ends or is_open)
            and self._failures(before[user]) > self._failures(self._shots[user])
        ):
            self.hole("failures were forgotten", what)
        if is_open and base is not None and untold and not self._is_noticed(user, before[user]):
            self.hole(f"accepted, and {', '.join(sorted(untold))} looks whole", what)
        return answer

    def known(self, truth: Truth | None, what: str) -> Truth:
        """The truth, where there is one; nothing may be accepted on a row that no honest step wrote."""
        if truth is None:
            self.hole(f"{what} on an altered row", what)
        return truth or NOBODY

    def is_of_elsewhere(self, user: int, token: str) -> bool:
        """Whether this challenge or proof is of steps that an exact return to an earlier moment has undone.

        It is known by a number, which the steps that were taken instead have used again.
        """
        owner = self.held.asked[token][0] if token in self.held.asked else self.held.proven[token].user_id
        is_known = self._base is None or token in self._base.issued
        return owner == user and self._is_forked[user] and not is_known

    def hole(self, name: str, story: str) -> None:
        if name not in self._tolerated:
            raise Hole(name, "\n".join([*self.journal, f"then: {story}"]))
        if not name.startswith("bare"):
            # What follows from a hole that is known tells nothing new.
            reject()

    def _answer(self, user: int, what: str, operation: Callable[[], Any]) -> Answer:
        try:
            answer = Answer(operation())
        except MFAError as error:
            answer = Answer(error=error)
        except Exception as error:  # noqa: BLE001 -- That nothing else comes out is what is to be shown.
            self._tell(user, f"{what} -> {type(error).__name__}: {error}")
            self.hole(f"{type(error).__name__} out of {what.split(maxsplit=1)[0]}", what)
            answer = Answer(error=MFAError(type(error).__name__))
        reason = getattr(answer.error, "reason", "")
        if answer.error or what != "status":
            self._tell(user, f"{what} -> {type(answer.error or answer.value).__name__} {reason}".rstrip())
        self.refused[user] += bool(reason)
        return answer

    def _tell(self, user: int, line: str) -> None:
        self.journal.append(f"{self.clock.now:%d %H:%M:%S} {'ada' if user == self.users[0] else 'grace'}: {line}")

    def _write(self, user: int, write: Write, truth: Truth) -> None:
        if write.before == write.now:
            return
        self._is_forked[user] |= self._versions.write(write, truth)
        if not write.now[SECRETS]:
            # Nothing is left of the user, and so nothing of what was done to the rows.
            self.is_touched[user] = self._is_forked[user] = any(write.now.values())

    def _adopted(self, user: int, before: Shot) -> Version:
        """That rows of before were put in by somebody cannot be seen, but where anything of Twofold's own is left."""
        if have_ours_among_them(self.tables, before):
            self.hole("rows were adopted beside some of Twofold's own", "adoption")
        return Version(adopted(self.tables, before, self.held.papers, is_touched=self.is_touched[user]), before)

    def _failures(self, shot: Shot) -> int:
        return max((self.tables.get(SECRETS, row, "failed_attempts") for row in shot[SECRETS]), default=0)

    def _is_noticed(self, user: int, before: Shot) -> bool:
        """Whether somebody who looks would see that something was altered."""
        status = self.tables.columns[EVENTS].index("event_status")
        if any(line[status] == "alarm" for line in self._shots[user][EVENTS] - before[EVENTS]):
            return True
        try:
            return bool(not self.mfa.events.verify(user).is_intact or self.mfa.status(user).altered)
        except MFAError:
            return True
