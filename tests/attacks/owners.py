"""What owners do who know nothing of any adversary, and what they must not be refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pyotp.totp import TOTP

from tests.attacks.lives import Lives
from tests.attacks.truth import HALF_A_MINUTE, IDLE
from twofold import Challenge, NotEnrolled, Verified

if TYPE_CHECKING:
    from tests.attacks.truth import Truth
    from tests.attacks.world import Answer

# A guesser's budget lasts for a hundred; who has come near it is not promised anything.
_FEW = 60


class Owners(Lives):
    """Whole stories of one user, in the order in which people live them."""

    def app_code(self, secret: str | None) -> str:
        return TOTP(secret or "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").at(self.clock.now)

    def calm(self, user: int) -> None:
        """Let the owner wait until a code of the app is a new one, and every wait is over."""
        truth, until = self.truth(user), self._waits_until(user)
        if until is not None and self.clock.now < until < self.clock.now + timedelta(days=2):
            self.clock.now = until + timedelta(seconds=1)
        while truth and truth.secret and int(self.clock.now.timestamp()) // 30 - 1 <= truth.step:
            self.clock.forward(seconds=30)

    def set_up(self, user: int) -> Answer:
        """Set the app up, for whoever has none."""
        was_clean = self.is_clean(user)
        self.must(user, self.begin(user), "begin", was_clean=was_clean)
        return self.finish(user, was_clean=was_clean)

    def finish(self, user: int, *, was_clean: bool) -> Answer:
        """Confirm the set-up that waits."""
        truth = self.truth(user)
        confirmed = self.confirm(user, self.app_code(truth.pending if truth else None))
        return self.must(user, confirmed, "confirm", was_clean=was_clean and self.refused[user] < _FEW)

    def log_in(self, user: int, how: str = "app") -> Verified | None:
        """The whole login, by the app or by a code on paper."""
        self.calm(user)
        truth, was_clean = self.truth(user), self.is_clean(user)
        asked = self.must(user, self.challenge(user), "challenge", was_clean=was_clean)
        if not isinstance(asked.value, Challenge):
            return None
        is_sure = was_clean and truth is not None and truth.is_app_sure and self.refused[user] < _FEW
        if how == "key":
            return self._sign_in(user, asked.value.token, truth, is_sure=is_sure)
        if how == "app":
            code = self.app_code(truth.secret if truth else None)
        else:
            good = [code for code in truth.codes if truth.opens_paper(code, self.clock.now)] if truth else []
            code = good[0] if good else "23456-23456-23456-23456-23456"
            is_sure = is_sure and bool(good) and truth is not None and truth.are_codes_sure
        answer = self.must(user, self.verify(user, asked.value.token, code), f"verify by {how}", was_clean=is_sure)
        verified = answer.value
        return verified if isinstance(verified, Verified) else None

    def _sign_in(self, user: int, challenge: str, truth: Truth | None, *, is_sure: bool) -> Verified | None:
        """Answer by the newest passkey, where there is one."""
        good = [key for key in truth.keys if not key.is_suspended] if truth else []
        if truth is None or not good:
            return None
        answer = self.sign(user, challenge, good[-1].name)
        # Somebody may have counted on with a copy.
        is_ahead = (self.held.keys[good[-1].name].counter or 0) > good[-1].counter
        is_sure = is_sure and truth.are_keys_sure and is_ahead
        verified = self.must(user, answer, "verify by a passkey", was_clean=is_sure).value
        return verified if isinstance(verified, Verified) else None

    def lose_an_answer(self, user: int, seconds: int) -> None:
        """Log in, and ask once more with the same challenge and code, since the answer never came."""
        verified, was_clean = self.log_in(user), self.is_clean(user)
        if verified is None or not self.held.answers:
            return
        self.clock.forward(seconds=seconds)
        again = self.repeat(user, *self.held.answers[-1])
        if seconds < HALF_A_MINUTE.total_seconds():
            self.must(user, again, "repeat", was_clean=was_clean)

    def log_in_and(self, user: int, what: str, browser: str = "firefox") -> Answer | None:
        """Log in, and do what only a fresh proof allows."""
        verified = self.log_in(user)
        if verified is None:
            return None
        was_clean = self.is_clean(user)
        operations: dict[str, Any] = {
            "trust": lambda: self.trust(user, verified, browser),
            "regenerate": lambda: self.regenerate(user, verified),
            "disable": lambda: self.disable(user, verified),
            "register": lambda: self.register(user, verified),
            "revoke keys": lambda: self.revoke_keys(user, verified),
            "begin": lambda: self.begin(user, verified),
            "replace": lambda: self.begin(user, verified),
            "proof": lambda: self.proof(user, verified),
        }
        answer: Answer = self.must(user, operations[what](), what, was_clean=was_clean)
        if what == "replace" and answer:
            self.clock.forward(seconds=30)
            answer = self.finish(user, was_clean=was_clean)
        return answer

    def come_back(self, user: int, pick: int = 0) -> Answer | None:
        """Come with the cookie of a trusted browser."""
        truth, was_clean = self.truth(user), self.is_clean(user)
        if truth is None or not truth.cookies:
            return None
        cookie = truth.cookies[pick % len(truth.cookies)]
        browser = cookie.browser or "firefox"
        answer = self.challenge(user, cookie.tokens[-1], browser)
        is_good = truth.secret is not None and self.clock.now < min(cookie.until, cookie.used_at + IDLE)
        is_sure = truth.are_cookies_sure and not cookie.is_doubtful
        if was_clean and is_good and is_sure and (not answer or answer.value):
            self.hole("refused: a trusted browser", "come back")
        return answer

    def mend(self, user: int) -> None:
        """End what was planted, by what an owner can do who still has the app."""
        verified = self.log_in(user)
        if verified is None or not self.altered(user) <= {"mfa_backup_codes", "mfa_device_trusts", "mfa_passkeys"}:
            return
        self.must(user, self.regenerate(user, verified), "regenerate over altered rows", was_clean=True)
        self.must(user, self.revoke_all(user), "revoke all over altered rows", was_clean=True)
        self.must(user, self.revoke_keys(user, verified), "revoke passkeys over altered rows", was_clean=True)
        # Where no browser was trusted there may be nothing to write; a new password is always told.
        self.must(user, self.password_changed(user), "a new password over altered rows", was_clean=True)
        if self.altered(user):
            self.hole("what was planted outlives all that an owner can do", "mend")
        self.lead_a_life(user)

    def recover(self, user: int) -> None:
        """Whatever was done to a user, an operator brings the rows into service again and the owner sets up anew."""
        if self.is_clean(user):
            self.reset(user)
        else:
            repaired = self.repair(user)
            if isinstance(repaired.error, NotEnrolled):
                repaired = self.erase(user)
            self.must(user, repaired, "repair", was_clean=True)
        self.refused[user] = 0
        self.clock.forward(hours=2)
        self.must(user, self.begin(user), "begin after a repair", was_clean=True)
        self.finish(user, was_clean=True)
        self.lead_a_life(user)

    def lead_a_life(self, user: int) -> None:
        """What every enrolled user can do."""
        for what in ("proof", "trust", "register"):
            if not self.log_in_and(user, what):
                self.hole(f"refused: a login that is to go on with {what}", what)
        cleared = self.come_back(user, -1)
        if cleared is None or not cleared or isinstance(cleared.value, Challenge):
            self.hole("refused: the browser that was trusted last", "come back")
        if self.log_in(user, "key") is None:
            self.hole("refused: a passkey", "log in")
        if self.log_in(user, "paper") is None:
            self.hole("refused: a code on paper", "log in")
