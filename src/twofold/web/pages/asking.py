"""A page that asks for a code, and the same page after a code that was refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twofold.errors import Reason, Rejected
from twofold.web import refusals
from twofold.web.page import Page

if TYPE_CHECKING:
    from twofold.web.site import Site
    from twofold.web.visit import Visit


def code_page(template: str, site: Site, visit: Visit) -> Page:
    """The page, for the kind of code that its address names."""
    is_backup_code = visit.query.get("with") == "backup-code"
    destination = visit.query.get("next", "")
    return Page(
        template,
        {
            "is_backup_code": is_backup_code,
            "digits": site.settings.digits,
            "next": destination if destination in {"security", "setup", *site.destinations} else "security",
            "device_lifetime": site.settings.device_lifetime if site.settings.device_limit else None,
            "problem": None,
        },
    )


def nothing_typed(template: str, site: Site, visit: Visit) -> Page:
    """The page again, for a field that was left empty."""
    page = code_page(template, site, visit)
    return replace(page, status=400, context={**page.context, "problem": "Type a code first."})


def refused(page: Page, rejected: Rejected, *, has_backup_codes: bool) -> Page:
    """The page again, with what a refused person reads."""
    context = {**page.context, "problem": refusals.refusal(rejected, has_backup_codes=has_backup_codes)}
    wait = rejected.retry_after
    headers = {} if wait is None else {"Retry-After": str(max(1, round(wait.total_seconds())))}
    is_waiting = wait is not None or rejected.reason is Reason.SUSPENDED
    return replace(page, status=429 if is_waiting else 400, context=context, headers=headers)
