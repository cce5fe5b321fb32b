"""The page that tells how an account stands, and what can be ended there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from twofold.trusted_devices import cookie as device_cookie
from twofold.web import activity, forms
from twofold.web.languages import gettext as _
from twofold.web.languages import gettext_noop
from twofold.web.page import Page, error, redirect
from twofold.web.pages import backup_codes
from twofold.web.pages.proofs import fresh, is_fresh

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twofold.outcomes import Device
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit

LINES_PER_PAGE = 10
_READ = 150

DONE: Mapping[str, str] = {
    "disabled": gettext_noop("Two-step sign-in is off."),
    "revoked": gettext_noop("The device is no longer trusted."),
    "all_revoked": gettext_noop("No device is trusted any more."),
    "kept": gettext_noop("Your backup codes are kept. Nobody sees them here again."),
    "confirmed": gettext_noop("Thank you. You can make changes for a few minutes."),
}
"""What the security page says after a change, by the word in its address."""


async def security(site: Site, visit: Visit, me: SignedIn) -> Page:
    """How the account stands: factor, backup codes, devices, and what has happened."""
    before = visit.query.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) < 19):
        raise forms.BadForm(400, _("This address is not one of ours."))
    lines, older = await _activity(site, me, None if before is None else int(before))
    notice = DONE.get(visit.query.get("done", ""))
    token = visit.cookies.get(device_cookie.name_for(site.settings, me.user_id))
    context = {
        "now": site.clock(),
        "status": await site.mfa.status(me.user_id),
        "codes_wait": await backup_codes.waiting(site, me) is not None,
        "devices": _numbered(
            device
            for device in await site.mfa.trusted_devices.list(me.user_id, token=token)
            if device.is_active or device.is_contested
        ),
        "events": lines,
        "older": older,
        "is_first_page": before is None,
        "is_fresh": await is_fresh(site, me),
        "notice": _(notice) if notice else None,
        "total": site.settings.backup_code_count,
    }
    return Page("security.html", context)


def _numbered(devices: Iterable[Device]) -> list[tuple[Device, int]]:
    """The devices with a number that tells those of one name apart, the one that was trusted first is 1."""
    named: Counter[str] = Counter()
    found: list[tuple[Device, int]] = []
    for device in reversed(list(devices)):
        named[device.name] += 1
        found.append((device, named[device.name]))
    return found[::-1]


async def _activity(site: Site, me: SignedIn, before: int | None) -> tuple[list[activity.Line], int | None]:
    """The lines of one page, and where the next one begins.

    What came a little later is read as well: it says what became of a challenge at the edge.
    """
    limit = activity.CONTEXT + _READ
    after = None if before is None else before + activity.CONTEXT
    events = await site.mfa.events.recent(me.user_id, limit=limit, before=after)
    lines = activity.lines(events, site.clock(), waits=site.settings.challenge_lifetime)
    left = [line for line in lines if before is None or line.newest < before]
    if len(left) > LINES_PER_PAGE:
        return left[:LINES_PER_PAGE], left[LINES_PER_PAGE].newest + 1
    return left, events[-1].seq if len(events) == limit else None


async def disable(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Turn two-step sign-in off. Whoever asks twice reads twice that it is off."""
    if not (await site.mfa.status(me.user_id)).is_enrolled:
        return redirect(f"{visit.base}/security?done=disabled")
    if forms.field(visit.form, "sure") != "yes":
        raise forms.BadForm(400, _("Turning off was not confirmed."))
    await site.mfa.totp.disable(await fresh(site, me), request=visit.origin)
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(redirect(f"{visit.base}/security?done=disabled"), changed=True, forget_device=forgotten)


async def revoke(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Stop trusting one device. Whoever asks twice reads twice that it is not trusted."""
    await fresh(site, me)
    text = visit.path_values.get("device_id", "")
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    if not is_number or not await site.mfa.trusted_devices.revoke(me.user_id, int(text), request=visit.origin):
        if is_number and any(one.id == int(text) for one in await site.mfa.trusted_devices.list(me.user_id)):
            return redirect(f"{visit.base}/security?done=revoked")
        back = (_("Back to security"), f"{visit.base}/security")
        return error(404, _("No such device"), _("This device is not trusted, or not any more."), action=back)
    return redirect(f"{visit.base}/security?done=revoked")


async def revoke_all(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Stop trusting every device."""
    await fresh(site, me)
    await site.mfa.trusted_devices.revoke_all(me.user_id, request=visit.origin)
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(redirect(f"{visit.base}/security?done=all_revoked"), forget_device=forgotten)
