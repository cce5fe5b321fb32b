"""The set-up of an authenticator app, or of another in its place, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.errors import EnrollmentExpired, LastFactor, Rejected, Stale
from twofold.web.flows.backup_codes import waiting
from twofold.web.flows.proofs import fresh

if TYPE_CHECKING:
    from twofold.outcomes import Enrolled, Status
    from twofold.request import Request
    from twofold.totp.provisioning import Enrollment
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn


async def begin(site: Site, me: SignedIn, request: Request) -> Enrollment:
    """Make a secret. Replacing an app that works needs a fresh proof: raises Stale."""
    status = await site.mfa.status(me.user_id)
    verified = await fresh(site, me) if status.is_enrolled else None
    return await site.mfa.totp.begin(
        me.user_id, account_name=me.account_name, verified=verified, session=me.session_id, request=request
    )


async def pending(site: Site, me: SignedIn, *, is_enrolled: bool) -> Enrollment:
    """The secret that waits for confirmation. Raises EnrollmentExpired where none does, and Stale."""
    if is_enrolled:
        # Whoever only found an open session must not read the secret of the app to come.
        await fresh(site, me)
    return await site.mfa.totp.pending(me.user_id, account_name=me.account_name, session=me.session_id)


async def confirm(site: Site, me: SignedIn, code: str, request: Request) -> Enrolled | None:
    """Take the first code of the app; None where that was done a moment ago, and this came twice.

    Raises Rejected, EnrollmentExpired, and Stale where an app is to be replaced.
    """
    status = await site.mfa.status(me.user_id)
    if await _is_confirmed(site, me, status):
        return None
    if status.is_enrolled:
        await fresh(site, me)
    try:
        return await site.mfa.totp.confirm(me.user_id, code, session=me.session_id, request=request)
    except (Rejected, EnrollmentExpired):
        # The same form, sent twice at one moment: the other one may have been faster.
        if await _is_confirmed(site, me, await site.mfa.status(me.user_id)):
            return None
        raise


async def _is_confirmed(site: Site, me: SignedIn, status: Status) -> bool:
    """Whether a set-up was confirmed a moment ago, and none waits."""
    if not status.has_app or status.is_pending:
        return False
    if await waiting(site, me) is not None:
        return True
    # The codes are kept.
    return status.enabled_at is not None and site.clock() - status.enabled_at < site.settings.enrollment_lifetime


async def disable(site: Site, me: SignedIn, request: Request) -> bool:
    """Turn the second factor off, passkeys and all. False where it is off already. Raises Stale."""
    if not (await site.mfa.status(me.user_id)).is_enrolled:
        return False
    try:
        await site.mfa.disable(await fresh(site, me), request=request)
    except Stale:
        # The same form, sent twice at one moment: the other one may have been faster.
        if (await site.mfa.status(me.user_id)).is_enrolled:
            raise
        return False
    return True


async def remove_app(site: Site, me: SignedIn, request: Request) -> bool:
    """End the app of somebody whose passkeys go on. False where there is none. Raises LastFactor, and Stale."""
    verified, status = await fresh(site, me), await site.mfa.status(me.user_id)
    if not status.has_app:
        return False
    if not status.passkeys:
        raise LastFactor
    await site.mfa.totp.disable(verified, request=request)
    return True
