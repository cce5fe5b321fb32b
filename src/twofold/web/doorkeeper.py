"""Who gets in: what each request may do, out of what the host says and the user's row.

The host says who is signed in; a mark says how far. Where sessions are kept by the framework the mark stands in the
session (`in_session`), and where the host gives out tokens of its own it stands in the token (`in_token`).

Tests: `tests/web/test_doorkeeper.py`, `tests/web/test_bindings.py`, `tests/web/test_bearers.py`.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar

from twofold import lines
from twofold.errors import ConfigurationError, Stale, UnknownUser
from twofold.moments import microseconds, moment_at
from twofold.outcomes import spelled
from twofold.web import binding, forms
from twofold.web import mark as marks
from twofold.web.epochs import Epochs
from twofold.web.look import is_of_this_site
from twofold.web.mark import Mark
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from datetime import datetime

    from twofold.keyring import Keyring
    from twofold.mfa import MFA, AsyncMFA
    from twofold.outcomes import Challenge, Cleared, DeviceToken, UserId, Verified
    from twofold.settings import Settings
    from twofold.web.sessions import Given
    from twofold.web.visit import User

RequestT = TypeVar("RequestT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ApplicationT = TypeVar("ApplicationT", bound="Application[Any]")

KEY = "twofold"
"""Under which a session holds its mark."""

_LONGEST_WAY = 1024
"""Of a way back: a browser throws away a session whose cookie is longer than 4096 bytes."""


class Application(Protocol[RequestT_contra]):
    """What a binding knows of its framework and of the host."""

    def session(self, request: RequestT_contra, /) -> MutableMapping[str, Any]:
        """What holds the mark: what the host keeps of this browser, or else what is kept for this request alone."""
        ...

    def device_token(self, request: RequestT_contra, user_id: UserId, /) -> str | None:
        """The token of this user's trusted device that the browser, or the program, brings."""
        ...

    async def user(self, request: RequestT_contra, /) -> User | None:
        """Who is signed in, as the host has it."""
        ...


