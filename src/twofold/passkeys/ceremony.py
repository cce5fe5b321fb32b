"""Judge what a browser brings back from a passkey (WebAuthn Level 3 §7.1 and §7.2). Pure.

The one module that knows `webauthn`, which is imported when the first passkey answers: the extra `twofold[passkeys]`
brings it. The counter is given to it as 0 and judged by us once the signature holds; else whoever has the password and
no key could raise the alarm of a copied passkey.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from twofold import base64url
from twofold.errors import ConfigurationError
from twofold.passkeys import cbor, policy
from twofold.passkeys.relying_party import ALGORITHMS

if TYPE_CHECKING:
    from types import ModuleType

    from twofold.passkeys.policy import Policy
    from twofold.passkeys.relying_party import RelyingParty

_LONGEST: Final = 65_536
"""So many characters has the longest answer: an attestation may carry certificates."""
_LONGEST_ID: Final = 1023
_LONGEST_KEY: Final = 2048
"""So many bytes has the longest public key: one of RSA, with 8192 bits, has half of them."""
_LEAST_RSA: Final = 2048
_TRANSPORTS: Final = frozenset({"ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb"})


class Refused(Exception):
    """The answer of a passkey is not accepted. The message says why, in our words, without what was sent."""


class NotAllowed(Refused):
    """It may hold, and the policy of the settings does not let it in."""


class Response(NamedTuple):
    """What came back, read as far as it tells whose it is and what it was asked: nothing of it is proven yet."""

    credential: dict[str, Any]
    credential_id: bytes
    client_data: dict[str, Any]
    challenge: bytes

    @property
    def asked(self) -> str:
        """The challenge as the text of a token. Of what is none of ours, a text that is no token either."""
        return self.challenge.decode("ascii", "replace")

    @property
    def judged(self) -> dict[str, Any]:
        """The parts that are judged. A browser may say more, and words that are newer than the library (§5.4.5)."""
        return {name: self.credential.get(name) for name in ("id", "rawId", "type", "response")}


class Made(NamedTuple):
    """A new passkey. Of which model it is, is proven where the policy has roots, and is its own word elsewhere."""

    credential_id: bytes
    public_key: bytes
    algorithm: int
    sign_count: int
    backup_eligible: bool
    backup_state: bool
    user_verified: bool
    transports: str | None
    aaguid: str | None
    attestation_format: str | None


class Signed(NamedTuple):
    """An assertion whose signature holds."""

    sign_count: int
    backup_eligible: bool
    backup_state: bool
    user_verified: bool


def read(text: object) -> Response:
    """Read the JSON of a credential, as `credential.toJSON()` gives it. Raises Refused for anything else."""
    if not isinstance(text, str):
        raise Refused("it is no text")
    if len(text) > _LONGEST:
        raise Refused("it is too long")
    try:
        credential = json.loads(text)
        credential_id = _bytes(credential["rawId"])
        client_data = json.loads(_bytes(credential["response"]["clientDataJSON"]))
        challenge = _bytes(client_data["challenge"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused("it is no credential") from None
    if not 0 < len(credential_id) <= _LONGEST_ID:
        raise Refused("its id is none")
    return Response(credential, credential_id, client_data, challenge)


def _bytes(said: object) -> bytes:
    """Read base64url in the one form that it has. Raises ValueError for every other one."""
    if not isinstance(said, str):
        raise ValueError("It is no text.")  # noqa: TRY004 -- To the caller, all that a stranger sends is one.
    raw = base64url.read(said)
    if base64url.written(raw) != said:
        raise ValueError("It has another form.")
    return raw


def made(response: Response, party: RelyingParty, allowed: Policy) -> Made:
    """Judge a registration. Raises Refused, and of it NotAllowed for what the policy does not let in."""
    _judge_frame(response, party)
    webauthn = _library()
    attested = _attested(webauthn, response)
    try:
        found = webauthn.verify_registration_response(
            credential=response.judged,
            expected_challenge=response.challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=party.user_verification == "required",
            supported_pub_key_algs=[webauthn.helpers.cose.COSEAlgorithmIdentifier(one) for one in ALGORITHMS],
            pem_root_certs_bytes_by_fmt={policy.FORMAT: list(allowed.roots)},
        )
    except Exception as error:  # noqa: BLE001 -- Whatever it raises over bytes of a stranger, they are no passkey.
        raise _refused(webauthn, error) from None
    if (why := allowed.objection(attested, found.aaguid)) is not None:
        raise NotAllowed(why)
    if found.credential_id != response.credential_id:
        raise Refused("its id is not the one that was attested")
    flags = _flags(found.credential_device_type, is_backed_up=found.credential_backed_up)
    return Made(
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        algorithm=algorithm_of(found.credential_public_key),
        sign_count=found.sign_count,
        backup_eligible=flags[0],
        backup_state=flags[1],
        user_verified=found.user_verified,
        transports=transports(response.credential["response"].get("transports")),
        aaguid=found.aaguid,
        attestation_format=str(found.fmt.value if hasattr(found.fmt, "value") else found.fmt)[:32],
    )


def signed(response: Response, party: RelyingParty, public_key: bytes, handle: str) -> Signed:
    """Judge an assertion by the public key of its passkey. Raises Refused; the counter is for the caller to judge."""
    _judge_frame(response, party)
    said = response.credential["response"].get("userHandle")
    if said is not None and said != handle:
        raise Refused("it is of another user")
    webauthn = _library()
    try:
        cbor.require_authenticator_data(_bytes(response.credential["response"].get("authenticatorData")))
        _bytes(response.credential["response"].get("signature"))
    except ValueError:
        raise Refused("it is no credential") from None
    try:
        found = webauthn.verify_authentication_response(
            credential=response.judged,
            expected_challenge=response.challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=party.user_verification == "required",
        )
    except Exception as error:  # noqa: BLE001 -- The same.
        raise _refused(webauthn, error) from None
    flags = _flags(found.credential_device_type, is_backed_up=found.credential_backed_up)
    return Signed(found.new_sign_count, *flags, found.user_verified)


def algorithm_of(public_key: bytes) -> int:
    """The algorithm of a public key in COSE. Raises Refused for what is none, and for one that nobody is asked for.

    A key of another kind than its algorithm would be registered, and could never sign.
    """
    webauthn = _library()
    try:
        if len(public_key) > _LONGEST_KEY:
            raise ValueError("It is too long.")
        cbor.require_one(public_key)
        key = webauthn.helpers.decode_credential_public_key(public_key)
        held = webauthn.helpers.decoded_public_key_to_cryptography(key)
        number = int(key.alg)
    except Exception as error:  # noqa: BLE001 -- The same.
        raise _refused(webauthn, error) from None
    if number not in ALGORITHMS:
        raise Refused(_WHY["alg"])
    is_of_it = {
        -8: isinstance(held, Ed25519PublicKey),
        -7: isinstance(held, EllipticCurvePublicKey) and isinstance(held.curve, SECP256R1),
        -257: isinstance(held, RSAPublicKey) and held.key_size >= _LEAST_RSA,
    }
    if not is_of_it[number]:
        raise Refused("its key is not one of its algorithm")
    return number


def transports(said: object) -> str | None:
    """How a passkey is reached, in those words that the standard knows (WebAuthn Level 3 §5.8.4)."""
    known = sorted({one for one in said if isinstance(one, str)} & _TRANSPORTS) if isinstance(said, list) else []
    return ",".join(known) or None


def counted(before: int, now: int) -> Literal["risen", "none", "copied"]:
    """Judge a counter (WebAuthn Level 3 §6.1.1): synced passkeys have none, and one that does not rise was copied."""
    if before == now == 0:
        return "none"
    return "risen" if now > before else "copied"


def is_installed() -> bool:
    """Whether the package is there, which is not imported for that."""
    try:
        return find_spec("webauthn") is not None
    except ValueError:
        return False


def require_library() -> None:
    """Raise ConfigurationError where the package is missing or broken, before anybody is asked for a passkey."""
    _library()


def _library() -> ModuleType:
    # Half a second: only whoever uses passkeys pays for it.
    try:
        import webauthn
    except ImportError:
        raise ConfigurationError("Passkeys need a package more: pip install 'twofold[passkeys]'.") from None
    except Exception as error:
        # A package that was made for another release of the one that it stands on raises what it likes.
        raise ConfigurationError("The packages of passkeys do not go together; `pip check` names them.") from error
    return webauthn


def _judge_frame(response: Response, party: RelyingParty) -> None:
    """Refuse what was asked for in a frame of somebody else's page, which the library does not judge (§7.1, §7.2)."""
    is_framed, top = response.client_data.get("crossOrigin", False), response.client_data.get("topOrigin")
    if is_framed is False and top is None:
        return
    if top not in party.top_origins:
        raise Refused("it was asked for in a frame of another origin")


