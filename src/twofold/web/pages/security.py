"""The page that tells how an account stands, and what can be ended there."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from twofold.naming import LONGEST, BadName
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import activity, forms
from twofold.web.flows import backup_codes, devices, passkeys, setup
from twofold.web.flows.proofs import is_fresh
from twofold.web.languages import gettext as _
from twofold.web.languages import gettext_noop
from twofold.web.naming import BAD_NAMES, NO_SUCH_DEVICE, named
from twofold.web.page import Page, error, redirect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twofold.outcomes import Device, Passkey
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit

T = TypeVar("T", "Device", "Passkey")

LINES_PER_PAGE = 10
_READ = 150

DONE: Mapping[str, str] = {
    "disabled": gettext_noop("Two-step sign-in is off."),
    "renamed": gettext_noop("The device has its new name."),
    "revoked": gettext_noop("The device is no longer trusted."),
    "all_revoked": gettext_noop("No device is trusted any more."),
    "kept": gettext_noop("Your backup codes are kept. Nobody sees them here again."),
    "passkey": gettext_noop("The passkey is set up."),
    "passkey_renamed": gettext_noop("The passkey has its new name."),
    "passkey_removed": gettext_noop("The passkey is removed."),
    "passkeys_removed": gettext_noop("All passkeys are removed."),
    "app_removed": gettext_noop("The authenticator app is removed."),
    "confirmed": gettext_noop("Thank you. You can make changes for a few minutes."),
}
"""What the security page says after a change, by the word in its address."""


class Refused(NamedTuple):
    """A name that was refused: of which device or passkey, what was typed, and what its owner reads."""

    of: Literal["device", "passkey"]
    id: int
    name: str
    problem: str


async def security(site: Site, visit: Visit, me: SignedIn, *, refused: Refused | None = None) -> Page:
    """How the account stands: factor, backup codes, devices, and what has happened."""
    before = visit.query.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) < 19):
        raise forms.BadForm(400, _("This address is not one of ours."))
    lines, older = await _activity(site, me, None if before is None else int(before))
    notice = DONE.get(visit.query.get("done", ""))
    token = visit.cookies.get(device_cookie.name_for(site.settings, me.user_id))
    status = await site.mfa.status(me.user_id)
    held = await passkeys.shown(site, me)
    # New ones take the place of altered ones.
    has_room = "mfa_passkeys" in status.altered or len(held) < site.settings.passkey_limit
    context = {
        "now": site.clock(),
        "status": status,
        "codes_wait": await backup_codes.waiting(site, me) is not None,
        "devices": told_apart(await devices.shown(site, me, token)),
        "passkeys": told_apart(held),
        "is_passkey_offered": has_room and await passkeys.are_offered(site),
        "is_trust_offered": site.settings.device_limit > 0,
        "events": lines,
        "older": older,
        "is_first_page": before is None,
        "is_fresh": await is_fresh(site, me),
        "notice": _(notice) if notice else None,
        "total": site.settings.backup_code_count,
        "longest_name": LONGEST,
        "refused": refused,
        "problem": None if refused is None else refused.problem,
    }
    return Page("security.html", context, 200 if refused is None else 400)


def told_apart(things: Iterable[T]) -> list[tuple[T, str]]:
    """The things with what each is called here: of one name, those that came later have a number behind it.

    No number makes a name that another one was given.
    """
    all_ = list(things)
    taken: set[str] = set()
    given = {_as_read(named(thing.name)) for thing in all_}
    found: list[tuple[T, str]] = []
    for thing in reversed(all_):
        name = said = named(thing.name)
        for number in count(2):
            if _as_read(said) not in taken and (said == name or _as_read(said) not in given):
                break
            said = f"{name} ({number})"
        taken.add(_as_read(said))
        found.append((thing, said))
    return found[::-1]


def _as_read(name: str) -> str:
    """A name as the eye has it, to which all spaces are one."""
    return name.replace("\u00a0", " ")


async def _activity(site: Site, me: SignedIn, before: int | None) -> tuple[list[activity.Line], int | None]:
    """The lines of one page, and where the next one begins.

    What came a little later is read as well: it says what became of a challenge at the edge.
    """
    limit = activity.CONTEXT + _READ
    after = None if before is None else before + activity.CONTEXT
    events = await site.mfa.events.recent(me.user_id, limit=limit, before=after)
    waits = site.settings.challenge_lifetime
    left = activity.lines(events, site.clock(), waits=waits, before=before, most=LINES_PER_PAGE + 1)
    if len(left) > LINES_PER_PAGE:
        return left[:LINES_PER_PAGE], left[LINES_PER_PAGE].newest + 1
    return left, events[-1].seq if len(events) == limit else None


async def disable(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Turn two-step sign-in off. Whoever asks twice reads twice that it is off."""
    if visit.form.get("sure") != "yes" and (await site.mfa.status(me.user_id)).is_enrolled:
        raise forms.BadForm(400, _("Turning off was not confirmed."))
    off = redirect(f"{visit.base}/security?done=disabled")
    if not await setup.disable(site, me, visit.origin):
        return off
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(off, changed=True, forget_device=forgotten)


async def rename(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Give a device the name that was typed; one that cannot be is told at its field, with what was typed."""
    number, name = _number(visit), visit.form.get("name", "")
    try:
        is_there = await devices.rename(site, me, number, name, visit.origin)
    except BadName as bad:
        refused = Refused("device", number or 0, name[: 4 * LONGEST], _(BAD_NAMES[bad.why]))
        return await security(site, visit, me, refused=refused)
    return redirect(f"{visit.base}/security?done=renamed") if is_there else _no_such_device(visit)


async def revoke(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Stop trusting one device. Whoever asks twice reads twice that it is not trusted."""
    is_there = await devices.revoke(site, me, _number(visit), visit.origin)
    return redirect(f"{visit.base}/security?done=revoked") if is_there else _no_such_device(visit)


def _number(visit: Visit) -> int | None:
    return devices.number(visit.path_values.get("device_id", ""))


def _no_such_device(visit: Visit) -> Page:
    back = (_("Back to security"), f"{visit.base}/security")
    return error(404, _("No such device"), _(NO_SUCH_DEVICE), action=back)


async def revoke_all(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Stop trusting every device."""
    await devices.revoke_all(site, me, visit.origin)
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(redirect(f"{visit.base}/security?done=all_revoked"), forget_device=forgotten)
