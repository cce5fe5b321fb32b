"""Who gets in: what each request may do, out of the host's session and the user's row.

The host says who is signed in; a mark in its session says how far. A sign-in without a mark came by a door that Twofold
has not seen (a link by mail, another site, "keep me signed in"), and is held until its second factor is there.

Tests: `tests/web/test_doorkeeper.py`, `tests/web/test_bindings.py`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar

from twofold import lines, tokens
from twofold.errors import ConfigurationError, Stale, UnknownUser
from twofold.moments import microseconds, moment_at
from twofold.outcomes import Challenge, spelled
from twofold.web import binding, forms
from twofold.web import mark as marks
from twofold.web.epochs import Epochs
from twofold.web.look import is_of_this_site
from twofold.web.mark import Mark
from twofold.web.visit import SignedIn, User, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from datetime import datetime

    from twofold.keyring import Keyring
    from twofold.mfa import MFA, AsyncMFA
    from twofold.outcomes import DeviceToken, UserId, Verified
    from twofold.settings import Settings

RequestT = TypeVar("RequestT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_contra = TypeVar("ResponseT_contra", contravariant=True)

_KEY = "twofold"
_LONGEST_WAY = 1024
"""Of a way back: a browser throws away a session whose cookie is longer than 4096 bytes."""


class Application(Protocol[RequestT_contra]):
    """What a binding knows of its framework and of the host."""

    def session(self, request: RequestT_contra, /) -> MutableMapping[str, Any]:
        """What the host keeps of this browser."""
        ...

    def device_token(self, request: RequestT_contra, user_id: UserId, /) -> str | None:
        """The token of this user's trusted device that the browser brings."""
        ...

    async def user(self, request: RequestT_contra, /) -> User | None:
        """Who is signed in, as the host has it."""
        ...

    async def sign_in(self, request: RequestT_contra, user_id: UserId, /) -> None:
        """Sign somebody in, as the host does it."""
        ...

    async def sign_out(self, request: RequestT_contra, /) -> None:
        """Sign whoever it is out, as the host does it."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, looked at once. `device` is the new token for the cookie of a trusted device.

    `is_held`: the host had signed the person in, and the second factor is still to come.
    """

    session: Waiting | SignedIn | None
    mark: Mark | None = None
    device: DeviceToken | None = None
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is here. `amr` says by which methods, in the words of RFC 8176; a trusted device is never `mfa` in it.

    `auth_time` is the moment of the last method: of the code, else of the password.
    """

    id: UserId
    name: str
    amr: tuple[str, ...]
    auth_time: datetime


Missing = Literal["login", "challenge", "setup", "step_up"]


@dataclass(frozen=True, slots=True)
class Held:
    """What is still missing: to sign in, the code of a login, a second factor at all, or a code of the last minutes."""

    missing: Missing
    max_age: timedelta | None = None


def check_age(max_age: timedelta | None) -> None:
    """Raise ConfigurationError for an age that no proof can have."""
    if max_age is not None and max_age <= timedelta(0):
        raise ConfigurationError("No proof is as fresh as max_age says; give a time as timedelta(minutes=5).")


@dataclass(frozen=True, slots=True)
class Doorkeeper(Generic[RequestT]):
    """The `Host` of the pages over the session of any application, and the guards of its own routes."""

    mfa: AsyncMFA
    settings: Settings
    keyring: Keyring
    clock: Callable[[], datetime]
    epochs: Epochs
    application: Application[RequestT]
    arrivals: Callable[[RequestT], Arrival]
    login_url: str
    home_url: str

    @classmethod
    def of(
        cls,
        mfa: MFA | AsyncMFA,
        in_thread: Callable[..., Awaitable[Any]],
        application: Application[RequestT],
        arrivals: Callable[[RequestT], Arrival],
        *,
        login_url: str,
        home_url: str,
    ) -> Self:
        """Stand at the door of one application. `in_thread` runs what blocks, and `arrivals` keeps what was seen."""
        runtime, awaited = binding.runtime_of(mfa), binding.awaited(mfa, in_thread)
        return cls(
            mfa=awaited,
            settings=runtime.settings,
            keyring=runtime.keyring,
            clock=runtime.clock,
            epochs=Epochs(awaited),
            application=application,
            arrivals=arrivals,
            login_url=login_url,
            home_url=home_url,
        )

    def leads_to(self, seen: Arrival, base: str) -> str:
        """Where somebody goes on after the password; `base` is the path of the pages."""
        if isinstance(seen.session, Waiting):
            return f"{base}/challenge"
        return (seen.mark.onward if seen.mark else None) or self.home_url

    async def arrive(self, request: RequestT, wanted: str | None) -> Arrival:
        """Look at a request before anything answers it. `wanted` is where it leads, if a person can be led back there.

        Reads the user's row where it was not read within two seconds. A session that a change elsewhere has ended is
        signed out; one without a second factor that is due is signed out and waits. So is one of an account that is
        gone, which waits for nothing.
        """
        try:
            return await self._seen(request, wanted)
        except UnknownUser as problem:
            lines.ACCOUNT_GONE.write(str(problem))
            await self._end(request)
            return Arrival(None)

    async def _seen(self, request: RequestT, wanted: str | None) -> Arrival:
        session = self.application.session(request)
        mark = marks.read(self.keyring, session.get(_KEY), realm=self._realm)
        user = await self.application.user(request)
        if user is None:
            if mark is None or mark.challenge is None:
                # Signed out: whoever signs in next in this session begins anew.
                session.pop(_KEY, None)
                return Arrival(None)
            return Arrival(Waiting(mark.session_id, mark.challenge, mark.name), mark)
        if mark is None or mark.spelled != spelled(user.id):
            return await self.meet(request, user, wanted)
        if mark.challenge is not None:
            return await self._signed_in_again(request, user, mark, wanted)
        if not await self.epochs.go_on(user.id, mark.session_id, mark.epoch):
            await self._end(request)
            return Arrival(None)
        return Arrival(SignedIn(mark.session_id, user.id, user.name, mark.proof, back=mark.onward), mark)

    async def after_password(self, request: RequestT, user: User, onward: str | None = None) -> Arrival:
        """Sign somebody in whose password was right, or ask for the second factor first. See `meet`."""
        before = await self.application.user(request)
        seen = await self.meet(request, user, onward, is_signed_in=before is not None)
        if isinstance(seen.session, SignedIn) and seen.mark is not None:
            await self.application.sign_in(request, user.id)
            self._keep(request, seen.mark)
        return seen

    async def meet(
        self, request: RequestT, user: User, onward: str | None = None, *, is_signed_in: bool = True
    ) -> Arrival:
        """Mark the sign-in of somebody who needs no second factor; end that of everybody else, who waits for it.

        `onward` leads on after it, if it is a path of this site. `is_signed_in` says that somebody is, whoever it is.
        """
        # What ends sessions after this moment ends this one, too.
        epoch = (await self.epochs.now(user.id)).epoch
        token = self.application.device_token(request, user.id)
        answer = await self.mfa.challenge(user.id, device_token=token, request=request)
        began_at = microseconds(self.clock())
        mark = Mark(secrets.token_urlsafe(32), spelled(user.id), user.name, began_at, epoch, onward=_own(onward))
        if isinstance(answer, Challenge):
            if is_signed_in:
                await self._end(request)
            mark = replace(mark, challenge=answer.token)
            self._keep(request, mark)
            return Arrival(Waiting(mark.session_id, answer.token, user.name), mark, is_held=True)
        self._keep(request, mark)
        return Arrival(SignedIn(mark.session_id, user.id, user.name), mark, answer.device)

    async def _signed_in_again(self, request: RequestT, user: User, mark: Mark, wanted: str | None) -> Arrival:
        """Let one wait on who waits already: the form was sent twice, or what signed them out forgot something."""
        challenge = tokens.read_challenge(self.keyring, mark.challenge or "")
        is_over = challenge is None or challenge.expires_at <= self.clock()
        if is_over or (await self.epochs.of(user.id)).epoch != mark.epoch:
            return await self.meet(request, user, wanted)
        mark = replace(mark, onward=_own(wanted) or mark.onward)
        await self._end(request)
        self._keep(request, mark)
        return Arrival(Waiting(mark.session_id, mark.challenge or "", mark.name), mark, is_held=True)

    async def session(self, request: RequestT) -> Waiting | SignedIn | None:
        """Who this request is from."""
        return self.arrivals(request).session

    async def log_in(self, request: RequestT, response: Any, verified: Verified) -> None:
        """Let the host sign in, under a mark of its own. A password that changed meanwhile ends the login instead."""
        waiting = self._mark(request)
        epoch = (await self.epochs.now(verified.user_id)).epoch
        if waiting is None or waiting.epoch != epoch or waiting.spelled != spelled(verified.user_id):
            await self._end(request)
            response.headers["location"] = self.login_url
            return
        await self.application.sign_in(request, verified.user_id)
        self._keep(request, replace(waiting.proven(verified), session_id=secrets.token_urlsafe(32)))
        if waiting.onward is not None:
            response.headers["location"] = waiting.onward

    async def remember(self, request: RequestT, response: Any, verified: Verified) -> None:
        """Keep the proof in the session that there is."""
        del response
        if (mark := self._mark(request)) is not None:
            self._keep(request, mark.proven(verified))

    async def changed(self, request: RequestT, response: Any) -> None:
        """Go on with the new epoch; every other session of the user ends for want of it."""
        del response
        mark, session = self._mark(request), self.arrivals(request).session
        if mark is not None and isinstance(session, SignedIn):
            self._keep(request, replace(mark, epoch=await self.epochs.changed_by(session.user_id, mark.session_id)))

    async def password_changed(self, request: RequestT) -> None:
        """Tell Twofold that the user of this session has another password. This session goes on, every other one ends.

        Does nothing where nobody is signed in.
        """
        session = self.arrivals(request).session
        if isinstance(session, SignedIn):
            await self.mfa.password_changed(session.user_id, request=request)
            await self.changed(request, None)

    async def log_out(self, request: RequestT, response: Any) -> None:
        """End the session, waiting or not."""
        del response
        await self._end(request)

    async def guard(
        self, request: RequestT, *, enrolled: bool = False, max_age: timedelta | None = None, back: str | None = None
    ) -> Visitor | Held:
        """Say who is here, or what is missing: a sign-in, a second factor where `enrolled`, a proof of `max_age`.

        `back` is where the step-up leads back to.
        """
        arrival = self.arrivals(request)
        me, mark = arrival.session, arrival.mark
        if me is None or mark is None:
            return Held("login")
        if isinstance(me, Waiting):
            return Held("challenge")
        if (enrolled or max_age is not None) and not (await self.epochs.of(me.user_id)).is_enrolled:
            return Held("setup")
        amr, at = mark.amr, moment_at(mark.began_at)
        if max_age is not None:
            try:
                await self.mfa.proof(me.proof or "", user_id=me.user_id, max_age=max_age)
            except Stale:
                if (way := _own(back)) is not None:
                    self._keep(request, replace(mark, onward=way))
                return Held("step_up", max_age)
        return Visitor(me.user_id, me.account_name, amr, at)

    @property
    def _realm(self) -> str:
        return forms.realm_of(self.settings)

    def _mark(self, request: RequestT) -> Mark | None:
        return marks.read(self.keyring, self.application.session(request).get(_KEY), realm=self._realm)

    def _keep(self, request: RequestT, mark: Mark) -> None:
        self.application.session(request)[_KEY] = mark.signed(self.keyring, realm=self._realm)

    async def _end(self, request: RequestT) -> None:
        await self.application.sign_out(request)
        self.application.session(request).pop(_KEY, None)


def _own(way: str | None) -> str | None:
    """A way back, if it is a path of this site and has room in a session."""
    return way if way is not None and len(way) <= _LONGEST_WAY and is_of_this_site(way) else None
