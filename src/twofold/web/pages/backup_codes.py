"""The pages that show new backup codes, until their owner says that they are kept."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from twofold.errors import NotEnrolled
from twofold.web.flows import backup_codes as flow
from twofold.web.flows.backup_codes import waiting
from twofold.web.languages import gettext as _
from twofold.web.page import Page, redirect

if TYPE_CHECKING:
    from twofold.outcomes import ShownCodes
    from twofold.web.site import Site
    from twofold.web.visit import SignedIn, Visit


async def shown(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Show the new codes to the session that made them, as often as it asks."""
    codes = await waiting(site, me)
    return redirect(f"{visit.base}/security") if codes is None else await _page(site, me, codes)


async def ask(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Ask before new codes are made, since those that there are end."""
    if await waiting(site, me) is not None:
        return redirect(f"{visit.base}/backup-codes")
    status = await site.mfa.status(me.user_id)
    if not status.is_enrolled:
        raise NotEnrolled
    return Page("new_backup_codes.html", {"left": status.backup_codes_remaining})


async def regenerate(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Make new backup codes; the old ones end. Codes that wait to be kept are shown, and no others are made."""
    if await waiting(site, me) is not None:
        return redirect(f"{visit.base}/backup-codes")
    if visit.form.get("sure") != "yes":
        return redirect(f"{visit.base}/backup-codes/regenerate")
    await flow.regenerate(site, me, visit.origin)
    return replace(redirect(f"{visit.base}/backup-codes"), changed=True)


async def kept(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Take the word of the owner that the codes are kept; from then on nobody sees them."""
    codes = await waiting(site, me)
    if codes is not None and visit.form.get("kept") != "yes":
        page = await _page(site, me, codes)
        problem = _("Keep the codes first, and then tick the box.")
        return replace(page, status=400, context={**page.context, "problem": problem})
    is_kept = await flow.keep(site, me, visit.origin)
    return redirect(f"{visit.base}/security{'?done=kept' if is_kept else ''}")


async def download(site: Site, visit: Visit, me: SignedIn) -> Page:
    """Give the codes that are shown as a file."""
    codes = await waiting(site, me)
    if codes is None:
        return redirect(f"{visit.base}/security")
    name = _file_name(f"{site.settings.issuer}-backup-codes-{me.account_name}")
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": name,
    }
    page = await _page(site, me, codes)
    return replace(page, template="backup_codes.txt", headers=headers)


async def _page(site: Site, me: SignedIn, codes: ShownCodes) -> Page:
    status = await site.mfa.status(me.user_id)
    # The first codes are made in the moment in which the factor begins.
    is_new = status.enabled_at is not None and abs(codes.made_at - status.enabled_at).total_seconds() < 1
    context = {
        "codes": codes.codes,
        "is_new": is_new,
        "has_app": status.has_app,
        "made_at": codes.made_at,
        "left": codes.expires_at - site.clock(),
        "problem": None,
    }
    return Page("backup_codes.html", context)


def _file_name(stem: str) -> str:
    """A name that any disk takes, and the whole one for browsers that read it (RFC 6266 §4.3)."""
    whole = re.sub(r"[^\w.@+-]+", "-", stem).strip("-.")[:120]
    plain = unicodedata.normalize("NFKD", whole).encode("ascii", "ignore").decode() or "backup-codes"
    told = f'attachment; filename="{plain}.txt"'
    return told if plain == whole else f"{told}; filename*=UTF-8''{quote(whole)}.txt"
