"""Where the pages are, as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.cli.doctor.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.settings import Settings


def public_url(settings: Settings) -> Iterator[Check]:
    """What people type to come to the pages."""
    url = settings.public_url
    if url is None:
        yield Check(
            "public URL",
            "ok",
            "TWOFOLD_PUBLIC_URL is not set; each request tells by its Host header where the pages are.",
        )
    elif url.startswith("https:"):
        yield Check("public URL", "ok", f"Forms are taken from {url}, and cookies are Secure.")
    else:
        yield Check(
            "public URL",
            "note",
            f"TWOFOLD_PUBLIC_URL is {url}: cookies are not Secure, and the pages serve this machine alone.",
            "Set it to the https address that people type.",
        )
