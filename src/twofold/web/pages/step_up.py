"""The page that asks somebody who is signed in for a code, before something that matters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from twofold.errors import NotEnrolled, Reason, Rejected, Stale
from twofold.web import forms
from twofold.web.page import Page, redirect
from twofold.web.pages.asking import code_page, nothing_typed, refused_code

if TYPE_CHECKING:
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit


_TWICE = timedelta(seconds=30)
"""So long after a proof the same code is the same form, sent twice."""


async def reverify_form(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Ask a signed-in person for a code, before something that matters."""
    status = await site.mfa.status(me.user_id)
    if not status.is_enrolled:
        return redirect(f"{visit.base}/setup")
    return code_page("reverify.html", site, visit, status)


async def reverify(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Take the code of a step-up and go back to where it was asked for."""
    code = forms.field(visit.form, "code").strip()
    if not code:
        return nothing_typed(code_page("reverify.html", site, visit, await site.mfa.status(me.user_id)))
    try:
        verified = await site.mfa.reverify(me.user_id, code, request=visit.origin)
    except Rejected as rejected:
        if rejected.reason is Reason.NOT_ENROLLED:
            raise NotEnrolled from None
        if rejected.reason is Reason.CODE_ALREADY_USED and await _has_just_proven(site, me):
            # The form came twice, and the first one has done it.
            return redirect(_destination(site, visit))
        return refused_code("reverify.html", site, visit, await site.mfa.status(me.user_id), rejected)
    return replace(redirect(_destination(site, visit)), remember=verified)


def _destination(site: Site, visit: Visit) -> str:
    # The address names a destination, so that it can never be one of somebody else's.
    own = {"security": f"{visit.base}/security?done=confirmed", "setup": f"{visit.base}/setup"}
    places = {**site.destinations, **own}
    return places.get(visit.query.get("next", ""), own["security"])


async def _has_just_proven(site: Site, me: SignedIn) -> bool:
    try:
        await site.mfa.proof(me.proof or "", max_age=_TWICE)
    except Stale:
        return False
    return True
