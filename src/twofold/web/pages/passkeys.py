"""The page that sets a passkey up, and what the security page does with those that there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twofold.errors import EnrollmentExpired, Rejected
from twofold.naming import LONGEST as LONGEST_NAME
from twofold.naming import BadName
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import forms, problems, refusals
from twofold.web.flows import devices, setup
from twofold.web.flows import passkeys as flow
from twofold.web.flows.backup_codes import waiting
from twofold.web.languages import gettext as _
from twofold.web.naming import BAD_NAMES
from twofold.web.page import Page, error, redirect
from twofold.web.pages import security
from twofold.web.pages.asking import LONGEST, written
from twofold.web.refusals import Problem

if TYPE_CHECKING:
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit


async def begin(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Ask for a passkey. Nothing is kept until the browser brings one, so the page is the answer itself."""
    if not await flow.are_offered(site):
        # The page with the button is of before the application has given passkeys up.
        return redirect(f"{visit.base}/setup")
    return await _page(site, visit, me)


async def confirm(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Take in what the browser brings, and lead to the backup codes where it is the first factor."""
    credential = forms.field(visit.form, "passkey", limit=LONGEST)
    try:
        registered = await flow.confirm(site, me, credential, visit.origin)
    except Rejected as rejected:
        return replace(
            await _page(site, visit, me, Problem(refusals.of_new_passkey(rejected))),
            status=problems.of(rejected).status,
        )
    except EnrollmentExpired:
        return replace(await _page(site, visit, me, Problem(_(refusals.NEW_PASSKEY_LATE))), status=400)
    if not registered.backup_codes:
        # Beside another factor; or the form came twice, and the codes of the first answer wait.
        place = "security?done=passkey" if await waiting(site, me) is None else "backup-codes"
        return replace(redirect(f"{visit.base}/{place}"), remember=registered.verified)
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    page = redirect(f"{visit.base}/backup-codes")
    return replace(page, remember=registered.verified, changed=True, forget_device=forgotten)


async def _page(site: Site, visit: Visit, me: SignedIn, problem: Problem | None = None) -> Page:
    is_enrolled = (await site.mfa.status(me.user_id)).is_enrolled
    ceremony = await flow.begin(site, me, visit.origin)
    return Page("passkey.html", {"is_enrolled": is_enrolled, "passkey": written(ceremony.options), "problem": problem})


async def rename(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Give a passkey the name that was typed; one that cannot be is told at its field, with what was typed."""
    number, name = _number(visit), visit.form.get("name", "")
    try:
        is_there = await flow.rename(site, me, number, name, visit.origin)
    except BadName as bad:
        refused = security.Refused("passkey", number or 0, name[: 4 * LONGEST_NAME], _(BAD_NAMES[bad.why]))
        return await security.security(site, visit, me, refused=refused)
    return redirect(f"{visit.base}/security?done=passkey_renamed") if is_there else _no_such_passkey(visit)


async def revoke(site: Site, visit: Visit, me: SignedIn) -> Page:
    """End one passkey. Whoever asks twice reads twice that it is removed."""
    number = _number(visit)
    removed = redirect(f"{visit.base}/security?done=passkey_removed")
    if await flow.revoke(site, me, number, visit.origin):
        return replace(removed, changed=True)
    is_known = any(one.id == number for one in await site.mfa.passkeys.list(me.user_id))
    return removed if is_known else _no_such_passkey(visit)


async def revoke_all(site: Site, visit: Visit, me: SignedIn) -> Page:
    """End every passkey; the app goes on."""
    await flow.revoke_all(site, me, visit.origin)
    return replace(redirect(f"{visit.base}/security?done=passkeys_removed"), changed=True)


async def remove_app(site: Site, visit: Visit, me: SignedIn) -> Page:
    """End the app; the passkeys go on. Whoever asks twice reads twice that it is removed."""
    removed = redirect(f"{visit.base}/security?done=app_removed")
    return replace(removed, changed=True) if await setup.remove_app(site, me, visit.origin) else removed


def _number(visit: Visit) -> int | None:
    return devices.number(visit.path_values.get("passkey_id", ""))


def _no_such_passkey(visit: Visit) -> Page:
    back = (_("Back to security"), f"{visit.base}/security")
    return error(404, _("No such passkey"), _("This passkey is not yours, or not any more."), action=back)
