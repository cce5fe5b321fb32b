"""The chain that holds one user's events together. Pure.

Every event carries an HMAC over all its columns and the MAC of the event before it, under a key that is not in the
database. Whoever edits, drops, inserts or swaps lines without the key breaks the chain at that line; the user's row
holds the count and the head, so that the end cannot be cut off alone. What cannot be seen without a copy elsewhere
(`twofold.checkpoints.checkpoint`): a whole user removed, or row and events put back together to an earlier state.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from twofold.keyring import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from twofold.keyring import Keyring
    from twofold.outcomes import UserId


class Link(NamedTuple):
    """One event with everything that its MAC covers, as the columns hold it and in their order."""

    user_id: UserId
    seq: int
    event_type: str
    event_status: str
    event_details: str | None
    ip_address: str | None
    user_agent: str | None
    device_fingerprint: str | None
    created_at: datetime

    def message(self, previous: str | None, nonce: str) -> bytes:
        """What is authenticated: format, the link before, what is random, and every column."""
        return canonical("event 1", previous, nonce, *self)


_NONCE_DIGITS = 12
_details = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def details_text(details: Mapping[str, Any]) -> str | None:
    """Details as the column holds them: JSON with sorted keys, or NULL where there are none."""
    return _details(details) if details else None


def details_of(text: str | None) -> Mapping[str, Any]:
    """Details as they were given. What is no object of JSON is one of before Twofold, and stands under "text"."""
    try:
        details = json.loads(text) if text else {}
    except ValueError:
        details = None
    return details if isinstance(details, dict) else {"text": text}


def mac(keyring: Keyring, link: Link, previous: str | None) -> str:
    """The MAC of an event that follows the event with the MAC `previous`: `v1:<kid>:<check>:<nonce><64 hex digits>`.

    The nonce tells two requests apart that wrote the same words at the same moment, where an answer was lost and its
    event is looked for.
    """
    nonce = secrets.token_hex(_NONCE_DIGITS // 2)
    prefix, _, body = keyring.mac("events", link.message(previous, nonce)).rpartition(":")
    return f"{prefix}:{nonce}{body}"


def fits(keyring: Keyring, link: Link, previous: str | None, mac: str) -> bool:
    """Whether `mac` belongs to this event after that one. Raises what `Keyring.check` raises."""
    prefix, _, body = mac.rpartition(":")
    message = link.message(previous, body[:_NONCE_DIGITS])
    return keyring.check("events", message, f"{prefix}:{body[_NONCE_DIGITS:]}")
