"""Keys, and all that is done with them: derive, seal, open, authenticate. Pure.

One setting holds the master keys, the active one first. From each, HKDF-SHA-256 (RFC 5869) derives one key per
purpose and deployment, so that a value made for one purpose, or in one deployment, means nothing for another.
Sealing is AES-256-GCM with a random 96-bit nonce; the context that a value belongs to is its associated data. Every
value names its key: `v1:<kid>:<check>:…`.

The check value is eight hex digits of an HMAC under a key derived for nothing else. It stands open in every row, and
tells another key of the same name. It says nothing about a MAC: whoever writes to the database can copy it.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, get_args
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from twofold import base64url
from twofold.confidential import Confidential
from twofold.errors import ConfigurationError, MissingKey, Tampered, WrongKey
from twofold.moments import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable

Purpose = Literal[
    "secrets",
    "backup codes",
    "device tokens",
    "passkeys",
    "ceremonies",
    "events",
    "state",
    "challenges",
    "proofs",
    "forms",
    "tombstones",
]

AUDITED: Final[tuple[Purpose, ...]] = ("events", "tombstones")
"""What a key still proves when it does nothing else any more."""

_KID = re.compile(r"[a-z0-9][a-z0-9._-]{0,15}")
_KEY_BYTES = 32
_NONCE_BYTES = 12
_CHECK = re.compile(r"[0-9a-f]{8}")


def generate_key(kid: str | None = None) -> str:
    """Make a new master key, `kid:base64`, ready for TWOFOLD_KEYS.

    The default key id is today's date and four letters.
    """
    kid = kid or f"k{datetime.now(UTC):%y%m%d}-{secrets.token_hex(2)}"
    if not _KID.fullmatch(kid):
        raise ConfigurationError("A key id is 1 to 16 of a-z, 0-9, dot, dash and underscore.")
    return f"{kid}:{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}"


def generate_deployment() -> str:
    """Make a name for a deployment, ready for TWOFOLD_DEPLOYMENT: sixteen hex digits."""
    return secrets.token_hex(8)


# Most numbers of a row are small, and most texts are short: their encoding, and what stands before them, is looked up
# faster than it is written.
_SMALL = {number: f"i{number}" for number in range(256)}
_SHORT = {length: f"s{length}:" for length in range(256)}


def canonical(*parts: str | bool | bytes | float | datetime | UUID | None) -> bytes:
    """Encode values so that no two different sequences read alike: each with its type, and a text with its length.

    Moments are microseconds since 1970. The encoding is part of what is stored: a change needs a new version.
    """
    return joined(encoded(parts))


def joined(written: Iterable[str]) -> bytes:
    """The encoding of a sequence, from that of its values."""
    # A lone surrogate is no text, and yet what a caller may be given as one.
    return ",".join(written).encode("utf-8", "surrogatepass")


def encoded(values: Iterable[Any]) -> list[str]:
    """Encode each of these values by itself."""
    written: list[str] = []
    for part in values:
        # Nearly all of every row is of five types, which are told apart faster by identity than by a match; and most of
        # it is None.
        if part is None:
            written.append("n")
        elif (kind := type(part)) is str:
            written.append((_SHORT.get(len(part)) or f"s{len(part)}:") + part)
        elif kind is int:
            written.append(_SMALL.get(part) or f"i{part}")
        elif kind is bool:
            written.append("b1" if part else "b0")
        elif kind is datetime:
            written.append(f"t{microseconds(part)}")
        else:
            written.append(_written(part))
    return written


def _written(part: object) -> str:
    """The encoding of a value of a rarer type, or of a type derived from a common one."""
    match part:
        case str():
            text = str.__str__(part)
            return f"s{len(text)}:{text}"
        case int():
            return f"i{int.__repr__(part)}"
        case datetime():
            return f"t{microseconds(part)}"
        case bytes():
            return f"y{part.hex()}"
        case UUID():
            return f"u{part.hex}"
        case float():
            # Nothing of ours is one, but SQLite gives back whatever was put into a column.
            return f"f{float.__repr__(part)}"
        case _:
            raise TypeError(f"{type(part).__name__} has no canonical form.")


class Keyring(Confidential):
    """The master keys of one deployment. The first writes, all of them read.

    The keys of `audit` only verify events and tombstones of before: they neither write nor open anything.
    """

    def __init__(self, keys: dict[str, bytes], *, audit: dict[str, bytes] | None = None, deployment: str = "") -> None:
        if not keys:
            raise ConfigurationError("There are no keys; make one with `twofold keys generate` and set TWOFOLD_KEYS.")
        self._keys = {kid: _derive_all(master, deployment) for kid, master in keys.items()}
        self._sealing = {kid: AESGCM(derived["secrets"]) for kid, derived in self._keys.items()}
        # Each has taken its key in, and is copied for every message.
        self._macs = {
            kid: {purpose: HMAC(key, SHA256()) for purpose, key in derived.items()}
            for kid, derived in self._keys.items()
        }
        for kid, master in (audit or {}).items():
            self._macs[kid] = {purpose: HMAC(_derive(master, purpose, deployment), SHA256()) for purpose in AUDITED}
        everything = keys | (audit or {})
        self.prefixes = {kid: f"v1:{kid}:{_check_value(master, deployment)}:" for kid, master in everything.items()}
        """What every value begins with that a key wrote, by the key's id; those of `audit` come last."""
        self._kids = {prefix: kid for kid, prefix in self.prefixes.items()}
        self.active = next(iter(keys))

    @classmethod
    def parse(cls, text: str, *, audit: str = "", deployment: str = "") -> Keyring:
        """Read `kid2:base64,kid1:base64`, for the deployment of that name.

        Raises ConfigurationError, without a word of the key, for anything weak or odd.
        """
        keys = _parsed(text, "Key", {})
        audits = _parsed(audit, "Audit key", keys) if audit.strip() else None
        return cls(keys, audit=audits, deployment=deployment)

    def __repr__(self) -> str:
        return f"Keyring({', '.join([*self._keys, *(f'{kid} for audits' for kid in self.audit_kids)])})"

    @property
    def kids(self) -> tuple[str, ...]:
        """The ids of the keys that write and read, the active one first."""
        return tuple(self._keys)

    @property
    def audit_kids(self) -> tuple[str, ...]:
        """The ids of the keys that only verify events and tombstones."""
        return tuple(kid for kid in self.prefixes if kid not in self._keys)

    def seal(self, plaintext: bytes, context: bytes) -> str:
        """Encrypt under the active key for one `context`; it opens nowhere else.

        The form is `v1:<kid>:<check>:<base64url(nonce ‖ ciphertext ‖ tag)>`.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._sealing[self.active].encrypt(nonce, plaintext, _bound(self.active, context))
        return f"{self.prefixes[self.active]}{base64url.written(nonce + sealed)}"

    def open(self, value: str, context: bytes) -> bytes:
        """Decrypt a sealed value.

        Raises MissingKey for an unknown key id, WrongKey for another key of that name, Tampered for everything else
        that does not open.
        """
        kid, body = self._split(value, "secrets")
        try:
            raw = base64url.read(body)
            return self._sealing[kid].decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(kid, context))
        except (InvalidTag, ValueError):
            raise Tampered from None

    def mac(self, purpose: Purpose, message: bytes) -> str:
        """Authenticate a message under the active key: `v1:<kid>:<check>:<64 hex digits>` (HMAC-SHA-256)."""
        return self._mac(self.active, purpose, message)

    def macs(self, purpose: Purpose, message: bytes) -> tuple[str, ...]:
        """The same under every key, the active one first: what a row written under any of them may hold."""
        return tuple(self._mac(kid, purpose, message) for kid in self._keys)

    def check(self, purpose: Purpose, message: bytes, mac: str) -> bool:
        """Say whether `mac` belongs to the message, in constant time.

        Raises MissingKey for an unknown key id, WrongKey for another key of that name, Tampered for what is no MAC.
        """
        kid, _ = self._split(mac, purpose)
        return hmac.compare_digest(self._mac(kid, purpose, message), mac)

    def _mac(self, kid: str, purpose: Purpose, message: bytes) -> str:
        mac = self._macs[kid][purpose].copy()
        mac.update(message)
        return f"{self.prefixes[kid]}{mac.finalize().hex()}"

    def _split(self, value: str, purpose: Purpose) -> tuple[str, str]:
        prefix, colon, body = value.rpartition(":")
        kid = self._kids.get(prefix + colon)
        if kid is None or not body.isascii():
            self._refuse(value)
        if purpose not in self._macs[kid]:
            raise MissingKey(
                f"A stored value needs the key {kid!r}, which is in TWOFOLD_AUDIT_KEYS alone: put it back into "
                "TWOFOLD_KEYS.",
                kid,
            )
        return kid, body

    def _refuse(self, value: str) -> NoReturn:
        """Say why a value is none that these keys wrote."""
        match value.split(":"):
            case ["v1", kid, check, body] if _CHECK.fullmatch(check) and body.isascii():
                if kid in self.prefixes:
                    raise WrongKey(
                        f"A stored value was written under another key of the name {kid!r}, or under another "
                        "TWOFOLD_DEPLOYMENT, or it was altered; `twofold keys status` tells which.",
                        kid,
                    )
                raise MissingKey(
                    f"A stored value names the key {kid[:16]!r}, which is not configured: put it back into "
                    "TWOFOLD_KEYS, or the row was altered.",
                    kid[:16],
                )
            case _:
                raise Tampered


def _is_weak(master: bytes) -> bool:
    """Whether these bytes look chosen: few of them, a text, a pattern that repeats, a sequence in even steps.

    Of random keys, fewer than one in a billion does.
    """
    steps = {(after - before) % 256 for before, after in pairwise(master)}
    return (
        len(set(master)) < _KEY_BYTES // 4
        or all(32 <= byte < 127 or byte in b"\t\n\r" for byte in master)
        or any(master == master[:size] * (_KEY_BYTES // size) for size in (8, 16))
        or len(steps) == 1
    )


def _parsed(text: str, what: str, others: dict[str, bytes]) -> dict[str, bytes]:
    """The keys of a setting, none of which may be among the others."""
    keys: dict[str, bytes] = {}
    for number, entry in enumerate((part.strip() for part in text.strip().strip(",").split(",")), start=1):
        kid, colon, encoded = entry.partition(":")
        if not colon or not _KID.fullmatch(kid):
            raise ConfigurationError(
                f"{what} {number} is not written as kid:base64 (kid: a-z, 0-9, dot, dash, underscore)."
            )
        try:
            master = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
        except ValueError:
            raise ConfigurationError(f"{what} {number} is not base64.") from None
        if len(master) != _KEY_BYTES:
            raise ConfigurationError(f"{what} {number} has {len(master)} bytes; a key has {_KEY_BYTES}.")
        if _is_weak(master):
            raise ConfigurationError(f"{what} {number} is not random; make one with `twofold keys generate`.")
        if any(kid in known or master in known.values() for known in (keys, others)):
            raise ConfigurationError(f"{what} {number} is there twice.")
        keys[kid] = master
    return keys


def _bound(kid: str, context: bytes) -> bytes:
    """The associated data of a sealed value. A key id has no colon, so nothing else reads alike."""
    return b"%b:%b" % (kid.encode(), context)


def _check_value(master: bytes, deployment: str) -> str:
    """What tells this key from another of its name."""
    return hmac.digest(_derive(master, "check", deployment), b"check", "sha256").hex()[:8]


def _derive_all(master: bytes, deployment: str) -> dict[Purpose, bytes]:
    purposes: tuple[Purpose, ...] = get_args(Purpose)
    return {purpose: _derive(master, purpose, deployment) for purpose in purposes}


def _derive(master: bytes, purpose: str, deployment: str) -> bytes:
    # Neither has a slash.
    info = f"twofold v1 {purpose}/{deployment}" if deployment else f"twofold v1 {purpose}"
    return HKDF(SHA256(), length=_KEY_BYTES, salt=None, info=info.encode()).derive(master)
