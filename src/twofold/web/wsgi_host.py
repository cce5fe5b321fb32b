"""What a Flask application says and does: with its session, or with tokens of its own.

Tests: `tests/web/test_bindings.py`, `tests/web/test_bearers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flask
from werkzeug.exceptions import Forbidden, Unauthorized

from twofold.trusted_devices import cookie as device_cookie
from twofold.web import binding, cookies
from twofold.web.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from flask import Request, Response

    from twofold.mfa import MFA
    from twofold.outcomes import UserId
    from twofold.web.sessions import Given
    from twofold.web.visit import User

_KEPT = "twofold.kept"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the application says."""

    mfa: MFA
    says_user: Callable[[], User | None]

    def device_token(self, request: Request, user_id: UserId) -> str | None:
        """The token of a trusted device, from its cookie."""
        settings = binding.runtime_of(self.mfa).settings
        outside = Outside.of(settings.public_url, scheme=request.scheme, headers=headers_of(request))
        brought = cookies.brought_to(outside, request.cookies)
        return brought.get(device_cookie.name_for(settings, user_id))

    async def user(self, request: Request) -> User | None:
        """Who is signed in; nobody, where the function raises the 401 or 403 that the application's own would."""
        del request
        try:
            return self.says_user()
        except (Unauthorized, Forbidden):
            return None


@dataclass(frozen=True, slots=True)
class Sessions(_Asked):
    """An application whose sessions are Flask's."""

    signs_in: Callable[[Any], None]
    signs_out: Callable[[], None]

    def session(self, request: Request) -> MutableMapping[str, Any]:
        """Flask's session of this request."""
        del request
        return flask.session

    async def sign_in(self, request: Request, user_id: UserId) -> None:
        """Sign somebody in."""
        del request
        self.signs_in(user_id)

    async def sign_out(self, request: Request) -> None:
        """Sign out."""
        del request
        self.signs_out()


@dataclass(frozen=True, slots=True)
class Tokens(_Asked):
    """An application that gives out tokens, and in a browser keeps them in a `cookie`."""

    issues: Callable[[Any, Any, str], Any]
    cookie: str | None

    def device_token(self, request: Request, user_id: UserId) -> str | None:
        """The token of a trusted device, from the header of a program that keeps it itself, or from its cookie."""
        return request.headers.get("Twofold-Device") or _Asked.device_token(self, request, user_id)

    def session(self, request: Request) -> MutableMapping[str, Any]:
        """What is kept for this request alone."""
        kept: dict[str, Any] = request.environ.setdefault(_KEPT, {})
        return kept

    def credential(self, request: Request) -> str | None:
        """The token, from the header or from its cookie."""
        return request.headers.get("Authorization") or request.cookies.get(self.cookie or "")

    def is_bearer(self, request: Request) -> bool:
        """Whether it came as `Bearer`: passwords of another scheme a browser sends by itself."""
        return request.headers.get("Authorization", "").lower().startswith("bearer ")

    async def issue(self, request: Request, response: Response, user_id: UserId, mark: str) -> Given:
        """Make a token."""
        del request
        given: Given = self.issues(response, user_id, mark)
        return given

    def take_away(self, response: Response) -> None:
        """Take the cookie away; its path is the whole site."""
        if self.cookie is not None:
            response.delete_cookie(self.cookie, secure=self.cookie.startswith("__"))


def headers_of(request: Request) -> dict[str, str]:
    """The headers, their names in lower case."""
    return {name.lower(): value for name, value in request.headers.items()}


def forget(request: Request, cookie: str | None) -> None:
    """Take the token out of a request, so that it is nobody's from here on."""
    environ = request.environ
    environ.pop("HTTP_AUTHORIZATION", None)
    if cookie is not None:
        brought = environ.get("HTTP_COOKIE", "").split(";")
        environ["HTTP_COOKIE"] = ";".join(one for one in brought if not one.strip().startswith(f"{cookie}="))
    # Werkzeug keeps both once they were read.
    for read in ("authorization", "cookies"):
        vars(request).pop(read, None)
