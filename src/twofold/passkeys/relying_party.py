"""Who asks for passkeys, and what browsers are asked for (WebAuthn Level 3 §5.4 and §5.5). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from twofold import base64url
from twofold.errors import ConfigurationError
from twofold.origin import Origin
from twofold.settings import parts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from twofold.settings import Settings

ALGORITHMS: Final = (-8, -7, -257)
"""Ed25519, ES256 and RS256, by the numbers of COSE: what every authenticator has one of."""


class RelyingParty(NamedTuple):
    """The domain that passkeys belong to, the origins whose pages may ask for them, and those that may frame these."""

    id: str
    origins: tuple[str, ...]
    top_origins: tuple[str, ...]
    name: str
    user_verification: str

    @classmethod
    def of(cls, settings: Settings) -> RelyingParty | None:
        """Read it from the settings; None where they name no domain, and so nobody has passkeys."""
        origins = parts(settings.origins or settings.public_url)
        own = next(filter(None, map(Origin.of, parts(settings.public_url) or origins)), None)
        domain = settings.rp_id or (own.host if own and not own.is_address else None)
        if domain is None or not origins:
            return None
        return cls(domain, origins, parts(settings.top_origins), settings.issuer, settings.passkey_user_verification)

    @classmethod
    def required(cls, settings: Settings) -> RelyingParty:
        """Read it from the settings. Raises ConfigurationError where they name no domain."""
        if (party := cls.of(settings)) is None:
            raise ConfigurationError(
                "Passkeys belong to a domain: set TWOFOLD_PUBLIC_URL, or TWOFOLD_RP_ID and TWOFOLD_ORIGINS."
            )
        return party

    @property
    def astray(self) -> list[str]:
        """The origins whose pages no browser lets ask for passkeys of this domain."""
        hosts = {origin: found.host for origin in self.origins if (found := Origin.of(origin)) is not None}
        return [origin for origin, host in hosts.items() if host != self.id and not host.endswith(f".{self.id}")]

    def creation_options(
        self,
        challenge: str,
        handle: str,
        account_name: str,
        others: Iterable[dict[str, Any]],
        lifetime: timedelta,
        attestation: Literal["direct", "none"],
    ) -> dict[str, Any]:
        """What a new passkey is asked for. The `others` of its owner are named, so that none is made twice."""
        return {
            "rp": {"id": self.id, "name": self.name},
            "user": {"id": handle, "name": account_name, "displayName": account_name},
            "challenge": _challenge(challenge),
            "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
            "timeout": _milliseconds(lifetime),
            "excludeCredentials": list(others),
            "authenticatorSelection": {
                "residentKey": "preferred",
                "requireResidentKey": False,
                "userVerification": self.user_verification,
            },
            "attestation": attestation,
            "hints": [],
            "extensions": {"credProps": True},
        }

    def request_options(
        self, challenge: str, passkeys: Iterable[dict[str, Any]], lifetime: timedelta
    ) -> dict[str, Any]:
        """What a passkey is asked for at a login: to sign the challenge, by one of these passkeys."""
        return {
            "challenge": _challenge(challenge),
            "timeout": _milliseconds(lifetime),
            "rpId": self.id,
            "allowCredentials": list(passkeys),
            "userVerification": self.user_verification,
        }


def descriptor(credential_id: bytes, transports: str | None) -> dict[str, Any]:
    """How a browser is told of one passkey."""
    named = {"transports": transports.split(",")} if transports else {}
    return {"type": "public-key", "id": base64url.written(credential_id), **named}


def _challenge(token: str) -> str:
    """The token itself is what is signed."""
    return base64url.written(token.encode())


def _milliseconds(lifetime: timedelta) -> int:
    return int(lifetime.total_seconds() * 1000)
