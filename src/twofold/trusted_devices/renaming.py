"""The name that its owner gives to a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.account import store
from twofold.account.attempt import Fact
from twofold.browsers import given
from twofold.kinds import Kind
from twofold.naming import checked
from twofold.trusted_devices.endings import of_owner

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.outcomes import UserId


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
    name = given(checked(name))
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
