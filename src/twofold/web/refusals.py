"""Refusals as the person reads them who is refused. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.errors import Reason
from twofold.web.languages import current

if TYPE_CHECKING:
    from twofold.errors import Rejected

REFUSED = "The code was not accepted. Wait for the next one, and type it again."
MALFORMED = "That does not look like a code. Type all digits that the app shows."
SUSPENDED = (
    "Codes from the app are stopped after too many wrong ones, until it is set up anew. "
    "A backup code lets you in to do that; without one, ask support for a reset."
)


def refusal(rejected: Rejected, *, has_backup_codes: bool) -> str:
    """What a refused person reads: the same for every code that was looked at, whatever the reason (ASVS 6.3.8)."""
    if rejected.retry_after is not None:
        sentence = f"There were too many wrong codes. Try again in {current().duration(rejected.retry_after)}."
        return f"{sentence} A backup code works at once." if has_backup_codes else sentence
    if rejected.reason is Reason.MALFORMED:
        return f"{MALFORMED[:-1]}, or a whole backup code." if has_backup_codes else MALFORMED
    if rejected.reason is Reason.ALTERED:
        return "Backup codes cannot be used at the moment. Use the app, and then make new ones."
    if rejected.reason is Reason.SUSPENDED:
        return SUSPENDED
    return REFUSED
