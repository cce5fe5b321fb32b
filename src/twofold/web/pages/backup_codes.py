"""The pages that show backup codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.web import forms
from twofold.web.languages import gettext as _
from twofold.web.page import Page
from twofold.web.pages.proofs import fresh

if TYPE_CHECKING:
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit


async def regenerate(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Make new backup codes, shown this once; the old ones end."""
    codes = await site.mfa.backup_codes.regenerate(await fresh(site, me), request=visit.origin)
    return Page("backup_codes.html", {"codes": codes, "is_new": False, "today": site.clock()}, changed=True)


async def download(site: Site, visit: Visit, _me: SignedIn) -> Page:
    """Give the codes on the page back as a file. They are read from the form, since nothing keeps them."""
    codes = forms.field(visit.form, "codes", limit=4096).split()
    if not codes or not all(_is_backup_code(code) for code in codes):
        raise forms.BadForm(400, _("These are not backup codes."))
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": 'attachment; filename="backup-codes.txt"',
    }
    return Page("backup_codes.txt", {"codes": codes, "today": site.clock()}, headers=headers)


def _is_backup_code(text: str) -> bool:
    return len(text) <= 40 and text.isascii() and text.replace("-", "").isalnum()
