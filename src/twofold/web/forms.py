"""Forms: where one came from, whether it is ours, and what it holds. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from twofold.errors import MissingKey, Tampered
from twofold.keyring import canonical
from twofold.web.languages import gettext as _
from twofold.web.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.keyring import Keyring
    from twofold.settings import Settings

LIMIT = 32 * 1024
"""No form of ours is longer, in bytes."""

_FIELDS = 20
_LONGEST_CODE = 128


class BadForm(Exception):
    """What was sent is not a form of ours. `status` is the HTTP status, and the text is for the person who sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class OutOfDate(BadForm):
    """The form belongs to another session than the present one: of an earlier sign-in, perhaps of somebody else."""


class Insecure(BadForm):
    """Over plain http from another machine a browser keeps no Secure cookie, and every form would be out of date."""

    def __init__(self) -> None:
        super().__init__(
            403,
            _("This address begins with http, and so the browser keeps nothing of this site. Open the site by https."),
        )


def realm_of(settings: Settings) -> str:
    """What tells the forms of two routers in one application apart, where one session opens both."""
    return canonical(settings.users, settings.device_cookie, settings.issuer).hex()


def token(keyring: Keyring, session_id: str, *, realm: str = "") -> str:
    """The token that every form of one session carries: an HMAC of the session id, for one realm."""
    return keyring.mac("forms", canonical("form", realm, session_id))


def check_token(keyring: Keyring, session_id: str, given: str, *, realm: str = "") -> None:
    """Compare in constant time. Raises OutOfDate for the token of another session or an older key, or for none."""
    try:
        is_ours = keyring.check("forms", canonical("form", realm, session_id), given)
    except (MissingKey, Tampered):
        is_ours = False
    if not is_ours:
        raise OutOfDate(403, _("This page is out of date. Nothing was changed."))


def check_origin(headers: Mapping[str, str], outside: Outside | None = None) -> None:
    """Raise BadForm for a form that another site sent.

    `Sec-Fetch-Site` decides where the browser sends it, else `Origin` against the address of this site. A client that
    sends neither is no browser that another site could use, and still needs the token.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        is_ours = site == "same-origin"
    elif origin is not None:
        is_ours = (outside or Outside("http", headers)).is_own(origin)
    else:
        is_ours = True
    if not is_ours:
        raise BadForm(403, _("This form was sent from another site. Nothing was changed."))


def check_cookies(outside: Outside) -> None:
    """Raise Insecure for a visit without a session whose browser keeps no cookie of ours where it stands."""
    if outside.loses_cookies:
        raise Insecure


def read(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Read a form. Raises BadForm for anything but a small, well-formed, URL-encoded one that names each field once."""
    if len(body) > LIMIT:
        raise BadForm(413, _("What you sent is too long. Nothing was changed."))
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise BadForm(400, _("The form did not arrive whole. Nothing was changed."))
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise BadForm(400, _("The form did not arrive whole. Nothing was changed.")) from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise BadForm(400, _("The form did not arrive whole. Nothing was changed."))
    return form


def field(form: Mapping[str, str], name: str, *, limit: int = _LONGEST_CODE) -> str:
    """One field of a form. Raises BadForm where it is missing or longer than anything that belongs there."""
    value = form.get(name)
    if value is None:
        raise BadForm(400, _("The form did not arrive whole. Nothing was changed."))
    if len(value) > limit:
        raise BadForm(400, _("What you typed is too long. Nothing was changed."))
    return value
