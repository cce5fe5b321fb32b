"""Ada, a stranger and the clock, doing whatever they like in any order; the model says what must come of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pyotp.totp import TOTP

from tests.fuzz.model import YES, Answer, Asked, Model, Policy, Proven, read
from tests.people import FIREFOX, SAFARI, Clock
from twofold import Challenge, MFAError, Rejected, Verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.model import Trusted
    from twofold import MFA

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
BROWSERS = {"firefox": FIREFOX, "safari": SAFARI}

policies = st.builds(
    Policy,
    free=st.sampled_from([0, 2, 4]),
    cap=st.sampled_from([5, 6, 100]),
    held=st.sampled_from([20, 100]),
    window=st.sampled_from([0, 1, 2]),
    devices=st.sampled_from([1, 2, 10]),
)
right = st.just(("the app", 0))
codes = st.one_of(
    right,
    right,
    right,
    st.tuples(st.just("the app"), st.sampled_from([1, -1, 2, -2, 3, -3])),
    st.tuples(st.just("paper"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["used", "earlier app", "another's paper", "wrong"]), st.integers(0, 5)),
    st.tuples(st.just("typed"), st.text(max_size=30)),
)
moments = st.sampled_from(
    [SECOND * seconds for seconds in (1, 29, 30, 31, 59, 60, 61, 90, 120, 240, 299, 301, 599, 601, 1201)]
    + [SECOND * seconds for seconds in (-1, -30, -59, -90, -600)]
)
long_times = st.sampled_from([SECOND * 3600, DAY * 13, DAY * 15, DAY * 31, SECOND * -3600, DAY * -2])
pauses = st.sampled_from([30, 30, 60, 60, 0, 3600, -90])
newest = st.sampled_from([0, 0, 0, 0, 0, 1, 2, 5])
browsers = st.sampled_from(["firefox", "safari"])

R = TypeVar("R")

is_enrolled = precondition(lambda self: self.model.secret is not None)
is_seldom = precondition(lambda self: self.ticks % 7 == 0)
is_now_and_then = precondition(lambda self: self.ticks % 3 == 0)


def latest(kept: list[R], pick: int) -> R:
    """One of those that are kept, the newest first."""
    return kept[-1 - pick % len(kept)]


class Machine(RuleBasedStateMachine):
    """One user of one database, through one face."""

    def __init__(self, open_mfa: Callable[[Policy], MFA], new_user: Callable[[], int], clock: Clock) -> None:
        super().__init__()
        self._open, self._clock, self._user = open_mfa, clock, new_user()
        self.ticks = 0
        self._compared = 0
        self._epochs: dict[str | None, int] = {}
        self._asked: list[Asked] = []
        self._proven: list[Proven] = []
        self._devices: list[Trusted] = []
        self._used: list[str] = []
        self._spent: set[tuple[str, int | str]] = set()
        self._earlier: list[str] = []

    @initialize(policy=policies)
    def start(self, policy: Policy) -> None:
        self._clock.now = Clock.now
        self.mfa = self._open(policy)
        self.model = Model(policy, self._clock)

    # The clock.

    @rule(moment=moments)
    def move_the_clock(self, moment: timedelta) -> None:
        self._clock.now += moment

    @is_seldom
    @rule(long_time=long_times)
    def move_the_clock_far(self, long_time: timedelta) -> None:
        self._clock.now += long_time

    def _tick(self) -> None:
        """No two operations of a real system are of the same microsecond, even where its clock is set back."""
        self.ticks += 1
        self._clock.now = self._clock.now.replace(microsecond=self.ticks)

    # What Ada and the stranger do.

    @precondition(lambda self: self.model.secret is None)
    @rule()
    def set_up(self) -> None:
        self.begin(0)
        self.confirm(("the app", 0))

    @precondition(lambda self: self._proven and self.model.is_fresh(self._proven[-1]))
    @rule()
    def replace_the_app(self) -> None:
        self.begin(1)
        self.confirm(("the app", 0))

    @precondition(lambda self: self._proven or self.ticks % 7 == 0)
    @rule(pick=st.integers(0, 5))
    def begin(self, pick: int) -> None:
        proven = latest(self._proven, pick - 1) if self._proven and pick else None
        given = self._same(
            lambda: self.model.begin(proven),
            lambda: self.mfa.totp.begin(
                self._user,
                account_name="ada@example.com",
                verified=None if proven is None else proven.verified,
                request=FIREFOX,
            ),
        )
        if given is not None:
            self.model.pending = given.secret
            self._earlier.append(given.secret)

    @precondition(lambda self: self.model.pending_at is not None)
    @rule(code=codes)
    def confirm(self, code: tuple[str, Any]) -> None:
        typed = self._typed(code, self.model.pending)
        enrolled = self._same(lambda: self.model.confirm(typed), lambda: self.mfa.totp.confirm(self._user, typed))
        if enrolled is not None:
            self.model.given(enrolled.backup_codes)
            self._accepted(typed, enrolled.verified)

    @precondition(lambda self: self.model.pending_at is not None)
    @is_now_and_then
    @rule(times=st.integers(3, 10))
    def guess_the_new_secret(self, times: int) -> None:
        for _ in range(times):
            self.confirm(("wrong", 0))

    @is_enrolled
    @is_now_and_then
    @rule()
    def challenge(self) -> None:
        self._challenge(None, "firefox")

    @precondition(lambda self: self.model.active())
    @rule(pauses=st.lists(pauses, min_size=1, max_size=3))
    def come_back(self, pauses: list[int]) -> None:
        device = next(one for one in self.model.devices if self.model.is_active(one))
        for pause in pauses:
            self._clock.now += SECOND * pause
            self._challenge(device.tokens[-1], device.browser)

    @precondition(lambda self: self._devices)
    @rule(pick=newest, age=st.sampled_from([0, 1, 1, 2]), browser=browsers, pause=pauses)
    def bring_a_copy(self, pick: int, age: int, browser: str, pause: int) -> None:
        self._clock.now += SECOND * pause
        device = latest(self._devices, pick)
        tokens = device.dead + device.tokens
        self._challenge(tokens[max(0, len(tokens) - 1 - age)], browser)

    @is_seldom
    @rule(token=st.text(max_size=60))
    def forge_a_cookie(self, token: str) -> None:
        self._challenge(token, "firefox")

    def _challenge(self, token: str | None, browser: str) -> None:
        self._tick()
        device = next((one for one in self.model.devices if token in one.tokens), None)
        (expected, _) = self.model.challenge(token, browser)
        given = self.mfa.challenge(self._user, device_token=token, request=BROWSERS[browser])
        if isinstance(given, Challenge):
            assert expected == "asked"
            self._asked.append(self.model.asked(given.token))
            factors = ("totp", "backup_codes") if self.model.unused else ("totp",)
            assert (given.factors, given.expires_at) == (factors, self._asked[-1].expires_at)
            return
        assert (given.because, given.device is not None) == {
            "not_enrolled": ("not_enrolled", False),
            "graced": ("trusted_device", False),
            "trusted_device": ("trusted_device", True),
        }.get(expected), expected
        if given.device is not None:
            assert device is not None
            device.tokens.append(given.device.token)

    @precondition(lambda self: self._asked)
    @rule(pick=newest, code=codes)
    def answer(self, pick: int, code: tuple[str, Any]) -> None:
        asked, typed = latest(self._asked, pick), self._typed(code, self.model.secret)
        verified = self._same(lambda: self.model.verify(asked, typed), lambda: self.mfa.verify(asked.token, typed))
        if verified is not None:
            self._accepted(typed, verified)

    @is_enrolled
    @rule(code=codes, pause=pauses)
    def log_in(self, code: tuple[str, Any], pause: int) -> None:
        self._clock.now += SECOND * pause
        self.challenge()
        self.answer(0, code)

    @precondition(lambda self: self.model.secret or self.ticks % 7 == 0)
    @rule(code=codes, pause=pauses)
    def reverify(self, code: tuple[str, Any], pause: int = 0) -> None:
        self._clock.now += SECOND * pause
        typed = self._typed(code, self.model.secret)
        verified = self._same(lambda: self.model.reverify(typed), lambda: self.mfa.reverify(self._user, typed))
        if verified is not None:
            self._accepted(typed, verified)

    @is_enrolled
    @rule(guesses=st.lists(st.sampled_from(["wrong", "another's paper", "used"]), min_size=2, max_size=6))
    def guess(self, guesses: list[str]) -> None:
        for code in guesses:
            self.reverify((code, 0))

    @is_enrolled
    @is_seldom
    @rule(times=st.integers(20, 60), pause=st.sampled_from([1, 60, 600]))
    def ask_and_ask(self, times: int, pause: int) -> None:
        for _ in range(times):
            self._clock.now += SECOND * pause
            self._challenge(None, "firefox")

    @is_enrolled
    @is_now_and_then
    @rule(times=st.sampled_from([1, 2, 3, 4, 5, 6, 25]))
    def guess_with_patience(self, times: int) -> None:
        for _ in range(times):
            self.reverify(("wrong", 0))
            self._clock.now += self.model.wait() or timedelta(0)

    @precondition(lambda self: self._asked)
    @is_seldom
    @rule(pick=newest, forgery=st.integers(0, 99), code=codes)
    def forge_a_challenge(self, pick: int, forgery: int, code: tuple[str, Any]) -> None:
        token = latest(self._asked, pick).token
        place = forgery % len(token)
        forged = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        typed = self._typed(code, self.model.secret)
        self._same(lambda: ("challenge_expired", None), lambda: self.mfa.verify(forged, typed))

    @precondition(lambda self: self._proven)
    @rule(pick=newest)
    def show_the_proof(self, pick: int) -> None:
        proven = latest(self._proven, pick)
        self._same(
            lambda: YES if self.model.is_fresh(proven) else ("Stale", None),
            lambda: self.mfa.proof(proven.verified.token),
        )

    @is_enrolled
    @rule(browser=browsers)
    def log_in_and_trust(self, browser: str) -> None:
        self.log_in(("the app", 0), 60)
        if self._proven:
            self.trust(0, browser, None)

    @precondition(lambda self: self._proven)
    @rule(pick=newest, browser=browsers, again=st.sampled_from([None, 0, 0, 1]))
    def trust(self, pick: int, browser: str, again: int | None) -> None:
        proven = latest(self._proven, pick)
        before = latest(self._devices, again) if self._devices and again is not None else None
        token = None if before is None else (before.dead + before.tokens)[-1 - pick % len(before.tokens)]
        given = self._same(
            lambda: self.model.trust(proven, browser, token),
            lambda: self.mfa.trusted_devices.trust(proven.verified, replaces=token, request=BROWSERS[browser]),
        )
        if given is not None:
            if before is not None and before not in self.model.devices:
                self._devices.remove(before)
            device = self.model.devices[-1]
            device.tokens.append(given.token)
            device.id = given.device_id
            assert given.expires_at == device.until
            self._devices.append(device)

    @precondition(lambda self: self._devices)
    @rule(pick=newest)
    def revoke(self, pick: int) -> None:
        chosen = latest(self._devices, pick)
        # SQLite gives the id of an erased device to a later one.
        device = next((one for one in self.model.devices if one.id == chosen.id), chosen)
        self._tick()
        assert self.mfa.trusted_devices.revoke(self._user, device.id) is self.model.revoke(device)

    @is_now_and_then
    @rule()
    def revoke_all(self) -> None:
        self._tick()
        assert self.mfa.trusted_devices.revoke_all(self._user) == self.model.revoke_all()

    @precondition(lambda self: self._proven)
    @rule(pick=newest)
    def regenerate(self, pick: int) -> None:
        proven = latest(self._proven, pick)
        given = self._same(
            lambda: self.model.regenerate(proven), lambda: self.mfa.backup_codes.regenerate(proven.verified)
        )
        if given is not None:
            self.model.given(given)

    @precondition(lambda self: self._proven)
    @is_now_and_then
    @rule(pick=newest)
    def disable(self, pick: int) -> None:
        proven = latest(self._proven, pick)
        self._same(lambda: self.model.disable(proven), lambda: self.mfa.totp.disable(proven.verified))

    @is_seldom
    @rule()
    def reset(self) -> None:
        self._same(self.model.reset, lambda: self.mfa.reset(self._user, by="grace@example.com", reason="lost phone"))

    @is_now_and_then
    @rule()
    def change_the_password(self) -> None:
        self._tick()
        assert self.mfa.password_changed(self._user) == self.model.password_changed()

    @precondition(lambda self: self._proven)
    @is_now_and_then
    @rule(pick=newest)
    def change_the_password_with_a_proof(self, pick: int) -> None:
        proven = latest(self._proven, pick)

        def expect() -> Answer:
            if not self.model.is_fresh(proven):
                return self.model.stale()
            self.model.password_changed(is_proven=True)
            return YES

        self._same(expect, lambda: self.mfa.password_changed(self._user, verified=proven.verified))

    @is_seldom
    @rule()
    def erase(self) -> None:
        self._tick()
        self._compared = 0
        self._epochs.clear()
        self.model.erase()
        self.mfa.erase(self._user)

    # What must be true whatever has happened.

    @invariant()
    def the_library_is_where_the_model_is(self) -> None:
        model, status = self.model, self.mfa.status(self._user)
        until_room, wait = model.until_room(), model.wait()
        assert {
            "is_enrolled": status.is_enrolled,
            "is_pending": status.is_pending,
            "enabled_at": status.enabled_at,
            "last_used_at": status.last_used_at,
            "failed_attempts": status.failed_attempts,
            "waiting_until": status.waiting_until,
            "is_suspended": status.is_suspended,
            "exhausted_until": status.exhausted_until,
            "backup_codes_remaining": status.backup_codes_remaining,
            "trusted_devices": status.trusted_devices,
        } == {
            "is_enrolled": model.secret is not None,
            "is_pending": model.is_pending(),
            "enabled_at": model.since,
            "last_used_at": model.used_at,
            "failed_attempts": model.failures,
            "waiting_until": model.now + wait if wait else None,
            "is_suspended": model.secret is not None and model.is_suspended(),
            "exhausted_until": model.now + until_room if until_room else None,
            "backup_codes_remaining": len(model.unused),
            "trusted_devices": model.active(),
        }
        # Sessions end where the model says so, and nowhere else; none of the values comes a second time.
        assert self._epochs.setdefault(status.epoch, model.epochs) == model.epochs
        assert (len(self._epochs), status.epoch is None) == (len(set(self._epochs.values())), model.epochs == 0)

    @invariant()
    def the_log_is_whole_and_says_what_happened(self) -> None:
        events, report = self.model.events, self.mfa.events.verify(self._user)
        assert (report.is_intact, report.length) == (True, len(events)), report
        # What was compared before cannot have changed under an intact chain.
        self._compared = min(self._compared, len(events))
        said = self.mfa.events.recent(self._user, limit=max(1, len(events) - self._compared))
        assert [(event.kind, event.status) for event in reversed(said)] == events[-len(said) :]
        self._compared = len(events)

    def teardown(self) -> None:
        listed = self.mfa.trusted_devices.list(self._user)
        assert {device.id: (device.usage_count, device.is_active, device.is_contested) for device in listed} == {
            device.id: (device.uses, self.model.is_active(device), device.is_contested and self.model.is_live(device))
            for device in self.model.devices
        }

    def _same(self, expect: Callable[[], Answer], operation: Callable[[], R]) -> R | None:
        """Ask the model, then the library, and compare; the library's value where there is one."""
        self._tick()
        expected = expect()
        value, answer = None, YES
        try:
            value = operation()
        except Rejected as rejected:
            answer = (str(rejected.reason), rejected.retry_after)
        except MFAError as error:
            answer = (type(error).__name__, None)
        assert answer == expected
        return value

    def _accepted(self, typed: str, verified: Verified) -> None:
        """Nothing is accepted twice: neither a code on paper nor a step of a secret."""
        paper = read(typed)
        spent = ("paper", paper) if paper else (self.model.secret or "", self.model.step or 0)
        assert spent not in self._spent
        self._spent.add(spent)
        self._used.append(typed)
        self._proven.append(self.model.proven(verified))

    def _typed(self, code: tuple[str, Any], secret: str | None) -> str:
        """What is typed: a code of the app so many steps off, one on paper, or something that must not do."""
        kind, choice = code
        app = TOTP(secret or "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
        match kind:
            case "the app":
                return app.at(self._clock.now, counter_offset=choice)
            case "paper" if self.model.unused:
                code_on_paper = sorted(self.model.unused)[choice % len(self.model.unused)]
                return (code_on_paper, code_on_paper.lower(), "-".join(code_on_paper))[choice]
            case "used" if self._used:
                return latest(self._used, choice)
            case "earlier app" if self._earlier:
                return TOTP(latest(self._earlier, choice)).at(self._clock.now)
            case "another's paper":
                return "23456-23456-23456-23456-23456"
            case "typed":
                return str(choice)
            case _:
                live = {app.at(self._clock.now, counter_offset=steps) for steps in range(-3, 4)}
                return next(text for text in (f"{number:06}" for number in range(10)) if text not in live)
