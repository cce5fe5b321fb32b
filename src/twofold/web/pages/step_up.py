"""The page that asks somebody who is signed in for their second factor, before something that matters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from twofold.errors import NotEnrolled, Rejected
from twofold.web import intent
from twofold.web.flows import step_up
from twofold.web.intent import Intent
from twofold.web.languages import gettext as _
from twofold.web.languages import gettext_noop
from twofold.web.page import Page, redirect
from twofold.web.pages import backup_codes, passkeys, security, setup
from twofold.web.pages.asking import answered, code_page, nothing_typed, refused_code
from twofold.web.visit import SignedIn, Visit, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from twofold.outcomes import Status
    from twofold.web.site import Site


@dataclass(frozen=True, slots=True)
class Action:
    """What a step-up may go on with: its page, what is said of it before, and where it leads once it is over."""

    page: Callable[[Site, Visit, SignedIn], Awaitable[Page]]
    told: str
    over: str
    fields: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


ACTIONS: Mapping[str, Action] = {
    "/setup/begin": Action(
        setup.begin,
        gettext_noop("Once you have confirmed, the set-up of an authenticator app begins."),
        "/setup",
    ),
    "/backup-codes/regenerate": Action(
        backup_codes.regenerate,
        gettext_noop("Once you have confirmed, new backup codes are made and the old ones end."),
        "/backup-codes",
        ("sure",),
    ),
    "/disable": Action(
        security.disable,
        gettext_noop("Once you have confirmed, two-step sign-in is turned off."),
        "/security",
        ("sure",),
    ),
    "/devices/revoke-all": Action(
        security.revoke_all,
        gettext_noop("Once you have confirmed, no device is trusted any more."),
        "/security",
    ),
    "/devices/{device_id}/revoke": Action(
        security.revoke,
        gettext_noop("Once you have confirmed, the device is no longer trusted."),
        "/security",
        values=("device_id",),
    ),
    "/devices/{device_id}/rename": Action(
        security.rename,
        gettext_noop("Once you have confirmed, the device has its new name."),
        "/security",
        ("name",),
        ("device_id",),
    ),
    "/passkeys/begin": Action(
        passkeys.begin,
        gettext_noop("Once you have confirmed, the set-up of another passkey begins."),
        "/security",
    ),
    "/passkeys/revoke-all": Action(
        passkeys.revoke_all,
        gettext_noop("Once you have confirmed, all passkeys are removed."),
        "/security",
    ),
    "/passkeys/{passkey_id}/revoke": Action(
        passkeys.revoke,
        gettext_noop("Once you have confirmed, the passkey is removed."),
        "/security",
        values=("passkey_id",),
    ),
    "/passkeys/{passkey_id}/rename": Action(
        passkeys.rename,
        gettext_noop("Once you have confirmed, the passkey has its new name."),
        "/security",
        ("name",),
        ("passkey_id",),
    ),
    "/app/remove": Action(
        passkeys.remove_app,
        gettext_noop("Once you have confirmed, the authenticator app is removed."),
        "/security",
    ),
}
"""The changes that a step-up goes on with, by the path of their route. No field that holds a secret is among them."""


async def ask(site: Site, visit: Visit, me: SignedIn | Waiting, *, path: str, back: str) -> Page:
    """Lead whoever asked for something without a fresh proof to the page that takes the code."""
    query = {"next": back}
    action = ACTIONS.get(path)
    if action is not None and isinstance(me, SignedIn):
        asked = Intent(
            path,
            {name: str(visit.path_values[name]) for name in action.values if name in visit.path_values},
            {name: visit.form[name] for name in action.fields if name in visit.form},
            (await site.mfa.status(me.user_id)).epoch,
        )
        token = asked.sealed(site.keyring, me.session_id, realm=site.realm, now=site.clock())
        if token is not None:
            query["then"] = token
    return redirect(f"{visit.base}/reverify?{urlencode(query)}")


async def reverify_form(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Ask a signed-in person for a code, before something that matters."""
    status = await site.mfa.status(me.user_id)
    if not status.is_enrolled:
        return redirect(f"{visit.base}/setup")
    return _saying(site, visit, me, status, await code_page("reverify.html", site, visit, me, status))


async def reverify(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Take the code of a step-up, and do what it was asked for, or go back to where it was asked for."""
    code, is_passkey = answered(visit)
    status = await site.mfa.status(me.user_id)
    asked = _asked(site, visit, me)
    if not code:
        page = nothing_typed(await code_page("reverify.html", site, visit, me, status))
        return _saying(site, visit, me, status, page)
    try:
        verified = await step_up.reverify(site, me, code, visit.origin)
    except NotEnrolled:
        if asked is not None and asked.path == "/disable":
            # The form came twice, and the first one has done it.
            return await _done(site, visit, me, asked)
        raise
    except Rejected as rejected:
        status = await site.mfa.status(me.user_id)
        page = await refused_code("reverify.html", site, visit, me, status, rejected, is_passkey=is_passkey)
        return _saying(site, visit, me, status, page)
    if verified is None:
        # The form came twice, and the first one has done it, or another page took the code.
        if asked is None:
            return redirect(_destination(site, visit, me))
        if asked.epoch != status.epoch:
            return redirect(f"{visit.base}{ACTIONS[asked.path].over}")
        return await _done(site, visit, me, asked)
    if asked is None or asked.epoch != status.epoch:
        return replace(redirect(_destination(site, visit, me)), remember=verified)
    page = await _done(site, visit, replace(me, proof=verified.token), asked)
    return replace(page, remember=verified)


def _asked(site: Site, visit: Visit, me: SignedIn) -> Intent | None:
    """What this session asked for before the code, if the address says so and nothing in it is odd."""
    token = visit.query.get("then", "")
    asked = intent.read(site.keyring, token, me.session_id, realm=site.realm, now=site.clock())
    action = None if asked is None else ACTIONS.get(asked.path)
    if asked is None or action is None:
        return None
    is_listed = set(asked.form) <= set(action.fields) and set(asked.values) <= set(action.values)
    return asked if is_listed else None


async def _done(site: Site, visit: Visit, me: SignedIn, asked: Intent) -> Page:
    """Do what was asked for, as its own form would."""
    values = {**visit.path_values, **asked.values}
    return await ACTIONS[asked.path].page(site, replace(visit, form=asked.form, path_values=values, query={}), me)


def _saying(site: Site, visit: Visit, me: SignedIn, status: Status, page: Page) -> Page:
    """The page, with what is done after the code."""
    asked = _asked(site, visit, me)
    if asked is None or asked.epoch != status.epoch:
        return replace(page, context={**page.context, "then": None, "asked": None})
    told = {"then": visit.query["then"], "asked": _(ACTIONS[asked.path].told)}
    return replace(page, context={**page.context, **told})


def _destination(site: Site, visit: Visit, me: SignedIn) -> str:
    # The address names a destination, so that it can never be one of somebody else's.
    own = {"security": f"{visit.base}/security?done=confirmed", "setup": f"{visit.base}/setup"}
    asked = {} if me.back is None else {"asked": me.back}
    places = {**site.destinations, **asked, **own}
    return places.get(visit.query.get("next", ""), own["security"])
