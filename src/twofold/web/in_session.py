"""Marks in the session that the framework keeps: `request.session`, `flask.session`.

A sign-in without a mark came by a door that Twofold has not seen (a link by mail, another site, "keep me signed in"),
and is held until its second factor is there.

Tests: `tests/web/test_doorkeeper.py`, `tests/web/test_bindings.py`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from twofold import tokens
from twofold.outcomes import Challenge, spelled
from twofold.web.doorkeeper import KEY, Application, Arrival, Doorkeeper, RequestT, RequestT_contra, own
from twofold.web.visit import SignedIn, User, Waiting

if TYPE_CHECKING:
    from twofold.outcomes import UserId, Verified
    from twofold.web.mark import Mark


class Signing(Application[RequestT_contra], Protocol[RequestT_contra]):
    """An application whose sessions can be begun and ended."""

    async def sign_in(self, request: RequestT_contra, user_id: UserId, /) -> None:
        """Sign somebody in, as the host does it."""
        ...

    async def sign_out(self, request: RequestT_contra, /) -> None:
        """Sign whoever it is out, as the host does it."""
        ...


@dataclass(frozen=True, slots=True)
class InSession(Doorkeeper[RequestT, Signing[RequestT]]):
    """The doorkeeper of an application whose sessions the framework keeps."""

    async def seen(self, request: RequestT, wanted: str | None) -> Arrival:
        """Say whom a request is from.

        A session whose epoch has ended is signed out, and so is one that waits for its second factor.
        """
        mark, user = self.mark(request), await self.application.user(request)
        if user is None:
            if mark is None or mark.challenge is None:
                # Signed out: whoever signs in next in this session begins anew.
                self.application.session(request).pop(KEY, None)
                return Arrival(None)
            return Arrival(Waiting(mark.session_id, mark.challenge, mark.name), mark)
        if mark is None or mark.spelled != spelled(user.id):
            return await self.meet(request, user, wanted)
        if mark.challenge is not None:
            return await self._signed_in_again(request, user, mark, wanted)
        if not await self.epochs.go_on(user.id, mark.session_id, mark.epoch):
            await self.end(request)
            return Arrival(None)
        return Arrival(SignedIn(mark.session_id, user.id, user.name, mark.proof, back=mark.onward), mark)

    async def after_password(self, request: RequestT, user: User, onward: str | None = None) -> Arrival:
        """Sign somebody in whose password was right, or ask for the second factor first. See `meet`."""
        before = await self.application.user(request)
        seen = await self.meet(request, user, onward, is_signed_in=before is not None)
        if isinstance(seen.session, SignedIn) and seen.mark is not None:
            await self.application.sign_in(request, user.id)
            self.keep(request, seen.mark)
        return seen

    async def meet(
        self, request: RequestT, user: User, onward: str | None = None, *, is_signed_in: bool = True
    ) -> Arrival:
        """Mark the sign-in of somebody who needs no second factor; end that of everybody else, who waits for it.

        `onward` leads on after it, if it is a path of this site. `is_signed_in` says that somebody is, whoever it is.
        """
        mark, answer = await self.asked(request, user, onward)
        if isinstance(answer, Challenge):
            if is_signed_in:
                await self.end(request)
            mark = replace(mark, challenge=answer.token)
            self.keep(request, mark)
            return Arrival(Waiting(mark.session_id, answer.token, user.name), mark, is_held=True)
        self.keep(request, mark)
        return Arrival(SignedIn(mark.session_id, user.id, user.name), mark, answer.device)

    async def _signed_in_again(self, request: RequestT, user: User, mark: Mark, wanted: str | None) -> Arrival:
        """Go on waiting where the host has signed in somebody who waits already.

        The form was sent twice, or the host's own sign-out left something in the session.
        """
        challenge = tokens.read_challenge(self.keyring, mark.challenge or "")
        is_over = challenge is None or challenge.expires_at <= self.clock()
        if is_over or (await self.epochs.of(user.id)).epoch != mark.epoch:
            return await self.meet(request, user, wanted)
        mark = replace(mark, onward=own(wanted) or mark.onward)
        await self.end(request)
        self.keep(request, mark)
        return Arrival(Waiting(mark.session_id, mark.challenge or "", mark.name), mark, is_held=True)

    async def log_in(self, request: RequestT, response: Any, verified: Verified) -> None:
        """Let the host sign in, under a mark of its own. A password that changed meanwhile ends the login instead."""
        waiting = self.mark(request)
        epoch = (await self.epochs.now(verified.user_id)).epoch
        if waiting is None or waiting.epoch != epoch or waiting.spelled != spelled(verified.user_id):
            await self.end(request)
            response.headers["location"] = self.login_url
            return
        await self.application.sign_in(request, verified.user_id)
        self.keep(request, replace(waiting.proven(verified), session_id=secrets.token_urlsafe(32)))
        if waiting.onward is not None:
            response.headers["location"] = waiting.onward

    async def kept(self, request: RequestT, response: Any, mark: Mark) -> None:
        """Keep another mark in the session. Nothing of it goes into the response."""
        del response
        self.keep(request, mark)

    async def end(self, request: RequestT) -> bool:
        """Sign out, and forget the mark."""
        await self.application.sign_out(request)
        self.application.session(request).pop(KEY, None)
        return True
