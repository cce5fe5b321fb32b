"""What goes over the line: the bodies that operations take, and those that they answer. Nothing else is taken."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_CODE = 128
_LONGEST_TOKEN = 16 * 1024
_LONGEST_NAME = 256

Code = Annotated[str, Field(max_length=_LONGEST_CODE, description="A code of the app, or a backup code.")]
Token = Annotated[str, Field(max_length=_LONGEST_TOKEN)]


Credential = Annotated[dict[str, Any], Field(description="What `toJSON()` of the browser's credential gives.")]


class Taken(BaseModel):
    """A body that an operation takes. A field that is not named here is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Nothing(Taken):
    """No body, or an empty object."""


class Answers(Taken):
    """What every answer to a login that waits says beside itself."""

    trust_device: bool = Field(default=False, description="Ask for no code on this device for a while.")
    challenge: Token | None = Field(default=None, description="Of an app: the token of the challenge.")
    device_token: Token | None = Field(default=None, description="Of an app: the token that this device has kept.")


class Answering(Answers):
    """A code, for a login that waits."""

    code: Code


class Signing(Answers):
    """What a passkey signed, for a login that waits."""

    passkey: Credential


class Coded(Taken):
    """One code."""

    code: Code


class Signed(Taken):
    """What a passkey signed."""

    passkey: Credential


class Registering(Taken):
    """A new passkey, as the browser brings it."""

    passkey: Credential
    name: Annotated[str, Field(max_length=_LONGEST_NAME)] | None = Field(
        default=None, description="What its owner calls it; the browser's name where nothing is said."
    )


class Naming(Taken):
    """The name of a device, or of a passkey."""

    name: Annotated[str, Field(max_length=_LONGEST_NAME, description="1 to 64 characters that can be seen.")]


class Answered(BaseModel):
    """A body that an operation answers."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)

    def written(self) -> str:
        """The body: every field, whether or not there is something to say."""
        return self.model_dump_json()

    def giving(self, given: Mapping[str, Any], /) -> Self:
        """The same body: there is no place for what the host gives."""
        del given
        return self


class Done(Answered):
    """It is done."""

    session: dict[str, Any] | None = Field(
        default=None, description="What the application gives with it, as a new token of its own."
    )

    def giving(self, given: Mapping[str, Any], /) -> Self:
        """The body with what the host gives."""
        return self.model_copy(update={"session": dict(given)})


class Proven(Done):
    """The second factor was given."""

    amr: list[str] = Field(description="How: `pwd`, `otp` and `mfa` (RFC 8176), `backup_code` for one on paper.")
    auth_time: int = Field(description="When, in seconds since 1970.")
    fresh_until: datetime = Field(description="Until then, changes need no further code.")
    proof: str | None = Field(default=None, description="For an app: what to send as `Twofold-Proof`.")


class KeptDevice(Answered):
    """What an app keeps of a device that is trusted, and gives to the application's login the next time."""

    token: str
    expires_at: datetime


class Passed(Proven):
    """The login is over."""

    device: KeptDevice | None = Field(default=None, description="For an app that asked to be trusted.")


class Confirmed(Done):
    """The authenticator app is set up. `proof` is None where this came twice."""

    backup_codes: list[str] | None = Field(description="The new ones, None once they are kept.")
    proven: Proven | None = Field(description="That the second factor was given; None where this came twice.")


class Challenge(Answered):
    """What a login waits for."""

    factors: list[Literal["passkeys", "totp", "backup_codes"]]
    passkey_options: dict[str, Any] | None = Field(
        description="For `parseRequestOptionsFromJSON`; None where no passkey can answer."
    )
    digits: int = Field(description="How long a code of the app is.")
    expires_at: datetime
    may_trust_device: bool


class Account(Answered):
    """How somebody's second factor stands."""

    is_enrolled: bool
    has_app: bool
    passkeys: int = Field(description="How many can answer a challenge.")
    is_pending: bool = Field(description="A set-up waits for its first code.")
    enabled_at: datetime | None
    last_used_at: datetime | None
    waiting_until: datetime | None = Field(description="Until then codes are not looked at.")
    exhausted_until: datetime | None
    is_suspended: bool
    backup_codes_remaining: int
    backup_codes_kept: bool
    trusted_devices: int
    algorithm: str
    digits: int
    period: int = Field(description="In seconds.")
    altered: list[str] = Field(description="Tables whose rows of this user do not count: make new ones.")


