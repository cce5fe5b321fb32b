"""The seam to the host's sessions: what they keep for the pages, and what the pages ask of the host.

Free of any framework. A binding fills in the types of its request and its response.

Tests: `tests/web/test_sessions.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from twofold.web.called import called

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twofold.outcomes import Verified
    from twofold.web.page import Page
    from twofold.web.visit import SignedIn, Waiting

Given = Mapping[str, Any] | None
"""What a host gives back to a program beside our answer, as a new token of its own: JSON. A page has no use for it."""

RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_contra = TypeVar("ResponseT_contra", contravariant=True)
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class Host(Protocol[RequestT_contra, ResponseT_contra]):
    """What the application does for the pages: it keeps the sessions, Twofold never does.

    Each method is an `async def` or a plain function; a plain one runs in a thread where the pages are awaited.
    """

    @property
    def login_url(self) -> str:
        """Where to sign in: a path of this site."""
        ...

    @property
    def home_url(self) -> str:
        """Where to go after signing in: a path of this site."""
        ...

    def session(self, request: RequestT_contra, /) -> Awaitable[Waiting | SignedIn | None] | Waiting | SignedIn | None:
        """Who this request is from, as the server's own session knows it."""
        ...

    def log_in(
        self, request: RequestT_contra, response: ResponseT_contra, verified: Verified, /
    ) -> Awaitable[Given] | Given:
        """Sign in for good: end the waiting session, begin another with a new id, and keep `verified.token` in it.

        A form that is sent twice loses the first answer with its cookie. A host that keeps the waiting session for 30
        seconds more, as one that opens nothing, and gives it as `Waiting(..., is_answered=True)`, is asked to log in
        once more then. What followed the first answer lives on, since the browser may have kept either. Else the
        person reads that they may be signed in.

        `response` leads to `home_url`; a host that remembers where the person wanted to go changes its `location`. A
        program reads what is returned as `session` in its answer: `{"access_token": ...}` of a host that issues tokens.
        """
        ...

    def remember(
        self, request: RequestT_contra, response: ResponseT_contra, verified: Verified, /
    ) -> Awaitable[Given] | Given:
        """Keep `verified.token` in the session that there is, in place of the one before."""
        ...

    def changed(self, request: RequestT_contra, response: ResponseT_contra, /) -> Awaitable[Given] | Given:
        """Go on with this session after a change of the user's factors, and end every other one (ASVS 7.4.3).

        A factor was set up, replaced or turned off, or has new backup codes. A session that was stolen before must not
        live on beside them. Where sessions are compared with `mfa.status(user_id).epoch`, keep the new one in this one.
        """
        ...

    def log_out(self, request: RequestT_contra, response: ResponseT_contra, /) -> Awaitable[None] | None:
        """End the session, waiting or not."""
        ...


@dataclass(frozen=True, slots=True)
class Sessions(Generic[RequestT, ResponseT]):
    """A host as a binding asks it, whichever way its methods are written. `in_thread` runs what blocks."""

    host: Host[RequestT, ResponseT]
    in_thread: Callable[..., Awaitable[Any]]

    async def of(self, request: RequestT) -> Waiting | SignedIn | None:
        """Whose request this is."""
        found: Waiting | SignedIn | None = await self._ask(self.host.session, request)
        return found

    async def follow(self, page: Page, request: RequestT, response: ResponseT) -> dict[str, Any]:
        """Do to the session what a page asks for, and return what the host gives. Raises what the host raises."""
        given: dict[str, Any] = {}
        if page.log_in is not None:
            given |= await self._ask(self.host.log_in, request, response, page.log_in) or {}
        if page.remember is not None:
            given |= await self._ask(self.host.remember, request, response, page.remember) or {}
        if page.changed:
            given |= await self._ask(self.host.changed, request, response) or {}
        if page.log_out:
            await self._ask(self.host.log_out, request, response)
        return given

    async def _ask(self, method: Callable[..., Any], *of: Any) -> Any:
        return await called(self.in_thread, method, *of)
