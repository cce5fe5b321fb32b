"""The gate in front of every operation: who may ask for it, whether the request is ours, and what an error is.

Tests: `tests/web/api`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twofold import lines
from twofold.errors import MFAError, Stale, UnknownUser
from twofold.web import forms, languages, problems, refusals
from twofold.web.api import answers, models, reading
from twofold.web.api.answers import Mistake, problem
from twofold.web.api.operations import OPERATIONS, Operation
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.web.page import Page
    from twofold.web.problems import Kind
    from twofold.web.site import Site
    from twofold.web.visit import Session, Visit

PREFIX = "/api"
"""Below the prefix of the pages, which need not be mounted."""

_LATER = timedelta(seconds=30)


async def serve(site: Site, operation: Operation, visit: Visit) -> Page:
    """Answer one request: a document with its body and all of its headers."""
    with languages.speaking(visit.language):
        return _finished(visit, await _answer(site, operation, visit))


def unavailable(_site: Site, operation: Operation, visit: Visit, error: Exception) -> Page:
    """What is answered where the host raised before anything was asked for."""
    with languages.speaking(visit.language):
        _tell(operation, error)
        kind = problems.of(error) if isinstance(error, MFAError) else problems.ERRORS[MFAError]
        return _finished(visit, problem(kind, refusals.outage(error), wait=_LATER))


def unfinished(_site: Site, operation: Operation, visit: Visit, error: Exception) -> Page:
    """What is answered where the host raised while it did to the session what was asked for.

    By then the operation is done and the code is spent.
    """
    lines.HOST_FAILED.write(operation.method, operation.path, type(error).__name__)
    with languages.speaking(visit.language):
        return _finished(visit, problem(problems.UNFINISHED, refusals.unfinished(), wait=_LATER))


def elsewhere(_site: Site, _method: str, rest: str, visit: Visit) -> Page:
    """Answer a request for an address below `/api` that no operation takes with this method."""
    path = f"/{rest}"
    known = [one for one in OPERATIONS if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one.path), path)]
    with languages.speaking(visit.language):
        if not known:
            return _finished(visit, problem(problems.NOT_FOUND))
        allowed = sorted({method for one in known for method in methods(one)})
        return _finished(visit, problem(problems.WRONG_METHOD, headers={"Allow": ", ".join(allowed)}))


def hold(kind: Kind, headers: Mapping[str, str], *, max_age: timedelta | None = None) -> Page:
    """Answer a program at an address of the application's own, for which something is missing."""
    page = problem(kind, max_age=max_age, wait=_LATER if kind.status == 503 else None)
    told = _asking(page, headers, is_bearer=False)
    return replace(page, headers={**answers.HEADERS, **page.headers, **told}).written()


def methods(operation: Operation) -> tuple[str, ...]:
    """The methods by which an operation is asked for."""
    return ("GET", "HEAD") if operation.is_safe else (operation.method,)


async def _answer(site: Site, operation: Operation, visit: Visit) -> Page:
    try:
        session, sent = _let_in(site, operation, visit)
        return await operation.run(site, visit, session, sent)
    except Mistake as mistake:
        return mistake.page
    except Stale:
        return problem(problems.STALE, max_age=site.settings.proof_max_age)
    except MFAError as error:
        kind = problems.of(error)
        if kind.status == 503:
            _tell(operation, error)
            return problem(kind, refusals.outage(error), wait=_LATER)
        is_of_nobody = isinstance(error, UnknownUser) and visit.session is not None
        return problem(kind, log_out=is_of_nobody and not _is_bearer(visit.session))


def _let_in(site: Site, operation: Operation, visit: Visit) -> tuple[Session, models.Taken]:
    """The session and the body of a request that is for this operation. Raises Mistake for every other one.

    Nothing of the body is looked at before it is known whose it is, but for an app whose login waits: it has no session
    and says by the challenge who it is. No other site can send that, since a browser asks before it sends JSON there.
    """
    session = _own(visit)
    if session is None and issubclass(operation.takes, models.Answers):
        sent = reading.body(operation.takes, visit.headers, visit.body)
        if sent.challenge is not None:
            return Waiting("", sent.challenge, "", is_bearer=True), sent
    if not operation.is_safe and not _is_bearer(session):
        try:
            forms.check_origin(visit.headers, visit.outside)
        except forms.BadForm as bad:
            raise Mistake(problems.FOREIGN, str(bad)) from None
    if not isinstance(session, operation.audience):
        raise _not_for(operation, visit, session)
    if operation.is_safe:
        return session, models.Nothing()
    if session is not None and not session.is_bearer:
        try:
            given = visit.headers.get("x-csrf-token", "")
            forms.check_token(site.keyring, session.session_id, given, realm=site.realm)
        except forms.OutOfDate as bad:
            raise Mistake(problems.CSRF, str(bad)) from None
    taken = reading.body(operation.takes, visit.headers, visit.body)
    if isinstance(taken, models.Answers):
        _check_place(taken, is_bearer=_is_bearer(session))
    return session, taken


def _own(visit: Visit) -> Session:
    """The session of a request, with the proof that an app keeps by itself where the host keeps none."""
    session = visit.session
    if isinstance(session, SignedIn) and session.is_bearer and session.proof is None:
        return replace(session, proof=visit.headers.get("twofold-proof"))
    return session


def _check_place(sent: models.Answers, *, is_bearer: bool) -> None:
    """Refuse what a session says already: which login waits, and which device a browser is."""
    if sent.challenge is not None:
        told = models.At(at="/challenge", problem="The session says which sign-in waits.")
        raise Mistake(problems.MALFORMED_JSON, errors=[told])
    if sent.device_token is not None and not is_bearer:
        told = models.At(at="/device_token", problem="A browser has it in its cookie.")
        raise Mistake(problems.MALFORMED_JSON, errors=[told])


def _not_for(operation: Operation, visit: Visit, session: Session) -> Mistake:
    if isinstance(session, Waiting):
        return Mistake(problems.LOGIN_WAITS)
    if session is not None:
        return Mistake(problems.SIGNED_IN)
    try:
        forms.check_cookies(visit.outside)
    except forms.Insecure as insecure:
        return Mistake(problems.INSECURE, str(insecure))
    return Mistake(problems.NO_LOGIN_WAITS if operation.audience == (Waiting,) else problems.SIGNED_OUT)


def _is_bearer(session: Session) -> bool:
    return session is not None and session.is_bearer


def _tell(operation: Operation, error: Exception) -> None:
    lines.NOT_AVAILABLE.write(operation.method, operation.path, type(error).__name__, problems.sentence(error))


def _finished(visit: Visit, page: Page) -> Page:
    spoken = {"Content-Language": visit.language.tag, "Vary": "Accept-Language"}
    headers = {**answers.HEADERS, **spoken, **page.headers}
    headers |= _asking(page, visit.headers, is_bearer=_is_bearer(visit.session))
    return replace(page, headers=headers).written()


def _asking(page: Page, headers: Mapping[str, str], *, is_bearer: bool) -> dict[str, str]:
    """What a 401 has to say of how to come in: that a code is needed, and how old it may be (RFC 9470)."""
    if not isinstance(page.document, models.Problem) or page.status != 401:
        return {}
    scheme = "Bearer" if is_bearer or "authorization" in headers else "Session"
    if page.document.max_age is None:
        return {"WWW-Authenticate": f'{scheme} error="invalid_token"' if scheme == "Bearer" else scheme}
    told = f'error_description="{problems.STALE.title}", max_age="{page.document.max_age}"'
    return {"WWW-Authenticate": f'{scheme} error="insufficient_user_authentication", {told}'}
