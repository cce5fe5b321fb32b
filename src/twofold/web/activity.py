"""Events as their owner reads them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twofold.errors import Reason
from twofold.kinds import Kind
from twofold.request import Request
from twofold.web.languages import ngettext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twofold.outcomes import Event

_FACTORS = {"totp": "a code from the app", "backup_codes": "a backup code"}
_OCCASIONS = {"login": "to sign in", "step_up": "to confirm it was you", "enrollment": "while setting up the app"}

_TABLES = {"mfa_backup_codes": "backup codes", "mfa_device_trusts": "trusted devices"}

_MANAGING = {
    "totp.begin": "Another app",
    "totp.disable": "Turning two-step sign-in off",
    "backup_codes.regenerate": "A set of new backup codes",
    "trusted_devices.trust": "Trust for a browser",
    "password_changed": "An end to earlier wrong codes",
}

_NOT_LOOKED_AT: Mapping[str, str] = {
    Reason.WAITING: "A code was offered during a wait,",
    Reason.SUSPENDED: "A code was offered after the app was stopped,",
    Reason.EXHAUSTED: "A code was offered after too many wrong ones in a month,",
    Reason.CHALLENGE_EXPIRED: "A code came too late",
    Reason.CLOCK_WENT_BACK: "A code was offered while our clock was wrong,",
    Reason.NOT_ENROLLED: "A code was offered where none is needed,",
    Reason.ALTERED: "A backup code was offered while the stored ones did not fit,",
}


def _accepted(details: Mapping[str, Any]) -> str:
    factor = _FACTORS.get(str(details.get("factor")), "a code")
    return f"Confirmed with {factor}" if details.get("occasion") == "step_up" else f"Signed in with {factor}"


def _refused(details: Mapping[str, Any]) -> str:
    occasion = _OCCASIONS.get(str(details.get("occasion")), "")
    what = _NOT_LOOKED_AT.get(str(details.get("reason")), "A wrong code was given")
    return f"{what} {occasion}".rstrip()


def _revoked(details: Mapping[str, Any]) -> str:
    if isinstance(number := details.get("devices"), int):
        return ngettext("%(num)s device no longer trusted", "%(num)s devices no longer trusted", number)
    return f"{details.get('device') or 'A device'} no longer trusted"


_EVENTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    Kind.TOTP_BEGUN: lambda _: "Set-up of an authenticator app was started",
    Kind.TOTP_CONFIRMED: lambda d: "The authenticator app was " + ("replaced" if d.get("replaced") else "set up"),
    Kind.TOTP_DISABLED: lambda _: "Two-step sign-in was turned off",
    Kind.CHALLENGED: lambda _: "The password was right, and a code was asked for",
    Kind.CLEARED: lambda _: "Signed in without a code",
    Kind.CODE_ACCEPTED: _accepted,
    Kind.CODE_REFUSED: _refused,
    Kind.CLOCK_SET_RIGHT: lambda _: "Our clock had stood ahead, and the wait for wrong codes was set right",
    Kind.BACKUP_CODES_REGENERATED: lambda _: "New backup codes were made",
    Kind.BACKUP_CODES_KEPT: lambda _: "You said that you have kept the backup codes",
    Kind.DEVICE_TRUSTED: lambda d: (
        f"{d.get('device') or 'A device'} is trusted" + (" anew" if d.get("replaced") else "")
    ),
    Kind.DEVICE_RECOGNIZED: lambda d: f"Signed in on a trusted device, {d.get('device') or 'a browser'}",
    Kind.DEVICE_REVOKED: _revoked,
    Kind.DEVICE_THEFT: lambda d: (
        f"A copied cookie of {d.get('device') or 'a device'} was used; it is no longer trusted"
    ),
    Kind.DEVICE_CONTESTED: lambda d: f"An old cookie of {d.get('device') or 'a device'} came, and a code was asked for",
    Kind.MANAGEMENT_REFUSED: lambda d: (
        f"{_MANAGING.get(str(d.get('operation')), 'A change')} was refused, for want of a code of the last minutes"
    ),
    Kind.PASSWORD_CHANGED: lambda _: "The password was changed",
    Kind.RESET: lambda _: "Two-step sign-in was removed by support",
    Kind.REPAIRED: lambda _: "Two-step sign-in was repaired by support",
    Kind.RESEALED: lambda _: "The stored secret was encrypted again with a newer key",
    Kind.ADOPTED: lambda _: "Two-step sign-in moved to a safer store",
    Kind.PRUNED: lambda _: "Entries of long ago were removed from this list",
    Kind.KEY_MISSING: lambda _: "A code could not be checked because of a fault on our side",
    Kind.ROWS_ALTERED: lambda d: f"Stored {_TABLES.get(str(d.get('table')), 'data')} did not fit and do not count",
    Kind.SEAL_BROKEN: lambda _: "A code could not be checked because stored data did not fit",
}


def event(happened: Event) -> str:
    """One line of the log as its owner reads it."""
    say = _EVENTS.get(happened.kind)
    sentence = say(happened.details) if say else happened.kind.replace("_", " ").capitalize()
    number = happened.details.get("gathered")
    # Many of a day have one line an hour (twofold.log_volume), with their number.
    return f"{sentence}, the latest of {number} such entries that day" if isinstance(number, int) else sentence


def place(happened: Event) -> str:
    """From where: `Firefox on Linux · 192.0.2.7`, as far as it is known."""
    browser = Request(user_agent=happened.user_agent).device_name if happened.user_agent else None
    return " · ".join(part for part in (browser, happened.ip_address) if part)
