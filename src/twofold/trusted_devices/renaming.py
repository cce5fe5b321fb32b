"""The name that its owner gives to a device."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from twofold.account import store
from twofold.account.attempt import Fact
from twofold.browsers import given
from twofold.kinds import Kind
from twofold.trusted_devices.endings import of_owner

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.outcomes import UserId

LONGEST: Final = 64
"""So many characters has the longest name that an owner may give."""

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Persian and the languages of India write words with them, and emoji are joined by one.
_JOINERS: Final = frozenset("\u200c\u200d")
# Letters and a sign that are drawn as nothing.
_BLANKS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


class BadName(ValueError):
    """A name that no device is given; `why` says what is wrong with it, without the name itself."""

    def __init__(self, why: Literal["empty", "too long", "unseen"]) -> None:
        super().__init__(
            f"The name of a device is 1 to {LONGEST} characters that can be seen, without those that control or turn "
            f"the text around; this one is {why}."
        )
        self.why = why


def judged(name: object) -> str:
    """The name as it is kept: composed (NFC), without spaces around it. Raises TypeError for no text, and BadName."""
    if not isinstance(name, str):
        raise TypeError(f"name is a text, not {type(name).__name__}.")
    name = name.strip(" ")
    # No character is made of more than four, so nothing of a longer text has to be composed.
    if len(name) > 4 * LONGEST:
        raise BadName("too long")
    spaced = "".join(" " if unicodedata.category(one) == "Zs" else one for one in name)
    composed = unicodedata.normalize("NFC", spaced).strip(" ")
    if any(unicodedata.category(one) in _UNSEEN and one not in _JOINERS for one in composed):
        raise BadName("unseen")
    if not any(unicodedata.category(one)[0] in "LNPS" and one not in _BLANKS for one in composed):
        raise BadName("unseen" if composed else "empty")
    if len(composed) > LONGEST:
        raise BadName("too long")
    return composed


def rename(work: Attempt, user_id: UserId, device_id: int, name: str, *, request: Any = None) -> bool:
    """Give one device of this user the name that its owner calls it by. False where it is revoked, or none of theirs.

    `name` is 1 to 64 characters, once it is composed (NFC) and without spaces around it; what controls or turns
    text around is refused. The device keeps it when its browser is trusted again (`replaces`), and the log tells of
    it by that name. Where a name reads like one of ours, as "Work on Linux", it is kept with spaces that do not
    break, and so is never translated. A name decides nothing, but one that misleads could hide a device, so the
    pages ask for a fresh proof. Raises ValueError for another name and TypeError for what is no int or no text,
    before anything is read; Tampered, with an alarm, where the devices are not what the user's row says: then
    `revoke_all` ends them.
    """
    name = given(judged(name))
    found = of_owner(work, user_id, device_id, request)
    if found is None:
        return False
    account, _, held = found
    if held.device_name == name:
        return True
    table = work.schema.tables.devices
    work.write(sa.update(table).where(table.c.id == held.id, table.c.revoked_at.is_(None)).values(device_name=name))
    details = {"device": name, "before": held.device_name or "A browser"}
    # The digest holds what decides, and no name does: it stands as it was compared.
    store.save(
        work,
        account,
        account,
        Fact(Kind.DEVICE_RENAMED, details=details, device_fingerprint=held.device_fingerprint),
        request,
    )
    return True
