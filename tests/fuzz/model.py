"""What a second factor does, said once more in few words and without a database, for the machine to compare with.

It knows nothing of `src`: codes are those of pyotp, times are those of the clock, and a proof, a challenge and a device
are what was written down when they were given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyotp.totp import TOTP

if TYPE_CHECKING:
    from tests.people import Clock

TEN_MINUTES = timedelta(minutes=10)
COUNTED = frozenset({"wrong_code", "code_already_used", "clock_went_back"})

Answer = tuple[str, timedelta | None]
"""A word for what came of it, and the wait that a refusal names."""

YES: Answer = ("yes", None)


@dataclass(frozen=True)
class Policy:
    """What the settings say: failures that are free, the failure that suspends, steps around now, devices."""

    free: int
    cap: int
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
    """A browser with all the tokens that it ever had."""

    until: datetime
    used_at: datetime
    browser: str
    tokens: list[str] = field(default_factory=list[str])
    rotated_at: datetime | None = None
    uses: int = 0
    id: int = 0
    is_revoked: bool = False


@dataclass
class Model:
    """One user."""

    policy: Policy
    clock: Clock
    life: int = 0
    has_row: bool = False
    events: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    secret: str | None = None
    since: datetime | None = None
    pending: str | None = None
    pending_at: datetime | None = None
    step: int | None = None
    used_at: datetime | None = None
    failures: int = 0
    locked_until: datetime | None = None
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
            return ("Stale", None)
        self.pending_at = self.now
        return self._did("totp_begun")

    def is_pending(self) -> bool:
        return self.pending_at is not None and self.now - self.pending_at <= TEN_MINUTES

    def confirm(self, code: str) -> Answer:
        if not self.is_pending():
            return ("EnrollmentExpired", None)
        if self.wait():
            return self._refused("waiting")
        step = self.step_of(self.pending, code)
        if step is None:
            return self._refused("wrong_code")
        self.secret, self.since, self.pending, self.pending_at = self.pending, self.now, None, None
        self.answered = len(self.events)
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
            self._did("cleared")
            return ("not_enrolled", None)
        device = next((one for one in self.devices if token in one.tokens and self.is_active(one)), None)
        if device is not None:
            is_current, is_last = token == device.tokens[-1], token in device.tokens[-2:-1]
            age = self.now - (device.rotated_at or self.now)
            is_graced = is_last and timedelta(0) <= age <= timedelta(seconds=60)
            if not (is_current or is_graced):
                device.is_revoked = True
                self._did("device_theft", "alarm")
            elif browser == device.browser:
                self._did("device_recognized")
                if is_graced:
                    return ("graced", None)
                device.rotated_at, device.used_at, device.uses = self.now, self.now, device.uses + 1
                return ("trusted_device", None)
        self._did("challenged")
        return ("asked", None)

    def asked(self, token: str) -> Asked:
        return Asked(self.life, len(self.events), self.now + TEN_MINUTES, token)

    def verify(self, asked: Asked, code: str) -> Answer:
        if asked.expires_at + TEN_MINUTES <= self.now:
            return ("challenge_expired", None)
        if not self.has_row:
            return ("not_enrolled", None)
        if not self.secret:
            return self._refused("not_enrolled")
        is_live = asked.life == self.life and asked.serial > self.answered
        if not is_live or asked.expires_at <= self.now:
            return self._refused("challenge_expired")
        answer = self._prove(code)
        if answer == YES:
            self.answered = asked.serial
        return answer

    def reverify(self, code: str) -> Answer:
        return self._prove(code) if self.secret else ("NotEnrolled", None)

    def proven(self, verified: Any) -> Proven:
        return Proven(self.since or self.now, len(self.events), self.now, verified)

    def is_fresh(self, proven: Proven | None) -> bool:
        if proven is None or not self.secret or proven.since != self.since or self.password_at > proven.serial:
            return False
        return -timedelta(minutes=1) <= self.now - proven.at <= timedelta(minutes=5)

    # What a proof allows.

    def trust(self, proven: Proven, browser: str) -> Answer:
        if not self.is_fresh(proven):
            return ("Stale", None)
        expired = [one for one in self._live() if not self.is_active(one)]
        for device in expired:
            device.is_revoked = True
        if expired:
            self._did("device_revoked")
        active = sorted(self._live(), key=lambda one: (one.used_at, one.id))
        for device in active[: max(0, len(active) + 1 - self.policy.devices)]:
            device.is_revoked = True
            self._did("device_revoked")
        self.devices.append(Trusted(self.now + timedelta(days=30), self.now, browser))
        return self._did("device_trusted")

    def regenerate(self, proven: Proven) -> Answer:
        return self._did("backup_codes_regenerated") if self.is_fresh(proven) else ("Stale", None)

    def disable(self, proven: Proven) -> Answer:
        return self._end("totp_disabled") if self.is_fresh(proven) else ("Stale", None)

    # What needs none.

    def is_active(self, device: Trusted) -> bool:
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

    def password_changed(self) -> int:
        if not self.has_row:
            return 0
        number, self.answered = self.active(), len(self.events)
        self.pending = self.pending_at = None
        self._revoked()
        self._did("password_changed")
        self.password_at = len(self.events)
        return number

    def reset(self) -> Answer:
        return self._end("reset") if self.secret or self.pending_at else ("NotEnrolled", None)

    def erase(self) -> None:
        self.__init__(self.policy, self.clock, self.life + 1)  # type: ignore[misc]

    # What everything shares.

    def wait(self) -> timedelta | None:
        if self.locked_until is None or self.locked_until <= self.now:
            return None
        return max(self.locked_until - self.now, timedelta(seconds=1))

    def is_suspended(self) -> bool:
        return self.failures >= self.policy.cap

    def step_of(self, secret: str | None, code: str) -> int | None:
        """The newest step around now whose code this is."""
        if secret is None or not re.fullmatch("[0-9]{6}", code):
            return None
        now, around = int(self.now.timestamp()) // 30, self.policy.window
        steps = [step for step in range(now - around, now + around + 1) if TOTP(secret).generate_otp(step) == code]
        return max(steps, default=None)

    def _prove(self, code: str) -> Answer:
        paper = read(code)
        if paper is not None:
            if paper not in self.unused:
                return self._refused("code_already_used" if paper in self.used else "wrong_code")
            self.unused.remove(paper)
            self.used.add(paper)
            self.used_at = self.now
            return self._did("code_accepted")
        if self.is_suspended():
            return self._refused("suspended")
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

    def _refused(self, why: str) -> Answer:
        is_alarm = why == "clock_went_back"
        if why in COUNTED and not self.wait():
            self.failures += 1
            costly = self.failures - self.policy.free
            seconds = min(30 * 2 ** (costly - 1), 3600) if costly > 0 else 0
            self.locked_until = self.now + timedelta(seconds=seconds) if seconds else None
            is_alarm |= self.failures == self.policy.cap
        self._did("code_refused", "alarm" if is_alarm else "refused")
        return (why, self.wait())

    def _end(self, kind: str) -> Answer:
        self.secret = self.since = self.pending = self.pending_at = self.locked_until = None
        self.failures, self.answered = 0, len(self.events)
        self.unused, self.used = set(), set()
        self._revoked()
        return self._did(kind)

    def _revoked(self) -> None:
        for device in self.devices:
            device.is_revoked = True

    def _did(self, kind: str, status: str = "success") -> Answer:
        self.has_row = True
        self.events.append((kind, status))
        return YES


def read(code: str) -> str | None:
    """A code on paper as it is kept, or None for anything else."""
    plain = code.strip().upper().replace("-", "").replace(" ", "")
    plain = plain.replace("O", "0").replace("I", "1").replace("L", "1")
    is_paper = code.isascii() and len(code) <= 64 and re.fullmatch("[0-9A-HJKMNP-TV-Z]{25}", plain)
    return plain if is_paper else None
