"""One object for every setting: from the environment, a `.env` file, or arguments.

Tests: `tests/test_sources.py`, `tests/cli/faults/settings.py`, `tests/attacks/test_limits.py`.
"""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from twofold import certificates, sources
from twofold.confidential import Confidential
from twofold.errors import ConfigurationError
from twofold.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationInfo
    from pydantic_settings import PydanticBaseSettingsSource


def _seconds(value: object) -> object:
    """An environment holds text, and a bare number of seconds is read only from a number."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value) else value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
Minutes10 = Annotated[Duration, Field(gt=timedelta(0), le=timedelta(minutes=10))]


_APP = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}")
"""The origin of an Android app, by the hash of its certificate."""

_PASSED_ON = frozenset(inspect.signature(BaseSettings.__init__).parameters)
"""What says how to read settings and is none itself: `_env_file` and its kind."""


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
    keys_file: Path | None = Field(
        default=None, description="A file that holds what `keys` would, for its owner alone (0600)."
    )
    audit_keys: SecretStr | None = Field(
        default=None,
        description="Keys of before, written like `keys`, that only verify events and tombstones.",
    )
    deployment: str = Field(
        default="",
        max_length=64,
        description="What this deployment is called, of A-Z, a-z, 0-9, dot, dash and underscore. "
        "Set before the first row, never changed.",
    )
    checkpoint_key: SecretStr | None = Field(
        default=None, description="`ed25519-private:base64`, for `twofold events checkpoint` and nothing else."
    )
    checkpoint_key_file: Path | None = Field(
        default=None, description="A file that holds what `checkpoint_key` would, for its owner alone (0600)."
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
    support_url: str | None = Field(
        default=None,
        max_length=500,
        description="Where people get help who have no code: an address that begins with https:, http: or mailto:.",
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
        default=100,
        ge=5,
        le=100,
        description="Consecutive failures that suspend TOTP, more than the free ones (NIST SP 800-63B-4 §3.2.2).",
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
        default=timedelta(days=14),
        description="A trusted device expires when it is not used for this long, which is within its lifetime.",
    )
    device_cookie: str = Field(
        default="twofold_device",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$",
        description="How the cookies of trusted devices begin. Two applications on one host need two.",
    )
    public_url: str | None = Field(
        default=None,
        description="What people type to come to the pages, as `https://example.com`, whatever proxies stand between.",
    )
    rp_id: str | None = Field(
        default=None,
        description="The domain that passkeys belong to, as `example.com`; without it the host of TWOFOLD_PUBLIC_URL. "
        "Passkeys of before a change are lost.",
    )
    origins: str | None = Field(
        default=None,
        description="The origins whose pages may ask for passkeys, comma-separated, each exact; without them "
        "TWOFOLD_PUBLIC_URL.",
    )
    top_origins: str | None = Field(
        default=None,
        description="The origins whose pages may hold such a page in a frame, comma-separated. None by default.",
    )
    passkey_user_verification: Literal["required", "preferred"] = Field(
        default="preferred",
        description="Whether a passkey has to verify its user, by a PIN or a finger, behind the password.",
    )
    passkey_aaguids: str | None = Field(
        default=None,
        description="The models of authenticators that new passkeys may be of: AAGUIDs, comma-separated; without it "
        "any. What a browser says is believed, unless TWOFOLD_PASSKEY_ATTESTATION is `required`.",
    )
    passkey_roots: Path | None = Field(
        default=None,
        description="The root certificates of makers that are trusted, in PEM: a file, or a folder of such files.",
    )
    passkey_attestation: Literal["none", "required"] = Field(
        default="none",
        validate_default=True,
        description="`required`: one of TWOFOLD_PASSKEY_ROOTS has to vouch for the model of every new passkey.",
    )
    passkey_limit: int = Field(default=10, ge=1, le=50, description="Passkeys of one user.")
    device_limit: int = Field(default=10, ge=0, le=100, description="Trusted devices of one user; 0 turns them off.")
    device_grace: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(minutes=5))] = Field(
        default=timedelta(seconds=60), description="How long a rotated device token still serves parallel requests."
    )

    if not TYPE_CHECKING:  # A constructor of our own would hide the names of the settings from a type checker.

        def __init__(self, **values: Any) -> None:
            # In the environment and in a file stands what is for others, too; what is passed is for nobody else.
            sources.refuse_unknown(values.keys() - _PASSED_ON, type(self).model_fields)
            try:
                super().__init__(**values)
            except UnicodeDecodeError:
                raise ConfigurationError("The .env file is not UTF-8 text.") from None
            except OSError as error:
                raise ConfigurationError(
                    f"The .env file cannot be read ({type(error).__name__}); it lies in the working directory, unless "
                    "it was named."
                ) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> Any:
        """Read arguments, then the environment, then the `.env` file, and warn of variables that were misspelt."""
        del file_secret_settings
        for name, meant in _unread(settings_cls, env_settings, dotenv_settings).items():
            if meant is not None:
                sources.warn(name, meant)
        # Each source asks for every setting by name, which takes far longer than to see that it holds none.
        speaking = (one for one in (env_settings, dotenv_settings) if any(_ours(one)))
        return tuple(sources.ranked(init_settings, *speaking))

    @field_validator("users")
    @classmethod
    def _a_column(cls, users: str) -> str:
        """What it names is looked for in the database; that it names anything can be said here."""
        if users_parts(users) is None:
            raise ValueError("it names the users' key as table.column, for example users.id")
        return users

    @field_validator("suspend_after")
    @classmethod
    def _behind_the_free_ones(cls, suspend_after: int, info: ValidationInfo) -> int:
        """Where all failures before the suspension are free, there is no wait."""
        if suspend_after <= info.data.get("free_failures", 0):
            raise ValueError("it has to be more than TWOFOLD_FREE_FAILURES, or nobody ever waits")
        return suspend_after

    @field_validator("device_idle")
    @classmethod
    def _within_the_lifetime(cls, idle: timedelta, info: ValidationInfo) -> timedelta:
        """A default is never in the way: whichever of the two ends first ends the trust."""
        if idle > info.data.get("device_lifetime", idle) and idle != cls.model_fields["device_idle"].default:
            raise ValueError("it may not be longer than TWOFOLD_DEVICE_LIFETIME")
        return idle

    @field_validator("deployment")
    @classmethod
    def _plain(cls, deployment: str) -> str:
        """It stands in the context of every key, between marks of its own."""
        if re.fullmatch(r"[A-Za-z0-9._-]*", deployment) is None:
            raise ValueError("a deployment is called by A-Z, a-z, 0-9, dot, dash and underscore")
        return deployment

    @field_validator("issuer")
    @classmethod
    def _no_colon(cls, issuer: str) -> str:
        """The colon separates issuer and account in the label of an otpauth URI."""
        if ":" in issuer or not issuer.strip() or not issuer.isprintable():
            raise ValueError("the issuer must be printable and hold no colon")
        return issuer.strip()

    @field_validator("public_url")
    @classmethod
    def _an_origin(cls, public_url: str | None) -> str | None:
        """The path is where the pages are mounted, and is read from each request."""
        if not public_url:
            return None
        origin = Origin.of(public_url)
        if origin is None or urlsplit(public_url).path not in {"", "/"} or re.search(r"[?#]", public_url):
            raise ValueError("it is scheme, host and perhaps port, for example https://example.com")
        if origin.scheme != "https" and not origin.is_the_machine:
            raise ValueError("it begins with https:// for every host but this machine itself")
        return str(origin)

    @field_validator("rp_id")
    @classmethod
    def _a_domain(cls, rp_id: str | None) -> str | None:
        """A browser compares it with the host of the page, to the letter."""
        domain = (rp_id or "").strip()
        if (
            domain
            and re.fullmatch(r"localhost|([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", domain) is None
        ):
            raise ValueError("it is a domain in small letters, for example example.com")
        return domain or None

    @field_validator("origins", "top_origins")
    @classmethod
    def _exact_origins(cls, origins: str | None, info: ValidationInfo) -> str | None:
        """A browser writes an origin in one way, and what is compared is that."""
        for one in parts(origins):
            if info.field_name == "origins" and _APP.fullmatch(one):
                continue
            origin = Origin.of(one)
            if origin is None or str(origin) != one or (origin.scheme != "https" and not origin.is_the_machine):
                raise ValueError("it is exact origins with commas between, for example https://example.com")
            rp_id = info.data.get("rp_id")
            is_within = rp_id is None or origin.host == rp_id or origin.host.endswith(f".{rp_id}")
            if info.field_name == "origins" and not is_within:
                raise ValueError("each has a host that is TWOFOLD_RP_ID or ends with it")
        return origins or None

    @field_validator("passkey_aaguids")
    @classmethod
    def _models(cls, aaguids: str | None) -> str | None:
        """One of zeros stands for every model that does not say which it is."""
        for one in parts(aaguids):
            is_one = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one, re.IGNORECASE) is not None
            if not is_one or not one.strip("0-"):
                raise ValueError(
                    "it is AAGUIDs with commas between, as ee882879-721c-4913-9775-3dfcce97072a, none of zeros"
                )
        return ",".join(parts(aaguids)).lower() or None

    @field_validator("passkey_roots", mode="before")
    @classmethod
    def _certificates(cls, where: object) -> object:
        """Each registration reads them again, so new ones need no restart; what is wrong with them is said here."""
        if isinstance(where, str | Path) and where:
            certificates.read(Path(where))
        return where or None

    @field_validator("passkey_attestation")
    @classmethod
    def _with_roots(cls, attestation: str, info: ValidationInfo) -> str:
        """Whoever names roots takes them for a door, and a door without roots would stand open."""
        if "passkey_roots" in info.data and (attestation == "required") is (info.data["passkey_roots"] is None):
            raise ValueError("`required` and TWOFOLD_PASSKEY_ROOTS go together: neither does anything alone")
        return attestation

    @field_validator("support_url")
    @classmethod
    def _an_address(cls, support_url: str | None) -> str | None:
        """It becomes a link, and a link may run a script."""
        address = (support_url or "").strip()
        if address and (not address.isprintable() or not re.match(r"https?://[^/]|mailto:.", address, re.IGNORECASE)):
            raise ValueError("it begins with https://, http:// or mailto:")
        return address or None

    @field_validator("longest_wait")
    @classmethod
    def _not_before_the_first(cls, longest: timedelta, info: ValidationInfo) -> timedelta:
        """A first wait that is wrong by itself is told of by itself."""
        if longest < info.data.get("first_wait", longest):
            raise ValueError("no wait may be shorter than the first")
        return longest


def parts(text: str | None) -> tuple[str, ...]:
    """The parts of a list with commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def users_parts(text: str) -> list[str] | None:
    """The parts of `table.column` or `schema.table.column`; None for anything else."""
    parts = text.split(".")
    return parts if len(parts) in {2, 3} and all(parts) else None


def in_file(env_file: Path) -> set[str]:
    """The settings that a `.env` file names."""
    names = DotEnvSettingsSource(Settings, env_file=env_file).env_vars
    return {name.removeprefix(sources.PREFIX) for name in names if name.startswith(sources.PREFIX)}


def unread(env_file: Path | None) -> dict[str, str | None]:
    """The `TWOFOLD_*` that are no settings, in the environment and in a file, each with what was probably meant."""
    return _unread(Settings, EnvSettingsSource(Settings), DotEnvSettingsSource(Settings, env_file=env_file))


def _unread(settings: type[BaseSettings], *found: object) -> dict[str, str | None]:
    return sources.unread((name for source in found for name in _ours(source)), settings.model_fields)


def _ours(source: object) -> Iterator[str]:
    """The variables of an environment or a `.env` file that begin like a setting."""
    variables = source.env_vars if isinstance(source, EnvSettingsSource) else ()
    return (name for name in variables if name.lower().startswith(sources.PREFIX))
