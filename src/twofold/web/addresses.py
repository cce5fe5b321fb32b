"""Where an address leads that is no page of ours: to the page that it is nearest to, or to one that says so. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from twofold.web.languages import gettext as _
from twofold.web.page import Page, error, redirect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LANDING = "/security"


class Place(Protocol):
    """As much of a page's route as tells where its address leads."""

    @property
    def method(self) -> str:
        """How it is asked for."""
        ...

    @property
    def path(self) -> str:
        """Below the prefix, with names in braces for what differs."""
        ...

    @property
    def form(self) -> str:
        """Where the form stands that leads to it."""
        ...


def other(routes: Sequence[Place], method: str, rest: str, *, base: str, query: Mapping[str, str]) -> Page:
    """Answer a request for `rest`, the path below the prefix, which no route takes with this method.

    A form's address that is opened by hand (the address bar, a second tab, a reload that asks again) leads to the page
    that has the form, as does a slash too many.
    """
    path = f"/{rest.strip('/')}"
    known = [route for route in routes if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.path), path)]
    back = (_("Go to the security page"), f"{base}{_LANDING}")
    if method in {"GET", "HEAD"}:
        if path == "/":
            return redirect(f"{base}{_LANDING}")
        if any(route.method == "GET" for route in known):
            return redirect(f"{base}{path}{'?' if query else ''}{urlencode(query)}")
        if known:
            return redirect(f"{base}{known[0].form}")
    elif known and rest.strip("/") == rest:
        page = error(
            405, _("That did not work"), _("Nothing was changed: this address is not used that way."), action=back
        )
        allowed = sorted({allowed for route in known for allowed in _methods(route)})
        return Page(page.template, page.context, page.status, headers={"Allow": ", ".join(allowed)})
    sentence = _("There is no page at this address. Nothing was changed.")
    return error(404, _("This page does not exist"), sentence, action=back)


def _methods(route: Place) -> tuple[str, ...]:
    return ("GET", "HEAD") if route.method == "GET" else ("POST",)
