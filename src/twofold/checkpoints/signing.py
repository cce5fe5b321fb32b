"""The key of the checkpoints: Ed25519 (RFC 8032), as one line of text for each half. Pure."""

from __future__ import annotations

import base64
import hashlib
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from twofold.confidential import Confidential
from twofold.errors import ConfigurationError

_PRIVATE, _PUBLIC = "ed25519-private:", "ed25519-public:"
_KEY_BYTES = 32


class PublicKey:
    """The half that verifies. `kid` is the beginning of its SHA-256."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.kid = hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]

    def __str__(self) -> str:
        return _PUBLIC + base64.b64encode(self._key.public_bytes_raw()).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ed25519-public:base64`. Raises ConfigurationError."""
        return cls(Ed25519PublicKey.from_public_bytes(_raw(text, _PUBLIC, "public")))

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the other half signed this message."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class PrivateKey(Confidential):
    """The half that signs."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.kid})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ed25519-private:base64`. Raises ConfigurationError, without a word of the key."""
        return cls(Ed25519PrivateKey.from_private_bytes(_raw(text, _PRIVATE, "private")))

    def sign(self, message: bytes) -> bytes:
        """The signature of a message."""
        return self._key.sign(message)


def generate_key() -> str:
    """Make a private key, `ed25519-private:base64`, from the operating system's randomness."""
    return _PRIVATE + base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def _raw(text: str, prefix: str, half: str) -> bytes:
    try:
        raw = base64.b64decode(text.strip().removeprefix(prefix), validate=True)
    except ValueError:
        raw = b""
    if not text.strip().startswith(prefix) or len(raw) != _KEY_BYTES:
        raise ConfigurationError(f"A {half} checkpoint key is one line, {prefix}base64; this is none.")
    return raw
