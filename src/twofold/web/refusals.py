"""Refusals as the person reads them who is refused, in the words of the page that asked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from twofold.backup_codes.codec import SYMBOLS
from twofold.errors import DatabaseUnavailable, LastFactor, Reason
from twofold.typed import one_form
from twofold.web import languages
from twofold.web.languages import gettext as _
from twofold.web.languages import gettext_noop, ngettext

if TYPE_CHECKING:
    from datetime import timedelta

    from twofold.errors import Rejected, TooManyPasskeys

Asking = Literal["app", "backup_code", "passkey", "setup"]
"""What the page asked for: a code of the app, a backup code, a passkey, or the first code of a new app."""

NOTHING_TYPED = gettext_noop("Type a code first.")
REFUSED = gettext_noop(
    "The code was not accepted. Wait for the next one, and type it. "
    "If that is refused as well, let your phone set its time by itself."
)
BACKUP_CODE_REFUSED = gettext_noop(
    "That backup code was not accepted. Compare it with your list. A code that was used does not work again."
)
FIRST_CODE_REFUSED = gettext_noop(
    "The code was not accepted. Type the next one of the entry that you have just added. "
    "If that is refused as well, let your phone set its time by itself."
)
SUSPENDED = gettext_noop(
    "Codes from the app are stopped after too many wrong ones, until it is set up anew. "
    "A backup code lets you in to do that."
)
DEAD_END = gettext_noop(
    "Codes from the app are stopped after too many wrong ones, until it is set up anew. "
    "Without a backup code, only support can help: ask for a reset."
)
SUSPENDED_BESIDE_PASSKEYS = gettext_noop(
    "Codes from the app are stopped after too many wrong ones, until it is set up anew. "
    "A passkey lets you in to do that."
)
ALTERED = gettext_noop("Backup codes cannot be used at the moment. Use the app, and then make new ones.")
ALTERED_BESIDE_PASSKEYS = gettext_noop(
    "Backup codes cannot be used at the moment. Use a passkey, and then make new ones."
)
PASSKEY_REFUSED = gettext_noop("The passkey was not accepted. Try again, or take another one of yours.")
ONLY_PASSKEY_REFUSED = gettext_noop("The passkey was not accepted. Try again.")
PASSKEY_CLONED = gettext_noop(
    "This passkey may have been copied, so it is not accepted any more. "
    "Use another way, remove it on the security page, and change your password."
)
ONLY_PASSKEY_CLONED = gettext_noop("This passkey may have been copied, so it is not accepted any more.")
PASSKEYS_ALTERED = gettext_noop(
    "Passkeys cannot be used at the moment. Use another way, and tell support what the security page says."
)
NO_WAY = gettext_noop(
    "Nothing that you could confirm with works here, and no backup code is left. "
    "Only support can help: ask for a reset."
)
NOTHING_SIGNED = gettext_noop("Nothing came from your passkey. Try again.")
NEW_PASSKEY_REFUSED = gettext_noop("The passkey was not accepted, so none was set up. Try again.")
NEW_PASSKEY_NOT_ALLOWED = gettext_noop(
    "This kind of passkey is not accepted here, so none was set up. "
    "Use another one, and allow the browser to say what kind it is."
)
NEW_PASSKEY_LATE = gettext_noop("That took too long, so no passkey was set up. Try again.")


class Problem(NamedTuple):
    """A sentence at the field, and what the page puts beside it.

    `wait` is how long codes of the app are refused. `is_open_to_backup_codes` asks for the link to their page,
    `asks_for_help` for the one to support. `is_of_passkey`: no field was typed into.
    """

    sentence: str
    wait: timedelta | None = None
    is_open_to_backup_codes: bool = False
    asks_for_help: bool = False
    is_of_passkey: bool = False


def refusal(
    rejected: Rejected,
    typed: str,
    *,
    asking: Asking,
    digits: int,
    backup_codes: int,
    has_app: bool = True,
    passkeys: int = 0,
    is_suspended: bool = False,
    lasts: timedelta | None = None,
) -> Problem:
    """What a refused person reads: the same for every code that was looked at, whatever the reason (ASVS 6.3.8).

    `digits` is the length of the person's codes, `backup_codes` how many are left, `passkeys` how many can answer
    here, `has_app` whether there is an app, and `is_suspended` how it stands after the refusal. `lasts` is how long a
    sign-in waits for its code.
    """
    if asking == "passkey" or rejected.reason in _OF_PASSKEYS:
        has_way = backup_codes > 0 or passkeys > 0 or (has_app and not is_suspended)
        return _of_passkey(rejected.reason, has_way=has_way, passkeys=passkeys)
    if rejected.reason is Reason.MALFORMED:
        return Problem(_mistyped(typed, asking, digits))
    if rejected.reason is Reason.ALTERED:
        if not has_app and not passkeys:
            return Problem(_(NO_WAY), asks_for_help=True)
        return Problem(_(ALTERED if has_app else ALTERED_BESIDE_PASSKEYS))
    if asking == "setup":
        return Problem(_(FIRST_CODE_REFUSED))
    is_looked_at = rejected.reason not in {Reason.WAITING, Reason.EXHAUSTED, Reason.SUSPENDED}
    if asking == "backup_code" and is_looked_at:
        return Problem(_(BACKUP_CODE_REFUSED))
    # No wait ends a suspension, so it is told first.
    if is_suspended or rejected.reason is Reason.SUSPENDED:
        return Problem(
            _(SUSPENDED_BESIDE_PASSKEYS if passkeys else SUSPENDED if backup_codes else DEAD_END),
            is_open_to_backup_codes=backup_codes > 0,
            asks_for_help=not backup_codes and not passkeys,
        )
    if rejected.retry_after is not None:
        return Problem(
            _waiting(rejected.retry_after, lasts), rejected.retry_after, is_open_to_backup_codes=backup_codes > 0
        )
    return Problem(_(REFUSED))


_OF_PASSKEYS = frozenset({Reason.PASSKEY_REFUSED, Reason.PASSKEY_CLONED})


def _of_passkey(reason: Reason, *, has_way: bool, passkeys: int) -> Problem:
    """What a person reads whose passkey was refused; `has_way` says whether anything else, or another one, may do."""
    if not has_way:
        why = f"{_(ONLY_PASSKEY_CLONED)} " if reason is Reason.PASSKEY_CLONED else ""
        return Problem(why + _(NO_WAY), asks_for_help=True, is_of_passkey=True)
    if reason is Reason.ALTERED:
        return Problem(_(PASSKEYS_ALTERED), is_of_passkey=True)
    if reason is Reason.PASSKEY_CLONED:
        return Problem(_(PASSKEY_CLONED), is_of_passkey=True)
    return Problem(_(PASSKEY_REFUSED if passkeys > 1 else ONLY_PASSKEY_REFUSED), is_of_passkey=True)


def of_new_passkey(rejected: Rejected) -> str:
    """What a person reads whose new passkey was refused."""
    is_of_wrong_kind = rejected.reason is Reason.PASSKEY_NOT_ALLOWED
    return _(NEW_PASSKEY_NOT_ALLOWED if is_of_wrong_kind else NEW_PASSKEY_REFUSED)


def at_the_edge(problem: TooManyPasskeys | LastFactor) -> str:
    """What a person reads who asks for one passkey too many, or would end the last way to confirm."""
    if isinstance(problem, LastFactor):
        return _(
            "This is your last way to confirm, so it was not removed. Set up another one first, or turn two-step "
            "sign-in off."
        )
    return _("You have as many passkeys as there may be. Remove one that you do not use, and try again.")


def outage(problem: Exception) -> str:
    """What a person reads of an outage, ours or the host's: whether anything was done."""
    if isinstance(problem, DatabaseUnavailable) and problem.is_unknown:
        return _(
            "The database stopped answering in the middle, so it is not known whether your answer counted. "
            "Try again in a minute. If a code is asked for, use a new one. If this goes on, please tell support."
        )
    return _(
        "Two-step sign-in cannot be checked at the moment, so nothing was changed. Try again in a minute. "
        "If this goes on, please tell support."
    )


