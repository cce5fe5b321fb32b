"""A code, or a passkey, of somebody who is signed in, before something that matters."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twofold.errors import NotEnrolled, Reason, Rejected, Stale

if TYPE_CHECKING:
    from twofold.outcomes import Verified
    from twofold.request import Request
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn

_TWICE = timedelta(seconds=30)
"""So long after a proof the same code is the same form, sent twice."""


async def reverify(site: Site, me: SignedIn, code: str, request: Request) -> Verified | None:
    """Take a code, or what a passkey signed; None where it came twice, and was accepted a moment ago.

    Raises Rejected, and NotEnrolled without a factor.
    """
    try:
        return await site.mfa.reverify(me.user_id, code, request=request)
    except Rejected as rejected:
        if rejected.reason is Reason.NOT_ENROLLED:
            raise NotEnrolled from None
        if rejected.reason is Reason.CODE_ALREADY_USED and await _has_just_proven(site, me):
            return None
        raise


async def _has_just_proven(site: Site, me: SignedIn) -> bool:
    try:
        await site.mfa.proof(me.proof or "", max_age=_TWICE)
    except Stale:
        return False
    return True
