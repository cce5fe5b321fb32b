"""Twofold adds multi-factor authentication to any application that keeps its users in a SQL database.

It sits beside an existing login and never replaces it. After the password, ask whether a second factor is needed:

    mfa = MFA(engine, Settings())
    challenge = mfa.challenge(user_id, device_token=cookie, request=request)
    if not challenge:
        ...                     # not enrolled, or a trusted device: log in
    ...                         # else keep challenge.token in the session and show the page that asks for a code

and when the code comes, verify it. What is not accepted is raised, already counted and logged:

    verified = mfa.verify(challenge_token, code, request=request)       # raises Rejected

A user enrolls in two steps, so that nobody is locked out by an app that did not take the secret:

    enrollment = mfa.totp.begin(user_id, account_name="ada@example.com")    # show enrollment.qr_svg()
    enrolled = mfa.totp.confirm(user_id, code)                              # show enrolled.backup_codes, once

`AsyncMFA` has the same operations, awaited. All state lives in four tables of the application's own database; see
`twofold.tables` and `twofold db upgrade`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twofold.errors import (
        AlreadyEnrolled,
        ConfigurationError,
        DatabaseUnavailable,
        EnrollmentExpired,
        LastFactor,
        MFAError,
        MissingKey,
        NotAdopted,
        NotEnrolled,
        Reason,
        Rejected,
        SchemaDrift,
        Stale,
        Tampered,
        TooManyPasskeys,
        UnknownUser,
        WrongKey,
    )
    from twofold.metadata import tables
    from twofold.mfa import MFA, AsyncMFA
    from twofold.outcomes import (
        Ceremony,
        ChainReport,
        Challenge,
        Cleared,
        Device,
        DeviceToken,
        Enrolled,
        Erased,
        Event,
        Passkey,
        Registered,
        ShownCodes,
        Status,
        Verified,
    )
    from twofold.request import Request
    from twofold.schema.hosting import include_name
    from twofold.settings import Settings
    from twofold.totp.provisioning import Enrollment

__all__ = [
    "MFA",
    "AlreadyEnrolled",
    "AsyncMFA",
    "Ceremony",
    "ChainReport",
    "Challenge",
    "Cleared",
    "ConfigurationError",
    "DatabaseUnavailable",
    "Device",
    "DeviceToken",
    "Enrolled",
    "Enrollment",
    "EnrollmentExpired",
    "Erased",
    "Event",
    "LastFactor",
    "MFAError",
    "MissingKey",
    "NotAdopted",
    "NotEnrolled",
    "Passkey",
    "Reason",
    "Registered",
    "Rejected",
    "Request",
    "SchemaDrift",
    "Settings",
    "ShownCodes",
    "Stale",
    "Status",
    "Tampered",
    "TooManyPasskeys",
    "UnknownUser",
    "Verified",
    "WrongKey",
    "include_name",
    "tables",
]

# What is asked for is imported then, from the first of these that has it, the lightest first: a program that only tells
# what it can do does not wait for SQLAlchemy.
_HOMES = ("errors", "outcomes", "request", "settings", "totp.provisioning", "metadata", "schema.hosting", "mfa")


if not TYPE_CHECKING:  # A type checker is to find what is not there.

    def __getattr__(name: str) -> Any:
        if name in __all__:
            for home in _HOMES:
                if (found := getattr(import_module(f"twofold.{home}"), name, None)) is not None:
                    globals()[name] = found
                    return found
        raise AttributeError(f"module 'twofold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
