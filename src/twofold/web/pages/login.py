"""The page that asks for the second factor of a login that waits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twofold import tokens
from twofold.errors import Reason, Rejected
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import refusals
from twofold.web.flows import login
from twofold.web.languages import gettext as _
from twofold.web.page import Page, error, redirect
from twofold.web.pages.asking import answered, code_page, nothing_typed, refused_code

if TYPE_CHECKING:
    from twofold.web.site import Site
    from twofold.web.visit import Visit, Waiting


async def challenge_form(site: Site, visit: Visit, me: Waiting) -> Page:
    """Ask for the code of a login that waits."""
    if me.is_answered:
        return _answered(site)
    return await code_page("challenge.html", site, visit, me, await login.standing(site, me))


async def challenge(site: Site, visit: Visit, me: Waiting) -> Page:
    """Answer the challenge: log in, or ask again."""
    code, is_passkey = answered(visit)
    if not code:
        return nothing_typed(await code_page("challenge.html", site, visit, me, await login.standing(site, me)))
    challenge = tokens.read_challenge(site.keyring, me.challenge)
    before = None if challenge is None else visit.cookies.get(device_cookie.name_for(site.settings, challenge.user_id))
    is_trusting = "trust_device" in visit.form
    try:
        passed = await login.answer(site, me, code, trust_device=is_trusting, before=before, request=visit.origin)
    except Rejected as rejected:
        if me.is_answered:
            return _answered(site)
        if rejected.reason is Reason.CHALLENGE_EXPIRED:
            sentence = refusals.ended(is_late=login.is_late(site, me))
            return replace(_again(site, sentence), log_out=True)
        status = await login.standing(site, me)
        return await refused_code("challenge.html", site, visit, me, status, rejected, is_passkey=is_passkey)
    return Page(status=303, location=site.home_url, log_in=passed.verified, device=passed.device)


def _answered(site: Site) -> Page:
    sentence = _("This sign-in was confirmed a moment ago. Go on to see whether you are in; if not, just begin again.")
    return error(400, _("You may be signed in already"), sentence, action=(_("Go on"), site.home_url))


def ended(site: Site) -> Page:
    """Say that no login waits here, where its session is gone: it waited too long, or was ended elsewhere."""
    return _again(
        site,
        _(
            "No sign-in is waiting here. It waited too long, or it was ended in another tab. "
            "Nothing is wrong; just begin again."
        ),
    )


def _again(site: Site, sentence: str) -> Page:
    return error(400, _("Please sign in again"), sentence, action=(_("Sign in"), site.login_url))


async def cancel(site: Site, _visit: Visit, _me: Waiting) -> Page:
    """Give up a login that waits."""
    return replace(redirect(site.login_url), log_out=True)
