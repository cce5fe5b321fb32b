"""The answer to a login that waits, once more where its own was lost, and the trust of a browser that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twofold import tokens
from twofold.errors import MFAError, Reason, Rejected

if TYPE_CHECKING:
    from twofold.outcomes import DeviceToken, Status, Verified
    from twofold.request import Request
    from twofold.web.site import Site
    from twofold.web.visit import Waiting

_PAUSE, _LONGEST_PAUSE = 0.05, 0.5


class Passed(NamedTuple):
    """A login that is over: its proof, and the token of a device that is trusted from now on."""

    verified: Verified
    device: DeviceToken | None


async def standing(site: Site, me: Waiting) -> Status | None:
    """How somebody stands whose login waits; None where the challenge cannot be read."""
    challenge = tokens.read_challenge(site.keyring, me.challenge)
    return None if challenge is None else await site.mfa.status(challenge.user_id)


def is_late(site: Site, me: Waiting) -> bool:
    """Whether a login that is over waited too long; else another one was finished meanwhile."""
    challenge = tokens.read_challenge(site.keyring, me.challenge)
    return challenge is None or challenge.expires_at <= site.clock()


async def answer(
    site: Site, me: Waiting, code: str, *, trust_device: bool, before: str | None, request: Request
) -> Passed:
    """Answer the challenge, with a code or what a passkey signed.

    `before` is the token of a trusted device that this browser brought.

    A browser that sends the form twice throws the first answer away, and its cookie with it, so the second one finds
    the challenge spent: the same code is then an answer once more. Raises Rejected.
    """
    verified, is_repeated = await _proven(site, me, code, request)
    # Whoever uses a backup code may have lost the phone, so that spares no next code.
    if not trust_device or verified.factor == "backup_codes" or site.settings.device_limit == 0:
        return Passed(verified, None)
    try:
        if is_repeated and before is None:
            await _end_lost_device(site, verified, request)
        return Passed(verified, await site.mfa.trusted_devices.trust(verified, replaces=before, request=request))
    except MFAError:
        # The code is spent and right; that the browser is not remembered must not cost the login.
        return Passed(verified, None)


async def _proven(site: Site, me: Waiting, code: str, request: Request) -> tuple[Verified, bool]:
    """The proof, and whether it is one that was given before."""
    if not me.is_answered:
        try:
            return await site.mfa.verify(me.challenge, code, request=request), False
        except Rejected as rejected:
            if rejected.reason is not Reason.CHALLENGE_EXPIRED:
                raise
    return await site.mfa.repeat(me.challenge, code, request=request), True


async def _end_lost_device(site: Site, verified: Verified, request: Request) -> None:
    """End the trust that the lost answer gave: its cookie is nowhere, and the browser is to be one device.

    The request of that answer may still be at work, so its device is looked for until it is there, and no longer than
    any operation may take.
    """
    waited, pause = 0.0, _PAUSE
    while True:
        for device in await site.mfa.trusted_devices.list(verified.user_id):
            is_its = device.created_at >= verified.at and device.name == request.device_name
            if device.is_active and is_its and device.usage_count == 0:
                reason = "the answer with its cookie was lost"
                await site.mfa.trusted_devices.revoke(verified.user_id, device.id, reason=reason, request=request)
                return
        if waited >= site.settings.deadline.total_seconds():
            return
        await site.pause(pause)
        waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE)
