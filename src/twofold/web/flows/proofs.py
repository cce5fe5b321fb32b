"""Whether a session gave its second factor a moment ago."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twofold.errors import Stale

if TYPE_CHECKING:
    from twofold.outcomes import Verified
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn


_EVER = timedelta(days=36500)


async def fresh(site: Site, me: SignedIn) -> Verified:
    """The proof that this session gave its second factor a moment ago. Raises Stale; a trusted device gives none."""
    if me.proof is None:
        raise Stale
    return await site.mfa.proof(me.proof, user_id=me.user_id)


async def last(site: Site, me: SignedIn) -> Verified | None:
    """The last proof of this session, however old it is; None where it has ended, or there is none."""
    if me.proof is None:
        return None
    try:
        verified = await site.mfa.proof(me.proof, max_age=_EVER)
    except Stale:
        return None
    return verified if str(verified.user_id) == str(me.user_id) else None


async def is_fresh(site: Site, me: SignedIn) -> bool:
    """Whether changes need no further code."""
    try:
        await fresh(site, me)
    except Stale:
        return False
    return True
