"""How trust ends: for one device, for all of a user, and for those that were changed outside Twofold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.account import reading, sealed, store
from twofold.account.attempt import Fact
from twofold.account.store import Change
from twofold.arguments import identity
from twofold.errors import Tampered
from twofold.kinds import Kind, Status
from twofold.request import printable
from twofold.trusted_devices.standing import active

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.account.statements import HeldDevice
    from twofold.outcomes import UserId

NAME_LIMIT = 255
"""So many characters of a name or a reason are kept."""


def revoke(
    work: Attempt, user_id: UserId, device_id: int, *, reason: str = "revoked by its owner", request: Any = None
) -> bool:
    """Stop trusting one device of this user. False where the user has no such device, or it is revoked already.

    `device_id` is the `id` of a Device. Raises TypeError for what is no int, before anything is read, and Tampered,
    with an alarm, where the devices are not what the user's row says: then `revoke_all` ends them.
    """
    found = of_owner(work, user_id, device_id, request)
    if found is None:
        return False
    account, devices, held = found
    revoked(work, account, devices, held, reason, request)
    return True


def of_owner(
    work: Attempt, user_id: UserId, device_id: int, request: Any
) -> tuple[Account, Sequence[HeldDevice], HeldDevice] | None:
    """The device of this user, with the state and all devices; None where it is revoked, or none of theirs.

    Raises TypeError for what is no int, before anything is read, and Tampered, with an alarm, where the devices are not
    what the user's row says: nothing is sealed beside what was planted.
    """
    identity("device_id", device_id, "Device")
    account = reading.find(work, user_id)
    if account is None:
        return None
    devices = sealed.devices(work, account)
    comparison = sealed.compared_devices(work, account, devices)
    if devices is None or not comparison.is_intact:
        store.alarm(work, account, "mfa_device_trusts", comparison, request)
        raise Tampered("The trusted devices of this user were changed outside Twofold; end them with revoke_all.")
    held = next((device for device in devices if device.id == device_id), None)
    return None if held is None else (account, devices, held)


def revoke_all(work: Attempt, user_id: UserId, *, reason: str = "revoked by their owner", request: Any = None) -> int:
    """Stop trusting every device of this user; return how many there were. Devices that were altered end, too."""
    account = reading.find(work, user_id)
    if account is None:
        return 0
    return all_revoked(work, account, reason, request)[1]


def all_revoked(work: Attempt, account: Account, reason: str, request: Any) -> tuple[Account, int]:
    """Revoke every device, and tell so; the state after it, and how many there were."""
    account, number = tell_altered(work, account, request)
    if account.devices_digest is None:
        return account, 0
    after = ended(work, account, reason)
    fact = Fact(Kind.DEVICE_REVOKED, details={"devices": number, "reason": printable(reason, NAME_LIMIT)})
    return store.save(work, account, after, fact, request), number


def distrusted(work: Attempt, account: Account, reason: str, request: Any) -> None:
    """Revoke every device, where there is any: what has ended may have let one in."""
    if account.devices_digest is not None:
        all_revoked(work, account, reason, request)


def tell_altered(work: Attempt, account: Account, request: Any) -> tuple[Account, int]:
    """Tell of devices that are not those that the user's row names, before they are ended.

    Returns the state then, and how many devices are trusted, which is none where they were altered.
    """
    work.need_lock()
    devices = sealed.devices(work, account)
    comparison = sealed.compared_devices(work, account, devices)
    trusted = len(active(work, devices or ())) if comparison.is_intact else 0
    return store.alarm(work, account, "mfa_device_trusts", comparison, request), trusted


def ended(work: Attempt, account: Account, reason: str) -> Account:
    """Revoke every device of a user; the state that says so."""
    work.need_lock()
    devices = work.schema.tables.devices
    statement = sa.update(devices).where(devices.c.user_id == account.user_id, devices.c.revoked_at.is_(None))
    why = printable(reason, NAME_LIMIT)
    work.write(statement.values(revoked_at=work.now, revoked_reason=why))
    return account._replace(devices_digest=None)


def revoked(
    work: Attempt,
    account: Account,
    devices: Sequence[HeldDevice],
    device: HeldDevice,
    reason: str,
    request: Any,
    kind: Kind = Kind.DEVICE_REVOKED,
    status: Status = Status.SUCCESS,
) -> Account:
    """Revoke one of these devices; the state after it."""
    why = printable(reason, NAME_LIMIT)
    left = [other for other in devices if other.id != device.id]
    after = account._replace(devices_digest=sealed.devices_digest(left))
    fact = Fact(kind, status, {"device": device.device_name, "reason": why}, device.device_fingerprint)
    return store.save(work, account, after, fact, request, Change(work.schema.end_device, (work.now, why, device.id)))
