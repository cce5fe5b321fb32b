"""What each page does, one function per page, free of any framework.

A page function gets the `Site`, the `Visit`, and the session that its route demands; it returns a `Page`. The gate has
already seen to session, origin and form token, and turns what is raised here into pages.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from twofold.errors import EnrollmentExpired, MFAError, NotEnrolled, Reason, Rejected, Stale
from twofold.trusted_devices import cookie as device_cookie
from twofold.web import activity, forms, refusals
from twofold.web.page import Page, error, redirect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from twofold.keyring import Keyring
    from twofold.mfa import AsyncMFA
    from twofold.outcomes import Verified
    from twofold.settings import Settings
    from twofold.totp.provisioning import Enrollment
    from twofold.web.visit import SignedIn, Visit, Waiting

EVENTS_PER_PAGE = 10

DONE: Mapping[str, str] = {
    "disabled": "Two-step sign-in is off.",
    "revoked": "The device is no longer trusted.",
    "all_revoked": "No device is trusted any more.",
    "confirmed": "Thank you. You can make changes for a few minutes.",
}
"""What the security page says after a change, by the word in its address."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages of one application share.

    `draw` renders a QR code where that does not hold up other requests. `destinations` are further places, by name,
    that the step-up page may lead back to.
    """

    mfa: AsyncMFA
    settings: Settings
    keyring: Keyring = field(repr=False)
    clock: Callable[[], datetime]
    draw: Callable[[Enrollment], Awaitable[str]]
    login_url: str
    home_url: str
    stylesheet: str | None
    destinations: Mapping[str, str]


async def challenge_form(site: Site, visit: Visit, _me: Waiting) -> Page:
    """Ask for the code of a login that waits."""
    return _code_page("challenge.html", site, visit)


async def challenge(site: Site, visit: Visit, me: Waiting) -> Page:
    """Answer the challenge: log in, or ask again."""
    code = forms.field(visit.form, "code").strip()
    if not code:
        return _nothing_typed("challenge.html", site, visit)
    try:
        verified = await site.mfa.verify(me.challenge, code, request=visit.origin)
    except Rejected as rejected:
        if rejected.reason is Reason.CHALLENGE_EXPIRED:
            sentence = "This sign-in waited too long for its code. Nothing is wrong; just begin again."
            page = error(400, "Please sign in again", sentence, action=("Sign in", site.login_url))
            return replace(page, log_out=True)
        return _refused(_code_page("challenge.html", site, visit), rejected, has_backup_codes=True)
    # Only what an app proved may spare the next code: whoever uses a backup code may have lost the phone.
    device = None
    if "trust_device" in visit.form and verified.factor == "totp" and site.settings.device_limit > 0:
        try:
            before = visit.cookies.get(device_cookie.name_for(site.settings, verified.user_id))
            device = await site.mfa.trusted_devices.trust(verified, replaces=before, request=visit.origin)
        except MFAError:
            # The code is spent and right; that the browser is not remembered must not cost the login.
            device = None
    return Page(status=303, location=site.home_url, log_in=verified, device=device)


async def cancel(site: Site, _visit: Visit, _me: Waiting) -> Page:
    """Give up a login that waits."""
    return replace(redirect(site.login_url), log_out=True)


async def reverify_form(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Ask a signed-in person for a code, before something that matters."""
    status = await site.mfa.status(me.user_id)
    if not status.is_enrolled:
        return redirect(f"{visit.base}/setup")
    return _code_page("reverify.html", site, visit)


