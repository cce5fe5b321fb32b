"""The pages that set an authenticator app up, or replace it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twofold.errors import EnrollmentExpired, Rejected
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import forms, refusals
from twofold.web.flows import setup as flow
from twofold.web.flows.backup_codes import waiting
from twofold.web.flows.passkeys import are_offered
from twofold.web.languages import gettext as _
from twofold.web.page import Page, redirect
from twofold.web.pages.asking import nothing_typed, refused
from twofold.web.refusals import Problem

if TYPE_CHECKING:
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit


async def setup_form(site: Site, _visit: Visit, me: SignedIn) -> Page:
    """Show the secret that waits for confirmation, or how to begin."""
    return await _setup(site, me)


async def begin(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Make a secret. Replacing an app that works needs a fresh proof."""
    await flow.begin(site, me, visit.origin)
    return redirect(f"{visit.base}/setup")


async def confirm(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Take the first code of the app, and lead to the backup codes; a form that is sent twice leads there, too."""
    code = forms.field(visit.form, "code").strip()
    try:
        enrolled = await flow.confirm(site, me, code, visit.origin)
    except (Rejected, EnrollmentExpired) as refusal:
        page = await _setup(site, me)
        if isinstance(refusal, EnrollmentExpired) or page.template == "begin.html":
            return _over(page)
        if not code:
            return nothing_typed(page)
        told = refusals.refusal(refusal, code, asking="setup", digits=page.context["digits"], backup_codes=0)
        return refused(page, refusal, told)
    if enrolled is None:
        return redirect(f"{visit.base}/{'security' if await waiting(site, me) is None else 'backup-codes'}")
    page = redirect(f"{visit.base}/backup-codes")
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(page, remember=enrolled.verified, changed=True, forget_device=forgotten)


async def _setup(site: Site, me: SignedIn) -> Page:
    status = await site.mfa.status(me.user_id)
    is_enrolled = status.is_enrolled
    try:
        enrollment = await flow.pending(site, me, is_enrolled=is_enrolled)
    except EnrollmentExpired:
        context = {"is_enrolled": is_enrolled, "has_app": status.has_app, "problem": None}
        return Page("begin.html", {**context, "is_passkey_offered": not is_enrolled and await are_offered(site)})
    shown: dict[str, Any] = {
        "secret": enrollment.secret,
        "qr": _sized(await site.draw(enrollment)),
        "left": enrollment.expires_at - site.clock(),
        "is_enrolled": is_enrolled,
        "has_app": status.has_app,
        "is_passkey_offered": not is_enrolled and await are_offered(site),
        "uri": enrollment.uri,
        "label": enrollment.label,
        "digits": enrollment.digits,
        "algorithm": enrollment.algorithm,
        "period": timedelta(seconds=enrollment.period),
        "problem": None,
    }
    return Page("setup.html", shown)


def _sized(drawing: str) -> str:
    """The drawing with four pixels for each module, so that a dense one is as large as old cameras need it."""
    return re.sub(
        r'<svg (?=[^>]*viewBox="0 0 (\d+) )', lambda found: f'<svg width="{4 * int(found[1])}" ', drawing, count=1
    )


def _over(page: Page) -> Page:
    """The set-up is over before its code was given."""
    problem = Problem(_("The set-up waited too long for its code, or there were too many wrong ones. Begin again."))
    return replace(page, status=400, context={**page.context, "problem": problem})
