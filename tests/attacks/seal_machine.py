"""Two users, an operator and an adversary with SQL, doing whatever they like in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.attacks.adversary import Move
from tests.attacks.intruder import CODES, DEVICES, PASSKEYS
from tests.attacks.rows import TABLES
from twofold import Challenge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.attacks.owners import Owners
    from tests.attacks.truth import Truth

T = TypeVar("T")

users = st.integers(0, 1)
picks = st.integers(0, 40)
moves = st.builds(
    Move,
    st.sampled_from(
        ["a row of before"] * 4
        + ["tables of before"] * 4
        + ["edit"] * 5
        + ["plant"] * 3
        + ["copy from the other"] * 2
        + ["all of before", "remove a row", "remove all", "cut the end", "cut the beginning"]
    ),
    st.sampled_from([*TABLES, CODES, DEVICES, PASSKEYS]),
    picks,
    picks,
    picks,
)
# One thing that is done to codes, devices or passkeys, before everything is tried that they might open for.
break_ins = st.builds(
    Move,
    st.sampled_from(["edit all", "edit all", "edit", "a row of before", "tables of before", "copy from the other"]),
    st.sampled_from([CODES, DEVICES, PASSKEYS]),
    picks,
    picks,
    picks,
)
browsers = st.sampled_from(["firefox", "safari"])
lives = st.sampled_from(["enrolled", "enrolled", "adopted", "adopted", "older", "nobody"])
times = st.sampled_from([{"seconds": 30}, {"seconds": 61}, {"minutes": 6}, {"minutes": 11}, {"hours": 2}])
long_times = st.sampled_from([{"days": 2}, {"days": 15}, {"days": 31}])
most_often = st.sampled_from([True, True, False])
now_and_then = precondition(lambda self: self.ticks % 3 == 0)
seldom = precondition(lambda self: self.ticks % 6 == 0)


def some(kept: Sequence[T], pick: int, most: int) -> list[T]:
    """A few of those that are kept, beginning anywhere."""
    start = pick % len(kept) if kept else 0
    return [*kept[start:], *kept[:start]][:most]


class Machine(RuleBasedStateMachine):
    """One world."""

    def __init__(self, open_world: Callable[[bool], Owners]) -> None:
        super().__init__()
        self._open = open_world
        self.ticks = 0
        self.has_begun = False

    @initialize(first=lives, second=lives, legacy_rows=st.booleans())
    def begin(self, first: str, second: str, *, legacy_rows: bool) -> None:
        self.world = self._open(legacy_rows)
        self.has_begun = True
        self.world.plant_in_hand()
        for user, life in zip(self.world.users, (first, second), strict=True):
            if life == "enrolled":
                self.world.set_up(user)
                self.world.log_in_and(user, "trust")
                self.world.log_in_and(user, "register")
                self.world.come_back(user)
                self.world.log_in(user, "paper")
            elif life in {"adopted", "older"}:
                self.world.leave_rows_of_before(user, expired=user % 2 == 0)
        if "adopted" in {first, second}:
            self.world.adopt()

    def _user(self, who: int) -> int:
        self.ticks += 1
        return self.world.users[who]

    # Honest days.

    @rule(time=times)
    def time_passes(self, time: dict[str, int]) -> None:
        self.world.clock.forward(**time)

    @now_and_then
    @rule(time=long_times)
    def much_time_passes(self, time: dict[str, int]) -> None:
        self.world.clock.forward(**time)

    @rule(who=users)
    def set_up(self, who: int) -> None:
        user = self._user(who)
        if (truth := self.world.truth(user)) and truth.secret is None:
            self.world.set_up(user)

    @rule(who=users, how=st.sampled_from(["app", "paper", "paper", "key", "key"]))
    def log_in(self, who: int, how: str) -> None:
        self.world.log_in(self._user(who), how)

    @rule(who=users, seconds=st.sampled_from([0, 20, 31]))
    def lose_an_answer(self, who: int, seconds: int) -> None:
        self.world.lose_an_answer(self._user(who), seconds)

    @rule(
        who=users,
        what=st.sampled_from(["trust", "trust", "regenerate", "begin", "replace", "proof", "register", "register"]),
        browser=browsers,
    )
    def log_in_and(self, who: int, what: str, browser: str) -> None:
        self.world.log_in_and(self._user(who), what, browser)

    @seldom
    @rule(who=users)
    def disable(self, who: int) -> None:
        self.world.log_in_and(self._user(who), "disable")

    @rule(who=users, pick=picks)
    def come_back(self, who: int, pick: int) -> None:
        self.world.come_back(self._user(who), pick)

    @rule(who=users)
    def change_the_password(self, who: int) -> None:
        self.world.password_changed(self._user(who))

    @rule(who=users, pick=picks)
    def revoke(self, who: int, pick: int) -> None:
        user = self._user(who)
        known = sorted(row[0] for row in self.world.saved(user)[DEVICES])
        if pick % 3 == 0:
            self.world.revoke_all(user)
        elif known:
            self.world.revoke(user, known[-1 - pick % len(known)])

    @rule(who=users, pick=picks, name=st.sampled_from(["Ada's laptop", "Firefox on Linux"]))
    def rename(self, who: int, pick: int, name: str) -> None:
        user = self._user(who)
        if known := sorted(row[0] for row in self.world.saved(user)[DEVICES]):
            self.world.rename(user, known[-1 - pick % len(known)], name)

    @rule(who=users, pick=picks)
    def manage_passkeys(self, who: int, pick: int) -> None:
        user = self._user(who)
        known = sorted(row[0] for row in self.world.saved(user)[PASSKEYS])
        if pick % 3 == 0:
            self.world.log_in_and(user, "revoke keys")
        elif known and pick % 3 == 1:
            self.world.rename_key(user, known[-1 - pick % len(known)], "Ada's key")
        elif known and (verified := self.world.log_in(user)) is not None:
            self.world.revoke_key(user, verified, known[-1 - pick % len(known)])

    @rule(who=users, number=st.integers(1, 4))
    def mistype(self, who: int, number: int) -> None:
        user = self._user(who)
        for _ in range(number):
            self.world.reverify(user, "23456-23456-23456-23456-23456")

    @rule(who=users)
    def look_around(self, who: int) -> None:
        user = self._user(who)
        self.world.look_around(user)
        self.world.pending(user)

    @rule(who=users, hours=st.sampled_from([0, 0, 1, 48]))
    def prune(self, who: int, hours: int) -> None:
        self.world.prune(self._user(who), hours=hours)

    @now_and_then
    @rule()
    def rotate(self) -> None:
        self._user(0)
        self.world.use_the_next_key()
        self.world.rotate()

    @now_and_then
    @rule()
    def adopt(self) -> None:
        self._user(0)
        self.world.adopt()

    @seldom
    @rule(who=users)
    def reset(self, who: int) -> None:
        self.world.reset(self._user(who))

    @seldom
    @rule(who=users)
    def recover(self, who: int) -> None:
        self.world.recover(self._user(who))

    @now_and_then
    @rule(who=users)
    def mend(self, who: int) -> None:
        self.world.mend(self._user(who))

    @seldom
    @rule(who=users)
    def erase(self, who: int) -> None:
        self.world.erase(self._user(who))

    # The adversary.

    @rule(who=users, move=moves)
    def tamper(self, who: int, move: Move) -> None:
        self.world.tamper(self._user(who), move)

    @rule(who=users, plan=st.lists(moves, min_size=1, max_size=3), pick=picks, puts_right=most_often)
    def attack(self, who: int, plan: list[Move], pick: int, *, puts_right: bool) -> None:
        user = self._user(who)
        before = self.world.saved(user)
        for move in plan:
            self.world.tamper(user, move)
        self._try(user, pick)
        if puts_right:
            self.world.put_back(user, before)

    @rule(who=users, move=break_ins, time=st.sampled_from([{}, {}, {"minutes": 11}, {"days": 15}]), pick=picks)
    def break_in(self, who: int, move: Move, time: dict[str, int], pick: int) -> None:
        user = self._user(who)
        self.world.clock.forward(**time)
        self.world.tamper(user, move)
        self._try(user, pick, move.table, most=8)

    @rule(who=users, pick=picks)
    def try_what_is_dead(self, who: int, pick: int) -> None:
        self._try(self._user(who), pick)

    def _try(self, victim: int, pick: int, table: str | None = None, most: int = 3) -> None:
        """Try a few of the things that must open nothing: codes, cookies, proofs, challenges, set-ups."""
        truth = self.world.truth(victim)
        if table in {None, DEVICES}:
            self._try_cookies(victim, truth, pick, most)
        if table in {None, CODES}:
            self._try_codes(victim, truth, pick, most)
        if table in {None, PASSKEYS}:
            self._try_passkeys(victim, truth, pick, most)
        if table is None:
            self._try_answers(victim, pick)
            self._try_proofs(victim, truth, pick)

    def _try_cookies(self, victim: int, truth: Truth | None, pick: int, most: int) -> None:
        world = self.world
        cookies = [
            (token, browser)
            for token, owned in world.held.cookies.items()
            for browser in ((owned, "safari") if owned == "firefox" and pick % 4 == 0 else (owned,))
            if not truth or not (one := truth.cookie(token)) or not one.opens(token, browser, world.clock.now)
        ]
        for token, browser in some(cookies[::-1], pick // 4, most):
            world.challenge(victim, token, browser)

    def _try_codes(self, victim: int, truth: Truth | None, pick: int, most: int) -> None:
        world, held, now = self.world, self.world.held, self.world.clock.now
        papers = [paper for paper in held.papers if not truth or not truth.opens_paper(paper, now)]
        apps = [world.app_code(app) for app in held.apps if not truth or app != truth.secret]
        answer = world.challenge(victim)
        asked = [token for token, (user, _) in held.asked.items() if user == victim]
        for code in [*some(papers, pick, most), *some(apps, pick, 1), *some(held.typed[::-1], pick, 1)]:
            if isinstance(answer.value, Challenge):
                world.verify(victim, answer.value.token, code)
            elif asked:
                world.verify(victim, asked[-1 - pick % len(asked)], code)
            else:
                world.reverify(victim, code)
        ended = [token for token in asked if not truth or token not in truth.asked]
        for token in some(ended, pick, 1):
            world.verify(victim, token, world.app_code(truth.secret if truth else None))

    def _try_passkeys(self, victim: int, truth: Truth | None, pick: int, most: int) -> None:
        """Try every key that is not in force here, or was: with all that its holder knows, and with an old counter."""
        held = self.world.held
        dead = [name for name in held.keys if not truth or not (key := truth.key(name)) or key.is_suspended]
        for name in some(dead[::-1], pick % 4, most):
            answer = self.world.challenge(victim)
            if isinstance(answer.value, Challenge):
                self.world.sign(victim, answer.value.token, name)
        copied = [key for key in truth.keys if key.counter > 1] if truth and (most > 3 or pick % 4 == 0) else []
        for key in some(copied, pick, 1):
            answer = self.world.challenge(victim)
            if isinstance(answer.value, Challenge):
                self.world.sign(victim, answer.value.token, key.name, key.counter - 1)

    def _try_answers(self, victim: int, pick: int) -> None:
        """Try what was answered once, as it was and with another code or challenge: only the last one is known."""
        held = self.world.held
        asked = [token for token, (user, _) in held.asked.items() if user == victim]
        answers = [(token, code) for token, code in held.answers[::-1] if held.asked[token][0] == victim]
        for token, code in some(answers, pick % 3, 2):
            self.world.repeat(victim, token, code)
        for token, code in zip(some(asked[::-1], pick % 4, 2), some(held.typed[::-1], pick % 3, 2), strict=False):
            self.world.repeat(victim, token, code)

    def _try_proofs(self, victim: int, truth: Truth | None, pick: int) -> None:
        held = self.world.held
        proofs = [proof for token, proof in held.proven.items() if not truth or token not in truth.proven]
        for proof in some(proofs[::-1], pick % 4, 2):
            self._use(victim, proof, pick)
        for app in some([app for app in held.apps if not truth or app != truth.pending], pick, 1):
            self.world.confirm(victim, self.world.app_code(app))

    def _use(self, victim: int, proof: Any, pick: int) -> None:
        world = self.world
        if proof.user_id != victim:
            proof = world.swapped(proof, victim)
        match pick % 5:
            case 0:
                world.trust(victim, proof)
            case 1:
                world.regenerate(victim, proof)
            case 2:
                world.begin(victim, proof)
            case 3:
                world.disable(victim, proof)
            case _:
                world.proof(victim, proof)

    # What must be true whatever has happened.

    @invariant()
    def both_stand_as_they_should(self) -> None:
        for user in self.world.users if self.has_begun else ():
            self.world.check(user)

    def teardown(self) -> None:
        if not self.has_begun:
            return
        for user in self.world.users:
            self.world.recover(user)
