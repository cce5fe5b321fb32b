"""Trusted devices as their owner sees, names and ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.naming import BadName
from twofold.web.flows.proofs import fresh

if TYPE_CHECKING:
    from twofold.outcomes import Device
    from twofold.request import Request
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn


def number(text: str) -> int | None:
    """The id of the device that an address names; None where it names none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


async def shown(site: Site, me: SignedIn, token: str | None) -> list[Device]:
    """The devices that are trusted, or would be but for a doubt; `token` is that of the browser which asks."""
    devices = await site.mfa.trusted_devices.list(me.user_id, token=token)
    return [device for device in devices if device.is_active or device.is_contested]


async def rename(site: Site, me: SignedIn, device_id: int | None, name: str, request: Request) -> bool:
    """Give a device a name. False where there is no such device. Raises BadName, and Stale.

    A name opens nothing, but it could hide a device from its owner, so a stolen session alone gives none.
    """
    await fresh(site, me)
    if device_id is None:
        return False
    try:
        return await site.mfa.trusted_devices.rename(me.user_id, device_id, name, request=request)
    except BadName:
        if all(one.id != device_id for one in await site.mfa.trusted_devices.list(me.user_id)):
            return False
        raise


async def revoke(site: Site, me: SignedIn, device_id: int | None, request: Request) -> bool:
    """Stop trusting one device. False where there is none; of one that is not trusted any more, true. Raises Stale."""
    await fresh(site, me)
    if device_id is None:
        return False
    if await site.mfa.trusted_devices.revoke(me.user_id, device_id, request=request):
        return True
    return any(one.id == device_id for one in await site.mfa.trusted_devices.list(me.user_id))


async def revoke_all(site: Site, me: SignedIn, request: Request) -> None:
    """Stop trusting every device. Raises Stale."""
    await fresh(site, me)
    await site.mfa.trusted_devices.revoke_all(me.user_id, request=request)