async def reverify(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Take the code of a step-up and go back to where it was asked for."""
    code = forms.field(visit.form, "code").strip()
    if not code:
        return _nothing_typed("reverify.html", site, visit)
    try:
        verified = await site.mfa.reverify(me.user_id, code, request=visit.origin)
    except Rejected as rejected:
        if rejected.reason is Reason.NOT_ENROLLED:
            raise NotEnrolled from None
        return _refused(_code_page("reverify.html", site, visit), rejected, has_backup_codes=True)
    # The address names a destination, so that it can never be one of somebody else's.
    own = {"security": f"{visit.base}/security?done=confirmed", "setup": f"{visit.base}/setup"}
    places = {**site.destinations, **own}
    return replace(redirect(places.get(visit.query.get("next", ""), own["security"])), remember=verified)


async def setup_form(site: Site, _visit: Visit, me: SignedIn) -> Page:
    """Show the secret that waits for confirmation, or how to begin."""
    return await _setup(site, me)


async def begin(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Make a secret. Replacing an app that works needs a fresh proof."""
    status = await site.mfa.status(me.user_id)
    verified = await fresh(site, me) if status.is_enrolled else None
    await site.mfa.totp.begin(
        me.user_id,
        account_name=me.account_name,
        verified=verified,
        session=me.session_id,
        request=visit.origin,
    )
    return redirect(f"{visit.base}/setup")


async def confirm(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Take the first code of the app; answer with the backup codes, shown this once."""
    code = forms.field(visit.form, "code").strip()
    if (await site.mfa.status(me.user_id)).is_enrolled:
        await fresh(site, me)
    if not code:
        page = await _setup(site, me)
        return replace(page, status=400, context={**page.context, "problem": "Type the code that the app shows."})
    try:
        enrolled = await site.mfa.totp.confirm(me.user_id, code, session=me.session_id, request=visit.origin)
    except Rejected as rejected:
        page = await _setup(site, me)
        return _over(page) if page.template == "begin.html" else _refused(page, rejected, has_backup_codes=False)
    except EnrollmentExpired:
        return _over(await _setup(site, me))
    page = Page("backup_codes.html", {"codes": enrolled.backup_codes, "is_new": True, "today": site.clock()})
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(page, remember=enrolled.verified, changed=True, forget_device=forgotten)


async def security(site: Site, visit: Visit, me: SignedIn) -> Page:
    """How the account stands: factor, backup codes, devices, and what has happened."""
    before = visit.query.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) < 19):
        raise forms.BadForm(400, "This address is not one of ours.")
    events = await site.mfa.events.recent(
        me.user_id, limit=EVENTS_PER_PAGE + 1, before=int(before) if before is not None else None
    )
    shown = events[:EVENTS_PER_PAGE]
    context = {
        "now": site.clock(),
        "status": await site.mfa.status(me.user_id),
        "devices": [
            device
            for device in await site.mfa.trusted_devices.list(me.user_id)
            if device.is_active or device.is_contested
        ],
        "events": [
            {"words": activity.event(event), "place": activity.place(event), "at": event.at, "status": event.status}
            for event in shown
        ],
        "older": shown[-1].seq if len(events) > len(shown) else None,
        "is_first_page": before is None,
        "is_fresh": await is_fresh(site, me),
        "notice": DONE.get(visit.query.get("done", "")),
        "total": site.settings.backup_code_count,
    }
    return Page("security.html", context)


async def regenerate(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Make new backup codes, shown this once; the old ones end."""
    codes = await site.mfa.backup_codes.regenerate(await fresh(site, me), request=visit.origin)
    return Page("backup_codes.html", {"codes": codes, "is_new": False, "today": site.clock()}, changed=True)


async def download(site: Site, visit: Visit, _me: SignedIn) -> Page:
    """Give the codes on the page back as a file. They are read from the form, since nothing keeps them."""
    codes = forms.field(visit.form, "codes", limit=4096).split()
    if not codes or not all(_is_backup_code(code) for code in codes):
        raise forms.BadForm(400, "These are not backup codes.")
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": 'attachment; filename="backup-codes.txt"',
    }
    return Page("backup_codes.txt", {"codes": codes, "today": site.clock()}, headers=headers)


async def disable(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Turn two-step sign-in off."""
    if forms.field(visit.form, "sure") != "yes":
        raise forms.BadForm(400, "Turning off was not confirmed.")
    await site.mfa.totp.disable(await fresh(site, me), request=visit.origin)
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(redirect(f"{visit.base}/security?done=disabled"), changed=True, forget_device=forgotten)


async def revoke(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Stop trusting one device."""
    await fresh(site, me)
    text = visit.path_values.get("device_id", "")
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    if not is_number or not await site.mfa.trusted_devices.revoke(me.user_id, int(text), request=visit.origin):
        back = ("Back to security", f"{visit.base}/security")
        return error(404, "No such device", "This device is not trusted, or not any more.", action=back)
    return redirect(f"{visit.base}/security?done=revoked")


async def revoke_all(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Stop trusting every device."""
    await fresh(site, me)
    await site.mfa.trusted_devices.revoke_all(me.user_id, request=visit.origin)
    forgotten = device_cookie.name_for(site.settings, me.user_id)
    return replace(redirect(f"{visit.base}/security?done=all_revoked"), forget_device=forgotten)


async def fresh(site: Site, me: SignedIn) -> Verified:
    """The proof that this session gave its second factor a moment ago. Raises Stale; a trusted device gives none."""
    if me.proof is None:
        raise Stale
    verified = await site.mfa.proof(me.proof)
    # A host may hold as text what the database holds as a number; it is the same user.
    if str(verified.user_id) != str(me.user_id):
        raise Stale
    return verified


async def is_fresh(site: Site, me: SignedIn) -> bool:
    """Whether changes need no further code."""
    try:
        await fresh(site, me)
    except Stale:
        return False
    return True


async def _setup(site: Site, me: SignedIn) -> Page:
    is_enrolled = (await site.mfa.status(me.user_id)).is_enrolled
    if is_enrolled:
        # Whoever only found an open session must not read the secret of the app to come.
        await fresh(site, me)
    try:
        enrollment = await site.mfa.totp.pending(me.user_id, account_name=me.account_name, session=me.session_id)
    except EnrollmentExpired:
        return Page("begin.html", {"is_enrolled": is_enrolled, "problem": None})
    context: dict[str, Any] = {
        "secret": enrollment.secret,
        "qr": await site.draw(enrollment),
        "left": enrollment.expires_at - site.clock(),
        "is_enrolled": is_enrolled,
        "digits": site.settings.digits,
        "problem": None,
    }
    return Page("setup.html", context)


def _over(page: Page) -> Page:
    """The set-up is over before its code was given."""
    problem = "The set-up waited too long for its code, or there were too many wrong ones. Begin again."
    return replace(page, status=400, context={**page.context, "problem": problem})


def _code_page(template: str, site: Site, visit: Visit) -> Page:
    is_backup_code = visit.query.get("with") == "backup-code"
    destination = visit.query.get("next", "")
    return Page(
        template,
        {
            "is_backup_code": is_backup_code,
            "digits": site.settings.digits,
            "next": destination if destination in {"security", "setup", *site.destinations} else "security",
            "device_lifetime": site.settings.device_lifetime if site.settings.device_limit else None,
            "problem": None,
        },
    )


def _nothing_typed(template: str, site: Site, visit: Visit) -> Page:
    page = _code_page(template, site, visit)
    return replace(page, status=400, context={**page.context, "problem": "Type a code first."})


def _refused(page: Page, rejected: Rejected, *, has_backup_codes: bool) -> Page:
    context = {**page.context, "problem": refusals.refusal(rejected, has_backup_codes=has_backup_codes)}
    wait = rejected.retry_after
    headers = {} if wait is None else {"Retry-After": str(max(1, round(wait.total_seconds())))}
    is_waiting = wait is not None or rejected.reason is Reason.SUSPENDED
    return replace(page, status=429 if is_waiting else 400, context=context, headers=headers)


def _is_backup_code(text: str) -> bool:
    return len(text) <= 40 and text.isascii() and text.replace("-", "").isalnum()
