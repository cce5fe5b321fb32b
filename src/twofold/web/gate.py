"""The gate in front of every page: who may see it, whether a form is ours, and what an error looks like.

`ROUTES` lists every page. A page that is not listed does not exist, and a listed one is behind the gate.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from twofold.errors import AlreadyEnrolled, EnrollmentExpired, MFAError, NotEnrolled, Stale, UnknownUser
from twofold.web import forms, languages, onward
from twofold.web.languages import gettext as _
from twofold.web.page import HEADERS, Page, error, redirect
from twofold.web.pages import backup_codes, login, security, setup, step_up
from twofold.web.visit import SignedIn, Visit, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from twofold.web.site import Site

S = TypeVar("S", Waiting, SignedIn)

_log = logging.getLogger("twofold.web")


@dataclass(frozen=True, slots=True)
class Route(Generic[S]):
    """One page: how it is asked for, for whom it is, what it does, and where its step-up leads back to."""

    method: Literal["GET", "POST"]
    path: str
    audience: type[S]
    page: Callable[[Site, Visit, S], Awaitable[Page]]
    back: Literal["security", "setup"] = "security"

    async def answer(self, site: Site, visit: Visit) -> Page:
        """Run the page for a session of its audience, and send every other one where it belongs."""
        session = visit.session
        if isinstance(session, self.audience):
            return await self.page(site, visit, session)
        if session is None:
            return redirect(site.login_url)
        return redirect(f"{visit.base}/challenge" if isinstance(session, Waiting) else site.home_url)


AnyRoute = Route[Waiting] | Route[SignedIn]

ROUTES: tuple[AnyRoute, ...] = (
    Route("GET", "/challenge", Waiting, login.challenge_form),
    Route("POST", "/challenge", Waiting, login.challenge),
    Route("POST", "/challenge/cancel", Waiting, login.cancel),
    Route("GET", "/reverify", SignedIn, step_up.reverify_form),
    Route("POST", "/reverify", SignedIn, step_up.reverify),
    Route("GET", "/setup", SignedIn, setup.setup_form, back="setup"),
    Route("POST", "/setup/begin", SignedIn, setup.begin, back="setup"),
    Route("POST", "/setup/confirm", SignedIn, setup.confirm, back="setup"),
    Route("GET", "/security", SignedIn, security.security),
    Route("POST", "/backup-codes/regenerate", SignedIn, backup_codes.regenerate),
    Route("POST", "/backup-codes/download", SignedIn, backup_codes.download),
    Route("POST", "/disable", SignedIn, security.disable),
    Route("POST", "/devices/revoke-all", SignedIn, security.revoke_all),
    Route("POST", "/devices/{device_id}/revoke", SignedIn, security.revoke),
)


async def serve(site: Site, route: AnyRoute, visit: Visit) -> Page:
    """Answer one request: a page with its body and all of its headers, or a place to go to."""
    with languages.speaking(visit.language):
        return await _answer(site, route, visit)


async def _answer(site: Site, route: AnyRoute, visit: Visit) -> Page:
    try:
        if visit.session is None:
            forms.check_cookies(visit.outside)
        if route.method == "POST":
            visit = _read(site, visit)
        page = await route.answer(site, visit)
    except forms.Insecure:
        page = _insecure(visit)
    except forms.OutOfDate:
        page = _out_of_date(visit)
    except forms.BadForm as bad:
        page = error(bad.status, "That did not work", f"{bad} Go back, reload the page and try again.")
    except MFAError as problem:
        page = _explain(site, route, visit, problem)
    return _finished(site, visit, page)


def _insecure(visit: Visit) -> Page:
    sentence = _(
        "This address begins with http, and so the browser keeps nothing of this site. Open the site by https."
    )
    public = visit.outside.public
    action = None if public is None else (_("Open %(address)s", address=public), str(public))
    return error(403, _("Open this site by https"), sentence, action=action)


def _out_of_date(visit: Visit) -> Page:
    """Tell whoever pressed a button of an old page, perhaps of somebody else who was signed in here, what is now."""
    session = visit.session
    sentence = _(
        "It was opened in an earlier sign-in. You are now here as %(name)s. Nothing was changed.",
        name=session.account_name if session else "",
    )
    here = "challenge" if isinstance(session, Waiting) else "security"
    return error(403, _("This page is out of date"), sentence, action=(_("Go on"), f"{visit.base}/{here}"))


def lead_on(site: Site, visit: Visit, location: str) -> Page | None:
    """A page that leads on to another origin, where a redirect from the form would end at the form; else None."""
    name = onward.destination(visit, location)
    if name is None:
        return None
    with languages.speaking(visit.language):
        return _finished(site, visit, onward.page(location, name))


def _finished(site: Site, visit: Visit, page: Page) -> Page:
    headers = {**HEADERS, **onward.headers(visit.session), **page.headers}
    if page.template is None:
        return replace(page, headers={**headers, "Location": page.location or site.home_url})
    spoken = {"Content-Language": visit.language.tag, "Vary": "Accept-Language"}
    return replace(page, headers=headers | spoken, body=_render(site, visit, page.template, page.context))


def _read(site: Site, visit: Visit) -> Visit:
    """Read a form, once it is known to be ours."""
    forms.check_origin(visit.headers, visit.outside)
    if visit.session is None:
        return visit
    form = forms.read(visit.headers, visit.body)
    forms.check_token(site.keyring, visit.session.session_id, form.get("csrf", ""), realm=site.realm)
    return replace(visit, form=form)


def _explain(site: Site, route: AnyRoute, visit: Visit, problem: MFAError) -> Page:
    match problem:
        case Stale():
            return redirect(f"{visit.base}/reverify?next={route.back}")
        case NotEnrolled() | EnrollmentExpired():
            return redirect(f"{visit.base}/setup")
        case AlreadyEnrolled():
            return redirect(f"{visit.base}/security")
        case UnknownUser():
            return replace(redirect(site.login_url), log_out=True)
        case _:
            # What is left is an outage, and an outage lets nobody through.
            _log.error("%s %s is not available: %s: %s", route.method, route.path, type(problem).__name__, problem)
            sentence = (
                "Two-step sign-in cannot be checked at the moment, so nothing was changed. Try again in a minute. "
                "If this goes on, please tell support."
            )
            return error(503, "We will be back soon", sentence, retry=30)


def _render(site: Site, visit: Visit, template: str, context: Mapping[str, Any]) -> str:
    session = visit.session
    common = {
        "product": site.settings.issuer,
        "base": visit.base,
        "home_url": site.home_url,
        "csrf": forms.token(site.keyring, session.session_id, realm=site.realm) if session else "",
        "support_url": site.settings.support_url,
        "account_name": session.account_name if session else "",
    }
    return site.look.render(template, {**common, **context})
