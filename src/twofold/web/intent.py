"""What somebody asked for before a code was asked for, signed, so that it can go on after the code. Pure.

It holds no secret and opens nothing: without a right code nothing of it is done.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from twofold import base64url
from twofold.errors import MissingKey, Tampered
from twofold.keyring import canonical
from twofold.moments import microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from twofold.keyring import Keyring

LIFETIME = timedelta(minutes=10)
_LONGEST_VALUE = 32
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Intent:
    """The path of a route, the values in it, and the fields of its form. `epoch` is that of the user at that moment."""

    path: str
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    epoch: str | None = None

    def signed(self, keyring: Keyring, session_id: str, *, realm: str, now: datetime) -> str | None:
        """Sign it for one session and realm; None where a value is longer than anything that belongs there."""
        if any(len(value) > _LONGEST_VALUE for value in (*self.values.values(), *self.form.values())):
            return None
        held = [self.path, dict(self.values), dict(self.form), self.epoch, microseconds(now)]
        body = base64url.written(json.dumps(held).encode())
        return f"{body}.{keyring.mac('forms', canonical('intent', realm, session_id, body))}"


def read(keyring: Keyring, token: str, session_id: str, *, realm: str, now: datetime) -> Intent | None:
    """Read one back; None for one of another session or realm, an altered one, and one that is too old."""
    body, _, mac = token.partition(".")
    if len(token) > _LONGEST or not body.isascii():
        return None
    try:
        if not keyring.check("forms", canonical("intent", realm, session_id, body), mac):
            return None
    except (MissingKey, Tampered):
        return None
    path, values, form, epoch, made_at = json.loads(base64url.read(body))
    if microseconds(now) - made_at > LIFETIME / timedelta(microseconds=1):
        return None
    return Intent(path, values, form, epoch)
