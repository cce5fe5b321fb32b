"""Signed tokens: a challenge that waits for a code, what a passkey signs, the proof of a factor, the tombstone. Pure.

A token is `v1~<kid>~<check>~<payload>~<mac>`. It carries no secret and grants nothing by itself: whether it counts
is decided against the user's row.

Tests: `tests/test_stored_forms.py`, `tests/attacks/test_cryptography.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar
from urllib.parse import quote, unquote
from uuid import UUID

from twofold import base64url
from twofold.errors import MissingKey, Tampered
from twofold.moments import microseconds, moment_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twofold.keyring import Keyring, Purpose
    from twofold.outcomes import Means, UserId

T = TypeVar("T")

# The longest user id that a column of a reasonable length holds fits in.
_LONGEST = 8192


class ChallengeToken(NamedTuple):
    """A login that waits, for the factor that was enabled then; `serial` is the number of the event that issued it."""

    user_id: UserId
    serial: int
    expires_at: datetime
    enabled_at: datetime | None


Occasion = Literal["register", "step_up"]


class CeremonyToken(NamedTuple):
    """What a passkey is asked to sign, for one `occasion` and at the version `serial` of the user's row.

    At a registration, `handle` is what the passkey will call its user, and `session` tells the one that asked.
    """

    user_id: UserId
    occasion: Occasion
    serial: int
    expires_at: datetime
    enabled_at: datetime | None
    handle: str = ""
    session: str = ""


class ProofToken(NamedTuple):
    """A factor that was proven `at`, in the event `serial`, while the factor enabled at `enabled_at` was in force."""

    user_id: UserId
    means: Means
    at: datetime
    enabled_at: datetime
    serial: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A user who was erased: when, and the number and the MAC of the last event.

    `is_intact` is false where the row and the end of the log did not agree, or could not be proven.
    """

    user_id: UserId
    count: int
    mac: str | None
    is_intact: bool
    at: datetime


def write_challenge(keyring: Keyring, token: ChallengeToken) -> str:
    """Sign a challenge."""
    moments = (_moment(token.expires_at), _moment(token.enabled_at))
    return _sign(keyring, "challenges", token.serial, *moments, _pack(token.user_id))


def read_challenge(keyring: Keyring, text: object) -> ChallengeToken | None:
    """Read a challenge that this keyring signed; None for anything else. The caller looks at `expires_at`."""

    def build(serial: str, expires_at: str, enabled_at: str, user_id: str) -> ChallengeToken:
        enabled = moment_at(int(enabled_at)) if enabled_at else None
        return ChallengeToken(_unpack(user_id), int(serial), moment_at(int(expires_at)), enabled)

    return _unsign(keyring, "challenges", text, build, 4)


def write_ceremony(keyring: Keyring, token: CeremonyToken) -> str:
    """Sign what a passkey is asked to sign: the whole of it is the challenge of WebAuthn, so nothing is kept."""
    moments = (_moment(token.expires_at), _moment(token.enabled_at))
    about = (token.occasion, token.serial, *moments, token.handle, token.session)
    return _sign(keyring, "ceremonies", *about, _pack(token.user_id))


def read_ceremony(keyring: Keyring, text: object) -> CeremonyToken | None:
    """Read what this keyring signed; None for anything else. The caller looks at `expires_at`."""

    def build(
        occasion: Occasion, serial: str, expires_at: str, enabled_at: str, handle: str, session: str, user_id: str
    ) -> CeremonyToken:
        enabled = moment_at(int(enabled_at)) if enabled_at else None
        expires = moment_at(int(expires_at))
        return CeremonyToken(_unpack(user_id), occasion, int(serial), expires, enabled, handle, session)

    return _unsign(keyring, "ceremonies", text, build, 7)


def write_proof(keyring: Keyring, token: ProofToken) -> str:
    """Sign a proof."""
    at, enabled_at = microseconds(token.at), microseconds(token.enabled_at)
    return _sign(keyring, "proofs", token.means, at, enabled_at, token.serial, _pack(token.user_id))


def read_proof(keyring: Keyring, text: object) -> ProofToken | None:
    """Read a proof that this keyring signed; None for anything else. The caller looks at its age."""

    def build(means: Means, at: str, enabled_at: str, serial: str, user_id: str) -> ProofToken:
        return ProofToken(_unpack(user_id), means, moment_at(int(at)), moment_at(int(enabled_at)), int(serial))

    return _unsign(keyring, "proofs", text, build, 5)


def write_tombstone(keyring: Keyring, token: Tombstone) -> str:
    """Sign a tombstone."""
    # The MAC is what the table of events holds, whoever wrote it there.
    mac, is_intact, at = quote(token.mac or "", safe=":"), int(token.is_intact), microseconds(token.at)
    return _sign(keyring, "tombstones", token.count, mac, is_intact, at, _pack(token.user_id))


def read_tombstone(keyring: Keyring, text: object) -> Tombstone | None:
    """Read a tombstone that this keyring signed; None for anything else."""

    def build(count: str, mac: str, is_intact: str, at: str, user_id: str) -> Tombstone:
        return Tombstone(_unpack(user_id), int(count), unquote(mac) or None, is_intact == "1", moment_at(int(at)))

    return _unsign(keyring, "tombstones", text, build, 5)


def _moment(moment: datetime | None) -> str | int:
    return "" if moment is None else microseconds(moment)


def _sign(keyring: Keyring, purpose: Purpose, *fields: str | int) -> str:
    # None of the fields has a comma but the last one, the user id.
    payload = ",".join(map(str, fields))
    body = base64url.written(payload.encode())
    # Key ids may hold dots and cookies may not hold every mark; the tilde serves in cookies, forms and headers alike.
    prefix, _, mac = keyring.mac(purpose, body.encode()).rpartition(":")
    return f"{prefix.replace(':', '~')}~{body}~{mac}"


def _unsign(keyring: Keyring, purpose: Purpose, text: object, build: Callable[..., T], fields: int) -> T | None:
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isascii():
        return None
    match text.split("~"):
        case [version, kid, check, body, mac]:
            try:
                if not keyring.check(purpose, body.encode(), f"{version}:{kid}:{check}:{mac}"):
                    return None
                payload = base64url.read(body).decode()
                values = payload.split(",", fields - 1)
                # The signature holds, but another release may have written other fields.
                return build(*values) if len(values) == fields else None
            except (MissingKey, Tampered, ValueError, OverflowError):
                return None
        case _:
            return None


def _pack(user_id: UserId) -> str:
    match user_id:
        case UUID():
            return f"u{user_id.hex}"
        case int():
            return f"i{int.__repr__(user_id)}"
        case bytes():
            return f"y{user_id.hex()}"
        case _:
            return f"s{str.__str__(user_id)}"


def _unpack(packed: str) -> UserId:
    kind, value = packed[0], packed[1:]
    if kind == "y":
        return bytes.fromhex(value)
    return UUID(value) if kind == "u" else int(value) if kind == "i" else value
