"""What somebody who is signed in sees and changes: the app, backup codes, devices, and what has happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.errors import NotEnrolled, Rejected
from twofold.naming import BadName
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import activity, problems
from twofold.web.api import models, passkeys, reading
from twofold.web.api.answers import Mistake, answer, bad_name, forgetting
from twofold.web.api.sign_in import proven, refused
from twofold.web.flows import backup_codes, devices, setup
from twofold.web.languages import gettext as _
from twofold.web.naming import NO_SUCH_DEVICE, named

if TYPE_CHECKING:
    from twofold.outcomes import Device
    from twofold.totp.provisioning import Enrollment
    from twofold.web.page import Page
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit

_MOST_EVENTS = 100
_LARGEST = 2**62


async def begin(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Make a secret. Replacing an app that works needs a fresh code."""
    return answer(await _enrollment(site, await setup.begin(site, me, visit.origin)))


async def pending(site: Site, _visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Show the secret that waits for its first code once more, to the session that began."""
    is_enrolled = (await site.mfa.status(me.user_id)).is_enrolled
    return answer(await _enrollment(site, await setup.pending(site, me, is_enrolled=is_enrolled)))


async def _enrollment(site: Site, made: Enrollment) -> models.Enrollment:
    fields = [name for name in models.Enrollment.model_fields if name != "qr_svg"]
    return models.Enrollment(**{name: getattr(made, name) for name in fields}, qr_svg=await site.draw(made))


async def confirm(site: Site, visit: Visit, me: SignedIn, sent: models.Coded) -> Page:
    """Take the first code of the app. From then on every login is challenged. The backup codes are new."""
    try:
        enrolled = await setup.confirm(site, me, sent.code, visit.origin)
    except Rejected as rejected:
        return refused(rejected, sent.code, None, is_setup=True, digits=site.settings.digits)
    if enrolled is None:
        found = await backup_codes.waiting(site, me)
        return answer(models.Confirmed(backup_codes=None if found is None else list(found.codes), proven=None))
    document = models.Confirmed(backup_codes=list(enrolled.backup_codes), proven=proven(site, me, enrolled.verified))
    return answer(document, remember=enrolled.verified, changed=True, **forgetting(site, me))


async def remove_app(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """End the app of somebody whose passkeys go on; where none do, the second factor as a whole ends."""
    if (await site.mfa.status(me.user_id)).passkeys:
        is_done = await setup.remove_app(site, me, visit.origin)
        return answer(models.Done(), changed=is_done)
    return await passkeys.disable(site, visit, me, _sent)


async def codes(site: Site, _visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Count the backup codes, and show new ones to the session that made them, until they are kept."""
    return answer(await _codes(site, me))


async def regenerate(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Make new backup codes; the old ones end. While new ones wait to be kept, those are shown and none are made."""
    if await backup_codes.waiting(site, me) is not None:
        return answer(await _codes(site, me))
    if not (await site.mfa.status(me.user_id)).is_enrolled:
        raise NotEnrolled
    await backup_codes.regenerate(site, me, visit.origin)
    return answer(await _codes(site, me), changed=True)


async def keep(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Say that the new backup codes are kept: from then on nobody sees them."""
    await backup_codes.keep(site, me, visit.origin)
    return answer(await _codes(site, me))


async def _codes(site: Site, me: SignedIn) -> models.BackupCodes:
    standing, found = await site.mfa.status(me.user_id), await backup_codes.waiting(site, me)
    return models.BackupCodes(
        remaining=standing.backup_codes_remaining,
        is_kept=standing.backup_codes_kept,
        codes=None if found is None else list(found.codes),
        made_at=None if found is None else found.made_at,
        expires_at=None if found is None else found.expires_at,
    )


async def list_devices(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """List the devices that may skip the code for a while."""
    name = device_cookie.name_for(site.settings, me.user_id)
    token = visit.headers.get("twofold-device") if me.is_bearer else visit.cookies.get(name)
    found = [_device(device) for device in await devices.shown(site, me, token)]
    return answer(models.Devices(devices=found, limit=site.settings.device_limit))


async def rename(site: Site, visit: Visit, me: SignedIn, sent: models.Naming) -> Page:
    """Give a device the name that its owner calls it by."""
    try:
        is_there = await devices.rename(site, me, _number(visit), sent.name, visit.origin)
    except BadName as bad:
        raise bad_name(bad) from None
    return _done(is_there=is_there)


async def revoke(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Stop trusting one device."""
    return _done(is_there=await devices.revoke(site, me, _number(visit), visit.origin))


async def revoke_all(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Stop trusting every device."""
    await devices.revoke_all(site, me, visit.origin)
    return answer(models.Done(), **forgetting(site, me))


async def events(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Tell what has happened to one's own second factor, the newest first."""
    limit = reading.number(visit.query, "limit", least=1, most=_MOST_EVENTS) or 20
    before = reading.number(visit.query, "before", least=1, most=_LARGEST)
    found = await site.mfa.events.recent(me.user_id, limit=limit, before=before)
    told = [
        models.Event(
            seq=event.seq,
            kind=event.kind,
            status=event.status,
            at=event.at,
            sentence=activity.event(event),
            place=" · ".join(activity.place(event)),
        )
        for event in found
    ]
    return answer(models.Events(events=told, before=found[-1].seq if len(found) == limit else None))


def _device(device: Device) -> models.Device:
    fields = [name for name in models.Device.model_fields if name != "name"]
    return models.Device(**{name: getattr(device, name) for name in fields}, name=named(device.name))


def _done(*, is_there: bool) -> Page:
    if not is_there:
        raise Mistake(problems.NO_SUCH_DEVICE, _(NO_SUCH_DEVICE))
    return answer(models.Done())


def _number(visit: Visit) -> int | None:
    return devices.number(visit.path_values.get("device_id", ""))
