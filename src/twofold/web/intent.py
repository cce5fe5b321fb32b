"""What somebody asked for before the second step was asked for, sealed, so that it can go on after it. Pure.

It opens nothing: without the second step nothing of it is done. It stands in an address, so nobody reads in it what was
typed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from twofold.errors import MissingKey, Tampered
from twofold.keyring import canonical
from twofold.moments import microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from twofold.keyring import Keyring

LIFETIME = timedelta(minutes=10)
_LONGEST_VALUE = 256
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Intent:
    """The path of a route, the values in it, and the fields of its form. `epoch` is that of the user at that moment."""

    path: str
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    epoch: str | None = None

    def sealed(self, keyring: Keyring, session_id: str, *, realm: str, now: datetime) -> str | None:
        """Seal it for one session and realm; None where a value is longer than anything that belongs there."""
        if any(len(value) > _LONGEST_VALUE for value in (*self.values.values(), *self.form.values())):
            return None
        held = [self.path, dict(self.values), dict(self.form), self.epoch, microseconds(now)]
        return keyring.seal(json.dumps(held, ensure_ascii=False).encode(), canonical("intent", realm, session_id))


def read(keyring: Keyring, token: str, session_id: str, *, realm: str, now: datetime) -> Intent | None:
    """Read one back; None for one of another session or realm, an altered one, and one that is too old."""
    if len(token) > _LONGEST:
        return None
    try:
        held = keyring.open(token, canonical("intent", realm, session_id))
    except (MissingKey, Tampered):
        return None
    path, values, form, epoch, made_at = json.loads(held)
    if microseconds(now) - made_at > LIFETIME / timedelta(microseconds=1):
        return None
    return Intent(path, values, form, epoch)
