"""A page that asks for a passkey or a code, and the same page after an answer that was refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from twofold.web import forms, problems, refusals
from twofold.web.flows import passkeys
from twofold.web.languages import gettext as _
from twofold.web.page import Page
from twofold.web.refusals import Problem
from twofold.web.visit import Waiting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from twofold.errors import Rejected
    from twofold.outcomes import Status
    from twofold.web.refusals import Asking
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit

LONGEST = 16 * 1024
"""So many characters has the longest answer of a browser that a form takes."""


async def code_page(template: str, site: Site, visit: Visit, me: Waiting | SignedIn, status: Status | None) -> Page:
    """The page, for the kind of code that its address names and for the person who stands like this."""
    destination = visit.query.get("next", "")
    has_app = status is None or status.has_app
    has_backup_codes = status is None or status.backup_codes_remaining > 0
    is_backup_code = has_backup_codes and visit.query.get("with") == "backup-code"
    options = None if is_backup_code else await _options(site, me, status)
    return Page(
        template,
        {
            # Whoever has nothing else at hand is asked for what there is.
            "is_backup_code": is_backup_code or (has_backup_codes and options is None and not has_app),
            "has_backup_codes": has_backup_codes,
            "has_app": has_app,
            "has_passkeys": status is not None and status.passkeys > 0,
            "passkey": options,
            "digits": site.settings.digits if status is None else status.digits,
            "next": destination if destination in {"security", "setup", "asked", *site.destinations} else "security",
            "device_lifetime": site.settings.device_lifetime if site.settings.device_limit else None,
            "is_trusting": "trust_device" in visit.form,
            "problem": None,
        },
    )


async def _options(site: Site, me: Waiting | SignedIn, status: Status | None) -> str | None:
    """What the browser asks a passkey, as JSON; None where none can answer."""
    if status is None or not status.passkeys:
        return None
    found = await (passkeys.asked(site, me) if isinstance(me, Waiting) else passkeys.ask(site, me))
    return None if found is None else written(found)


def written(options: Mapping[str, Any]) -> str:
    """What a browser is asked, as the script reads it."""
    return json.dumps(options, separators=(",", ":"))


def answered(visit: Visit) -> tuple[str, bool]:
    """What was given: the answer of a passkey, where the browser brought one, else a code; and which of both it is."""
    signed = forms.field(visit.form, "passkey", limit=LONGEST) if "passkey" in visit.form else ""
    # Whoever has no app and asked for no backup code is shown no field for one.
    has_field = "code" in visit.form or "passkey" not in visit.form
    return (signed, True) if signed else (forms.field(visit.form, "code").strip() if has_field else "", False)


def nothing_typed(page: Page) -> Page:
    """The page again, where nothing was given: a field was left empty, or the browser brought nothing."""
    has_field = page.context["has_app"] or page.context["is_backup_code"]
    problem = Problem(_(refusals.NOTHING_TYPED if has_field else refusals.NOTHING_SIGNED), is_of_passkey=not has_field)
    return replace(page, status=400, context={**page.context, "problem": problem})


async def refused_code(
    template: str,
    site: Site,
    visit: Visit,
    me: Waiting | SignedIn,
    status: Status | None,
    rejected: Rejected,
    *,
    is_passkey: bool,
) -> Page:
    """The page again, with what a person reads who stands like this after the refusal."""
    page = await code_page(template, site, visit, me, status)
    is_backup_code = visit.query.get("with") == "backup-code" or not page.context["has_app"]
    asking: Asking = "passkey" if is_passkey else "backup_code" if is_backup_code else "app"
    told = refusals.refusal(
        rejected,
        visit.form.get("code", ""),
        asking=asking,
        digits=page.context["digits"],
        backup_codes=status.backup_codes_remaining if status else 0,
        has_app=page.context["has_app"],
        passkeys=status.passkeys if status else 0,
        is_suspended=status is not None and status.is_suspended,
        lasts=site.settings.challenge_lifetime if template == "challenge.html" else None,
    )
    return refused(page, rejected, told)


def refused(page: Page, rejected: Rejected, told: Problem) -> Page:
    """The page again, with what a refused person reads."""
    headers = {} if told.wait is None else {"Retry-After": str(max(1, round(told.wait.total_seconds())))}
    status = problems.of(rejected).status
    return replace(page, status=status, context={**page.context, "problem": told}, headers=headers)
