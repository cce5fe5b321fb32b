"""Trust the browser of somebody who proved a factor a moment ago."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold import proof
from twofold.account import sealed, store
from twofold.account.attempt import Fact
from twofold.account.statements import HeldDevice
from twofold.browsers import Family, given
from twofold.errors import ConfigurationError
from twofold.kinds import Kind
from twofold.outcomes import DeviceToken
from twofold.request import Request, printable
from twofold.trusted_devices import cookie
from twofold.trusted_devices.endings import NAME_LIMIT, ended, revoked
from twofold.trusted_devices.series import first_token, is_token, of_series, series_digests, token_digests
from twofold.trusted_devices.standing import active, is_over, replaced

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import Verified


def trust(
    work: Attempt, verified: Verified, *, name: str | None = None, replaces: str | None = None, request: Any = None
) -> DeviceToken:
    """Trust the browser of a user who proved a factor a moment ago, and return its token for a cookie.

    `name` is what the owner will see, as `Firefox on Linux`; without it the request's browser gives one. `replaces` is
    the token that this browser brought, however old: its device begins anew in the same row, all of its tokens end,
    and no other device makes room. Past the limit of devices the one unused for longest is revoked. Where devices of
    before were altered, all of them are revoked, with an alarm. A backup code is a second factor like any other (NIST
    SP 800-63B-4 §3.1.2), so its proof trusts as well; the pages do not offer it, since whoever uses one may have lost
    the phone. Raises Stale where `verified` is too old, ConfigurationError where devices are off.
    """
    account = proof.fresh(work, verified, "trusted_devices.trust", request)
    if work.settings.device_limit == 0:
        raise ConfigurationError("Trusted devices are turned off (TWOFOLD_DEVICE_LIMIT is 0).")
    account, others, before = _room_for_one(work, account, replaces, request)
    devices, origin = work.schema.tables.devices, Request.of(request)
    token = first_token()
    until = work.now + work.settings.device_lifetime
    held = HeldDevice(
        id=0 if before is None else before.id,
        device_fingerprint=series_digests(work, account.user_id, token)[0],
        browser=origin.family.browser,
        platform=origin.family.platform,
        trust_token=token_digests(work, account, token, until)[0],
        previous_token=None,
        rotated_at=None,
        trusted_until=until,
        last_used_at=work.now,
        created_at=work.now,
        device_name=_given(name) or _name_of_before(before, origin) or origin.device_name,
    )
    row = held._asdict() | {
        "user_id": account.user_id,
        "usage_count": 0,
        "ip_address": origin.ip_address,
        "location": origin.location,
    }
    del row["id"]
    if before is None:
        written = work.write(sa.insert(devices).values(row))
        held = held._replace(id=written.inserted_primary_key[0])  # type: ignore[index]
        after = account._replace(devices_digest=sealed.devices_digest([*others, held]))
    else:
        work.write(sa.update(devices).where(devices.c.id == before.id).values(row))
        after = account._replace(devices_digest=sealed.devices_digest(replaced(others, held)))
    details: dict[str, Any] = {"device": held.device_name, "trusted_until": until.isoformat(timespec="seconds")}
    if before is not None:
        details["replaced"] = True
    fact = Fact(Kind.DEVICE_TRUSTED, details=details, device_fingerprint=held.device_fingerprint)
    store.save(work, account, after, fact, request)
    named = cookie.name_for(work.settings, verified.user_id)
    max_age = int((until - work.now).total_seconds())
    return DeviceToken(token, held.id, until, max_age, named, work.settings.public_url)


def _room_for_one(
    work: Attempt, account: Account, replaces: str | None, request: Any
) -> tuple[Account, list[HeldDevice], HeldDevice | None]:
    """End what has expired, and the device unused for longest past the limit.

    Returns the state then, who is left, and which of them begins anew. That one has its place already.
    """
    devices = sealed.devices(work, account)
    comparison = sealed.compared_devices(work, account, devices)
    if devices is None or not comparison.is_intact:
        account = store.alarm(work, account, "mfa_device_trusts", comparison, request)
        after = ended(work, account, "they were changed outside Twofold")
        fact = Fact(Kind.DEVICE_REVOKED, details={"devices": 0, "reason": "they were changed outside Twofold"})
        return store.save(work, account, after, fact, request), [], None
    before = of_series(work, account, devices, replaces) if is_token(replaces) else None
    left = [device for device in devices if device is before or not is_over(work, device)]
    if expired := [device.id for device in devices if device not in left]:
        table, reason = work.schema.tables.devices, "expired"
        ending = sa.update(table).where(table.c.id.in_(expired))
        work.write(ending.values(revoked_at=work.now, revoked_reason=reason))
        after = account._replace(devices_digest=sealed.devices_digest(left))
        fact = Fact(Kind.DEVICE_REVOKED, details={"devices": len(expired), "reason": reason})
        account = store.save(work, account, after, fact, request)
    others = [device for device in left if device is not before]
    trusted = {device.id for device in active(work, others)}
    # What a lower limit has ended comes first, or it would be trusted again in the place of one that is.
    oldest = sorted(others, key=lambda one: (one.id in trusted, one.last_used_at or one.created_at, one.id))
    for device in oldest[: max(0, len(others) + 1 - work.settings.device_limit)]:
        account = revoked(work, account, left, device, "more devices than the limit", request)
        left.remove(device)
    return account, left, before


def _given(name: str | None) -> str | None:
    readable = printable(name, NAME_LIMIT)
    return None if readable is None else given(readable)


def _name_of_before(before: HeldDevice | None, origin: Request) -> str | None:
    """The name that its owner may have given to a browser, where it is still the same one."""
    if before is None or not origin.family.may_be(Family(before.browser, before.platform)):
        return None
    return before.device_name
