"""Where a host leads on to: other origins after a form, and the opener of a popup. Pure.

Browsers hold every redirect that follows a form against the page's `form-action`, and cut a popup off its opener where
the page asks to stand alone. So what is strict on every page is opened for those that the session names.

Tests: `tests/web/test_onward.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from twofold.origin import Origin
from twofold.web.page import HEADERS, Page
from twofold.web.visit import origins_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.web.visit import SignedIn, Visit, Waiting

_POLICY = "Content-Security-Policy"
_OWN_FORMS = "form-action 'self'"
_OF_APPS = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
"""A private scheme of an app on a phone, as `com.example.app` (RFC 8252 §7.1)."""


def headers(session: Waiting | SignedIn | None) -> Mapping[str, str]:
    """What a session changes in the headers of its pages: nothing, unless the host said that it leads on."""
    if session is None:
        return {}
    changed: dict[str, str] = {}
    if session.onward:
        allowed = " ".join((_OWN_FORMS, *origins_of(session.onward)))
        changed[_POLICY] = HEADERS[_POLICY].replace(_OWN_FORMS, allowed)
    if session.keeps_opener:
        changed["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return changed


def destination(visit: Visit, location: str) -> str | None:
    """What to call the other origin to which a host leads from a form that may not go there; None where it may.

    Such a redirect would end at the form without a word.
    """
    address = f"https:{location}" if location.startswith("//") else location
    if not _is_absolute(address) or visit.outside.is_own(address):
        return None
    origin = Origin.of(address)
    if origin is None:
        scheme = urlsplit(address).scheme
        return scheme if _OF_APPS.fullmatch(scheme) else None
    known = origins_of(visit.session.onward) if visit.session else []
    return None if str(origin) in known else str(origin)


def page(location: str, name: str) -> Page:
    """A page that goes on by itself, and by a link: what a page asks for by GET is held against no form."""
    return Page("onward.html", {"location": location, "name": name}, headers={"Refresh": f"0; url={location}"})


def _is_absolute(address: str) -> bool:
    try:
        return bool(urlsplit(address).scheme)
    except ValueError:
        return False
