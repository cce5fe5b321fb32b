"""What a FastAPI or Starlette application says and does: with the session of a middleware, or with tokens of its own.

Tests: `tests/web/test_bindings.py`, `tests/web/test_bearers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from twofold.web import asgi
from twofold.web.called import called

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from twofold.mfa import MFA, AsyncMFA
    from twofold.outcomes import UserId
    from twofold.web.sessions import Given
    from twofold.web.visit import User

_KEPT = "twofold.kept"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the application says, by plain functions or by coroutines."""

    mfa: MFA | AsyncMFA
    says_user: Callable[[Any], Any]

    def device_token(self, request: HTTPConnection, user_id: UserId) -> str | None:
        """The token of a trusted device, from its cookie."""
        return asgi.device_token(self.mfa, request, user_id)

    async def user(self, request: HTTPConnection) -> User | None:
        """Who is signed in; nobody, where the function raises the 401 or 403 that the application's own would."""
        try:
            found: User | None = await called(run_in_threadpool, self.says_user, request)
        except HTTPException as refused:
            if refused.status_code not in {401, 403}:
                raise
            return None
        return found


@dataclass(frozen=True, slots=True)
class Sessions(_Asked):
    """An application whose sessions a middleware keeps."""

    signs_in: Callable[[Any, Any], Any]
    signs_out: Callable[[Any], Any] | None

    def session(self, request: HTTPConnection) -> MutableMapping[str, Any]:
        """The session that a middleware brings."""
        return request.session

    async def sign_in(self, request: HTTPConnection, user_id: UserId) -> None:
        """Sign somebody in."""
        await called(run_in_threadpool, self.signs_in, request, user_id)

    async def sign_out(self, request: HTTPConnection) -> None:
        """Sign out; without a function for it, the whole session is emptied."""
        if self.signs_out is None:
            request.session.clear()
        else:
            await called(run_in_threadpool, self.signs_out, request)


@dataclass(frozen=True, slots=True)
class Tokens(_Asked):
    """An application that gives out tokens, and in a browser keeps them in a `cookie`."""

    issues: Callable[[Any, Any, Any, str], Any]
    cookie: str | None

    def device_token(self, request: HTTPConnection, user_id: UserId) -> str | None:
        """The token of a trusted device, from the header of a program that keeps it itself, or from its cookie."""
        return request.headers.get("twofold-device") or asgi.device_token(self.mfa, request, user_id)

    def session(self, request: HTTPConnection) -> MutableMapping[str, Any]:
        """What is kept for this request alone."""
        kept: dict[str, Any] = request.scope.setdefault(_KEPT, {})
        return kept

    def credential(self, request: HTTPConnection) -> str | None:
        """The token, from the header or from its cookie."""
        return request.headers.get("authorization") or request.cookies.get(self.cookie or "")

    def is_bearer(self, request: HTTPConnection) -> bool:
        """Whether it came as `Bearer`: passwords of another scheme a browser sends by itself."""
        return request.headers.get("authorization", "").lower().startswith("bearer ")

    async def issue(self, request: HTTPConnection, response: Response, user_id: UserId, mark: str) -> Given:
        """Make a token."""
        given: Given = await called(run_in_threadpool, self.issues, request, response, user_id, mark)
        return given

    def take_away(self, response: Response) -> None:
        """Take the cookie away; its path is the whole site."""
        if self.cookie is not None:
            response.delete_cookie(self.cookie, secure=self.cookie.startswith("__"))
