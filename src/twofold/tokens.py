"""Signed tokens: a challenge that waits for a code, the proof that one was given, the tombstone of the erased. Pure.

A token is `v1~<kid>~<payload>~<mac>`. It carries no secret and grants nothing by itself: whether it still counts is
decided against the user's row.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast
from uuid import UUID

from twofold.errors import MissingKey, Tampered

if TYPE_CHECKING:
    from twofold.keyring import Keyring, Purpose
    from twofold.outcomes import Factor, UserId

# A user id of 255 characters that JSON escapes fits in.
_LONGEST = 8192
_json = json.JSONEncoder(separators=(",", ":")).encode


class ChallengeToken(NamedTuple):
    """A login that waits, for the factor that was enabled then; `serial` is the number of the event that issued it."""

    user_id: UserId
    serial: int
    expires_at: datetime
    enabled_at: datetime | None


class ProofToken(NamedTuple):
    """A factor that was proven `at`, in the event `serial`, while the factor enabled at `enabled_at` was in force."""

    user_id: UserId
    factor: Factor
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
    payload = {"u": _pack(token.user_id), "n": token.serial, "e": token.expires_at.isoformat()}
    if token.enabled_at is not None:
        payload["s"] = token.enabled_at.astimezone(UTC).isoformat()
    return _sign(keyring, "challenges", payload)


def read_challenge(keyring: Keyring, text: object) -> ChallengeToken | None:
    """Read a challenge that this keyring signed; None for anything else. The caller looks at `expires_at`."""
    payload = _unsign(keyring, "challenges", text)
    if payload is None:
        return None
    enabled_at = datetime.fromisoformat(payload["s"]) if "s" in payload else None
    expires_at = datetime.fromisoformat(payload["e"])
    return ChallengeToken(_unpack(payload["u"]), int(payload["n"]), expires_at, enabled_at)


def write_proof(keyring: Keyring, token: ProofToken) -> str:
    """Sign a proof."""
    payload = {
        "u": _pack(token.user_id),
        "f": token.factor,
        "t": token.at.astimezone(UTC).isoformat(),
        "s": token.enabled_at.astimezone(UTC).isoformat(),
        "n": token.serial,
    }
    return _sign(keyring, "proofs", payload)


def read_proof(keyring: Keyring, text: object) -> ProofToken | None:
    """Read a proof that this keyring signed; None for anything else. The caller looks at its age."""
    payload = _unsign(keyring, "proofs", text)
    if payload is None:
        return None
    factor: Literal["totp", "backup_codes"] = payload["f"]
    at, enabled_at = datetime.fromisoformat(payload["t"]), datetime.fromisoformat(payload["s"])
    return ProofToken(_unpack(payload["u"]), factor, at, enabled_at, int(payload["n"]))


def write_tombstone(keyring: Keyring, token: Tombstone) -> str:
    """Sign a tombstone."""
    payload = {
        "u": _pack(token.user_id),
        "n": token.count,
        "h": token.mac,
        "i": token.is_intact,
        "t": token.at.astimezone(UTC).isoformat(),
    }
    return _sign(keyring, "tombstones", payload)


def read_tombstone(keyring: Keyring, text: object) -> Tombstone | None:
    """Read a tombstone that this keyring signed; None for anything else."""
    payload = _unsign(keyring, "tombstones", text)
    if payload is None:
        return None
    at = datetime.fromisoformat(payload["t"])
    return Tombstone(_unpack(payload["u"]), payload["n"], payload["h"], payload["i"], at)


def _sign(keyring: Keyring, purpose: Purpose, payload: dict[str, Any]) -> str:
    body = base64.urlsafe_b64encode(_json(payload).encode()).decode().rstrip("=")
    # Key ids may hold dots and cookies may not hold every mark; the tilde serves in cookies, forms and headers alike.
    version, kid, mac = keyring.mac(purpose, body.encode()).split(":")
    return f"{version}~{kid}~{body}~{mac}"


def _unsign(keyring: Keyring, purpose: Purpose, text: object) -> dict[str, Any] | None:
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isascii():
        return None
    match text.split("~"):
        case [version, kid, body, mac]:
            try:
                if not keyring.check(purpose, body.encode(), f"{version}:{kid}:{mac}"):
                    return None
                # The signature holds, so the payload is one that this module wrote.
                return cast("dict[str, Any]", json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
            except (MissingKey, Tampered, binascii.Error, ValueError):
                return None
        case _:
            return None


def _pack(user_id: UserId) -> list[Any]:
    return ["u", user_id.hex] if isinstance(user_id, UUID) else ["v", user_id]


def _unpack(packed: list[Any]) -> UserId:
    kind, value = packed
    return UUID(value) if kind == "u" else cast("int | str", value)
