"""The pages that set an authenticator app up, or replace it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twofold.errors import EnrollmentExpired, Rejected
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import forms, refusals
from twofold.web.languages import gettext as _
from twofold.web.page import Page, redirect
from twofold.web.pages.asking import nothing_typed, refused
from twofold.web.pages.backup_codes import waiting
from twofold.web.pages.proofs import fresh
from twofold.web.refusals import Problem

if TYPE_CHECKING:
    from twofold.outcomes import Status
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit


async def setup_form(site: Site, _visit: Visit, me: SignedIn) -> Page:
    """Show the secret that waits for confirmation, or how to begin."""
    return await _setup(site, me)


async def begin(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Make a secret. Replacing an app that works needs a fresh proof."""
    status = await site.mfa.status(me.user_id)
    verified = await fresh(site, me) if status.is_enrolled else None
    await site.mfa.totp.begin(
        me.user_id,
        account_name=me.account_name,
        verified=verified,
        session=me.session_id,
        request=visit.origin,
    )
    return redirect(f"{visit.base}/setup")


async def confirm(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Take the first code of the app, and lead to the backup codes; a form that is sent twice leads there, too."""
    code = forms.field(visit.form, "code").strip()
    status = await site.mfa.status(me.user_id)
    if (led := await _confirmed(site, visit, me, status)) is not None:
        return led
    if status.is_enrolled:
        await fresh(site, me)
    if not code:
        return nothing_typed(await _setup(site, me))
    try:
        enrolled = await site.mfa.totp.confirm(me.user_id, code, session=me.session_id, request=visit.origin)
    except (Rejected, EnrollmentExpired) as refusal:
        # The same form, sent twice at one moment: the other one may have been faster.
        if (led := await _confirmed(site, visit, me, await site.mfa.status(me.user_id))) is not None:
            return led
        page = await _setup(site, me)
        if isinstance(refusal, EnrollmentExpired) or page.template == "begin.html":
            return _over(page)
        told = refusals.refusal(refusal, code, asking="setup", digits=page.context["digits"], backup_codes=0)
        return refused(page, refusal, told)
    page = redirect(f"{visit.base}/backup-codes")
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(page, remember=enrolled.verified, changed=True, forget_device=forgotten)


async def _confirmed(site: Site, visit: Visit, me: SignedIn, status: Status) -> Page | None:
    """Where a set-up leads that was confirmed a moment ago; None where none was."""
    if not status.is_enrolled or status.is_pending:
        return None
    if await waiting(site, me) is not None:
        return redirect(f"{visit.base}/backup-codes")
    if status.enabled_at and site.clock() - status.enabled_at < site.settings.enrollment_lifetime:
        # The codes are kept.
        return redirect(f"{visit.base}/security")
    return None


async def _setup(site: Site, me: SignedIn) -> Page:
    is_enrolled = (await site.mfa.status(me.user_id)).is_enrolled
    if is_enrolled:
        # Whoever only found an open session must not read the secret of the app to come.
        await fresh(site, me)
    try:
        enrollment = await site.mfa.totp.pending(me.user_id, account_name=me.account_name, session=me.session_id)
    except EnrollmentExpired:
        return Page("begin.html", {"is_enrolled": is_enrolled, "problem": None})
    context: dict[str, Any] = {
        "secret": enrollment.secret,
        "qr": _sized(await site.draw(enrollment)),
        "left": enrollment.expires_at - site.clock(),
        "is_enrolled": is_enrolled,
        "uri": enrollment.uri,
        "label": enrollment.label,
        "digits": enrollment.digits,
        "algorithm": enrollment.algorithm,
        "period": timedelta(seconds=enrollment.period),
        "problem": None,
    }
    return Page("setup.html", context)


def _sized(drawing: str) -> str:
    """The drawing with four pixels for each module, so that a dense one is as large as old cameras need it."""
    return re.sub(
        r'<svg (?=[^>]*viewBox="0 0 (\d+) )', lambda found: f'<svg width="{4 * int(found[1])}" ', drawing, count=1
    )


def _over(page: Page) -> Page:
    """The set-up is over before its code was given."""
    problem = Problem(_("The set-up waited too long for its code, or there were too many wrong ones. Begin again."))
    return replace(page, status=400, context={**page.context, "problem": problem})
