"""The values that leave the library: frozen, detached from the database, silent about secrets when printed.

Tests: `tests/test_login.py`, `tests/attacks/test_leaks_of_values.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from twofold.confidential import Confidential

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

UserId = int | str | UUID | bytes
"""Whatever `users.id` holds."""


def spelled(user_id: UserId) -> str:
    """Write an id as a person types it: bytes as hex digits."""
    return user_id.hex() if isinstance(user_id, bytes) else str(user_id)


Factor = Literal["totp", "backup_codes", "passkeys"]

Means = Literal["totp", "backup_codes", "passkeys", "passkeys.user", "passkeys.synced", "passkeys.synced.user"]
"""How a factor was given: of a passkey, whether it is synced, and whether it verified its user."""


def factor_of(means: Means) -> Factor:
    """The factor that was given."""
    factor: Factor = means.partition(".")[0]  # type: ignore[assignment]
    return factor


@dataclass(frozen=True, slots=True)
class Challenge(Confidential):
    """A login that waits for its second factor.

    `token` is given back to `mfa.verify` until `expires_at`; `factors` says what the user can answer with. Where
    passkeys are among them, `passkey_options` is what the browser's `parseRequestOptionsFromJSON` reads (WebAuthn Level
    3 §5.1.8), and the JSON of the credential that it returns is the answer.
    """

    user_id: UserId
    token: str = field(repr=False)
    factors: tuple[Factor, ...]
    expires_at: datetime
    passkey_options: Mapping[str, Any] | None = field(default=None, repr=False)

    def __bool__(self) -> Literal[True]:
        return True


@dataclass(frozen=True, slots=True)
class DeviceToken(Confidential):
    """The secret that a trusted browser keeps until `expires_at`, in a cookie that is called `cookie_name`.

    The library's caller sees it once. `max_age` is the same end in seconds from now, as every framework's `set_cookie`
    takes it. Each user has another name, which `mfa.trusted_devices.cookie_name` tells. `public_url` is the
    setting, by which a binding decides how the cookie is marked.
    """

    token: str = field(repr=False)
    device_id: int
    expires_at: datetime
    max_age: int
    cookie_name: str
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class Cleared(Confidential):
    """No challenge is needed: the user is not enrolled, or the browser is trusted. Falsy, unlike a Challenge.

    After a trusted device was recognised, `device` holds its new token for the cookie. It is None where a parallel
    request of the same browser has just been given one. A login that was cleared is a single-factor login.
    """

    user_id: UserId
    because: Literal["not_enrolled", "trusted_device"]
    device: DeviceToken | None = None

    def __bool__(self) -> Literal[False]:
        return False


@dataclass(frozen=True, slots=True)
class Verified(Confidential):
    """A second factor was proven at `at`.

    `amr` lists authentication methods in the words of RFC 8176; `backup_code` is a private value for a backup code.
    `token` is a signed proof for the session: `mfa.proof(token)` turns it back into this value while it is fresh.
    """

    user_id: UserId
    factor: Factor
    at: datetime
    amr: tuple[str, ...]
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enrolled(Confidential):
    """The factor is confirmed. Show `backup_codes` to the user now.

    `mfa.backup_codes.shown` gives them again only to the session that was named, and only for ten minutes.
    """

    backup_codes: tuple[str, ...] = field(repr=False)
    verified: Verified


@dataclass(frozen=True, slots=True)
class Ceremony(Confidential):
    """What a browser is asked to do with a passkey, until `expires_at`.

    `options` are read by `parseCreationOptionsFromJSON` after `begin`, and by `parseRequestOptionsFromJSON` after
    `challenge` (WebAuthn Level 3 §5.1.8). Send them as JSON.
    """

    options: Mapping[str, Any] = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its owner sees it.

    One that `is_synced` may be on several machines of its owner, and its counter says nothing of copies. One that is
    suspended answered with a counter that had been seen: it may have been copied, and is not accepted until its owner
    registers another in its place. `is_active` is false for what is suspended, revoked, or of another TWOFOLD_RP_ID.
    """

    id: int
    name: str
    is_active: bool
    is_synced: bool
    verifies_user: bool
    transports: tuple[str, ...]
    aaguid: str | None
    rp_id: str
    created_at: datetime
    last_used_at: datetime | None
    suspended_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str | None


@dataclass(frozen=True, slots=True)
class Registered(Confidential):
    """A passkey is registered. Where it is the user's first factor, show `backup_codes` now; they are empty else."""

    passkey: Passkey
    backup_codes: tuple[str, ...] = field(repr=False)
    verified: Verified


@dataclass(frozen=True, slots=True)
class ShownCodes(Confidential):
    """New backup codes, once more for the session that made them, at `made_at`; until `expires_at` at the latest.

    Those that were spent since are not among them.
    """

    codes: tuple[str, ...] = field(repr=False)
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that may skip the challenge while it `is_active`, as its owner sees it.

    One that `is_contested` may not: an old token of it came, so an answer was lost, the browser was brought back from a
    copy, or somebody copied the cookie. `is_this` is true where the browser that asked brought its token.
    """

    id: int
    name: str
    browser: str | None
    platform: str | None
    ip_address: str | None
    location: str | None
    usage_count: int
    created_at: datetime
    last_used_at: datetime | None
    trusted_until: datetime
    revoked_at: datetime | None
    revoked_reason: str | None
    is_active: bool
    is_contested: bool = False
    is_this: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """How one user stands. `waiting_until` is None unless codes are refused for a while after wrong ones.

    `exhausted_until` is the moment at which one more code is looked at, where too many were wrong in a month. `epoch`
    is new whenever sessions of before have to end: compare it for equality with the one that a session began with.
    `altered` names the tables whose rows of this user are not those that the user's row names: none of them counts, and
    setting up anew, or making new codes, or revoking all devices ends them. `backup_codes_kept` is true once the owner
    said so of the codes in force, by `backup_codes.keep`. `algorithm`, `digits` and `period`, in seconds, are those of
    the app in force, whatever the settings say now. `has_app` says whether there is one, and `passkeys` how many of
    them can answer a challenge.
    """

    user_id: UserId
    is_enrolled: bool
    is_pending: bool
    enabled_at: datetime | None
    last_used_at: datetime | None
    failed_attempts: int
    waiting_until: datetime | None
    is_suspended: bool
    backup_codes_remaining: int
    trusted_devices: int
    exhausted_until: datetime | None = None
    epoch: str | None = None
    altered: tuple[str, ...] = ()
    backup_codes_kept: bool = False
    algorithm: str = "SHA1"
    digits: int = 6
    period: int = 30
    has_app: bool = False
    passkeys: int = 0


@dataclass(frozen=True, slots=True)
class Erased:
    """Nothing of a user is left in Twofold's tables.

    `tombstone` is a signed line that says so, without personal data beside the id: give it to `twofold events
    tombstone`, and checkpoints of before tell this user from one who was deleted.
    """

    user_id: UserId
    events: int
    at: datetime
    tombstone: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit log. `seq` counts the events of one user from 1; `id` orders those of all users."""

    id: int
    user_id: UserId
    seq: int
    kind: str
    status: str
    details: Mapping[str, Any]
    ip_address: str | None
    user_agent: str | None
    device_fingerprint: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Whether one user's events are complete and unaltered.

    `length` events were read, and `pruned` older ones had gone by `events.prune`. Where `is_intact` is false,
    `first_bad` is the `seq` of the first line that does not fit and `problem` says in a sentence what is wrong with it.
    """

    user_id: UserId
    is_intact: bool
    length: int
    first_bad: int | None = None
    problem: str | None = None
    pruned: int = 0