class Standing(Answered):
    """Who this session belongs to, and what it may do without a further code."""

    state: Literal["signed_out", "waiting", "signed_in"]
    user_id: str | None = None
    account_name: str | None = None
    csrf_token: str | None = Field(default=None, description="What a browser sends as `X-CSRF-Token`.")
    challenge: Challenge | None = Field(default=None, description="Of a login that waits.")
    account: Account | None = Field(default=None, description="Of somebody who is signed in.")
    auth_time: int | None = Field(default=None, description="When the second factor was given, in seconds since 1970.")
    amr: list[str] = Field(default=[], description="How it was given (RFC 8176).")
    is_fresh: bool = Field(default=False, description="Whether changes need no further code.")
    fresh_until: datetime | None = None


class Enrollment(Answered):
    """A secret that waits for its first code."""

    secret: str = Field(description="To be typed by hand, in base32.")
    uri: str = Field(description="The otpauth address, which opens an app on a phone.")
    qr_svg: str = Field(description="The same as a picture: an SVG element.")
    label: str
    algorithm: str
    digits: int
    period: int
    expires_at: datetime


class BackupCodes(Done):
    """How many backup codes are left; and the new ones, to the session that made them, until they are kept."""

    remaining: int
    is_kept: bool
    codes: list[str] | None
    made_at: datetime | None
    expires_at: datetime | None = Field(description="Until then the codes are shown again.")


class Ceremony(Answered):
    """What a browser is to ask a passkey for."""

    options: dict[str, Any] = Field(
        description="For `parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` (WebAuthn Level 3 §5.1.8)."
    )
    expires_at: datetime


class Passkey(Answered):
    """A passkey."""

    id: int
    name: str
    is_active: bool = Field(description="Whether it can answer a challenge.")
    is_synced: bool
    verifies_user: bool
    transports: list[str]
    created_at: datetime
    last_used_at: datetime | None
    suspended_at: datetime | None = Field(description="Since then it is not accepted: it may have been copied.")


class Passkeys(Answered):
    """The passkeys that are not revoked, how many there may be, and whether one can be registered here."""

    passkeys: list[Passkey]
    limit: int
    are_offered: bool


class RegisteredPasskey(Done):
    """A passkey is registered. `backup_codes` are new where it is the first factor, and None else."""

    passkey: Passkey
    backup_codes: list[str] | None
    proven: Proven


class Device(Answered):
    """A browser or an app that may skip the code for a while."""

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
    is_active: bool
    is_contested: bool = Field(description="An old token of it came, so a code is asked for.")
    is_this: bool


class Devices(Answered):
    """The trusted devices, and how many there may be."""

    devices: list[Device]
    limit: int


class Event(Answered):
    """What has happened, in words for its owner."""

    seq: int
    kind: str
    status: str
    at: datetime
    sentence: str
    place: str = Field(description="From where, as far as it is known.")


class Events(Answered):
    """The latest events, the newest first."""

    events: list[Event]
    before: int | None = Field(description="Give it back for the next page; None on the last one.")


class At(Answered):
    """A place in what was sent, and what is wrong there."""

    at: str = Field(description="A JSON pointer (RFC 6901), or the name of a parameter or a header.")
    problem: str


class Problem(Answered):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    type: str = Field(description="A URN that never changes.")
    title: str
    status: int
    reason: str = Field(description="The last word of the type.")
    detail: str | None = Field(default=None, description="A sentence for the person, in their language.")
    retry_after: int | None = Field(default=None, description="Seconds until it is worth another try.")
    max_age: int | None = Field(default=None, description="How old, in seconds, the code may be that is needed.")
    errors: list[At] | None = None

    def written(self) -> str:
        """The body, with what there is to say and nothing else."""
        return self.model_dump_json(exclude_none=True)


class Asked(Problem):
    """A password was right, and the code is to be sent to `at`, with the `challenge`."""

    challenge: str
    factors: list[str]
    passkey_options: dict[str, Any] | None = None
    expires_at: datetime
    at: str
