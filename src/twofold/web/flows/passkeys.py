"""Passkeys: asked for and taken in, and as their owner sees, names and ends them.

What a browser is asked, `options`, is what `parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON` read; what
it brings back is the JSON text of `credential.toJSON()`. An assertion is answered like a code, to `login.answer` and
`step_up.reverify`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twofold.errors import NotEnrolled, Tampered
from twofold.naming import BadName
from twofold.web.flows.proofs import fresh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.outcomes import Ceremony, Passkey, Registered
    from twofold.request import Request
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Waiting


async def are_offered(site: Site) -> bool:
    """Whether somebody can register a passkey here."""
    return await site.mfa.passkeys.offered()


async def begin(site: Site, me: SignedIn, request: Request) -> Ceremony:
    """Ask for a new passkey, which this session alone can confirm.

    Beside a factor in force it needs a fresh proof. Raises Stale, and TooManyPasskeys.
    """
    status = await site.mfa.status(me.user_id)
    verified = await fresh(site, me) if status.is_enrolled else None
    return await site.mfa.passkeys.begin(
        me.user_id, account_name=me.account_name, verified=verified, session=me.session_id, request=request
    )


async def confirm(
    site: Site, me: SignedIn, credential: str, request: Request, *, name: str | None = None
) -> Registered:
    """Take in what the browser brings. Sent twice, it is answered twice, the second time without backup codes.

    What it was asked is in the page of whoever began, so that no further proof is needed. Raises Rejected,
    EnrollmentExpired, TooManyPasskeys, and BadName.
    """
    return await site.mfa.passkeys.confirm(me.user_id, credential, name=name, session=me.session_id, request=request)


async def asked(site: Site, me: Waiting) -> Mapping[str, Any] | None:
    """What a browser is asked for a login that waits; None where no passkey can answer it."""
    return None if me.is_answered else await site.mfa.passkeys.asked(me.challenge)


async def ask(site: Site, me: SignedIn) -> Mapping[str, Any] | None:
    """What a browser is asked for a step-up; None where no passkey can answer it."""
    if not (await site.mfa.status(me.user_id)).passkeys:
        return None
    try:
        return (await site.mfa.passkeys.ask(me.user_id)).options
    except NotEnrolled:
        return None


async def shown(site: Site, me: SignedIn) -> list[Passkey]:
    """The passkeys that are not revoked, the newest first; none where their rows do not read.

    `Status.altered` tells of the latter.
    """
    try:
        passkeys = await site.mfa.passkeys.list(me.user_id)
    except Tampered:
        return []
    return [passkey for passkey in passkeys if passkey.revoked_at is None]


async def rename(site: Site, me: SignedIn, passkey_id: int | None, name: str, request: Request) -> bool:
    """Give a passkey a name. False where there is no such passkey. Raises BadName, Stale, and Tampered."""
    await fresh(site, me)
    if passkey_id is None:
        return False
    try:
        return await site.mfa.passkeys.rename(me.user_id, passkey_id, name, request=request)
    except BadName:
        if all(one.id != passkey_id for one in await shown(site, me)):
            return False
        raise


async def revoke(site: Site, me: SignedIn, passkey_id: int | None, request: Request) -> bool:
    """End one passkey. False where nothing was to be done, since there is none of this id, or it has ended.

    Raises LastFactor where nothing else could answer, Stale, and Tampered.
    """
    verified = await fresh(site, me)
    return passkey_id is not None and await site.mfa.passkeys.revoke(verified, passkey_id, request=request)


async def revoke_all(site: Site, me: SignedIn, request: Request) -> int:
    """End all passkeys of somebody whose app goes on; how many there were. Raises LastFactor, and Stale."""
    return await site.mfa.passkeys.revoke_all(await fresh(site, me), request=request)
