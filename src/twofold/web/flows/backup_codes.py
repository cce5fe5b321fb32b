"""New backup codes, until their owner says that they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.web.flows.proofs import fresh

if TYPE_CHECKING:
    from twofold.outcomes import ShownCodes
    from twofold.request import Request
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn


async def waiting(site: Site, me: SignedIn) -> ShownCodes | None:
    """The codes that this session made and has not said to have kept."""
    return await site.mfa.backup_codes.shown(me.user_id, session=me.session_id)


async def regenerate(site: Site, me: SignedIn, request: Request) -> None:
    """Make new backup codes; the old ones end. Raises Stale."""
    await site.mfa.backup_codes.regenerate(await fresh(site, me), session=me.session_id, request=request)


async def keep(site: Site, me: SignedIn, request: Request) -> bool:
    """Take the word of the owner that the codes are kept; False where this session made none that wait for it."""
    return await site.mfa.backup_codes.keep(me.user_id, session=me.session_id, request=request)