def unfinished() -> str:
    """What a person reads whose code was right, where the host could not go on."""
    return _(
        "Your answer arrived, but we could not finish it because of a fault on our side. "
        "Go back to where you were and see how things stand. If a code is asked for, wait for a new one."
    )


def ended(*, is_late: bool) -> str:
    """What a person reads whose sign-in is over: it waited too long, or another one ended it."""
    if is_late:
        return _("This sign-in waited too long. Nothing is wrong; just begin again.")
    return _("Another sign-in to this account was finished meanwhile, and it ended this one. Just begin again.")


def _waiting(wait: timedelta, lasts: timedelta | None) -> str:
    when = languages.current().from_now(wait)
    if lasts is not None and wait >= lasts:
        return _("There were too many wrong codes. Try again %(when)s, and begin the sign-in anew then.", when=when)
    return _("There were too many wrong codes. Try again %(when)s.", when=when)


def _mistyped(typed: str, asking: Asking, digits: int) -> str:
    """What is wrong with the form of what was typed. How a code looks is no secret."""
    plain = one_form(typed)
    number = len(plain)
    if asking == "backup_code":
        if not plain.isascii() or not plain.isalnum() or number == SYMBOLS:
            return _("A backup code has letters from A to Z and digits, and nothing else.")
        return _("A backup code has %(length)s letters and digits; this has %(number)s.", length=SYMBOLS, number=number)
    if plain.isdecimal():
        return ngettext(
            "The code has %(num)s digit; this has %(number)s.",
            "The code has %(num)s digits; this has %(number)s.",
            digits,
            number=number,
        )
    if asking == "setup":
        return ngettext(
            "The code has %(num)s digit, and nothing else.", "The code has %(num)s digits, and nothing else.", digits
        )
    return ngettext(
        "The code has %(num)s digit, and nothing else; a backup code has %(length)s letters and digits.",
        "The code has %(num)s digits, and nothing else; a backup code has %(length)s letters and digits.",
        digits,
        length=SYMBOLS,
    )
