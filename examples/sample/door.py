"""Who may come in. Every route of the sample names one of these, and each lets nobody half-way in (ASVS 2.3.1)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from examples.sample import sessions
from examples.sample.host import session_id
from examples.sample.sessions import Session
from examples.sample.state import sample
from twofold import Stale
from twofold.web.fastapi import read_form


class Elsewhere(Exception):
    """This request has to go somewhere else first."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


def current(request: Request) -> Session | None:
    """Anybody, known or not."""
    return sessions.find_current(sample(request).engine, sample(request).mfa, session_id(request))


def stranger(found: Annotated[Session | None, Depends(current)]) -> None:
    """Nobody who is signed in, or about to be."""
    if found is not None:
        raise Elsewhere("/" if found.challenge is None else "/mfa/challenge")


def signed_in(found: Annotated[Session | None, Depends(current)]) -> Session:
    """Whoever has passed every step."""
    if found is None:
        raise Elsewhere("/login")
    if found.challenge is not None:
        raise Elsewhere("/mfa/challenge")
    return found


def proven(request: Request, me: Annotated[Session, Depends(signed_in)]) -> Session:
    """Whoever, having a second factor, gave it a moment ago."""
    mfa = sample(request).mfa
    if mfa.status(me.user_id).is_enrolled:
        try:
            mfa.proof(me.proof or "")
        except Stale:
            raise Elsewhere("/mfa/reverify?next=password") from None
    return me


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that is of this site and of this session."""
    return await read_form(sample(request).mfa, request, session_id(request) or "")


Stranger = Depends(stranger)
OwnForm = Depends(form)
SignedInSession = Annotated[Session, Depends(signed_in)]
ProvenSession = Annotated[Session, Depends(proven)]
Fields = Annotated[dict[str, str], OwnForm]
