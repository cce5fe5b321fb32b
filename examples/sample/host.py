"""The sample as Twofold's pages see it: whose request this is, and what follows once the second factor is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from examples.sample import sessions
from twofold.web.cookies import Cookie, cookie, own
from twofold.web.fastapi import SignedIn, Waiting

if TYPE_CHECKING:
    import sqlalchemy as sa
    from fastapi import Request, Response

    from examples.sample.state import Sample
    from twofold import MFA, Verified


def session_cookie(request: Request) -> Cookie:
    """The cookie that holds the session id, as this address allows it."""
    return cookie("sample_session", **_reached(request))


def session_id(request: Request) -> str | None:
    """The session id that the browser brings."""
    return own(request.cookies, **_reached(request)).get("sample_session")


def _reached(request: Request) -> dict[str, Any]:
    """How the browser came here, by which its cookies are marked."""
    # The host may serve the pages alone, in an application that has nothing else of the sample.
    known: Sample | None = getattr(request.app.state, "sample", None)
    public_url = known.public_url if known else None
    return {"scheme": request.url.scheme, "headers": request.headers, "public_url": public_url}


def set_session(request: Request, response: Response, value: str) -> None:
    """Give the browser a session id. The cookie ends with the browser; the session ends on the server."""
    kept = session_cookie(request)
    response.set_cookie(kept.name, value, httponly=True, secure=kept.is_secure, samesite="lax")


@dataclass(frozen=True, slots=True)
class SampleHost:
    """The `Host` of the sample."""

    engine: sa.Engine
    mfa: MFA
    login_url: str = "/login"
    home_url: str = "/"

    async def session(self, request: Request) -> Waiting | SignedIn | None:
        """Who this request is from."""
        found = await run_in_threadpool(
            sessions.find_current, self.engine, self.mfa, session_id(request), or_answered=True
        )
        if found is None:
            return None
        if found.challenge is not None:
            return Waiting(found.id, found.challenge, found.email, is_answered=found.is_answered)
        return SignedIn(found.id, found.user_id, found.email, found.proof)

    async def log_in(self, request: Request, response: Response, verified: Verified) -> None:
        """A new session begins under a new id (ASVS 7.2.4), and the waiting one opens nothing any more."""

        def change() -> str:
            waiting = sessions.find(self.engine, session_id(request), or_answered=True)
            if waiting is None or waiting.user_id != verified.user_id:
                # The password was changed while the code was typed: this login had the old one.
                sessions.end(self.engine, session_id(request))
                return sessions.new_id()
            began = sessions.begin(self.engine, waiting.account, "two steps", waiting.epoch, proof=verified.token)
            sessions.answer(self.engine, waiting)
            return began

        set_session(request, response, await run_in_threadpool(change))

    async def remember(self, request: Request, response: Response, verified: Verified) -> None:
        """The proof goes into the session that there is."""
        del response  # The session keeps its id, so the browser keeps its cookie.
        if found := session_id(request):
            await run_in_threadpool(sessions.keep_proof, self.engine, found, verified.token)

    async def changed(self, request: Request, response: Response) -> None:
        """This session takes the new epoch, and every other one of the user ends for want of it."""
        del response

        def change() -> None:
            if here := sessions.find(self.engine, session_id(request)):
                sessions.keep_epoch(self.engine, here.id, self.mfa.status(here.user_id).epoch)

        await run_in_threadpool(change)

    async def log_out(self, request: Request, response: Response) -> None:
        """The session ends on the server, and its cookie with it."""
        await run_in_threadpool(sessions.end, self.engine, session_id(request))
        kept = session_cookie(request)
        response.delete_cookie(kept.name, httponly=True, secure=kept.is_secure, samesite="lax")