def _attested(webauthn: ModuleType, response: Response) -> dict[str, Any]:
    """Read the attestation object.

    Raises Refused for what takes longer to read than its length allows for, and for a statement with the format `none`
    (§8.7).
    """
    try:
        attestation = _bytes(response.credential["response"].get("attestationObject"))
        cbor.require_one(attestation)
        attested: dict[str, Any] = webauthn.helpers.parse_cbor(attestation)
        cbor.require_authenticator_data(attested["authData"])
        is_plain = attested["fmt"] != "none" or attested["attStmt"] == {}
    except Exception:  # noqa: BLE001 -- The same.
        raise Refused("it is no credential") from None
    if not is_plain:
        raise Refused("it says nothing of its maker, and makes a statement")
    return attested


def _refused(webauthn: ModuleType, error: Exception) -> Refused:
    """Say why, without a word of what was sent."""
    known = isinstance(error, webauthn.helpers.exceptions.WebAuthnException)
    text = str(error).lower() if known else ""
    if "certificate chain" in text:
        return NotAllowed("no trusted root vouches for its certificate, or not any more")
    for mark, why in _WHY.items():
        if mark in text:
            return Refused(why)
    return Refused("it does not hold")


# What the library's messages have in common, and what we say.
_WHY: Final = {
    "origin": "it was asked for by another origin",
    "challenge": "it answers another challenge",
    "rp id hash": "it is of another domain",
    "client data type": "it is of the other ceremony",
    "not present": "nobody was there",
    "user verification": "its user was not verified",
    "signature": "its signature does not hold",
    "alg": "its algorithm was not asked for",
}


def _flags(device_type: Any, *, is_backed_up: bool) -> tuple[bool, bool]:
    """Whether it can be synced, and whether it is."""
    return device_type.value == "multi_device", is_backed_up
