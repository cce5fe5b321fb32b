"""What may open the door of one user after so many honest steps. It never reads a row, and it only grows by what the
library handed out itself.

Where the library may be stricter, this is generous: it says what must never be accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from pyotp.totp import TOTP

TEN_MINUTES, FIVE_MINUTES, HALF_A_MINUTE = timedelta(minutes=10), timedelta(minutes=5), timedelta(seconds=30)
IDLE = timedelta(days=14)

Codes = Mapping[str, datetime | None]
"""Codes on paper, as they are compared, and when each expires."""


@dataclass(frozen=True)
class Cookie:
    """A trusted browser: every token that it was given, and the newest of them that it was seen with.

    It is doubtful when an older one came: where the newest comes after that, two have the cookie.
    """

    id: int
    tokens: tuple[str, ...]
    until: datetime
    used_at: datetime
    browser: str | None
    seen: int = 0
    is_doubtful: bool = False

    def opens(self, token: str, browser: str, now: datetime) -> bool:
        """Whether the token is its last one, or the one before, whose answer may have been lost."""
        is_of_today = now < self.until and now < self.used_at + IDLE
        return token in self.tokens[max(0, self.seen - 1) :] and is_of_today and self.browser in {None, browser}

    def used(self, token: str, fresh: str | None, browser: str, now: datetime) -> Cookie:
        """After it was recognised and given its next token, if it was given one."""
        tokens = self.tokens if fresh is None else (*self.tokens, fresh)
        seen = max(self.seen, self.tokens.index(token))
        return replace(self, tokens=tokens, seen=seen, used_at=now, browser=browser)


@dataclass(frozen=True)
class Key:
    """A passkey by the name of its credential, its row, and the counter of its last answer."""

    name: str
    id: int
    counter: int
    is_suspended: bool = False


@dataclass(frozen=True)
class Truth:
    """What is in force. A proof or a challenge is named by its token."""

    secret: str | None = None
    step: int = -1
    pending: str | None = None
    pending_at: datetime | None = None
    codes: Codes = field(default_factory=dict[str, datetime | None])
    cookies: tuple[Cookie, ...] = ()
    keys: tuple[Key, ...] = ()
    asked: tuple[str, ...] = ()
    proven: frozenset[str] = frozenset()
    # The challenge that was answered last, with which code, and when.
    answered: tuple[str, str, datetime] | None = None
    # What the library had to decide on altered rows may be less than this.
    are_cookies_sure: bool = True
    are_codes_sure: bool = True
    is_app_sure: bool = True
    are_keys_sure: bool = True

    def step_of(self, secret: str | None, code: str, now: datetime) -> int | None:
        """The newest step around now of which this is the code."""
        if secret is None or len(code) != 6:
            return None
        at = int(now.timestamp()) // 30
        return max((step for step in (at - 1, at, at + 1) if TOTP(secret).generate_otp(step) == code), default=None)

    def opens_app(self, code: str, now: datetime) -> bool:
        """Whether the code is of a step that is not spent."""
        step = self.step_of(self.secret, code, now)
        return step is not None and step > self.step

    def opens_paper(self, code: str, now: datetime) -> bool:
        """Whether the code on paper is unspent and unexpired."""
        plain = read(code)
        expires_at = self.codes.get(plain)
        return plain in self.codes and (expires_at is None or expires_at > now)

    def key(self, name: str) -> Key | None:
        """The passkey of this name that is not revoked."""
        return next((one for one in self.keys if one.name == name), None)

    def opens_key(self, name: str, counter: int) -> bool:
        """Whether this passkey is in force, and its counter has risen."""
        key = self.key(name)
        return key is not None and not key.is_suspended and (counter > key.counter or counter == key.counter == 0)

    def opens_set_up(self, code: str, now: datetime) -> bool:
        """Whether a set-up waits for this code."""
        is_waiting = self.pending_at is not None and now - self.pending_at <= TEN_MINUTES
        return is_waiting and self.step_of(self.pending, code, now) is not None

    def cookie(self, token: str | None) -> Cookie | None:
        """The browser that is in force and was once given this token."""
        return next((one for one in self.cookies if token in one.tokens), None)

    def begun(self, secret: str, now: datetime) -> Truth:
        return replace(self, pending=secret, pending_at=now)

    def set_up(self, code: str, codes: tuple[str, ...], proof: str, now: datetime) -> Truth:
        """A new app and new codes; nothing of before goes on."""
        step = self.step_of(self.pending, code, now)
        after = Truth(self.pending, -1 if step is None else step, codes=papers(codes), proven=frozenset({proof}))
        return replace(after, keys=self.keys, are_keys_sure=self.are_keys_sure)

    def accepted(self, code: str, proof: str, challenge: str | None, now: datetime, *, is_paper: bool) -> Truth:
        """A code was spent, and the challenge with all that were issued before it."""
        after = self._answered(code, proof, challenge, now)
        if is_paper:
            return replace(after, codes={one: until for one, until in self.codes.items() if one != read(code)})
        step = self.step_of(self.secret, code, now)
        return replace(after, step=self.step if step is None else step)

    def signed(self, key: Key, answer: str, proof: str, challenge: str, now: datetime) -> Truth:
        """A passkey has answered, with this counter; the challenge is spent with all that were issued before it."""
        keys = tuple(key if one.name == key.name else one for one in self.keys)
        return replace(self._answered(answer, proof, challenge, now), keys=keys)

    def _answered(self, code: str, proof: str, challenge: str | None, now: datetime) -> Truth:
        asked = self.asked
        if challenge in asked:
            asked = asked[asked.index(challenge or "") + 1 :]
        answered = None if challenge is None else (challenge, read(code), now)
        return replace(self, asked=asked, proven=self.proven | {proof}, answered=answered)

    def registered(self, key: Key, proof: str, now: datetime, answer: tuple[str, str]) -> Truth:
        """A passkey beside the others; what waits for an answer ends with what asked for it."""
        challenge, credential = answer
        answered = (challenge, read(credential), now)
        return replace(self, keys=(*self.keys, key), asked=(), proven=self.proven | {proof}, answered=answered)

    def suspended(self, *ids: int) -> Truth:
        return replace(self, keys=tuple(replace(one, is_suspended=True) if one.id in ids else one for one in self.keys))

    def without_keys(self, *ids: int) -> Truth:
        """Without these passkeys, or without any."""
        if not ids:
            return replace(self, keys=(), are_keys_sure=True)
        return replace(self, keys=tuple(one for one in self.keys if one.id not in ids))

    def is_known_again(self, challenge: str | None, code: str, now: datetime) -> bool:
        """Whether this was the last answer, a moment ago. None stands for a challenge whose number came again."""
        if self.answered is None:
            return False
        last, answer, at = self.answered
        return challenge in {None, last} and answer == read(code) and abs(now - at) <= HALF_A_MINUTE

    def issued(self, challenge: str) -> Truth:
        return replace(self, asked=(*self.asked, challenge))

    def regenerated(self, codes: tuple[str, ...]) -> Truth:
        return replace(self, codes=papers(codes), are_codes_sure=True)

    def trusted(self, cookie: Cookie) -> Truth:
        return replace(self, cookies=(*self.cookies, cookie))

    def recognized(self, cookie: Cookie, now_is: Cookie) -> Truth:
        return replace(self, cookies=tuple(now_is if one is cookie else one for one in self.cookies))

    def revoked(self, *ids: int) -> Truth:
        return replace(self, cookies=tuple(one for one in self.cookies if one.id not in ids))

    def without_cookies(self) -> Truth:
        return replace(self, cookies=(), are_cookies_sure=True)

    def after_a_new_password(self) -> Truth:
        """Browsers, challenges, proofs and what was begun with them end; app and codes go on."""
        after = replace(self, asked=(), proven=frozenset[str](), pending=None, pending_at=None, answered=None)
        return after.without_cookies()


NOBODY: Final = Truth()
"""A user without a second factor."""


def papers(codes: tuple[str, ...]) -> Codes:
    """Codes that do not expire."""
    return dict.fromkeys(map(read, codes))


def read(code: str) -> str:
    """A code on paper as it is compared."""
    return code.strip().upper().replace("-", "").replace(" ", "")
