"""What the JSON door answers: a document, or a problem (RFC 9457)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from twofold.trusted_devices import cookie as device_cookie
from twofold.web import problems
from twofold.web.api import models
from twofold.web.languages import gettext as _
from twofold.web.naming import BAD_NAMES
from twofold.web.page import Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from twofold.naming import BadName
    from twofold.web.problems import Kind
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn

HEADERS: Mapping[str, str] = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer."""


class Mistake(Exception):
    """What ends a request with a problem: its kind, and what there is to say of this one."""

    def __init__(self, kind: Kind, detail: str | None = None, **more: Any) -> None:
        super().__init__(kind.title)
        self.page = problem(kind, detail, **more)


def bad_name(bad: BadName) -> Mistake:
    """A name that its owner may not give, and why."""
    return Mistake(problems.BAD_NAME, _(BAD_NAMES[bad.why]))


def forgetting(site: Site, me: SignedIn) -> dict[str, str]:
    """Wish that the cookie of the device be taken away, which a browser has and an app has not."""
    return {} if me.is_bearer else {"forget_device": device_cookie.name_for(site.settings, me.user_id)}


def answer(document: models.Answered, **wishes: Any) -> Page:
    """A document, and what is to be done to the session."""
    return Page(document=document, **wishes)


def problem(
    kind: Kind,
    detail: str | None = None,
    *,
    wait: timedelta | None = None,
    max_age: timedelta | None = None,
    errors: Sequence[models.At] | None = None,
    headers: Mapping[str, str] | None = None,
    log_out: bool = False,
) -> Page:
    """A problem. `detail` is for the person, in their language; `wait` is how long another try is in vain."""
    seconds = None if wait is None else max(1, math.ceil(wait.total_seconds()))
    document = models.Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        reason=kind.reason,
        detail=detail,
        retry_after=seconds,
        max_age=None if max_age is None else round(max_age.total_seconds()),
        errors=None if errors is None else list(errors),
    )
    told = {"Content-Type": "application/problem+json", **(headers or {})}
    if seconds is not None:
        told["Retry-After"] = str(seconds)
    return Page(status=kind.status, document=document, headers=told, log_out=log_out)
