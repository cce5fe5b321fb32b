"""What two users, their browsers, their operator and anybody else ask of the library; and what may come of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.attacks.adversary import PLANTED_CODE, PLANTED_SECRET, planted_token
from tests.attacks.intruder import CODES, DEVICES, PASSKEYS, SECRETS
from tests.attacks.of_before import leave
from tests.attacks.rows import moment
from tests.attacks.truth import FIVE_MINUTES, NOBODY, Cookie, Key, Truth
from tests.attacks.world import Answer, World
from tests.people import FIREFOX, SAFARI
from twofold import Challenge, Cleared, Verified, base64url
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from collections.abc import Callable

    from twofold import Ceremony, DeviceToken, Enrolled, Registered
    from twofold.totp.provisioning import Enrollment

BOTH = (CODES, DEVICES)
ALL = (*BOTH, PASSKEYS)
BROWSERS = {"firefox": FIREFOX, "safari": SAFARI}


def always(_: Any) -> bool:
    return True


class Lives(World):
    """Every operation by its name, with what it makes true."""

    # A login.

    def challenge(self, user: int, token: str | None = None, browser: str = "firefox") -> Answer:
        def then(truth: Truth | None, given: Challenge | Cleared) -> Truth | None:
            if isinstance(given, Challenge):
                self.held.asked[given.token] = (user, given.expires_at)
                older = truth.cookie(token) if truth else None
                if truth and older is not None and token != older.tokens[-1]:
                    truth = truth.recognized(older, replace(older, is_doubtful=True))
                return truth and truth.issued(given.token)
            known = self.known(truth, f"cleared as {given.because}")
            if given.because == "not_enrolled":
                if known.secret:
                    self.hole("cleared as not enrolled", "challenge")
                return truth
            cookie = known.cookie(token)
            if cookie is None or not cookie.opens(token or "", browser, self.clock.now):
                self.hole("an ended browser is trusted", f"challenge with {token}")
            fresh = given.device.token if given.device else None
            if fresh is not None:
                self.held.cookies[fresh] = browser
            if cookie is None or token is None:
                return truth
            return known.recognized(cookie, cookie.used(token, fresh, browser, self.clock.now))

        return self.do(
            user,
            f"challenge{f' with {token} in {browser}' if token else ''}",
            lambda: self.mfa.challenge(user, device_token=token, request=BROWSERS[browser]),
            then,
            opens=lambda given: isinstance(given, Cleared),
        )

    def verify(self, user: int, challenge: str, code: str) -> Answer:
        return self._prove(user, f"verify {code}", lambda: self.mfa.verify(challenge, code), code, challenge)

    def repeat(self, user: int, challenge: str, code: str) -> Answer:
        def then(truth: Truth | None, given: Verified) -> Truth | None:
            known, what = self.known(truth, "an answer was repeated"), f"repeat {code}"
            named = None if self.is_of_elsewhere(user, challenge) else challenge
            if self.held.asked[challenge][0] != user or not known.is_known_again(named, code, self.clock.now):
                self.hole("an answer was repeated that was not the last one", what)
            self._proven(given)
            return truth and replace(truth, proven=truth.proven | {given.token})

        return self.do(user, f"repeat {code}", lambda: self.mfa.repeat(challenge, code), then, opens=always)

    def reverify(self, user: int, code: str) -> Answer:
        return self._prove(user, f"reverify {code}", lambda: self.mfa.reverify(user, code), code, None)

    def _prove(self, user: int, what: str, operation: Callable[[], Any], code: str, challenge: str | None) -> Answer:
        waits_until = self._waits_until(user)

        def then(truth: Truth | None, given: Verified) -> Truth | None:
            known, now, is_paper = self.known(truth, "a code was accepted"), self.clock.now, given.factor != "totp"
            if not (known.opens_paper(code, now) if is_paper else known.opens_app(code, now)):
                self.hole(f"a code of {given.factor} was accepted", what)
            if not is_paper and waits_until is not None and waits_until > now:
                self.hole("a code was accepted during a wait", what)
            if challenge is not None and not self._is_open(user, known, challenge):
                self.hole("an ended challenge was accepted", what)
            self._proven(given)
            self.held.typed.append(code)
            if challenge is not None:
                self.held.answers.append((challenge, code))
            return truth and known.accepted(code, given.token, challenge, now, is_paper=is_paper)

        return self.do(user, what, operation, then, opens=always)

    def _is_open(self, user: int, truth: Truth, challenge: str) -> bool:
        owner, expires_at = self.held.asked[challenge]
        is_open = challenge in truth.asked or self.is_of_elsewhere(user, challenge)
        return owner == user and is_open and expires_at > self.clock.now

    def _waits_until(self, user: int) -> Any:
        row = self.row(user)
        return None if row is None else moment(self.tables.get(SECRETS, row, "locked_until"))

    def _proven(self, verified: Verified) -> None:
        self.held.proven[verified.token] = verified

    def sign(self, user: int, challenge: str, name: str, counter: int | None = None) -> Answer:
        """Answer a challenge by a passkey, with the counter that it has by now, or with this one."""
        passkey = self.held.keys[name]
        asked = {"challenge": base64url.written(challenge.encode()), "rpId": "example.com"}
        assertion = passkey.sign(asked, **({} if counter is None else {"counter": counter}))
        said = (passkey.counter or 0) if counter is None else counter
        what = f"verify the passkey {name} with {said}"

        def then(truth: Truth | None, given: Verified) -> Truth | None:
            known = self.known(truth, "a passkey was accepted")
            key = known.key(name)
            if key is None or not known.opens_key(name, said):
                self.hole("a passkey was accepted", what)
            if not self._is_open(user, known, challenge):
                self.hole("an ended challenge was accepted", what)
            self._proven(given)
            self.held.answers.append((challenge, assertion))
            if key is None or truth is None:
                return truth
            return known.signed(replace(key, counter=said), assertion, given.token, challenge, self.clock.now)

        return self.do(user, what, lambda: self.mfa.verify(challenge, assertion), then, opens=always)

    # What a proof allows.

    def _stands(self, user: int, truth: Truth | None, verified: Verified, what: str) -> Truth:
        known = self.known(truth, f"{what} by a proof")
        is_standing = verified.token in known.proven or self.is_of_elsewhere(user, verified.token)
        if not is_standing or self.clock.now - verified.at > FIVE_MINUTES:
            self.hole(f"{what} by an ended proof", what)
        return known

    def proof(self, user: int, verified: Verified) -> Answer:
        def then(truth: Truth | None, given: Verified) -> Truth | None:
            if given.user_id == user:
                self._stands(user, truth, verified, "proof")
            return truth

        def operation() -> Verified:
            return self.mfa.proof(verified.token)

        return self.do(user, "proof", operation, then, opens=lambda given: given.user_id == user)

    def begin(self, user: int, verified: Verified | None = None) -> Answer:
        def then(truth: Truth | None, given: Enrollment) -> Truth | None:
            known = self.known(truth, "a set-up was begun")
            if known.secret:
                if verified is None:
                    self.hole("a set-up was begun without a proof", "begin")
                else:
                    self._stands(user, truth, verified, "begin")
            self.held.apps[given.secret] = None
            return known.begun(given.secret, self.clock.now)

        return self.do(
            user,
            "begin",
            lambda: self.mfa.totp.begin(user, account_name="ada@example.com", verified=verified),
            then,
        )

    def pending(self, user: int) -> Answer:
        def then(truth: Truth | None, given: Enrollment) -> Truth | None:
            if self.known(truth, "a waiting secret was shown").pending != given.secret:
                self.hole("an ended set-up was shown", "pending")
            return truth

        return self.do(user, "pending", lambda: self.mfa.totp.pending(user, account_name="ada@example.com"), then)

    def confirm(self, user: int, code: str) -> Answer:
        def then(truth: Truth | None, given: Enrolled) -> Truth | None:
            known = self.known(truth, "a set-up was confirmed")
            if not known.opens_set_up(code, self.clock.now):
                self.hole("an ended set-up was confirmed", "confirm")
            self._proven(given.verified)
            self.held.papers |= dict.fromkeys(given.backup_codes)
            self.held.typed.append(code)
            return known.set_up(code, given.backup_codes, given.verified.token, self.clock.now)

        return self.do(
            user, f"confirm {code}", lambda: self.mfa.totp.confirm(user, code), then, opens=always, leaves=BOTH
        )

    def disable(self, user: int, verified: Verified) -> Answer:
        def then(truth: Truth | None, _: None) -> Truth | None:
            self._stands(user, truth, verified, "disable")
            return NOBODY

        truth = self.truth(user)
        # Beside passkeys the app ends alone; that everything ends is another operation then.
        operation = self.mfa.disable if truth and truth.keys else self.mfa.totp.disable
        return self.do(user, "disable", lambda: operation(verified), then, opens=always, leaves=ALL)

    def register(self, user: int, verified: Verified) -> Answer:
        """Register a passkey, from the beginning to its confirmation."""
        passkey = VirtualPasskey("https://example.com")
        name = passkey.credential_id.hex()[:8]
        self.held.keys[name] = passkey

        def began(truth: Truth | None, _: Ceremony) -> Truth | None:
            self._stands(user, truth, verified, "begin a passkey")
            return truth

        begin = self.mfa.passkeys.begin
        begun = self.do(
            user, "begin a passkey", lambda: begin(user, account_name="ada@example.com", verified=verified), began
        )
        if not begun:
            return begun
        credential = passkey.register(begun.value)

        def then(truth: Truth | None, given: Registered) -> Truth | None:
            known = self.known(truth, "a passkey was registered")
            self._proven(given.verified)
            key = Key(name, given.passkey.id, 0)
            # The challenge of a registration is none that a login could answer.
            return known.registered(key, given.verified.token, self.clock.now, ("", credential))

        what = f"confirm the passkey {name}"
        return self.do(user, what, lambda: self.mfa.passkeys.confirm(user, credential), then, opens=always)

    def revoke_keys(self, user: int, verified: Verified) -> Answer:
        def then(truth: Truth | None, number: int) -> Truth | None:
            known = self._stands(user, truth, verified, "revoke the passkeys")
            # Altered passkeys end as well, and count as none.
            after = known.without_cookies() if number else replace(known, are_cookies_sure=not known.keys)
            return after.without_keys()

        revoke = self.mfa.passkeys.revoke_all
        return self.do(user, "revoke the passkeys", lambda: revoke(verified), then, opens=always, leaves=(PASSKEYS,))

    def revoke_key(self, user: int, verified: Verified, key: int) -> Answer:
        def then(truth: Truth | None, given: bool) -> Truth | None:  # noqa: FBT001
            known = self._stands(user, truth, verified, "revoke a passkey")
            return known.without_keys(key).without_cookies() if given else truth

        revoke = self.mfa.passkeys.revoke
        return self.do(user, f"revoke passkey {key}", lambda: revoke(verified, key), then)

    def rename_key(self, user: int, key: int, name: str) -> Answer:
        rename = self.mfa.passkeys.rename
        return self.do(user, f"rename passkey {key}", lambda: rename(user, key, name), lambda truth, _: truth)

    def regenerate(self, user: int, verified: Verified) -> Answer:
        def then(truth: Truth | None, given: tuple[str, ...]) -> Truth | None:
            known = self._stands(user, truth, verified, "regenerate")
            self.held.papers |= dict.fromkeys(given)
            return known.regenerated(given)

        return self.do(
            user, "regenerate", lambda: self.mfa.backup_codes.regenerate(verified), then, opens=always, leaves=(CODES,)
        )

    def trust(self, user: int, verified: Verified, browser: str = "firefox") -> Answer:
        def then(truth: Truth | None, given: DeviceToken) -> Truth | None:
            known = self._stands(user, truth, verified, "trust")
            self.held.cookies[given.token] = browser
            return known.trusted(Cookie(given.device_id, (given.token,), given.expires_at, self.clock.now, browser))

        return self.do(
            user,
            f"trust {browser}",
            lambda: self.mfa.trusted_devices.trust(verified, request=BROWSERS[browser]),
            then,
            opens=always,
            leaves=(DEVICES,),
        )

    # What needs none.

    def rename(self, user: int, device: int, name: str) -> Answer:
        return self.do(
            user,
            f"rename {device}",
            lambda: self.mfa.trusted_devices.rename(user, device, name),
            lambda truth, _: truth,
        )

    def revoke(self, user: int, device: int) -> Answer:
        def then(truth: Truth | None, given: bool) -> Truth | None:  # noqa: FBT001
            return truth.revoked(device) if truth and given else truth

        return self.do(user, f"revoke {device}", lambda: self.mfa.trusted_devices.revoke(user, device), then)

    def revoke_all(self, user: int) -> Answer:
        def then(truth: Truth | None, _: int) -> Truth | None:
            return truth and truth.without_cookies()

        return self.do(user, "revoke all", lambda: self.mfa.trusted_devices.revoke_all(user), then, leaves=(DEVICES,))

    def password_changed(self, user: int) -> Answer:
        def then(truth: Truth | None, _: int) -> Truth | None:
            return truth and truth.after_a_new_password()

        return self.do(user, "password changed", lambda: self.mfa.password_changed(user), then, leaves=(DEVICES,))

    def look_around(self, user: int) -> None:
        """Read what can be read."""
        self.do(user, "list", lambda: self.mfa.trusted_devices.list(user))
        self.do(user, "list passkeys", lambda: self.mfa.passkeys.list(user))
        self.do(user, "remaining", lambda: self.mfa.backup_codes.remaining(user))
        self.do(user, "recent", lambda: self.mfa.events.recent(user))
        self.verify_log(user)

    def verify_log(self, user: int) -> Answer:
        is_altered = bool(self.altered(user) & {SECRETS, "mfa_events"})
        answer = self.do(user, "verify the log", lambda: self.mfa.events.verify(user))
        if answer and answer.value.is_intact and is_altered and self.has_rows_of_ours(user):
            self.hole("an altered log looks whole", "verify the log")
        if not self.is_touched[user] and self.version(user) and not (answer and answer.value.is_intact):
            self.hole("an untouched log looks altered", "verify the log")
        return answer

    # What an operator does.

    def reset(self, user: int) -> Answer:
        operation = self.mfa.reset
        return self.do(
            user,
            "reset",
            lambda: operation(user, by="grace", reason="lost"),
            lambda truth, _: truth and NOBODY,
            opens=always,
            leaves=ALL,
        )

    def repair(self, user: int) -> Answer:
        operation = self.mfa.repair
        return self.do(
            user, "repair", lambda: operation(user, by="grace", reason="found"), lambda *_: NOBODY, ends=True
        )

    def erase(self, user: int) -> Answer:
        return self.do(user, "erase", lambda: self.mfa.erase(user), lambda *_: NOBODY, ends=True)

    def prune(self, user: int, **age: float) -> Answer:
        before = self.clock.now - timedelta(**age)
        return self.do(user, f"prune {age}", lambda: self.mfa.events.prune(user, before))

    def rotate(self) -> Answer:
        return self.do(self.users[0], "rotate", self.mfa.keys.rotate, is_for_all=True)

    def adopt(self) -> Answer:
        return self.do(self.users[0], "adopt", self.mfa.legacy.adopt, is_for_all=True)

    def leave_rows_of_before(self, user: int, *, expired: bool) -> None:
        """A user as an application without Twofold left her."""
        secret, papers, cookie = leave(self.tables, user, expired=expired)
        self.held.papers |= dict.fromkeys(papers)
        self.held.cookies[cookie] = "firefox"
        self.held.apps[secret] = None
        self.look()

    # What must be true whatever has happened.

    def check(self, user: int) -> None:
        """Compare how the user stands with the truth."""
        was_clean = self.is_clean(user)
        answer = self.do(user, "status", lambda: self.mfa.status(user))
        truth, row = self.truth(user), self.row(user)
        if not answer:
            if was_clean:
                self.hole("refused without a cause", "status")
            return
        status = answer.value
        if truth is None:
            self.hole("an altered row was told of", "status")
            return
        if status.is_enrolled != (truth.secret is not None):
            self.hole("a factor came or went", "status")
        if row is not None and status.failed_attempts != self.tables.get(SECRETS, row, "failed_attempts"):
            self.hole("failures are told wrongly", "status")
        until = self._waits_until(user)
        if until is not None and until > self.clock.now and status.waiting_until is None:
            self.hole("a wait is told wrongly", "status")
        for what, told, most in (
            ("codes", status.backup_codes_remaining, len(truth.codes)),
            ("browsers", status.trusted_devices, len(truth.cookies)),
            ("passkeys", status.passkeys, sum(not one.is_suspended for one in truth.keys)),
        ):
            if told > most:
                self.hole(f"more {what} are counted than there are", "status")
        if was_clean and status.altered:
            self.hole("altered, it says, and nothing is", "status")

    def must(self, user: int, answer: Answer, what: str, *, was_clean: bool) -> Answer:
        """Nobody is refused who has what is in force, while nothing is altered."""
        if was_clean and not answer:
            self.hole(f"refused: {what}", what)
        return answer

    def swapped(self, verified: Verified, user: int) -> Verified:
        """A proof with somebody else's name on it."""
        return replace(verified, user_id=user)

    def plant_in_hand(self) -> None:
        """What the adversary puts into rows, he holds as well."""
        self.held.papers[PLANTED_CODE] = None
        self.held.apps[PLANTED_SECRET] = None
        for user in self.users:
            self.held.cookies[planted_token(user)] = "firefox"
