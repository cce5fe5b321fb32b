"""One object for every setting: from the environment, a `.env` file, or arguments."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from twofold.confidential import Confidential
from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import ValidationInfo


def _seconds(value: object) -> object:
    """An environment holds text, and a bare number of seconds is read only from a number."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value) else value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
Minutes10 = Annotated[Duration, Field(gt=timedelta(0), le=timedelta(minutes=10))]


class Settings(BaseSettings, Confidential):
    """Every setting with its default; each is read from `TWOFOLD_<NAME>`. Durations are seconds or ISO 8601.

    The limits are those of the standards named beside them; a value outside is refused at start. No message of this
    class repeats a value, since some of them are secrets.
    """

    model_config = SettingsConfigDict(
        env_prefix="TWOFOLD_", env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///twofold.db"), description="Where the users and the four tables are."
    )
    keys: SecretStr | None = Field(
        default=None, description="`kid2:base64,kid1:base64`, 32 bytes each; the first one writes, all of them read."
    )
    keys_file: Path | None = Field(default=None, description="A file that holds what `keys` would, mode 0600.")
    checkpoint_key: SecretStr | None = Field(
        default=None, description="`ed25519-private:base64`, for `twofold events checkpoint` and nothing else."
    )
    checkpoint_key_file: Path | None = Field(
        default=None, description="A file that holds what `checkpoint_key` would, mode 0600."
    )
    users: str = Field(default="users.id", description="The column that `user_id` references: `table.column`.")

    deadline: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(minutes=1))] = Field(
        default=timedelta(seconds=5),
        description="How long an operation is tried again while the database refuses it for the sake of others.",
    )

    pool_size: int = Field(
        default=5, ge=1, le=100, description="Connections in Twofold's own pool, beside those of your engine."
    )

    legacy_rows: bool = Field(
        default=False,
        description="Adopt, when they are met, rows that an older program still writes. For the days of a move alone.",
    )
    legacy_fernet_key: SecretStr | None = Field(
        default=None, description="The Fernet keys of secrets of before Twofold, comma-separated. For a move alone."
    )

    issuer: str = Field(
        default="Twofold", min_length=1, max_length=64, description="The name that authenticator apps show."
    )
    algorithm: Literal["SHA1", "SHA256", "SHA512"] = Field(
        default="SHA1", description="The hash of new secrets (RFC 6238 §1.2). Many apps know SHA1 alone."
    )
    digits: int = Field(default=6, ge=6, le=8, description="The length of a code.")
    period: int = Field(
        default=30, ge=15, le=120, description="How long a time step lasts, in seconds (NIST SP 800-63B-4 §3.1.4.1)."
    )
    window: int = Field(
        default=1, ge=0, le=2, description="How many steps before and after now are accepted (RFC 6238 §5.2)."
    )
    enrollment_lifetime: Minutes10 = Field(
        default=timedelta(minutes=10), description="How long a begun enrolment can be confirmed."
    )
    challenge_lifetime: Minutes10 = Field(
        default=timedelta(minutes=10), description="How long a login waits for its second factor."
    )
    proof_max_age: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(hours=12))] = Field(
        default=timedelta(minutes=5), description="How long a proven factor allows its own management."
    )

    free_failures: int = Field(default=4, ge=0, le=10, description="Wrong codes before the first wait.")
    first_wait: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(hours=1))] = Field(
        default=timedelta(seconds=30), description="The first wait; every further one is twice as long."
    )
    longest_wait: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = Field(
        default=timedelta(hours=1), description="No wait is longer than this, and this is no shorter than the first."
    )
    suspend_after: int = Field(
        default=100, ge=5, le=100, description="Consecutive failures that suspend TOTP (NIST SP 800-63B-4 §3.2.2)."
    )

    failure_limit: int = Field(
        default=100,
        ge=20,
        le=100,
        description="Failures that are remembered whoever signs in between; when there are so many, TOTP is refused.",
    )
    failure_memory: Annotated[Duration, Field(ge=timedelta(days=7), le=timedelta(days=90))] = Field(
        default=timedelta(days=30), description="How long it takes to forget as many failures as are remembered."
    )

    backup_code_count: int = Field(default=10, ge=1, le=50, description="Backup codes in one batch.")
    device_lifetime: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=365))] = Field(
        default=timedelta(days=30), description="A trusted device expires after this, however often it is used."
    )
    device_idle: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=365))] = Field(
        default=timedelta(days=14), description="A trusted device expires when it is not used for this long."
    )
    device_cookie: str = Field(
        default="twofold_device",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$",
        description="How the cookies of trusted devices begin. Two applications on one host need two.",
    )
    device_limit: int = Field(default=10, ge=0, le=100, description="Trusted devices of one user; 0 turns them off.")
    device_grace: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(minutes=5))] = Field(
        default=timedelta(seconds=60), description="How long a rotated device token still serves parallel requests."
    )

    @field_validator("issuer")
    @classmethod
    def _no_colon(cls, issuer: str) -> str:
        """The colon separates issuer and account in the label of an otpauth URI."""
        if ":" in issuer or not issuer.strip() or not issuer.isprintable():
            raise ValueError("the issuer must be printable and hold no colon")
        return issuer.strip()

    @field_validator("longest_wait")
    @classmethod
    def _not_before_the_first(cls, longest: timedelta, info: ValidationInfo) -> timedelta:
        """A first wait that is wrong by itself is told of by itself."""
        if longest < info.data.get("first_wait", longest):
            raise ValueError("no wait may be shorter than the first")
        return longest


def read_key_file(file: Path) -> list[str]:
    """The lines of a file of keys, those with nothing on them left out. Raises ConfigurationError."""
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"The key file {file} cannot be read ({type(error).__name__}).") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
