"""Marks in the tokens that the host gives out: a JWT in `Authorization`, a cookie of its own.

The host puts the mark into its token, as a claim or as a column of its row, and reads it back. A token without one, of
somebody who has a second factor, is a sign-in that waits: it opens the challenge, and nothing else.

Tests: `tests/web/test_bearers.py`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from twofold.errors import Stale
from twofold.keyring import canonical
from twofold.outcomes import Challenge, Cleared, spelled
from twofold.web import mark as marks
from twofold.web.doorkeeper import Application, Arrival, Doorkeeper, RequestT, RequestT_contra
from twofold.web.mark import Mark
from twofold.web.visit import SignedIn, User, Waiting

if TYPE_CHECKING:
    from twofold.outcomes import DeviceToken, UserId, Verified
    from twofold.web.sessions import Given


class Issuing(Application[RequestT_contra], Protocol[RequestT_contra]):
    """An application that gives out tokens, and in a browser keeps them in a `cookie`."""

    @property
    def cookie(self) -> str | None:
        """How the cookie is called."""
        ...

    def credential(self, request: RequestT_contra, /) -> str | None:
        """The token that a request brings in a header or a cookie, as it is written; None where neither has one."""
        ...

    def is_bearer(self, request: RequestT_contra, /) -> bool:
        """Whether the token came in a header, which no browser sends by itself to another site."""
        ...

    async def issue(self, request: RequestT_contra, response: Any, user_id: UserId, mark: str, /) -> Given:
        """Make a token with this mark inside, as the host does it."""
        ...

    def take_away(self, response: Any, /) -> None:
        """Take the host's cookie away, if it has one."""
        ...


class After(NamedTuple):
    """What comes after a password: an `answer` that asks for a code or does not, and what the host gave."""

    seen: Arrival
    answer: Challenge | Cleared
    given: Given

    @property
    def device(self) -> DeviceToken | None:
        """The new token of the trusted device that spared the code."""
        return None if isinstance(self.answer, Challenge) else self.answer.device


@dataclass(frozen=True, slots=True)
class InToken(Doorkeeper[RequestT, Issuing[RequestT]]):
    """The doorkeeper of an application that gives out tokens of its own."""

    async def seen(self, request: RequestT, wanted: str | None) -> Arrival:
        """Say whom a request is from. No token can be taken back, so what is over is refused each time."""
        del wanted
        user = await self.application.user(request)
        if user is None:
            return Arrival(None)
        mark = marks.read(self.keyring, user.mark, realm=self.realm)
        if mark is None or mark.spelled != spelled(user.id):
            return await self._unmarked(request, user)
        is_bearer = self.application.is_bearer(request)
        if mark.challenge is not None:
            me = Waiting(mark.session_id, mark.challenge, user.name, is_bearer=is_bearer)
            self.keep(request, mark)
            return Arrival(me, mark, is_held=True)
        if not await self.epochs.go_on(user.id, mark.session_id, mark.epoch):
            return Arrival(None, is_over=True)
        self.keep(request, mark)
        return Arrival(SignedIn(mark.session_id, user.id, user.name, mark.proof, is_bearer=is_bearer), mark)

    async def _unmarked(self, request: RequestT, user: User) -> Arrival:
        """Let in whoever has no second factor, as before; everybody else waits. Nothing is written for either.

        The id of the session is made of the token: two tokens of one user must not share a set-up.
        """
        standing, is_bearer = await self.epochs.of(user.id), self.application.is_bearer(request)
        brought = canonical("token", self.realm, spelled(user.id), self.application.credential(request) or "")
        session_id = self.keyring.mac("forms", brought)
        if standing.is_enrolled:
            return Arrival(Waiting(session_id, "", user.name, is_bearer=is_bearer), is_held=True)
        mark = Mark(session_id, spelled(user.id), user.name, 0, standing.epoch)
        self.keep(request, mark)
        return Arrival(SignedIn(session_id, user.id, user.name, is_bearer=is_bearer), mark)

    async def session(self, request: RequestT) -> Waiting | SignedIn | None:
        """Say who asks at the doors of Twofold. For a token without a mark the challenge begins here."""
        me = self.arrivals(request).session
        user = None if me is None else await self.application.user(request)
        if user is None or me is None:
            return None
        is_marked = marks.read(self.keyring, user.mark, realm=self.realm) is not None
        if not is_marked and self.application.credential(request) is None:
            return None
        if isinstance(me, SignedIn) or me.challenge:
            return me
        answer = await self.mfa.challenge(user.id, request=request)
        return replace(me, challenge=answer.token) if isinstance(answer, Challenge) else None

    async def after_password(
        self, request: RequestT, response: Any, user: User, onward: str | None, *, may_wait: bool
    ) -> After:
        """Give out a token, or ask for the second factor first.

        Where the token `may_wait`, in the cookie of a browser, it says itself that the code is still to come.
        """
        mark, answer = await self.asked(request, user, onward)
        if isinstance(answer, Challenge):
            mark = replace(mark, challenge=answer.token)
            given = await self._issued(request, response, user.id, mark) if may_wait else None
            return After(Arrival(Waiting(mark.session_id, answer.token, user.name), mark), answer, given)
        given = await self._issued(request, response, user.id, mark)
        return After(Arrival(SignedIn(mark.session_id, user.id, user.name), mark), answer, given)

    async def log_in(self, request: RequestT, response: Any, verified: Verified) -> Given:
        """Give out a token under a mark of its own. A password that changed meanwhile ends the login instead."""
        epoch = (await self.epochs.now(verified.user_id)).epoch
        try:
            # A password change before the epoch was read ends the proof, and would not end a mark with the newer epoch.
            await self.mfa.proof(verified.token, user_id=verified.user_id)
        except Stale:
            response.headers["location"] = self.login_url
            return None
        waiting = self.mark(request)
        if waiting is not None and waiting.onward is not None:
            response.headers["location"] = waiting.onward
        mark = Mark(secrets.token_urlsafe(32), spelled(verified.user_id), "", 0, epoch).proven(verified)
        return await self._issued(request, response, verified.user_id, mark)

    async def kept(self, request: RequestT, response: Any, mark: Mark) -> Given:
        """Give out another token, with this mark in it."""
        me = self.arrivals(request).session
        return await self._issued(request, response, me.user_id, mark) if isinstance(me, SignedIn) else None

    async def log_out(self, request: RequestT, response: Any) -> None:
        """Take the host's cookie away. A program throws its token away by itself."""
        del request
        self.application.take_away(response)

    async def end(self, request: RequestT) -> bool:
        """Do nothing: what was given out cannot be taken back, and is refused."""
        del request
        return False

    async def _issued(self, request: RequestT, response: Any, user_id: UserId, mark: Mark) -> Given:
        self.keep(request, mark)
        return await self.application.issue(request, response, user_id, mark.signed(self.keyring, realm=self.realm))
