"""What goes wrong, for every door: one table of errors with a status, a name that stays, and a title.

A page takes the status from here, and so does the JSON door, with all the rest (RFC 9457). Pure.

Tests: `tests/web/api/test_problems.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twofold import errors
from twofold.errors import MFAError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twofold.errors import Rejected

URN = "urn:twofold:problem:"
"""What the `type` of every problem begins with."""


class Kind(NamedTuple):
    """One kind of problem. `reason` and `type` never change; the title is for developers, in English."""

    status: int
    reason: str
    title: str

    @property
    def type(self) -> str:
        """The URI that names it (RFC 9457 §3.1.1)."""
        return f"{URN}{self.reason.replace('_', '-')}"


# Whether a code was right and used before, or was right by a clock of later, tells a guesser that it was right.
_NOT_ACCEPTED = Kind(400, "wrong_code", "The code was not accepted.")
WAITING = Kind(429, "waiting", "Codes are not looked at for a while, after too many wrong ones.")
SUSPENDED = Kind(429, "suspended", "Codes of the app are suspended until it is set up anew.")

REASONS: Mapping[Reason, Kind] = {
    Reason.WRONG_CODE: _NOT_ACCEPTED,
    Reason.CODE_ALREADY_USED: _NOT_ACCEPTED,
    Reason.CLOCK_WENT_BACK: _NOT_ACCEPTED,
    Reason.MALFORMED: Kind(400, "malformed", "What was typed has the form of no code; it costs nothing."),
    Reason.ALTERED: Kind(400, "altered", "The stored backup codes, or passkeys, are not those that were made."),
    Reason.PASSKEY_REFUSED: Kind(400, "passkey_refused", "What the passkey signed was not accepted."),
    Reason.PASSKEY_NOT_ALLOWED: Kind(
        400, "passkey_not_allowed", "A passkey of such a model cannot be registered here."
    ),
    Reason.PASSKEY_CLONED: Kind(400, "passkey_cloned", "The passkey may have been copied, and is suspended."),
    Reason.CHALLENGE_EXPIRED: Kind(400, "challenge_expired", "The sign-in waited too long, or is over."),
    Reason.NOT_ENROLLED: Kind(400, "not_enrolled_any_more", "The second factor was turned off meanwhile."),
    Reason.WAITING: WAITING,
    Reason.EXHAUSTED: Kind(429, "exhausted", "There were too many wrong codes in a month."),
    Reason.SUSPENDED: SUSPENDED,
}
"""Why a code or a challenge was refused. Reasons that would tell a guesser more are one (ASVS 6.3.8)."""

OUTAGE = Kind(503, "unavailable", "The second factor cannot be checked at the moment; nothing was changed.")
_MISCONFIGURED = Kind(503, "misconfigured", "A setting, or a key, is missing or wrong.")
_TABLES = Kind(503, "tables_differ", "The tables are not those that Twofold needs.")
UNKNOWN = Kind(503, "outcome_unknown", "The database stopped answering; it may have been done, or not.")
STALE = Kind(401, "stale", "A code is needed first: the second factor was not given a moment ago.")

ERRORS: Mapping[type[MFAError], Kind] = {
    MFAError: OUTAGE,
    errors.Rejected: _NOT_ACCEPTED,
    errors.AlreadyEnrolled: Kind(409, "already_enrolled", "The user has a second factor already."),
    errors.NotEnrolled: Kind(409, "not_enrolled", "The user has no second factor."),
    errors.EnrollmentExpired: Kind(409, "enrollment_expired", "No set-up waits for its code; begin again."),
    errors.TooManyPasskeys: Kind(409, "too_many_passkeys", "The user has as many passkeys as there may be."),
    errors.LastFactor: Kind(409, "last_factor", "It is the last factor; set up another one, or turn them all off."),
    errors.Stale: STALE,
    errors.UnknownUser: Kind(401, "unknown_user", "There is no such user any more."),
    errors.NotAdopted: Kind(503, "not_adopted", "The user's rows are of before Twofold."),
    errors.Tampered: Kind(503, "tampered", "Stored rows were changed outside Twofold."),
    errors.DatabaseUnavailable: Kind(503, "database_unavailable", "The database does not answer; nothing was done."),
    errors.SchemaDrift: _TABLES,
    errors.ConfigurationError: _MISCONFIGURED,
}
"""What each error of the library is at a door. One that is not listed is what its nearest base is."""

MALFORMED_JSON = Kind(400, "bad_request", "What was sent is not what this operation takes.")
BAD_NAME = Kind(400, "bad_name", "A device or a passkey is not given such a name.")
SIGNED_OUT = Kind(401, "signed_out", "Nobody is signed in here.")
NO_LOGIN_WAITS = Kind(401, "no_login_waits", "No sign-in waits for a code here.")
LOGIN_WAITS = Kind(403, "login_waits", "The sign-in waits for its code.")
NO_FACTOR = Kind(403, "enrollment_needed", "This needs a second factor, and none is set up.")
FOREIGN = Kind(403, "foreign_origin", "The request came from another site.")
CSRF = Kind(403, "csrf", "The header X-CSRF-Token is missing, or is of another session.")
INSECURE = Kind(403, "insecure_address", "Over plain http from another machine no session can begin.")
NOT_FOUND = Kind(404, "not_found", "There is nothing at this address.")
NO_SUCH_DEVICE = Kind(404, "no_such_device", "The user has no such device.")
NO_SUCH_PASSKEY = Kind(404, "no_such_passkey", "The user has no such passkey.")
WRONG_METHOD = Kind(405, "method_not_allowed", "This address is not used with this method.")
NOT_OFFERED = Kind(409, "passkeys_not_offered", "The application has not set passkeys up.")
SIGNED_IN = Kind(409, "signed_in", "Somebody is signed in here already.")
ANSWERED = Kind(409, "already_answered", "The sign-in was answered a moment ago.")
TOO_LONG = Kind(413, "too_long", "What was sent is too long.")
NO_JSON = Kind(415, "no_json", "The body has to be application/json.")
UNFINISHED = Kind(503, "unfinished", "The operation was done, but the application could not go on.")

REQUESTS: tuple[Kind, ...] = (
    MALFORMED_JSON,
    BAD_NAME,
    SIGNED_OUT,
    NO_LOGIN_WAITS,
    LOGIN_WAITS,
    NO_FACTOR,
    FOREIGN,
    CSRF,
    INSECURE,
    NOT_FOUND,
    NO_SUCH_DEVICE,
    NO_SUCH_PASSKEY,
    WRONG_METHOD,
    NOT_OFFERED,
    SIGNED_IN,
    ANSWERED,
    TOO_LONG,
    NO_JSON,
    UNFINISHED,
)
"""What is wrong with a request before the library is asked, or with the host after it; at the JSON door alone."""


def of(error: MFAError) -> Kind:
    """What an error is at a door. Of a code that was refused and makes others wait, the wait is what matters."""
    if isinstance(error, errors.Rejected):
        return _rejected(error)
    if isinstance(error, errors.DatabaseUnavailable) and error.is_unknown:
        return UNKNOWN
    return of_class(type(error))


def of_class(kind: type[MFAError]) -> Kind:
    """What errors of a class are, by the nearest of its bases that is listed."""
    return next(ERRORS[base] for base in kind.__mro__ if base in ERRORS)


def sentence(error: Exception) -> str:
    """What the log says of an error behind its name: our own sentence, which holds no secret; of others nothing."""
    return f": {error}" if isinstance(error, MFAError) else ""


def _rejected(rejected: Rejected) -> Kind:
    problem = REASONS[rejected.reason]
    return WAITING if rejected.retry_after is not None and problem.status != WAITING.status else problem
