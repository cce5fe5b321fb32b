"""The page that asks for the code of a login that waits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twofold.errors import MFAError, Reason, Rejected
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import forms
from twofold.web.languages import gettext as _
from twofold.web.page import Page, error, redirect
from twofold.web.pages.asking import code_page, nothing_typed, refused_code, standing

if TYPE_CHECKING:
    from twofold.web.site import Site
    from twofold.web.visit import Visit, Waiting


async def challenge_form(site: Site, visit: Visit, me: Waiting) -> Page:
    """Ask for the code of a login that waits."""
    return code_page("challenge.html", site, visit, await standing(site, me))


async def challenge(site: Site, visit: Visit, me: Waiting) -> Page:
    """Answer the challenge: log in, or ask again."""
    code = forms.field(visit.form, "code").strip()
    if not code:
        return nothing_typed(code_page("challenge.html", site, visit, await standing(site, me)))
    try:
        verified = await site.mfa.verify(me.challenge, code, request=visit.origin)
    except Rejected as rejected:
        if rejected.reason is Reason.CHALLENGE_EXPIRED:
            sentence = _("This sign-in waited too long for its code. Nothing is wrong; just begin again.")
            return replace(_again(site, sentence), log_out=True)
        return refused_code("challenge.html", site, visit, await standing(site, me), rejected)
    # Only what an app proved may spare the next code: whoever uses a backup code may have lost the phone.
    device = None
    if "trust_device" in visit.form and verified.factor == "totp" and site.settings.device_limit > 0:
        try:
            before = visit.cookies.get(device_cookie.name_for(site.settings, verified.user_id))
            device = await site.mfa.trusted_devices.trust(verified, replaces=before, request=visit.origin)
        except MFAError:
            # The code is spent and right; that the browser is not remembered must not cost the login.
            device = None
    return Page(status=303, location=site.home_url, log_in=verified, device=device)


def ended(site: Site) -> Page:
    """Say that no login waits here, where its session is gone: it waited too long, or was ended elsewhere."""
    return _again(
        site,
        _(
            "No sign-in is waiting for a code here. It waited too long, or it was ended in another tab. "
            "Nothing is wrong; just begin again."
        ),
    )


def _again(site: Site, sentence: str) -> Page:
    return error(400, _("Please sign in again"), sentence, action=(_("Sign in"), site.login_url))


async def cancel(site: Site, _visit: Visit, _me: Waiting) -> Page:
    """Give up a login that waits."""
    return replace(redirect(site.login_url), log_out=True)
