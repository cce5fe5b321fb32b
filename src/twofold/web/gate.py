"""The gate in front of every page: who may see it, whether a form is ours, and what an error looks like.

`ROUTES` lists every page. A page that is not listed does not exist, and a listed one is behind the gate.

Tests: `tests/web/test_gate.py`, `tests/web/test_addresses.py`, `tests/web/test_outages.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from urllib.parse import urlencode

from twofold import lines
from twofold.errors import (
    AlreadyEnrolled,
    EnrollmentExpired,
    LastFactor,
    MFAError,
    NotEnrolled,
    Stale,
    TooManyPasskeys,
    UnknownUser,
)
from twofold.web import addresses, forms, languages, onward, problems, refusals
from twofold.web.languages import gettext as _
from twofold.web.page import HEADERS, Page, error, redirect
from twofold.web.pages import backup_codes, login, passkeys, security, setup, step_up
from twofold.web.visit import SignedIn, Visit, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from twofold.web.site import Site

S = TypeVar("S", Waiting, SignedIn)


@dataclass(frozen=True, slots=True)
class Route(Generic[S]):
    """One page: how it is asked for, for whom it is, what it does, and where its step-up leads back to.

    `form` is the page that a person sees before this one: its own address, or that of the form which leads to it.
    """

    method: Literal["GET", "POST"]
    path: str
    audience: type[S]
    page: Callable[[Site, Visit, S], Awaitable[Page]]
    back: Literal["security", "setup"] = "security"
    form: str = "/security"

    async def answer(self, site: Site, visit: Visit) -> Page:
        """Run the page for a session of its audience, and send every other one where it belongs.

        That comes before token and fields of a form: nothing of it is looked at, and whoever signed in meanwhile in
        another tab is led on and not told of a form that is out of date.
        """
        if self.method == "POST":
            forms.check_origin(visit.headers, visit.outside)
        session = visit.session
        if isinstance(session, self.audience):
            visit = self._read(site, visit, session)
            try:
                return await self.page(site, visit, session)
            except Stale:
                return await step_up.ask(site, visit, session, path=self.path, back=self.back)
        if session is None:
            return login.ended(site) if self.audience is Waiting else redirect(site.login_url)
        return redirect(f"{visit.base}/challenge" if isinstance(session, Waiting) else site.home_url)

    def _read(self, site: Site, visit: Visit, session: S) -> Visit:
        """Read a form, once it is known to be ours."""
        if self.method == "GET":
            return visit
        form = forms.read(visit.headers, visit.body)
        forms.check_token(site.keyring, session.session_id, form.get("csrf", ""), realm=site.realm)
        return replace(visit, form=form)

    def here(self, visit: Visit) -> str:
        """The address under which this visitor may ask again, by GET."""
        query = f"?{urlencode(visit.query)}" if visit.query and self.form == self.path else ""
        return f"{visit.base}{self.form}{query}"


AnyRoute = Route[Waiting] | Route[SignedIn]

ROUTES: tuple[AnyRoute, ...] = (
    Route("GET", "/challenge", Waiting, login.challenge_form, form="/challenge"),
    Route("POST", "/challenge", Waiting, login.challenge, form="/challenge"),
    Route("POST", "/challenge/cancel", Waiting, login.cancel, form="/challenge"),
    Route("GET", "/reverify", SignedIn, step_up.reverify_form, form="/reverify"),
    Route("POST", "/reverify", SignedIn, step_up.reverify, form="/reverify"),
    Route("GET", "/setup", SignedIn, setup.setup_form, back="setup", form="/setup"),
    Route("POST", "/setup/begin", SignedIn, setup.begin, back="setup", form="/setup"),
    Route("POST", "/setup/confirm", SignedIn, setup.confirm, back="setup", form="/setup"),
    Route("POST", "/passkeys/begin", SignedIn, passkeys.begin),
    Route("POST", "/passkeys/confirm", SignedIn, passkeys.confirm),
    Route("POST", "/passkeys/revoke-all", SignedIn, passkeys.revoke_all),
    Route("POST", "/passkeys/{passkey_id}/rename", SignedIn, passkeys.rename),
    Route("POST", "/passkeys/{passkey_id}/revoke", SignedIn, passkeys.revoke),
    Route("POST", "/app/remove", SignedIn, passkeys.remove_app),
    Route("GET", "/security", SignedIn, security.security),
    Route("GET", "/backup-codes", SignedIn, backup_codes.shown, form="/backup-codes"),
    Route("POST", "/backup-codes/kept", SignedIn, backup_codes.kept, form="/backup-codes"),
    Route("POST", "/backup-codes/download", SignedIn, backup_codes.download, form="/backup-codes"),
    Route("GET", "/backup-codes/regenerate", SignedIn, backup_codes.ask, form="/backup-codes/regenerate"),
    Route("POST", "/backup-codes/regenerate", SignedIn, backup_codes.regenerate, form="/backup-codes/regenerate"),
    Route("POST", "/disable", SignedIn, security.disable),
    Route("POST", "/devices/revoke-all", SignedIn, security.revoke_all),
    Route("POST", "/devices/{device_id}/rename", SignedIn, security.rename),
    Route("POST", "/devices/{device_id}/revoke", SignedIn, security.revoke),
)


async def serve(site: Site, route: AnyRoute, visit: Visit) -> Page:
    """Answer one request: a page with its body and all of its headers, or a place to go to."""
    with languages.speaking(visit.language):
        return _finished(site, visit, await _answer(site, route, visit))


def unavailable(site: Site, route: AnyRoute, visit: Visit, problem: Exception) -> Page:
    """What a person reads where the host raised before anything was asked for: whose request this is, is not known."""
    return closed(site, visit, problem, method=route.method, path=route.path, again=route.here(visit))


def closed(site: Site, visit: Visit, problem: Exception, *, method: str, path: str, again: str) -> Page:
    """What a person reads at any address while it is not known who may get in; `again` is the address to ask for."""
    with languages.speaking(visit.language):
        return _finished(site, visit, _outage(method, path, again, problem))


async def _answer(site: Site, route: AnyRoute, visit: Visit) -> Page:
    try:
        if visit.session is None:
            forms.check_cookies(visit.outside)
        return await route.answer(site, visit)
    except forms.Insecure:
        return _insecure(visit)
    except forms.OutOfDate:
        return _out_of_date(route, visit)
    except forms.BadForm as bad:
        again = (_("Load the page again"), route.here(visit))
        return error(bad.status, _("That did not work"), str(bad), action=again)
    except MFAError as problem:
        return _explain(site, route, visit, problem)


def _insecure(visit: Visit) -> Page:
    sentence = _(
        "This address begins with http, and so the browser keeps nothing of this site. Open the site by https."
    )
    public = visit.outside.public
    action = None if public is None else (_("Open %(address)s", address=public), str(public))
    return error(403, _("Open this site by https"), sentence, action=action)


def unfinished(site: Site, route: AnyRoute, visit: Visit, problem: Exception) -> Page:
    """What a person reads where the host raised while it did to the session what a page had asked for.

    By then the operation is done and the code is spent.
    """
    lines.HOST_FAILED.write(route.method, route.path, type(problem).__name__)
    with languages.speaking(visit.language):
        again = (_("Try again"), route.here(visit))
        page = error(503, _("We will be back soon"), refusals.unfinished(), action=again, retry=30)
        return _finished(site, visit, page)


def elsewhere(site: Site, method: str, rest: str, visit: Visit) -> Page:
    """Answer a request for an address below the prefix that no route takes, the same for everybody."""
    with languages.speaking(visit.language):
        return _finished(site, visit, addresses.other(ROUTES, method, rest, base=visit.base, query=visit.query))


def _out_of_date(route: AnyRoute, visit: Visit) -> Page:
    """Tell whoever pressed a button of an old page, perhaps of somebody else who was signed in here, what is now."""
    session = visit.session
    sentence = _(
        "It was opened in an earlier sign-in. You are now here as %(name)s. Nothing was changed.",
        name=session.account_name if session else "",
    )
    return error(403, _("This page is out of date"), sentence, action=(_("Load the page again"), route.here(visit)))


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


def _explain(site: Site, route: AnyRoute, visit: Visit, problem: MFAError) -> Page:
    match problem:
        case NotEnrolled() | EnrollmentExpired():
            return redirect(f"{visit.base}/setup")
        case AlreadyEnrolled():
            return redirect(f"{visit.base}/security")
        case TooManyPasskeys() | LastFactor():
            back = (_("Back to security"), f"{visit.base}/security")
            return error(
                problems.of(problem).status, _("That did not work"), refusals.at_the_edge(problem), action=back
            )
        case UnknownUser():
            return replace(redirect(site.login_url), log_out=True)
        case _:
            return _outage(route.method, route.path, route.here(visit), problem)


def _outage(method: str, path: str, again: str, problem: Exception) -> Page:
    """An outage lets nobody through, ours or the host's, and says so with a way to try again."""
    lines.NOT_AVAILABLE.write(method, path, type(problem).__name__, problems.sentence(problem))
    action = (_("Try again"), again)
    return error(503, _("We will be back soon"), refusals.outage(problem), action=action, retry=30)


def _render(site: Site, visit: Visit, template: str, context: Mapping[str, Any]) -> str:
    session = visit.session
    common = {
        "product": site.settings.issuer,
        "base": visit.base,
        "home_url": site.home_url,
        "sign_in_at": visit.outside.absolute(site.login_url),
        "csrf": forms.token(site.keyring, session.session_id, realm=site.realm) if session else "",
        "support_url": site.settings.support_url,
        "account_name": session.account_name if session else "",
    }
    return site.look.render(template, {**common, **context})
