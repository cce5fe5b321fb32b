"""The passkeys of somebody who is signed in: registered, named, and ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from twofold.errors import Rejected
from twofold.naming import BadName
from twofold.web import problems, refusals
from twofold.web.api import models
from twofold.web.api.answers import Mistake, answer, bad_name, forgetting, problem
from twofold.web.api.sign_in import proven
from twofold.web.flows import devices, passkeys, setup
from twofold.web.naming import named

if TYPE_CHECKING:
    from twofold.outcomes import Passkey
    from twofold.web.page import Page
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit


async def list_passkeys(site: Site, _visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """List the passkeys, the newest first, with those that are suspended."""
    found = [_passkey(passkey) for passkey in await passkeys.shown(site, me)]
    limit, are_offered = site.settings.passkey_limit, await passkeys.are_offered(site)
    return answer(models.Passkeys(passkeys=found, limit=limit, are_offered=are_offered))


async def begin(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Ask for a new passkey. Beside a factor in force that needs a fresh code."""
    if not await passkeys.are_offered(site):
        raise Mistake(problems.NOT_OFFERED)
    begun = await passkeys.begin(site, me, visit.origin)
    return answer(models.Ceremony(options=dict(begun.options), expires_at=begun.expires_at))


async def confirm(site: Site, visit: Visit, me: SignedIn, sent: models.Registering) -> Page:
    """Take in what the browser brings. Where it is the first factor, every login is challenged from now on."""
    credential = json.dumps(sent.passkey)
    try:
        found = await passkeys.confirm(site, me, credential, visit.origin, name=sent.name)
    except BadName as bad:
        raise bad_name(bad) from None
    except Rejected as rejected:
        return problem(problems.of(rejected), refusals.of_new_passkey(rejected))
    document = models.RegisteredPasskey(
        passkey=_passkey(found.passkey),
        backup_codes=list(found.backup_codes) or None,
        proven=proven(site, me, found.verified),
    )
    if not found.backup_codes:
        return answer(document, remember=found.verified)
    return answer(document, remember=found.verified, changed=True, **forgetting(site, me))


async def rename(site: Site, visit: Visit, me: SignedIn, sent: models.Naming) -> Page:
    """Give a passkey the name that its owner calls it by."""
    try:
        is_there = await passkeys.rename(site, me, _number(visit), sent.name, visit.origin)
    except BadName as bad:
        raise bad_name(bad) from None
    return _done(is_there=is_there)


async def revoke(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """End one passkey. The last factor stays: `disable` ends that."""
    if not await passkeys.revoke(site, me, _number(visit), visit.origin):
        return _done(is_there=False)
    return answer(models.Done(), changed=True)


async def revoke_all(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """End all passkeys of somebody whose app goes on, those that were altered, too."""
    await passkeys.revoke_all(site, me, visit.origin)
    return answer(models.Done(), changed=True)


async def disable(site: Site, visit: Visit, me: SignedIn, _sent: models.Nothing) -> Page:
    """Turn the second factor off: app, passkeys, backup codes and trusted devices go."""
    if not await setup.disable(site, me, visit.origin):
        return answer(models.Done())
    return answer(models.Done(), changed=True, **forgetting(site, me))


def _passkey(passkey: Passkey) -> models.Passkey:
    fields = [name for name in models.Passkey.model_fields if name not in {"name", "transports"}]
    told = {name: getattr(passkey, name) for name in fields}
    return models.Passkey(**told, name=named(passkey.name), transports=list(passkey.transports))


def _done(*, is_there: bool) -> Page:
    if not is_there:
        raise Mistake(problems.NO_SUCH_PASSKEY)
    return answer(models.Done())


def _number(visit: Visit) -> int | None:
    return devices.number(visit.path_values.get("passkey_id", ""))
