"""Checkpoints: signed statements of where the chain of every user ended. Pure.

A chain cannot show that its end was cut off by somebody with the keys, that an old database was brought back, or that
a user was deleted whole. A checkpoint that is kept elsewhere can. It is lines of heads, closed by a line with their
number and a signature. Every line names the hash of the line before it, and the signature covers that hash, so that it
holds all that stands above. Tombstones, signed one by one, tell a user who was erased from one who was deleted.

Whoever verifies needs the public key alone; whoever has the database and TWOFOLD_KEYS cannot sign.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from twofold.keyring import canonical
from twofold.tokens import Tombstone

if TYPE_CHECKING:
    from twofold.checkpoints.signing import PrivateKey, PublicKey
    from twofold.outcomes import UserId

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain of one user ends: the number of the last event, and its MAC."""

    user_id: UserId
    count: int
    mac: str | None


@dataclass(frozen=True, slots=True)
class Heads:
    """A line of heads, for the next checkpoint to close."""

    heads: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What closes the heads of so many users, read between two moments."""

    begun_at: datetime
    at: datetime
    users: int


Statement = Checkpoint | Tombstone
Entry = Heads | Statement


def digest(line: bytes) -> str:
    """What the next line calls this one: its SHA-256, without the end of the line."""
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest()


def write(entry: Entry, previous: str | None, key: PrivateKey) -> bytes:
    """The line that follows the one with the hash `previous`; the first of a file follows None."""
    match entry:
        case Heads():
            heads = [[_pack(head.user_id), head.count, head.mac] for head in entry.heads]
            return _line({"type": "heads", "heads": heads, "previous": previous})
        case Checkpoint():
            fields: dict[str, Any] = {
                "type": "checkpoint",
                "version": _VERSION,
                "begun_at": _text(entry.begun_at),
                "at": _text(entry.at),
                "users": entry.users,
            }
        case Tombstone():
            fields = {
                "type": "tombstone",
                "version": _VERSION,
                "user": _pack(entry.user_id),
                "count": entry.count,
                "mac": entry.mac,
                "is_intact": entry.is_intact,
                "at": _text(entry.at),
            }
    signature = key.sign(_message(entry, previous, key.public.kid))
    return _line(
        fields | {"previous": previous, "key": key.public.kid, "signature": base64.b64encode(signature).decode()}
    )


def read(line: bytes, previous: str | None, key: PublicKey) -> Entry:
    """Read the line that follows the one with the hash `previous`. Raises ValueError, with the reason, for any other.

    Heads are proven by the checkpoint that closes them, and by nothing before it.
    """
    try:
        fields = json.loads(line)
        named, kid, entry = fields["previous"], fields.get("key"), _entry(fields)
        signature = base64.b64decode(fields.get("signature", ""), validate=True)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise ValueError("is no line of a checkpoint file") from None
    if named != previous:
        raise ValueError("does not follow the line before it: one of the two was changed, or lines between are missing")
    if isinstance(entry, Heads):
        return entry
    if kid != key.kid:
        raise ValueError("is signed by another key")
    if not key.has_signed(_message(entry, previous, key.kid), signature):
        raise ValueError("was changed: its signature does not fit")
    return entry


def _message(statement: Statement, previous: str | None, kid: str) -> bytes:
    """What is signed: the statement, and by the hash of the line before it everything above."""
    match statement:
        case Checkpoint(begun_at, at, users):
            return canonical("checkpoint", _VERSION, previous, kid, begun_at, at, users)
        case Tombstone(user_id, count, mac, is_intact, at):
            return canonical("tombstone", _VERSION, previous, kid, user_id, count, mac, is_intact, at)


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _entry(fields: dict[str, Any]) -> Entry:
    match fields:
        case {"type": "heads", "heads": list(heads)}:
            return Heads(tuple(Head(_unpack(user), *_end(count, mac)) for user, count, mac in heads))
        case {"type": "checkpoint", "version": 1, "users": int(users)}:
            return Checkpoint(_moment(fields["begun_at"]), _moment(fields["at"]), users)
        case {"type": "tombstone", "version": 1, "is_intact": bool(is_intact)}:
            count, mac = _end(fields["count"], fields["mac"])
            return Tombstone(_unpack(fields["user"]), count, mac, is_intact, _moment(fields["at"]))
        case _:
            raise ValueError


def _end(count: object, mac: object) -> tuple[int, str | None]:
    match count, mac:
        case int(), None:
            return count, None
        case int(), str() if mac.isascii():
            return count, mac
        case _:
            raise ValueError


def _pack(user_id: UserId) -> Any:
    match user_id:
        case UUID():
            return {"uuid": str(user_id)}
        case bytes():
            return {"bytes": user_id.hex()}
        case _:
            return user_id


def _unpack(packed: object) -> UserId:
    match packed:
        case {"uuid": str(text)}:
            return UUID(text)
        case {"bytes": str(text)}:
            return bytes.fromhex(text)
        case int():
            return packed
        case str():
            packed.encode()  # Half of a surrogate pair is no text, and could not be signed.
            return packed
        case _:
            raise ValueError


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    return at.astimezone(UTC)
