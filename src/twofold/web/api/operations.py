"""Every operation of the JSON door: how it is asked for, for whom it is, what it takes, answers and refuses.

What is not listed does not exist. The description for clients (`openapi`) is made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from twofold import errors
from twofold.errors import Reason
from twofold.web import problems
from twofold.web.api import account, models, passkeys, sign_in
from twofold.web.problems import ERRORS, REASONS, Kind
from twofold.web.visit import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twofold.web.page import Page
    from twofold.web.site import Site
    from twofold.web.visit import Visit


class Parameter(NamedTuple):
    """A whole number in the query."""

    name: str
    least: int
    most: int
    told: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `audience` are the kinds of session that it is for; `refuses` is what it alone may answer."""

    name: str
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    audience: tuple[type, ...]
    run: Callable[[Site, Visit, Any, Any], Awaitable[Page]]
    takes: type[models.Taken]
    gives: type[models.Answered]
    refuses: tuple[Kind, ...] = ()
    query: tuple[Parameter, ...] = field(default=())

    @property
    def is_safe(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    @property
    def summary(self) -> str:
        """What it does, in one sentence or two."""
        return " ".join((self.run.__doc__ or "").split())

    @property
    def problems(self) -> tuple[Kind, ...]:
        """Every problem that it may answer, each once, by status."""
        found = [ERRORS[errors.UnknownUser], problems.UNKNOWN, *_OUTAGES, *self.refuses]
        if not self.is_safe:
            found += [problems.FOREIGN, problems.CSRF, problems.MALFORMED_JSON, problems.TOO_LONG, problems.NO_JSON]
        if self.query:
            found.append(problems.MALFORMED_JSON)
        if type(None) not in self.audience:
            found.append(problems.INSECURE)
        if self.audience == (SignedIn,):
            found += [problems.SIGNED_OUT, problems.LOGIN_WAITS]
        if self.audience == (Waiting,):
            found += [problems.NO_LOGIN_WAITS, problems.SIGNED_IN]
        if not self.is_safe:
            found.append(problems.UNFINISHED)
        return tuple(sorted(set(found)))


_OUTAGES = tuple({problem for problem in ERRORS.values() if problem.status == 503})
_BY_PASSKEY = (REASONS[Reason.PASSKEY_REFUSED], REASONS[Reason.PASSKEY_CLONED], REASONS[Reason.ALTERED])
_ELSEWHERE = {
    Reason.CHALLENGE_EXPIRED,
    Reason.NOT_ENROLLED,
    Reason.PASSKEY_REFUSED,
    Reason.PASSKEY_NOT_ALLOWED,
    Reason.PASSKEY_CLONED,
}
_REFUSED = tuple({problem for reason, problem in REASONS.items() if reason not in _ELSEWHERE})
_OVER = (REASONS[Reason.CHALLENGE_EXPIRED], REASONS[Reason.NOT_ENROLLED], problems.ANSWERED)
_STALE, _NOT_ENROLLED = problems.STALE, ERRORS[errors.NotEnrolled]
_TOO_MANY, _LAST = ERRORS[errors.TooManyPasskeys], ERRORS[errors.LastFactor]
_BEFORE = Parameter("before", 1, 2**62, "The `before` of the page before this one.")
_LIMIT = Parameter("limit", 1, 100, "How many events, 20 where nothing is said.")
_ANYBODY = (type(None), Waiting, SignedIn)
_WAITING, _SIGNED_IN = (Waiting,), (SignedIn,)
_NOTHING = models.Nothing

OPERATIONS: tuple[Operation, ...] = (
    Operation("status", "GET", "/status", _ANYBODY, sign_in.status, _NOTHING, models.Standing),
    Operation("challenge", "GET", "/challenge", _WAITING, sign_in.asked, _NOTHING, models.Challenge, _OVER),
    Operation(
        "answer",
        "POST",
        "/challenge",
        _WAITING,
        sign_in.challenge,
        models.Answering,
        models.Passed,
        (*_REFUSED, *_OVER),
    ),
    Operation(
        "answer_by_passkey",
        "POST",
        "/challenge/passkey",
        _WAITING,
        sign_in.challenge_by_passkey,
        models.Signing,
        models.Passed,
        (*_BY_PASSKEY, *_OVER),
    ),
    Operation("cancel", "POST", "/challenge/cancel", _WAITING, sign_in.cancel, _NOTHING, models.Done),
    Operation(
        "reverify",
        "POST",
        "/reverify",
        _SIGNED_IN,
        sign_in.reverify,
        models.Coded,
        models.Proven,
        (*_REFUSED, _NOT_ENROLLED, _STALE),
    ),
    Operation(
        "ask_passkey",
        "GET",
        "/reverify/passkey",
        _SIGNED_IN,
        sign_in.ask_passkey,
        _NOTHING,
        models.Ceremony,
        (_NOT_ENROLLED,),
    ),
    Operation(
        "reverify_by_passkey",
        "POST",
        "/reverify/passkey",
        _SIGNED_IN,
        sign_in.reverify_by_passkey,
        models.Signed,
        models.Proven,
        (*_BY_PASSKEY, _NOT_ENROLLED, _STALE),
    ),
    Operation(
        "begin_totp",
        "POST",
        "/totp/begin",
        _SIGNED_IN,
        account.begin,
        _NOTHING,
        models.Enrollment,
        (_STALE, ERRORS[errors.AlreadyEnrolled]),
    ),
    Operation(
        "pending_totp",
        "GET",
        "/totp/pending",
        _SIGNED_IN,
        account.pending,
        _NOTHING,
        models.Enrollment,
        (_STALE, ERRORS[errors.EnrollmentExpired]),
    ),
    Operation(
        "confirm_totp",
        "POST",
        "/totp/confirm",
        _SIGNED_IN,
        account.confirm,
        models.Coded,
        models.Confirmed,
        (
            _STALE,
            ERRORS[errors.EnrollmentExpired],
            REASONS[Reason.WRONG_CODE],
            REASONS[Reason.MALFORMED],
        ),
    ),
    Operation(
        "disable_totp",
        "POST",
        "/totp/disable",
        _SIGNED_IN,
        account.remove_app,
        _NOTHING,
        models.Done,
        (_STALE, _NOT_ENROLLED, _LAST),
    ),
    Operation("disable", "POST", "/disable", _SIGNED_IN, passkeys.disable, _NOTHING, models.Done, (_STALE,)),
    Operation("passkeys", "GET", "/passkeys", _SIGNED_IN, passkeys.list_passkeys, _NOTHING, models.Passkeys),
    Operation(
        "begin_passkey",
        "POST",
        "/passkey/begin",
        _SIGNED_IN,
        passkeys.begin,
        _NOTHING,
        models.Ceremony,
        (_STALE, ERRORS[errors.AlreadyEnrolled], _TOO_MANY, problems.NOT_OFFERED),
    ),
    Operation(
        "confirm_passkey",
        "POST",
        "/passkey/confirm",
        _SIGNED_IN,
        passkeys.confirm,
        models.Registering,
        models.RegisteredPasskey,
        (
            REASONS[Reason.PASSKEY_REFUSED],
            REASONS[Reason.PASSKEY_NOT_ALLOWED],
            ERRORS[errors.EnrollmentExpired],
            _TOO_MANY,
            problems.BAD_NAME,
        ),
    ),
    Operation(
        "rename_passkey",
        "PATCH",
        "/passkeys/{passkey_id}",
        _SIGNED_IN,
        passkeys.rename,
        models.Naming,
        models.Done,
        (_STALE, problems.NO_SUCH_PASSKEY, problems.BAD_NAME),
    ),
    Operation(
        "revoke_passkey",
        "DELETE",
        "/passkeys/{passkey_id}",
        _SIGNED_IN,
        passkeys.revoke,
        _NOTHING,
        models.Done,
        (_STALE, problems.NO_SUCH_PASSKEY, _LAST),
    ),
    Operation(
        "revoke_passkeys",
        "DELETE",
        "/passkeys",
        _SIGNED_IN,
        passkeys.revoke_all,
        _NOTHING,
        models.Done,
        (_STALE, _LAST),
    ),
    Operation("backup_codes", "GET", "/backup-codes", _SIGNED_IN, account.codes, _NOTHING, models.BackupCodes),
    Operation(
        "regenerate_backup_codes",
        "POST",
        "/backup-codes",
        _SIGNED_IN,
        account.regenerate,
        _NOTHING,
        models.BackupCodes,
        (_STALE, _NOT_ENROLLED),
    ),
    Operation(
        "keep_backup_codes", "POST", "/backup-codes/kept", _SIGNED_IN, account.keep, _NOTHING, models.BackupCodes
    ),
    Operation("devices", "GET", "/devices", _SIGNED_IN, account.list_devices, _NOTHING, models.Devices),
    Operation(
        "rename_device",
        "PATCH",
        "/devices/{device_id}",
        _SIGNED_IN,
        account.rename,
        models.Naming,
        models.Done,
        (_STALE, problems.NO_SUCH_DEVICE, problems.BAD_NAME),
    ),
    Operation(
        "revoke_device",
        "DELETE",
        "/devices/{device_id}",
        _SIGNED_IN,
        account.revoke,
        _NOTHING,
        models.Done,
        (_STALE, problems.NO_SUCH_DEVICE),
    ),
    Operation("revoke_devices", "DELETE", "/devices", _SIGNED_IN, account.revoke_all, _NOTHING, models.Done, (_STALE,)),
    Operation("events", "GET", "/events", _SIGNED_IN, account.events, _NOTHING, models.Events, query=(_BEFORE, _LIMIT)),
)
"""All of them. What ends things for others, a changed password, is no operation: only the application knows of it."""
