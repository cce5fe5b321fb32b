"""The page that asks for the code of a login that waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from twofold import tokens
from twofold.errors import MFAError, Reason, Rejected
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import forms
from twofold.web.languages import gettext as _
from twofold.web.page import Page, error, redirect
from twofold.web.pages.asking import code_page, nothing_typed, refused_code, standing

if TYPE_CHECKING:
    from twofold.outcomes import Verified
    from twofold.web.site import Site
    from twofold.web.visit import Visit, Waiting

_LOOKS, _PAUSE = 10, 0.1


async def challenge_form(site: Site, visit: Visit, me: Waiting) -> Page:
    """Ask for the code of a login that waits."""
    if me.is_answered:
        return _answered(site)
    return code_page("challenge.html", site, visit, await standing(site, me))


async def challenge(site: Site, visit: Visit, me: Waiting) -> Page:
    """Answer the challenge: log in, or ask again.

    A browser that sends the form twice throws the first answer away, and its cookie with it, so the second one finds
    the challenge spent: the same code is then an answer once more.
    """
    code = forms.field(visit.form, "code").strip()
    if not code:
        return nothing_typed(code_page("challenge.html", site, visit, await standing(site, me)))
    try:
        verified, is_repeated = await _proven(site, visit, me, code)
    except Rejected as rejected:
        if me.is_answered:
            return _answered(site)
        if rejected.reason is Reason.CHALLENGE_EXPIRED:
            return replace(_again(site, _why_ended(site, me)), log_out=True)
        return refused_code("challenge.html", site, visit, await standing(site, me), rejected)
    # Only what an app proved may spare the next code: whoever uses a backup code may have lost the phone.
    device = None
    if "trust_device" in visit.form and verified.factor == "totp" and site.settings.device_limit > 0:
        try:
            before = visit.cookies.get(device_cookie.name_for(site.settings, verified.user_id))
            if is_repeated and before is None:
                await _end_lost_device(site, visit, verified)
            device = await site.mfa.trusted_devices.trust(verified, replaces=before, request=visit.origin)
        except MFAError:
            # The code is spent and right; that the browser is not remembered must not cost the login.
            device = None
    return Page(status=303, location=site.home_url, log_in=verified, device=device)


async def _proven(site: Site, visit: Visit, me: Waiting, code: str) -> tuple[Verified, bool]:
    """The proof, and whether it is one that was given before."""
    if not me.is_answered:
        try:
            return await site.mfa.verify(me.challenge, code, request=visit.origin), False
        except Rejected as rejected:
            if rejected.reason is not Reason.CHALLENGE_EXPIRED:
                raise
    return await site.mfa.repeat(me.challenge, code, request=visit.origin), True


async def _end_lost_device(site: Site, visit: Visit, verified: Verified) -> None:
    """End the trust that the lost answer gave: its cookie is nowhere, and the browser is to be one device.

    The request of that answer may still be at work, so it is looked for over a second.
    """
    for _look in range(_LOOKS):
        for device in await site.mfa.trusted_devices.list(verified.user_id):
            is_its = device.created_at >= verified.at and device.name == visit.origin.device_name
            if device.is_active and is_its and device.usage_count == 0:
                reason = "the answer with its cookie was lost"
                await site.mfa.trusted_devices.revoke(verified.user_id, device.id, reason=reason, request=visit.origin)
                return
        await asyncio.sleep(_PAUSE)


def _why_ended(site: Site, me: Waiting) -> str:
    challenge = tokens.read_challenge(site.keyring, me.challenge)
    if challenge is not None and challenge.expires_at > site.clock():
        return _("Another sign-in to this account was finished meanwhile, and it ended this one. Just begin again.")
    return _("This sign-in waited too long for its code. Nothing is wrong; just begin again.")


def _answered(site: Site) -> Page:
    sentence = _(
        "The code of this sign-in was accepted a moment ago. Go on to see whether you are in; if not, just begin again."
    )
    return error(400, _("You may be signed in already"), sentence, action=(_("Go on"), site.home_url))


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
