"""Forms: where one came from, whether it is ours, and what it holds. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from twofold.errors import MissingKey, Tampered
from twofold.keyring import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.keyring import Keyring

LIMIT = 32 * 1024
"""No form of ours is longer, in bytes."""

_FIELDS = 20
_LONGEST_CODE = 128


class BadForm(Exception):
    """What was sent is not a form of ours. `status` is the HTTP status that says so."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def token(keyring: Keyring, session_id: str) -> str:
    """The token that every form of one session carries: an HMAC of the session id."""
    return keyring.mac("forms", canonical("form", session_id))


def check_token(keyring: Keyring, session_id: str, given: str) -> None:
    """Compare in constant time. Raises BadForm for the token of another session, an older key, or no token at all."""
    try:
        is_ours = keyring.check("forms", canonical("form", session_id), given)
    except (MissingKey, Tampered):
        is_ours = False
    if not is_ours:
        raise BadForm(403, "This form is out of date.")


def _host(origin: str) -> str | None:
    """The host and port that an Origin header names; None for `null` and for what is no address."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def check_origin(headers: Mapping[str, str]) -> None:
    """Raise BadForm for a form that another site sent.

    `Sec-Fetch-Site` decides where the browser sends it, else `Origin` against `Host`. A client that sends neither is no
    browser that another site could use, and still needs the token.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        is_ours = site == "same-origin"
    elif origin is not None:
        is_ours = _host(origin) == headers.get("host", "").lower()
    else:
        is_ours = True
    if not is_ours:
        raise BadForm(403, "This form was sent from another site.")


def read(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Read a form. Raises BadForm for anything but a small, well-formed, URL-encoded one that names each field once."""
    if len(body) > LIMIT:
        raise BadForm(413, "The form is too long.")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise BadForm(400, "This is not a form.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise BadForm(400, "The form cannot be read.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise BadForm(400, "A field is there twice.")
    return form


def field(form: Mapping[str, str], name: str, *, limit: int = _LONGEST_CODE) -> str:
    """One field of a form. Raises BadForm where it is missing or longer than anything that belongs there."""
    value = form.get(name)
    if value is None:
        raise BadForm(400, "A field is missing.")
    if len(value) > limit:
        raise BadForm(400, "A field is too long.")
    return value
