"""A passkey without hardware: it registers and signs as an authenticator and a browser do, and lies where it is told.

It needs the extra `twofold[passkeys]`.
"""

from __future__ import annotations

import json
import secrets
from copy import copy
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from twofold import base64url
from twofold.outcomes import Ceremony

if TYPE_CHECKING:
    from collections.abc import Mapping

_UP, _UV, _BE, _BS, _AT, _ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


@dataclass
class VirtualPasskey:
    """A passkey of one browser, which shows the pages of `origin`.

    Whatever it says can be bent, for one call by a keyword or for good by an attribute: `origin`, `rp_id`, `counter`,
    `is_present`, `is_verified`, `can_sync`, `is_synced`, `handle`, `algorithm`; and of one answer `type`, `challenge`,
    `cross_origin`, `top_origin`, `credential_id`, `signature`, `extensions` (bytes), `client_data`, `response` and
    `more` (whatever else these and the credential say); of a registration `public_key`, `attestation`, and
    `attested_by`, a private key that signs it, with its `certificates`. The counter rises with each signature, unless
    it is None: a synced passkey says 0 for ever.
    """

    origin: str
    rp_id: str | None = None
    algorithm: Literal[-7, -8, -257] = -7
    counter: int | None = 0
    is_present: bool = True
    is_verified: bool = True
    can_sync: bool = False
    is_synced: bool = False
    handle: str | None = None
    aaguid: bytes = bytes(16)
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.key is None:
            self.key = _new_key(self.algorithm)

    @property
    def public_key(self) -> bytes:
        """The public key in COSE, as a table made by hand holds it."""
        import cbor2

        encoded: bytes = cbor2.dumps(_cose(self.key, self.algorithm))
        return encoded

    def register(self, asked: Ceremony | Mapping[str, Any], **bent: Any) -> str:
        """Answer the options of `passkeys.begin`: the JSON text for `passkeys.confirm`."""
        import cbor2

        options = _options(asked)
        self.rp_id = self.rp_id or options["rp"]["id"]
        self.handle = options["user"]["id"]
        said = self._bent(bent)
        extensions: bytes = bent.get("extensions", b"")
        data = self._data(said, _AT | _ED * bool(extensions))
        data += said.aaguid + len(said.credential_id).to_bytes(2, "big") + said.credential_id
        data += bent.get("public_key", said.public_key) + extensions
        attested: dict[str, Any] = {"fmt": "none", "attStmt": {}, "authData": data}
        if "attested_by" in bent:
            client_data = _client_data(said, options, "webauthn.create", bent)
            statement = {
                "alg": said.algorithm,
                "sig": _signed(bent["attested_by"], data + sha256(client_data).digest()),
            }
            chain = {"x5c": bent["certificates"]} if "certificates" in bent else {}
            attested |= {"fmt": "packed", "attStmt": statement | chain}
        attested |= bent.get("attestation", {})
        response = {"attestationObject": base64url.written(cbor2.dumps(attested)), "transports": ["internal", "hybrid"]}
        return _credential(said, options, "webauthn.create", response, bent)

    def sign(self, asked: Ceremony | Mapping[str, Any], **bent: Any) -> str:
        """Answer the options of a challenge: the JSON text for `verify` or `reverify`."""
        options = _options(asked)
        self.rp_id = self.rp_id or options["rpId"]
        if self.counter is not None:
            self.counter += 1
        said = self._bent(bent)
        extensions: bytes = bent.get("extensions", b"")
        data = self._data(said, _ED * bool(extensions)) + extensions
        client_data = _client_data(said, options, "webauthn.get", bent)
        signature = bent.get("signature") or _signed(said.key, data + sha256(client_data).digest())
        response = {
            "authenticatorData": base64url.written(data),
            "signature": base64url.written(signature),
            "userHandle": said.handle,
        }
        return _credential(said, options, "webauthn.get", response, bent)

    def copied(self) -> VirtualPasskey:
        """A copy of the key, with the counter of now: what a thief of the key would hold."""
        return copy(self)

    def _bent(self, bent: dict[str, Any]) -> VirtualPasskey:
        said = copy(self)
        for name in bent.keys() & self.__dataclass_fields__.keys():
            setattr(said, name, bent[name])
        return said

    def _data(self, said: VirtualPasskey, flags: int) -> bytes:
        """The authenticator data (WebAuthn Level 3 §6.1)."""
        flags |= _UP * said.is_present | _UV * said.is_verified | _BE * said.can_sync | _BS * said.is_synced
        return sha256((said.rp_id or "").encode()).digest() + bytes([flags]) + (said.counter or 0).to_bytes(4, "big")


def _options(asked: Ceremony | Mapping[str, Any]) -> Mapping[str, Any]:
    return asked.options if isinstance(asked, Ceremony) else asked


def _client_data(said: VirtualPasskey, options: Mapping[str, Any], kind: str, bent: Mapping[str, Any]) -> bytes:
    client_data = {
        "type": bent.get("type", kind),
        "challenge": bent.get("challenge", options["challenge"]),
        "origin": said.origin,
        "crossOrigin": bent.get("cross_origin", False),
    }
    if "top_origin" in bent:
        client_data["topOrigin"] = bent["top_origin"]
    return json.dumps(client_data | bent.get("client_data", {})).encode()


def _credential(
    said: VirtualPasskey, options: Mapping[str, Any], kind: str, response: dict[str, Any], bent: Mapping[str, Any]
) -> str:
    """What `credential.toJSON()` of a browser gives."""
    raw_id = base64url.written(said.credential_id)
    client_data = base64url.written(_client_data(said, options, kind, bent))
    credential = {
        "id": raw_id,
        "rawId": raw_id,
        "type": "public-key",
        "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": {"clientDataJSON": client_data} | response | bent.get("response", {}),
    }
    return json.dumps(credential | bent.get("more", {}))


def _new_key(algorithm: int) -> Any:
    match algorithm:
        case -8:
            return ed25519.Ed25519PrivateKey.generate()
        case -257:
            return rsa.generate_private_key(65537, 2048)
        case _:
            return ec.generate_private_key(ec.SECP256R1())


def _signed(key: Any, message: bytes) -> bytes:
    match key:
        case ec.EllipticCurvePrivateKey():
            return key.sign(message, ec.ECDSA(SHA256()))
        case rsa.RSAPrivateKey():
            return key.sign(message, padding.PKCS1v15(), SHA256())
        case _:
            signature: bytes = key.sign(message)
            return signature


def _cose(key: Any, algorithm: int) -> dict[int, Any]:
    """The public key as COSE has it (RFC 9052 §7, RFC 9053)."""
    match key:
        case ec.EllipticCurvePrivateKey():
            point = key.public_key().public_numbers()
            return {1: 2, 3: algorithm, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        case rsa.RSAPrivateKey():
            numbers = key.public_key().public_numbers()
            return {1: 3, 3: algorithm, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")}
        case _:
            return {1: 1, 3: algorithm, -1: 6, -2: key.public_key().public_bytes_raw()}
