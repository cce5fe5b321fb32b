"""A page that asks for a code, and the same page after a code that was refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twofold.web import problems, refusals
from twofold.web.languages import gettext as _
from twofold.web.page import Page
from twofold.web.refusals import Problem

if TYPE_CHECKING:
    from twofold.errors import Rejected
    from twofold.outcomes import Status
    from twofold.web.site import Site
    from twofold.web.visit import Visit


def code_page(template: str, site: Site, visit: Visit, status: Status | None) -> Page:
    """The page, for the kind of code that its address names and for the person who stands like this."""
    destination = visit.query.get("next", "")
    return Page(
        template,
        {
            "is_backup_code": visit.query.get("with") == "backup-code",
            "has_backup_codes": status is None or status.backup_codes_remaining > 0,
            "digits": site.settings.digits if status is None else status.digits,
            "next": destination if destination in {"security", "setup", "asked", *site.destinations} else "security",
            "device_lifetime": site.settings.device_lifetime if site.settings.device_limit else None,
            "is_trusting": "trust_device" in visit.form,
            "problem": None,
        },
    )


def nothing_typed(page: Page) -> Page:
    """The page again, for a field that was left empty."""
    return replace(page, status=400, context={**page.context, "problem": Problem(_(refusals.NOTHING_TYPED))})


def refused_code(template: str, site: Site, visit: Visit, status: Status | None, rejected: Rejected) -> Page:
    """The page again, with what a person reads who stands like this after the refusal."""
    page = code_page(template, site, visit, status)
    told = refusals.refusal(
        rejected,
        visit.form.get("code", ""),
        asking="backup_code" if page.context["is_backup_code"] else "app",
        digits=page.context["digits"],
        backup_codes=status.backup_codes_remaining if status else 0,
        is_suspended=status is not None and status.is_suspended,
        lasts=site.settings.challenge_lifetime if template == "challenge.html" else None,
    )
    return refused(page, rejected, told)


def refused(page: Page, rejected: Rejected, told: Problem) -> Page:
    """The page again, with what a refused person reads."""
    headers = {} if told.wait is None else {"Retry-After": str(max(1, round(told.wait.total_seconds())))}
    status = problems.of(rejected).status
    return replace(page, status=status, context={**page.context, "problem": told}, headers=headers)
