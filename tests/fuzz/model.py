"""What a second factor does, said once more in few words and without a database, for the machine to compare with.

It knows nothing of `src`: codes are those of pyotp, times are those of the clock, and a proof, a challenge and a device
are what was written down when they were given.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyotp.totp import TOTP

if TYPE_CHECKING:
    from tests.people import Clock

TEN_MINUTES, HOUR, MONTH = timedelta(minutes=10), timedelta(hours=1), timedelta(days=30)
SINGLE_LINES_OF_A_DAY, TRIES_OF_A_SET_UP, A_FAILURE = 50, 10, 1_000_000
NOT_SEEN = ("Zs", "Zl", "Zp", "Pd", "Pc", "Pi", "Pf", "Ps", "Pe", "Cf", "Cc")
MARKS = ".,;:'\"`·•。、\u2212\u060c\u06d4\u0964"
COUNTED = frozenset({"wrong_code", "code_already_used", "clock_went_back"})

Answer = tuple[str, timedelta | None]
"""A word for what came of it, and the wait that a refusal names."""

YES: Answer = ("yes", None)


@dataclass(frozen=True)
class Policy:
    """What the settings say: failures that are free, that suspend, that fit a month; steps around now, and devices."""

    free: int
    cap: int
    held: int
    window: int
    devices: int


@dataclass(eq=False)
class Asked:
    """A challenge."""

    life: int
    serial: int
    expires_at: datetime
    token: str = ""


@dataclass(eq=False)
class Proven:
    """A proof."""

    since: datetime
    serial: int
    at: datetime
    verified: Any = None


@dataclass(eq=False)
class Trusted:
    """A browser with all the tokens that it ever had, and those of before it began anew."""

    until: datetime
    used_at: datetime
    browser: str
    tokens: list[str] = field(default_factory=list[str])
    dead: list[str] = field(default_factory=list[str])
    rotated_at: datetime | None = None
    uses: int = 0
    id: int = 0
    is_revoked: bool = False
    is_contested: bool = False


@dataclass
class Model:
    """One user."""

    policy: Policy
    clock: Clock
    life: int = 0
    has_row: bool = False
    version: int = 0
    events: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    lines: int = 0
    line_at: datetime | None = None
    told: Any = None
    told_step: int | None = None
    epochs: int = 0
    secret: str | None = None
    since: datetime | None = None
    pending: str | None = None
    pending_at: datetime | None = None
    tries: int = 0
    step: int | None = None
    used_at: datetime | None = None
    failures: int = 0
    failed_at: datetime | None = None
    locked_until: datetime | None = None
    level: int = 0
    level_at: datetime | None = None
    answered: int = 0
    password_at: int = 0
    unused: set[str] = field(default_factory=set[str])
    used: set[str] = field(default_factory=set[str])
    devices: list[Trusted] = field(default_factory=list[Trusted])

    @property
    def now(self) -> datetime:
        return self.clock.now

    # A set-up.

    def begin(self, proven: Proven | None) -> Answer:
        if self.secret and proven is None:
            return ("AlreadyEnrolled", None)
        if self.secret and not self.is_fresh(proven):
            return self.stale()
        self.pending_at, self.tries = self.now, 0
        self._did_for_nothing("totp_begun")
        return YES

    def is_pending(self) -> bool:
        return self.pending_at is not None and self.now - self.pending_at <= TEN_MINUTES

    def confirm(self, code: str) -> Answer:
        if not self.is_pending():
            return ("EnrollmentExpired", None)
        typed = one_form(code)
        if not (len(typed) == 6 and typed.isascii() and typed.isdigit()):
            return ("malformed", None)
        step = self.step_of(self.pending, typed)
        if step is None:
            self.tries += 1
            if self.tries == TRIES_OF_A_SET_UP:
                self.pending = self.pending_at = None
            self._did_for_nothing("code_refused", "refused")
            return ("wrong_code", None)
        self.secret, self.since, self.pending, self.pending_at = self.pending, self.now, None, None
        self.answered, self.level, self.level_at, self.epochs = self.version, 0, None, self.epochs + 1
        self._spent(step)
        self._revoked()
        return self._did("totp_confirmed")

    def given(self, codes: tuple[str, ...]) -> None:
        """The codes on paper that are good from now on; no others are."""
        self.unused, self.used = {read(code) or "" for code in codes}, set()

    # A login.

    def challenge(self, token: str | None, browser: str) -> Answer:
        if not self.has_row:
            return ("not_enrolled", None)
        if not self.secret:
            self._did_for_nothing("cleared")
            return ("not_enrolled", None)
        device = next((one for one in self.devices if token in one.tokens and self.is_live(one)), None)
        if device is not None:
            is_current, is_last = token == device.tokens[-1], token in device.tokens[-2:-1]
            age = self.now - (device.rotated_at or self.now)
            is_graced = is_last and timedelta(0) <= age <= timedelta(seconds=60) and not device.is_contested
            if not (is_current or is_graced):
                if not device.is_contested:
                    device.is_contested = True
                    self._did("device_contested", "refused")
            elif device.is_contested:
                device.is_revoked = True
                self._did("device_theft", "alarm")
            elif browser == device.browser:
                self._did("device_recognized")
                if is_graced:
                    return ("graced", None)
                device.rotated_at, device.used_at, device.uses = self.now, self.now, device.uses + 1
                return ("trusted_device", None)
        self._did_for_nothing("challenged")
        return ("asked", None)

    def asked(self, token: str) -> Asked:
        return Asked(self.life, self.version, self.now + TEN_MINUTES, token)

    def verify(self, asked: Asked, code: str) -> Answer:
        if asked.expires_at + TEN_MINUTES <= self.now:
            return ("challenge_expired", None)
        if not self.has_row:
            return ("not_enrolled", None)
        if not self.secret:
            return self._refused("not_enrolled")
        is_live = asked.life == self.life and asked.serial > self.answered
        if not is_live or asked.expires_at <= self.now:
            return self._refused("challenge_expired", about=asked.serial)
        answer = self._prove(code)
        if answer == YES:
            self.answered = asked.serial
        return answer

    def reverify(self, code: str) -> Answer:
        return self._prove(code) if self.secret else ("NotEnrolled", None)

    def proven(self, verified: Any) -> Proven:
        return Proven(self.since or self.now, self.version, self.now, verified)

    def is_fresh(self, proven: Proven | None) -> bool:
        if proven is None or not self.secret or proven.since != self.since or self.password_at > proven.serial:
            return False
        return -timedelta(minutes=1) <= self.now - proven.at <= timedelta(minutes=5)

    # What a proof allows.

    def trust(self, proven: Proven, browser: str, token: str | None = None) -> Answer:
        if not self.is_fresh(proven):
            return self.stale()
        before = next((one for one in self._live() if token in one.tokens), None)
        expired = [one for one in self._live() if not self.is_live(one) and one is not before]
        for device in expired:
            device.is_revoked = True
        if expired:
            self._did("device_revoked")
        others = [one for one in self._live() if one is not before]
        active = sorted(others, key=lambda one: (not one.is_contested, one.used_at, one.id))
        for device in active[: max(0, len(active) + 1 - self.policy.devices)]:
            device.is_revoked = True
            self._did("device_revoked")
        anew = Trusted(self.now + timedelta(days=30), self.now, browser)
        if before is not None:
            # Its row goes on, and its tokens are those of nobody.
            anew.id, anew.dead = before.id, before.dead + before.tokens
            self.devices.remove(before)
        self.devices.append(anew)
        return self._did("device_trusted")

    def regenerate(self, proven: Proven) -> Answer:
        if not self.is_fresh(proven):
            return self.stale()
        self.epochs += 1
        return self._did("backup_codes_regenerated")

    def disable(self, proven: Proven) -> Answer:
        return self._end("totp_disabled") if self.is_fresh(proven) else self.stale()

    def stale(self) -> Answer:
        """What a proof that is genuine, and does not allow it any more, comes to."""
        if self.has_row:
            self._did_for_nothing("management_refused", "refused")
        return ("Stale", None)

    # What needs none.

    def is_active(self, device: Trusted) -> bool:
        return self.is_live(device) and not device.is_contested

    def is_live(self, device: Trusted) -> bool:
        is_idle = device.used_at + timedelta(days=14) <= self.now
        return not device.is_revoked and device.until > self.now and not is_idle

    def active(self) -> int:
        return sum(map(self.is_active, self.devices))

    def _live(self) -> list[Trusted]:
        return [one for one in self.devices if not one.is_revoked]

    def revoke(self, device: Trusted) -> bool:
        if device.is_revoked or device not in self.devices:
            return False
        device.is_revoked = True
        self._did("device_revoked")
        return True

    def revoke_all(self) -> int:
        number, live = self.active(), self._live()
        if live:
            self._revoked()
            self._did("device_revoked")
        return number

    def password_changed(self, *, is_proven: bool = False) -> int:
        if not self.has_row:
            return 0
        number, self.answered, self.epochs = self.active(), self.version, self.epochs + 1
        if is_proven:
            self.level, self.level_at = 0, None
        self.pending = self.pending_at = None
        self._revoked()
        self._did("password_changed")
        self.password_at = self.version
        return number

    def reset(self) -> Answer:
        return self._end("reset") if self.secret or self.pending_at else ("NotEnrolled", None)

    def erase(self) -> None:
        self.__init__(self.policy, self.clock, self.life + 1)  # type: ignore[misc]

    # What everything shares.

    def wait(self) -> timedelta | None:
        if self.locked_until is None or self.locked_until <= self.now:
            return None
        return max(min(self.locked_until - self.now, self._wait_after(self.failures)), timedelta(seconds=1))

    def _wait_after(self, failures: int) -> timedelta:
        costly = failures - self.policy.free
        return timedelta(seconds=min(30 * 2 ** (costly - 1), 3600) if costly > 0 else 0)

    def until_room(self) -> timedelta | None:
        """How long the failures of a month leave no room for another one."""
        over = self._level_now() - (self.policy.held - 1) * A_FAILURE
        return max(MONTH * (over / (self.policy.held * A_FAILURE)), timedelta(seconds=1)) if over > 0 else None

    def _level_now(self) -> int:
        since = max(self.now - (self.level_at or self.now), timedelta(0))
        return max(0, self.level - int(self.policy.held * A_FAILURE * (since / MONTH)))

    def is_suspended(self) -> bool:
        return self.failures >= self.policy.cap

    def step_of(self, secret: str | None, code: str) -> int | None:
        """The newest step around now whose code this is."""
        if secret is None or not re.fullmatch("[0-9]{6}", code):
            return None
        now, around = int(self.now.timestamp()) // 30, self.policy.window
        steps = [step for step in range(now - around, now + around + 1) if TOTP(secret).generate_otp(step) == code]
        return max(steps, default=None)

    def _set_right(self) -> None:
        """Nothing is of a moment that is still to come, once a code was given; that it was is told."""
        moments = [moment for moment in (self.failed_at, self.level_at) if moment]
        if not any(moment - self.now > timedelta(minutes=1) for moment in moments):
            return
        self.failed_at = self.failed_at and min(self.failed_at, self.now)
        self.level_at = self.level_at and min(self.level_at, self.now)
        self.locked_until = self.locked_until and min(self.locked_until, self.now + self._wait_after(self.failures))
        self._did("clock_set_right", "alarm")

    def _prove(self, code: str) -> Answer:
        paper = read(code)
        if paper is not None:
            self._set_right()
            if paper not in self.unused:
                return self._refused("code_already_used" if paper in self.used else "wrong_code", is_guess=False)
            self.unused.remove(paper)
            self.used.add(paper)
            self.used_at = self.now
            return self._did("code_accepted")
        code = one_form(code)
        if not re.fullmatch("[0-9]{6}", code):
            return ("malformed", None)
        self._set_right()
        if self.is_suspended():
            return self._refused("suspended")
        if self.until_room():
            return self._refused("exhausted")
        if self.wait():
            return self._refused("waiting")
        step = self.step_of(self.secret, code)
        if step is None:
            return self._refused("wrong_code")
        if self.step is not None and step <= self.step:
            is_behind = self.step > int(self.now.timestamp()) // 30 + self.policy.window
            return self._refused("clock_went_back" if is_behind else "code_already_used")
        self._spent(step)
        return self._did("code_accepted")

    def _spent(self, step: int) -> None:
        self.step, self.used_at, self.failures, self.locked_until = step, self.now, 0, None
        self.failed_at = self.told = self.told_step = None

    def _refused(self, why: str, *, is_guess: bool = True, about: object = None) -> Answer:
        if why not in COUNTED:
            told = (why, about, self.locked_until if why == "waiting" else None)
            if self.told == told:
                self._wrote()
            else:
                self.told = told
                self._did_for_nothing("code_refused", "refused")
        elif not is_guess or self.wait():
            self._did_for_nothing("code_refused", "refused")
        else:
            self.level, self.level_at = self._level_now() + A_FAILURE, self.now
            self.failures, self.failed_at = self.failures + 1, self.now
            wait = self._wait_after(self.failures)
            self.locked_until = self.now + wait if wait else None
            is_jump = why == "clock_went_back" and self.told_step != self.step
            is_alarm = is_jump or self.failures == self.policy.cap
            if why == "clock_went_back":
                self.told, self.told_step = (why,), self.step
            self._did("code_refused", "alarm" if is_alarm else "refused")
        return (why, self.until_room() if why == "exhausted" else self.wait())

    def _end(self, kind: str) -> Answer:
        self.secret = self.since = self.pending = self.pending_at = self.locked_until = None
        self.failed_at = self.level_at = self.told = self.told_step = None
        self.failures, self.level, self.answered, self.epochs = 0, 0, self.version, self.epochs + 1
        self.unused, self.used = set(), set()
        self._revoked()
        return self._did(kind)

    def _revoked(self) -> None:
        for device in self.devices:
            device.is_revoked = True

    def _did(self, kind: str, status: str = "success") -> Answer:
        self.events.append((kind, status))
        return self._wrote()

    def _wrote(self) -> Answer:
        self.has_row, self.version = True, self.version + 1
        return YES

    def _did_for_nothing(self, kind: str, status: str = "success") -> None:
        """What costs whoever asks nothing: fifty lines of a day, and then one an hour."""
        is_of_today = self.line_at and self.line_at <= self.now and self.line_at.date() == self.now.date()
        self.lines = self.lines + 1 if is_of_today else 1
        is_silent = self.lines > SINGLE_LINES_OF_A_DAY and self.line_at and self.now - self.line_at < HOUR
        if is_silent:
            self._wrote()
            return
        self.line_at = self.now
        self._did(kind, status)


def one_form(text: str) -> str:
    """What was typed without what is no part of a code, its digits those of ASCII."""
    plain = unicodedata.normalize("NFKC", text)
    seen = [one for one in plain if one not in MARKS and unicodedata.category(one) not in NOT_SEEN]
    return "".join(str(unicodedata.digit(one)) if one.isdecimal() else one for one in seen) if len(text) <= 64 else ""


def read(code: str) -> str | None:
    """A code on paper as it is kept, or None for anything else; a number of one or two digits may stand before it."""
    numbered = re.fullmatch(r"(?s)\s*\d\d?(?:\s*[.):]\s*|\s+)(.+)", code)
    return _read(code) or (_read(numbered[1]) if numbered else None)


def _read(code: str) -> str | None:
    typed = one_form(code)
    plain = typed.upper().replace("O", "0").replace("I", "1").replace("L", "1")
    return plain if typed.isascii() and re.fullmatch("[0-9A-HJKMNP-TV-Z]{25}", plain) else None
