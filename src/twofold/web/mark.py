"""What a host's session keeps of one sign-in: a signed text that tells it from every other. Pure.

It opens nothing by itself: the host's session says who is signed in, and the mark says how far.

Tests: `tests/web/test_doorkeeper.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from twofold import base64url
from twofold.confidential import Confidential
from twofold.errors import MissingKey, Tampered
from twofold.keyring import canonical
from twofold.moments import microseconds

if TYPE_CHECKING:
    from twofold.keyring import Keyring
    from twofold.outcomes import Verified

_LONGEST = 16 * 1024


@dataclass(frozen=True, slots=True)
class Mark(Confidential):
    """One sign-in of one user, who is `spelled`. With a `challenge` it waits for its second factor.

    `session_id` is secret and another one for each sign-in. `began_at` is in microseconds. `epoch` is that of the user
    at the password, or at the last change that this session made itself. `proof` is the token of the last `Verified`,
    and `amr` what it said. `onward` is the path of this site that the person wanted to reach.
    """

    session_id: str = field(repr=False)
    spelled: str
    name: str
    began_at: int
    epoch: str | None = None
    challenge: str | None = field(default=None, repr=False)
    proof: str | None = field(default=None, repr=False)
    amr: tuple[str, ...] = ("pwd",)
    onward: str | None = None

    def proven(self, verified: Verified) -> Mark:
        """The mark once the second factor was given."""
        return replace(
            self,
            began_at=microseconds(verified.at),
            proof=verified.token,
            amr=verified.amr,
            challenge=None,
            onward=None,
        )

    def signed(self, keyring: Keyring, *, realm: str) -> str:
        """Sign it for one realm."""
        held = json.dumps(asdict(self), separators=(",", ":"))
        body = base64url.written(held.encode())
        return f"{body}.{keyring.mac('forms', canonical('mark', realm, body))}"


def read(keyring: Keyring, text: object, *, realm: str) -> Mark | None:
    """Read one back; None for anything that this keyring did not sign for this realm, or an older release wrote."""
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isascii():
        return None
    body, _, mac = text.partition(".")
    try:
        if not keyring.check("forms", canonical("mark", realm, body), mac):
            return None
        held = json.loads(base64url.read(body))
        return Mark(**held | {"amr": tuple(held["amr"])})
    except (KeyError, MissingKey, Tampered, TypeError, ValueError):
        return None
