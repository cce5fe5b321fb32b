"""The log as its owner reads it: what belongs together in one line, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from twofold.errors import Reason
from twofold.kinds import Kind, Status
from twofold.request import Request
from twofold.web.languages import gettext as _
from twofold.web.languages import gettext_noop, ngettext
from twofold.web.naming import is_made, named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from twofold.outcomes import Event

CONTEXT = 50
"""So many later events tell what became of a challenge, at the edge of a page."""

_ACCEPTED: Mapping[tuple[str, str], str] = {
    ("login", "totp"): gettext_noop("Signed in with a code from the app"),
    ("login", "backup_codes"): gettext_noop("Signed in with a backup code"),
    ("login", "passkeys"): gettext_noop("Signed in with a passkey"),
    ("step_up", "totp"): gettext_noop("Confirmed with a code from the app"),
    ("step_up", "backup_codes"): gettext_noop("Confirmed with a backup code"),
    ("step_up", "passkeys"): gettext_noop("Confirmed with a passkey"),
}

_REFUSED: Mapping[str, str] = {
    Reason.WAITING: gettext_noop("A code was offered during a wait, and not looked at"),
    Reason.SUSPENDED: gettext_noop("A code was offered after the app was stopped, and not looked at"),
    Reason.EXHAUSTED: gettext_noop("A code was offered after too many wrong ones in a month, and not looked at"),
    Reason.CHALLENGE_EXPIRED: gettext_noop("A confirmation came too late"),
    Reason.CLOCK_WENT_BACK: gettext_noop("A code was offered while our clock was wrong"),
    Reason.NOT_ENROLLED: gettext_noop("A confirmation was offered where none is needed"),
    Reason.ALTERED: gettext_noop("A backup code was offered while the stored ones did not fit"),
    Reason.PASSKEY_REFUSED: gettext_noop("A passkey was not accepted"),
    Reason.PASSKEY_NOT_ALLOWED: gettext_noop("A passkey was not accepted"),
    Reason.PASSKEY_CLONED: gettext_noop("A passkey that may have been copied was not accepted"),
}
_WRONG: Mapping[str, str] = {
    "login": gettext_noop("A wrong code was given to sign in"),
    "step_up": gettext_noop("A wrong code was given to confirm a change"),
    "enrollment": gettext_noop("A wrong code was given while setting up the app"),
}

_MANAGING: Mapping[str, str] = {
    "totp.begin": gettext_noop("Another app was refused, because nothing was confirmed in the last minutes"),
    "totp.disable": gettext_noop(
        "Turning two-step sign-in off was refused, because nothing was confirmed in the last minutes"
    ),
    "passkeys.begin": gettext_noop("Another passkey was refused, because nothing was confirmed in the last minutes"),
    "passkeys.revoke": gettext_noop(
        "Removing a passkey was refused, because nothing was confirmed in the last minutes"
    ),
    "disable": gettext_noop(
        "Turning two-step sign-in off was refused, because nothing was confirmed in the last minutes"
    ),
    "backup_codes.regenerate": gettext_noop(
        "New backup codes were refused, because nothing was confirmed in the last minutes"
    ),
    "trusted_devices.trust": gettext_noop(
        "Trusting a device was refused, because nothing was confirmed in the last minutes"
    ),
    "password_changed": gettext_noop(
        "Forgetting earlier wrong codes was refused, because nothing was confirmed in the last minutes"
    ),
}

_ALTERED: Mapping[str, str] = {
    "mfa_backup_codes": gettext_noop("Stored backup codes did not fit and do not count"),
    "mfa_device_trusts": gettext_noop("Stored trusted devices did not fit and do not count"),
    "mfa_passkeys": gettext_noop("Stored passkeys did not fit and do not count"),
}


def _accepted(details: Mapping[str, Any]) -> str:
    is_step_up = details.get("occasion") == "step_up"
    otherwise = gettext_noop("Confirmed with a code") if is_step_up else gettext_noop("Signed in with a code")
    return _(_ACCEPTED.get(("step_up" if is_step_up else "login", str(details.get("factor"))), otherwise))


def _refused(details: Mapping[str, Any]) -> str:
    if details.get("reason") == Reason.ALTERED and details.get("factor") == "passkeys":
        return _(_REFUSED[Reason.PASSKEY_REFUSED])
    wrong = _WRONG.get(str(details.get("occasion")), gettext_noop("A wrong code was given"))
    return _(_REFUSED.get(str(details.get("reason")), wrong))


def _device(details: Mapping[str, Any]) -> str | None:
    name = details.get("device")
    return named(name) if isinstance(name, str) else None


def _trusted(details: Mapping[str, Any]) -> str:
    name = _device(details)
    if details.get("replaced"):
        return _("%(device)s is trusted anew", device=name) if name else _("A device is trusted anew")
    return _("%(device)s is trusted", device=name) if name else _("A device is trusted")


def _recognized(details: Mapping[str, Any]) -> str:
    if name := _device(details):
        return _("Signed in on a trusted device, %(device)s", device=name)
    return _("Signed in on a trusted device")


def _renamed(details: Mapping[str, Any]) -> str:
    name, before = _device(details), details.get("before")
    if name and isinstance(before, str):
        return _("%(before)s is now called %(device)s", before=named(before), device=name)
    return _("A device was given another name")


def _revoked(details: Mapping[str, Any]) -> str:
    if isinstance(number := details.get("devices"), int):
        return ngettext("%(num)s device no longer trusted", "%(num)s devices no longer trusted", number)
    if name := _device(details):
        return _("%(device)s no longer trusted", device=name)
    return _("A device is no longer trusted")


def _passkey(details: Mapping[str, Any], key: str = "passkey") -> str | None:
    name = details.get(key)
    return named(name) if isinstance(name, str) else None


def _registered(details: Mapping[str, Any]) -> str:
    name = _passkey(details)
    return _("The passkey %(passkey)s was set up", passkey=name) if name else _("A passkey was set up")


def _passkey_renamed(details: Mapping[str, Any]) -> str:
    name, before = _passkey(details), _passkey(details, "before")
    if name and before:
        return _("The passkey %(before)s is now called %(passkey)s", before=before, passkey=name)
    return _("A passkey was given another name")


def _passkey_revoked(details: Mapping[str, Any]) -> str:
    if isinstance(number := details.get("passkeys"), int):
        return ngettext("%(num)s passkey was removed", "%(num)s passkeys were removed", number)
    name = _passkey(details)
    return _("The passkey %(passkey)s was removed", passkey=name) if name else _("A passkey was removed")


def _cloned(details: Mapping[str, Any]) -> str:
    name = _passkey(details) or _("a passkey")
    return _("%(passkey)s may have been copied, and is not accepted any more", passkey=name)


def _disabled(details: Mapping[str, Any]) -> str:
    if details.get("passkeys"):
        return _("The authenticator app was removed")
    return _("The authenticator app was removed, and two-step sign-in with it")


def _stolen(details: Mapping[str, Any]) -> str:
    name = _device(details) or _("a device")
    return _("Two browsers came as %(device)s, so its mark of trust was copied; it is no longer trusted", device=name)


def _contested(details: Mapping[str, Any]) -> str:
    name = _device(details) or _("a device")
    return _("An old mark of trust of %(device)s came, and the second step was asked for", device=name)


def _managing(details: Mapping[str, Any]) -> str:
    otherwise = gettext_noop("A change was refused, because nothing was confirmed in the last minutes")
    return _(_MANAGING.get(str(details.get("operation")), otherwise))


def _altered(details: Mapping[str, Any]) -> str:
    otherwise = gettext_noop("Stored data did not fit and do not count")
    return _(_ALTERED.get(str(details.get("table")), otherwise))


_EVENTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    Kind.TOTP_BEGUN: lambda _details: _("Set-up of an authenticator app was started"),
    Kind.TOTP_CONFIRMED: lambda d: (
        _("The authenticator app was replaced") if d.get("replaced") else _("The authenticator app was set up")
    ),
    Kind.TOTP_DISABLED: _disabled,
    Kind.PASSKEY_BEGUN: lambda _details: _("Set-up of a passkey was started"),
    Kind.PASSKEY_REGISTERED: _registered,
    Kind.PASSKEY_RENAMED: _passkey_renamed,
    Kind.PASSKEY_REVOKED: _passkey_revoked,
    Kind.PASSKEY_CLONED: _cloned,
    Kind.DISABLED: lambda _details: _("Two-step sign-in was turned off"),
    Kind.CHALLENGED: lambda _details: _("The password was right, and the second step was asked for"),
    Kind.CLEARED: lambda _details: _("Signed in without a second step"),
    Kind.CODE_ACCEPTED: _accepted,
    Kind.ANSWER_REPEATED: lambda _details: _("The answer to a sign-in was lost on its way, and was given again"),
    Kind.CODE_REFUSED: _refused,
    Kind.CLOCK_SET_RIGHT: lambda _details: _("Our clock had stood ahead, and the wait for wrong codes was set right"),
    Kind.BACKUP_CODES_REGENERATED: lambda _details: _("New backup codes were made"),
    Kind.BACKUP_CODES_KEPT: lambda _details: _("You said that you have kept the backup codes"),
    Kind.DEVICE_TRUSTED: _trusted,
    Kind.DEVICE_RECOGNIZED: _recognized,
    Kind.DEVICE_RENAMED: _renamed,
    Kind.DEVICE_REVOKED: _revoked,
    Kind.DEVICE_THEFT: _stolen,
    Kind.DEVICE_CONTESTED: _contested,
    Kind.MANAGEMENT_REFUSED: _managing,
    Kind.PASSWORD_CHANGED: lambda _details: _("The password was changed"),
    Kind.RESET: lambda _details: _("Two-step sign-in was removed by support"),
    Kind.REPAIRED: lambda _details: _("Two-step sign-in was repaired by support"),
    Kind.RESEALED: lambda _details: _("The key that protects your app was renewed by this service"),
    Kind.ADOPTED: lambda _details: _("Two-step sign-in moved to a safer store"),
    Kind.PRUNED: lambda _details: _("Entries of long ago were removed from this list"),
    Kind.KEY_MISSING: lambda _details: _("A confirmation could not be checked because of a fault on our side"),
    Kind.ROWS_ALTERED: _altered,
    Kind.SEAL_BROKEN: lambda _details: _("A confirmation could not be checked because stored data did not fit"),
}


_UNANSWERED = gettext_noop("The password was right, and the second step was not taken")
_MANY = 3

_NOT_YOU = gettext_noop("If that was not you, somebody knows your password: change it.")
_STRANGERS = gettext_noop("Change your password, and stop trusting devices that you do not know.")
_SUPPORT = gettext_noop("You need not do anything. If it goes on, tell support.")
_ADVICE: Mapping[str, str] = {
    Kind.DEVICE_CONTESTED: gettext_noop("If that was not you, stop trusting this device and change your password."),
    Kind.DEVICE_THEFT: _STRANGERS,
    Kind.PASSKEY_CLONED: gettext_noop("Do not use it any more, and change your password."),
    Kind.MANAGEMENT_REFUSED: _NOT_YOU,
    Kind.KEY_MISSING: _SUPPORT,
    Kind.CLOCK_SET_RIGHT: _SUPPORT,
    Kind.SEAL_BROKEN: gettext_noop("Tell support."),
}
_ADVICE_ON_ALTERED: Mapping[str, str] = {
    "mfa_backup_codes": gettext_noop("Make new backup codes, and tell support."),
    "mfa_device_trusts": gettext_noop("Stop trusting all devices, and tell support."),
}


_A_WHILE = timedelta(minutes=1)
"""What happened within it has one moment."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what happened, how often, from where, and what to do about it.

    `since` is the moment of the first of several, and `newest` the number of the last one in the log. `number` is 1
    where the sentence itself says how many.
    """

    sentence: str
    advice: str | None
    place: tuple[str, ...]
    status: str
    at: datetime
    since: datetime | None
    number: int
    newest: int


@dataclass(slots=True)
class _Several:
    """Events of one line, the oldest first."""

    events: list[Event]
    is_unanswered: bool = False

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def is_of_wrong_codes(self) -> bool:
        details = self.last.details
        is_wrong = self.last.kind == Kind.CODE_REFUSED and str(details.get("reason")) not in _REFUSED
        return is_wrong and details.get("occasion") == "login" and "gathered" not in details

    @property
    def key(self) -> tuple[object, ...]:
        # Who somebody is costs more to name than to compare.
        last = self.last
        return (self.is_unanswered, event(last), last.user_agent, last.ip_address, last.status)


def event(happened: Event) -> str:
    """One line of the log as its owner reads it."""
    say = _EVENTS.get(happened.kind)
    sentence = say(happened.details) if say else happened.kind.replace("_", " ").capitalize()
    number = happened.details.get("gathered")
    if not isinstance(number, int):
        return sentence
    # Many of a day have one line an hour (twofold.log_volume), with their number.
    return ngettext(
        "%(event)s, the latest of %(num)s such entry that day",
        "%(event)s, the latest of %(num)s such entries that day",
        number,
        event=sentence,
    )


def place(happened: Event) -> tuple[str, ...]:
    """From where: `Firefox on Linux` and `192.0.2.7`, as far as it is known."""
    browser = named(Request(user_agent=happened.user_agent).device_name) if happened.user_agent else None
    return tuple(part for part in (browser, happened.ip_address) if part)


def lines(
    events: Sequence[Event], now: datetime, *, waits: timedelta, before: int | None = None, most: int | None = None
) -> list[Line]:
    """The lines of these events, both the newest first; `waits` is how long a challenge waits for its code.

    So many at most, and with `before` those alone whose newest event has a smaller number.

    A challenge and the codes that followed are told once. One that got no code stands alone: its password was right.
    """
    several: list[_Several] = []
    asked: _Several | None = None
    for happened in reversed(events):
        made = _Several([happened])
        is_code = happened.kind in {Kind.CODE_ACCEPTED, Kind.CODE_REFUSED}
        if asked is not None and is_code and happened.details.get("occasion") == "login":
            several.remove(asked)
            asked = None
        if happened.kind == Kind.CHALLENGED and "gathered" not in happened.details:
            if asked is not None:
                # Whoever begins again has given up the sign-in before.
                asked.is_unanswered = True
            asked = made
            made.is_unanswered = now - happened.at >= waits
        several.append(made)
    wanted = (one for one in reversed(_together(several)) if before is None or one.last.seq < before)
    return [_line(one) for one in islice(wanted, most)]


def _together(several: list[_Several]) -> list[_Several]:
    """Lines that say the same, one after the other, in one."""
    found: list[_Several] = []
    for one in several:
        if found and found[-1].key == one.key and "gathered" not in one.last.details:
            found[-1].events += one.events
        else:
            found.append(one)
    return found


def _line(several: _Several) -> Line:
    last, number = several.last, len(several.events)
    sentence = _(_UNANSWERED) if several.is_unanswered else event(last)
    if several.is_of_wrong_codes and number > 1:
        sentence = ngettext(
            "%(num)s wrong code was given to sign in", "%(num)s wrong codes were given to sign in", number
        )
    return Line(
        sentence=_held_together(sentence, last),
        advice=_advice(several),
        place=place(last),
        status=Status.REFUSED if several.is_unanswered else last.status,
        at=last.at,
        since=several.events[0].at if last.at - several.events[0].at >= _A_WHILE else None,
        number=1 if several.is_of_wrong_codes else number,
        newest=last.seq,
    )


def _held_together(sentence: str, happened: Event) -> str:
    """The sentence, in which no line ends inside of a browser's name."""
    for key in ("device", "passkey", "before"):
        if isinstance(name := happened.details.get(key), str) and is_made(name):
            said = named(name)
            sentence = sentence.replace(said, said.replace(" ", "\u00a0"))
    return sentence


def _advice(several: _Several) -> str | None:
    last = several.last
    if last.kind == Kind.ROWS_ALTERED:
        return _(_ADVICE_ON_ALTERED.get(str(last.details.get("table")), _ADVICE[Kind.SEAL_BROKEN]))
    if last.kind in _ADVICE:
        return _(_ADVICE[last.kind])
    if last.kind == Kind.CODE_REFUSED and last.details.get("reason") == Reason.CLOCK_WENT_BACK:
        return _(_SUPPORT)
    is_guessed_at = several.is_of_wrong_codes and len(several.events) >= _MANY
    if several.is_unanswered or is_guessed_at or last.status == Status.ALARM:
        return _(_NOT_YOU)
    return None
