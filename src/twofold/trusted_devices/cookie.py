"""What the cookie of a trusted device is called. Pure.

Each user has another name, so that people who share a browser do not take each other's trust away. It is a hash, and no
keyed one, since a name has to outlive every key. Whoever sees a browser's cookies can try ids, and learns that somebody
with this id trusted the browser. The name is no secret, and its value opens nothing without a password.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from twofold.keyring import canonical
from twofold.outcomes import spelled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twofold.outcomes import UserId
    from twofold.settings import Settings

MOST = 20
"""So many people may trust one browser. Their cookies are 2 kB of every request, of the 8 kB that servers take."""

_DIGITS = 12
_NAME = re.compile(rf"(.+_)[0-9a-f]{{{_DIGITS}}}", re.ASCII)


def name_for(settings: Settings, user_id: UserId) -> str:
    """The name for a user, as `twofold_device_0f3a9c27b51d`. An id that is written alike has the same one."""
    digest = hashlib.sha256(canonical("device cookie", spelled(user_id))).hexdigest()
    return f"{settings.device_cookie}_{digest[:_DIGITS]}"


def crowded_out(newest: str, brought: Iterable[str]) -> list[str]:
    """The names that have to go when `newest` is set, so that one browser never holds more than `MOST`.

    `brought` are the names that the browser sends. It names first what it has had for longest (RFC 6265 §5.4), and that
    goes first. Names of another family, which another application on the same host uses, are left alone.
    """
    family = _family(newest)
    others = [name for name in brought if name != newest and family and _family(name) == family]
    return others[: max(0, len(others) + 1 - MOST)]


def _family(name: str) -> str | None:
    found = _NAME.fullmatch(name)
    return found[1] if found else None
