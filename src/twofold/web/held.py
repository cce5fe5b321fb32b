"""What a request is answered that may not go on yet: led on where a person reads, a problem where a program does. Pure.

Tests: `tests/web/test_bindings.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from twofold.outcomes import Challenge
from twofold.web import problems
from twofold.web.api import answers, door, models
from twofold.web.page import Page, redirect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.web.doorkeeper import Held, Missing
    from twofold.web.in_token import After

_AT: Mapping[Missing, str] = {"challenge": "/challenge", "setup": "/setup", "step_up": "/reverify?next=asked"}
_KINDS: Mapping[Missing, problems.Kind] = {
    "login": problems.SIGNED_OUT,
    "challenge": problems.LOGIN_WAITS,
    "setup": problems.NO_FACTOR,
    "step_up": problems.STALE,
}


def reads_pages(headers: Mapping[str, str]) -> bool:
    """Whether a person reads the answer. Names of headers are in lower case."""
    return "text/html" in headers.get("accept", "")


def leads_back(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a person can be led back to what was asked for: to a page, and never to what a page loads beside it."""
    return method == "GET" and reads_pages(headers)


def answer(held: Held, *, base: str, login_url: str, headers: Mapping[str, str]) -> Page:
    """Lead on to what is missing, or say it to a program (RFC 9457, RFC 9470 §3)."""
    if reads_pages(headers):
        location = login_url if held.missing == "login" else f"{base}{_AT[held.missing]}"
        return replace(redirect(location), headers={"Location": location, "Cache-Control": "no-store"})
    return door.hold(_KINDS[held.missing], headers, max_age=held.max_age)


def given(after: After, *, base: str, leads_to: str | None, has_cookie: bool) -> Page:
    """Answer a password: lead a person on, and give a program its token, or say that its code is still to come."""
    if leads_to is not None:
        return replace(redirect(leads_to), headers={"Location": leads_to, "Cache-Control": "no-store"})
    if isinstance(after.answer, Challenge):
        return _asked(after.answer, at=f"{base}{door.PREFIX}/challenge")
    told = dict(after.given or {})
    if after.device is not None and not has_cookie:
        told["device_token"] = after.device.token
    return Page(body=json.dumps(told), headers={"Content-Type": "application/json", "Cache-Control": "no-store"})


def _asked(challenge: Challenge, *, at: str) -> Page:
    kind = problems.LOGIN_WAITS
    document = models.Asked(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        reason=kind.reason,
        challenge=challenge.token,
        factors=list(challenge.factors),
        passkey_options=None if challenge.passkey_options is None else dict(challenge.passkey_options),
        expires_at=challenge.expires_at,
        at=at,
    )
    headers = {**answers.HEADERS, "Content-Type": "application/problem+json"}
    return Page(status=kind.status, document=document, headers=headers).written()


def closed(headers: Mapping[str, str]) -> Page:
    """Say to a program that it is not known at the moment who may get in."""
    return door.hold(problems.OUTAGE, headers)
