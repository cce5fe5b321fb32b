"""Everything that Twofold raises.

What must not be ignored is raised. `Rejected` is for the person who gives a code; every other class is for the
programmer or the operator, and its message names the next step.

    MFAError
    ├── Rejected               a code or a challenge was refused; what counts is already counted and logged
    ├── AlreadyEnrolled        the user has a confirmed factor
    ├── NotEnrolled            the user has no factor to act on
    ├── EnrollmentExpired      no secret and no passkey waits for confirmation
    ├── TooManyPasskeys        the user has as many passkeys as the settings allow
    ├── LastFactor             what was to be revoked is the last factor in force
    ├── Stale                  the second factor was not proven recently enough
    ├── UnknownUser            no such user
    ├── NotAdopted             the user's rows are of before Twofold
    ├── Tampered               a row was changed behind the library's back
    │   └── Altered            a file of checkpoints was changed (in `twofold.checkpoints.ledger`)
    ├── Unfounded              a line is no tombstone that can be taken (in `twofold.cli.checkpoints`)
    ├── DatabaseUnavailable    the database does not answer
    │   ├── LockTimeout        a migration did not get its lock in time (in `twofold.schema.locking`)
    │   └── Taken              another operation has SQLite's one connection for all (in `twofold.alone`)
    ├── Unreadable             a secret of before Twofold does not open (in `twofold.upkeep.legacy`)
    ├── SchemaDrift            the tables are missing or differ from the revision
    │   └── Refused            an adoption that cannot be carried out whole (in `twofold.schema.adoption`)
    └── ConfigurationError     a setting is missing or wrong
        └── MissingKey         a value was written under a key that is not configured
            └── WrongKey       a value was written under another key of that name, or was altered

Messages never hold a code, a secret, a token or a key.

Tests: `tests/test_docs.py`, `tests/attacks/test_leaks.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta


class MFAError(Exception):
    """The root of all that Twofold raises. Never raised itself.

    Without a message, the first line of the class's docstring is the message.
    """

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class Reason(StrEnum):
    """Why a code or a challenge was refused. For logs; the person who guesses sees one neutral sentence."""

    WRONG_CODE = "wrong_code"
    CODE_ALREADY_USED = "code_already_used"
    CLOCK_WENT_BACK = "clock_went_back"
    WAITING = "waiting"
    SUSPENDED = "suspended"
    CHALLENGE_EXPIRED = "challenge_expired"
    NOT_ENROLLED = "not_enrolled"
    ALTERED = "altered"
    EXHAUSTED = "exhausted"
    MALFORMED = "malformed"
    PASSKEY_REFUSED = "passkey_refused"
    PASSKEY_NOT_ALLOWED = "passkey_not_allowed"
    PASSKEY_CLONED = "passkey_cloned"


class Rejected(MFAError):
    """The code was not accepted.

    What counts is counted and written before this is raised. `reason` says why; `retry_after` is the time until a code
    is looked at again, where time helps. The text of the exception is the same for every reason,
    so that showing it tells a guesser nothing (ASVS 6.3.8).
    """

    def __init__(self, reason: Reason, retry_after: timedelta | None = None) -> None:
        super().__init__("The code was not accepted.")
        self.reason = reason
        self.retry_after = retry_after


class AlreadyEnrolled(MFAError):
    """This user has a confirmed factor; pass a fresh Verified to replace it."""


class NotEnrolled(MFAError):
    """This user has no confirmed factor; begin and confirm one first."""


class EnrollmentExpired(MFAError):
    """Nothing is waiting for confirmation; begin again."""


class TooManyPasskeys(MFAError):
    """This user has as many passkeys as TWOFOLD_PASSKEY_LIMIT allows; revoke one first."""


class LastFactor(MFAError):
    """This is the last factor in force; turn the second factor off with mfa.disable, or set up another one first."""


class Stale(MFAError):
    """The second factor was not proven recently enough; ask for a code with reverify."""


class UnknownUser(MFAError):
    """There is no such user; give the value that the column of TWOFOLD_USERS holds, of a row that is committed."""


class NotAdopted(MFAError):
    """This user's rows are of before Twofold; run `twofold secrets import-legacy`, or set TWOFOLD_LEGACY_ROWS."""


class Tampered(MFAError):
    """A row was changed outside Twofold; look into it, then run `twofold users repair`."""


class DatabaseUnavailable(MFAError):
    """The database does not answer; nothing was decided and no code was spent.

    Where `is_unknown`, it stopped at the COMMIT: what was asked for may have been done.
    """

    def __init__(self, message: str | None = None, *, is_unknown: bool = False) -> None:
        super().__init__(message)
        self.is_unknown = is_unknown


class SchemaDrift(MFAError):
    """The tables are missing or differ from revision 769e76ff65d7; run `twofold db verify`.

    `differences` lists them, one sentence each.
    """

    def __init__(self, message: str | None = None, differences: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.differences = tuple(differences)


class ConfigurationError(MFAError):
    """A setting is missing or wrong; `twofold doctor` names it."""


class MissingKey(ConfigurationError):
    """A stored value needs a key that is not configured; put it back into TWOFOLD_KEYS.

    `kid` is the id of that key.
    """

    def __init__(self, message: str | None = None, kid: str = "") -> None:
        super().__init__(message)
        self.kid = kid


class WrongKey(MissingKey):
    """A stored value was written under another key of that name, or under another TWOFOLD_DEPLOYMENT, or was altered.

    `twofold keys status` tells which. An outage like MissingKey: nothing is known of what the value says.
    """