Missing = Literal["login", "challenge", "setup", "step_up"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, looked at once. `device` is the new token for the cookie of a trusted device.

    `is_held`: the host has signed the person in, and the second factor is still to come. `is_over`: the host takes
    them for signed in, and they are not any more.
    """

    session: Waiting | SignedIn | None
    mark: Mark | None = None
    device: DeviceToken | None = None
    is_held: bool = False
    is_over: bool = False

    @property
    def missing(self) -> Missing | None:
        """What a request that goes no further is missing."""
        return "challenge" if self.is_held else "login" if self.is_over else None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is here. `amr` says by which methods, in the words of RFC 8176; a trusted device is never `mfa` in it.

    `auth_time` is the moment of the last method: of the code, else of the password.
    """

    id: UserId
    name: str
    amr: tuple[str, ...]
    auth_time: datetime


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
class Doorkeeper(ABC, Generic[RequestT, ApplicationT]):
    """The `Host` of the pages, and the guards of the application's own routes, wherever the marks are kept."""

    mfa: AsyncMFA
    settings: Settings
    keyring: Keyring
    clock: Callable[[], datetime]
    epochs: Epochs
    application: ApplicationT
    arrivals: Callable[[RequestT], Arrival]
    login_url: str
    home_url: str

    @classmethod
    def of(
        cls,
        mfa: MFA | AsyncMFA,
        in_thread: Callable[..., Awaitable[Any]],
        application: ApplicationT,
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

    async def asked(self, request: RequestT, user: User, onward: str | None) -> tuple[Mark, Challenge | Cleared]:
        """Ask whether a second factor is needed; a mark for the session that begins, and the answer.

        `onward` leads on after it, if it is a path of this site.
        """
        # What ends sessions after this moment ends this one, too.
        epoch = (await self.epochs.now(user.id)).epoch
        token = self.application.device_token(request, user.id)
        answer = await self.mfa.challenge(user.id, device_token=token, request=request)
        began_at = microseconds(self.clock())
        mark = Mark(secrets.token_urlsafe(32), spelled(user.id), user.name, began_at, epoch, onward=own(onward))
        return mark, answer

    def leads_to(self, seen: Arrival, base: str) -> str:
        """Where somebody goes on after the password; `base` is the path of the pages."""
        if isinstance(seen.session, Waiting):
            return f"{base}/challenge"
        return (seen.mark.onward if seen.mark else None) or self.home_url

    async def arrive(self, request: RequestT, wanted: str | None) -> Arrival:
        """Look at a request before anything answers it. `wanted` is where it leads, if a person can be led back there.

        Reads the user's row where it was not read within two seconds. What a change elsewhere has ended is over, and
        who lacks a second factor that is due waits for it. So is it over with an account that is gone.
        """
        try:
            return await self.seen(request, wanted)
        except UnknownUser as problem:
            lines.ACCOUNT_GONE.write(str(problem))
            return Arrival(None, is_over=not await self.end(request))

    @abstractmethod
    async def seen(self, request: RequestT, wanted: str | None) -> Arrival:
        """Say whom a request is from. Raises UnknownUser."""

    @abstractmethod
    async def end(self, request: RequestT) -> bool:
        """End the sign-in of a request, and say whether it is that of nobody now to the application, too."""

    @abstractmethod
    async def log_in(self, request: RequestT, response: Any, verified: Verified) -> Given:
        """Let the host sign in, under a mark of its own. A password that changed meanwhile ends the login instead."""

    @abstractmethod
    async def kept(self, request: RequestT, response: Any, mark: Mark) -> Given:
        """Keep another mark of the sign-in that there is, and return what a program gets with it."""

    async def session(self, request: RequestT) -> Waiting | SignedIn | None:
        """Who this request is from."""
        return self.arrivals(request).session

    async def remember(self, request: RequestT, response: Any, verified: Verified) -> Given:
        """Keep the proof in the sign-in that there is."""
        mark = self.mark(request)
        return None if mark is None else await self.kept(request, response, mark.proven(verified))

    async def changed(self, request: RequestT, response: Any) -> Given:
        """Go on with the new epoch; every other session of the user ends for want of it."""
        mark, session = self.mark(request), self.arrivals(request).session
        if mark is None or not isinstance(session, SignedIn):
            return None
        epoch = await self.epochs.changed_by(session.user_id, mark.session_id)
        return await self.kept(request, response, replace(mark, epoch=epoch))

    async def password_changed(self, request: RequestT, response: Any) -> Given:
        """Tell Twofold that the user of this session has another password. This session goes on, every other one ends.

        Does nothing where nobody is signed in.
        """
        session = self.arrivals(request).session
        if not isinstance(session, SignedIn):
            return None
        await self.mfa.password_changed(session.user_id, request=request)
        return await self.changed(request, response)

    async def log_out(self, request: RequestT, response: Any) -> None:
        """End the session, waiting or not."""
        del response
        await self.end(request)

    async def guard(
        self, request: RequestT, *, enrolled: bool = False, max_age: timedelta | None = None, back: str | None = None
    ) -> Visitor | Held:
        """Say who is here, or what is missing: a sign-in, a second factor where `enrolled`, a proof of `max_age`.

        `back` is where the step-up leads back to.
        """
        arrival = self.arrivals(request)
        me, mark = arrival.session, arrival.mark
        if isinstance(me, Waiting):
            return Held("challenge")
        if me is None or mark is None:
            return Held("login")
        if (enrolled or max_age is not None) and not (await self.epochs.of(me.user_id)).is_enrolled:
            return Held("setup")
        amr, at = mark.amr, moment_at(mark.began_at)
        if max_age is not None:
            try:
                await self.mfa.proof(me.proof or "", user_id=me.user_id, max_age=max_age)
            except Stale:
                if (way := own(back)) is not None:
                    self.keep(request, replace(mark, onward=way))
                return Held("step_up", max_age)
        return Visitor(me.user_id, me.account_name, amr, at)

    @property
    def realm(self) -> str:
        """What tells the marks of two applications under one key apart."""
        return forms.realm_of(self.settings)

    def mark(self, request: RequestT) -> Mark | None:
        """The mark as it is now: an operation may have changed it since the request arrived."""
        return marks.read(self.keyring, self.application.session(request).get(KEY), realm=self.realm)

    def keep(self, request: RequestT, mark: Mark) -> None:
        """Write the mark where `mark` reads it."""
        self.application.session(request)[KEY] = mark.signed(self.keyring, realm=self.realm)


def own(way: str | None) -> str | None:
    """A way back, if it is a path of this site and has room in a session."""
    return way if way is not None and len(way) <= _LONGEST_WAY and is_of_this_site(way) else None
