"""The devices of a user, as their owner sees them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.account import reading, sealed
from twofold.account.statements import HeldDevice
from twofold.errors import Tampered
from twofold.outcomes import Device
from twofold.trusted_devices.series import is_token, of_series
from twofold.trusted_devices.standing import active, is_over

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import UserId


def list_(work: Attempt, user_id: UserId, *, token: str | None = None) -> tuple[Device, ...]:
    """The devices that a user has trusted, the newest first, with those that are revoked or expired.

    `token` is the one that the asking browser brings: its device `is_this`. That spends nothing and proves nothing.
    None of them is active while they are not what the user's row says; `revoke_all` ends what was planted. One of which
    an old token came is contested: it is not active, and is asked for a code until its browser is trusted again.
    """
    account = reading.find(work, user_id)
    if account is None:
        return ()
    devices = work.schema.tables.devices
    query = sa.select(devices).where(devices.c.user_id == account.user_id).order_by(devices.c.id)
    try:
        rows = work.rows(query)
    except sealed.UNREADABLE:
        if sealed.devices(work, account) is None:
            raise Tampered("A device of this user holds what no device can; end them with revoke_all.") from None
        rows = _readable(work, query)
    held = [HeldDevice(*(getattr(row, name) for name in HeldDevice._fields)) for row in rows if row.revoked_at is None]
    known = held if sealed.compared_devices(work, account, held).is_intact else []
    trusted = {device.id for device in active(work, known)}
    this = of_series(work, account, known, token) if is_token(token) else None
    contested = {device.id for device in known if device.is_contested and not is_over(work, device)}
    return tuple(
        Device(
            id=row.id,
            name=row.device_name or "A browser",
            browser=row.browser,
            platform=row.platform,
            ip_address=row.ip_address,
            location=row.location,
            usage_count=row.usage_count,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            trusted_until=row.trusted_until,
            revoked_at=row.revoked_at,
            revoked_reason=row.revoked_reason,
            is_active=row.id in trusted,
            is_contested=row.id in contested,
            is_this=this is not None and row.id == this.id,
        )
        for row in sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)
    )


def count(work: Attempt, account: Account) -> int | None:
    """How many devices are trusted now; None where they are not those that the user's row names."""
    devices = sealed.devices(work, account)
    if devices is None or not sealed.compared_devices(work, account, devices).is_intact:
        return None
    return len(active(work, devices))


def _readable(work: Attempt, query: sa.Select[*tuple[Any, ...]]) -> list[sa.Row[*tuple[Any, ...]]]:
    """Those devices that read. One that is revoked may hold what no device can, for ever; it is nobody's any more."""
    id_ = work.schema.tables.devices.c.id
    rows: list[sa.Row[*tuple[Any, ...]]] = []
    for device in work.connection.execute(query.with_only_columns(id_)).scalars().all():
        with suppress(*sealed.UNREADABLE):
            rows.append(work.connection.execute(query.where(id_ == device)).one())
    return rows
