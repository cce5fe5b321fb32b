"""RFC 6238: the code for a time step, and the step that a code matches. Pure."""

from __future__ import annotations

import hmac
import secrets
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

Algorithm = Literal["SHA1", "SHA256", "SHA512"]

# RFC 4226 §4 recommends 160 bits; RFC 6238 §5.1 asks for keys of the length of the hash.
SECRET_BYTES: dict[Algorithm, int] = {"SHA1": 20, "SHA256": 32, "SHA512": 64}
_HASHES: dict[Algorithm, hashes.HashAlgorithm] = {
    "SHA1": hashes.SHA1(),  # noqa: S303 - the hash of RFC 4226, and the one that every app knows.
    "SHA256": hashes.SHA256(),
    "SHA512": hashes.SHA512(),
}


def named(name: object) -> Algorithm | None:
    """The algorithm that an application called so: `sha1`, `SHA-1`; None for one that no authenticator app knows."""
    # SQLite keeps whatever is written into a column.
    found = name.upper().replace("-", "") if isinstance(name, str) else None
    return next((algorithm for algorithm in SECRET_BYTES if algorithm == found), None)


class Parameters(NamedTuple):
    """What an authenticator app must know beside the secret: `period` in seconds, `digits` from 6 to 8."""

    algorithm: Algorithm = "SHA1"
    digits: int = 6
    period: int = 30


def generate_secret(algorithm: Algorithm = "SHA1") -> bytes:
    """Make a secret as long as the hash, from the operating system's generator (RFC 4226 §4, R6)."""
    return secrets.token_bytes(SECRET_BYTES[algorithm])


def step_at(seconds: float, parameters: Parameters) -> int:
    """The time step in which a moment, in seconds since 1970, lies (RFC 6238 §4.2)."""
    return int(seconds // parameters.period)


def code_at(secret: bytes, step: int, parameters: Parameters) -> str:
    """The code of one time step, leading zeros kept (RFC 4226 §5.3 with the hash of RFC 6238 §1.2)."""
    return _code(_keyed(secret, parameters), step, parameters)


def _keyed(secret: bytes, parameters: Parameters) -> HMAC:
    return HMAC(secret, _HASHES[parameters.algorithm])


def _code(keyed: HMAC, step: int, parameters: Parameters) -> str:
    mac = keyed.copy()
    mac.update(step.to_bytes(8, "big"))
    digest = mac.finalize()
    offset = digest[-1] & 0x0F
    truncated = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(truncated % 10**parameters.digits).zfill(parameters.digits)


def is_code(text: object, parameters: Parameters) -> bool:
    """Whether `text` has the form of a code: that many ASCII digits and nothing else."""
    # str.isdigit alone would take digits of every script, and a full-width code is not what the app showed.
    return isinstance(text, str) and len(text) == parameters.digits and text.isascii() and text.isdigit()


def may_be_code(text: object) -> bool:
    """Whether `text` can be a code of any app: six to eight ASCII digits."""
    return isinstance(text, str) and 6 <= len(text) <= 8 and text.isascii() and text.isdigit()


def matching_step(secret: bytes, code: str, *, step: int, window: int, parameters: Parameters) -> int | None:
    """The newest step within `window` of `step` whose code this is, or None.

    Every step is computed and compared, so that the time taken does not tell which one matched (ASVS 11.2.4).
    """
    given, keyed = code.encode(), _keyed(secret, parameters)
    matched = None
    for candidate in range(max(step - window, 0), step + window + 1):
        if hmac.compare_digest(_code(keyed, candidate, parameters).encode(), given):
            matched = candidate
    return matched
