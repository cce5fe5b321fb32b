"""What a page answers, free of any framework."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from twofold.confidential import Confidential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.outcomes import DeviceToken, Verified

HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
        "publickey-credentials-create=(self), publickey-credentials-get=(self)"
    ),
    # With no-referrer, browsers send `Origin: null` with our own forms (Fetch standard), and the origin check needs it.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every page: nothing from elsewhere runs, frames, caches or learns of it (ASVS 3.4, 14.3.2)."""


class Document(Protocol):
    """What a program is answered."""

    def written(self) -> str:
        """Its text, as it goes over the line."""
        ...

    def giving(self, given: Mapping[str, Any], /) -> Document:
        """The document with what the host gives to the program, where there is a place for it."""
        ...


@dataclass(frozen=True, slots=True)
class Page(Confidential):
    """A status with a template, a document or a `location`, and what the binding must do to session and cookies.

    - `log_in`: the second factor was given; the host makes a new session with this proof.
    - `remember`: the host keeps this proof in the session that it has.
    - `changed`: the factors of the user changed; the host ends every other session of the user, and this one goes on.
    - `log_out`: the host ends the session.
    - `document`: what a program is answered, in place of a template.
    - `device`: the new token for the cookie of a trusted device; `forget_device` names a cookie that is taken away.
    """

    template: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)
    status: int = 200
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    log_in: Verified | None = None
    remember: Verified | None = None
    changed: bool = False
    log_out: bool = False
    device: DeviceToken | None = None
    forget_device: str | None = None
    body: str = field(default="", repr=False)
    document: Document | None = field(default=None, repr=False)

    def written(self) -> Page:
        """The page with its document as its body."""
        return self if self.document is None else replace(self, body=self.document.written())

    def giving(self, given: Mapping[str, Any]) -> Page:
        """The page whose document holds what the host gives."""
        return self if self.document is None else replace(self, document=self.document.giving(given)).written()


def redirect(location: str) -> Page:
    """Go on by GET, so that a reload repeats nothing."""
    return Page(status=303, location=location)


def error(status: int, title: str, sentence: str, *, action: tuple[str, str] | None = None, retry: int = 0) -> Page:
    """A plain page that says what happened, and with `action` (label, address) where to go on."""
    headers = {"Retry-After": str(retry)} if retry else {}
    return Page("error.html", {"title": title, "sentence": sentence, "action": action}, status, headers=headers)
