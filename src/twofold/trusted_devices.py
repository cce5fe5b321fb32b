"""Trusted devices: browsers that may skip the challenge for a while.

A device holds a token in a cookie: 128 bits that name its series, and 256 bits that change with each use. Its row holds
keyed hashes of both. The token before the last is good for a short grace, for requests that were already under way. Any
other token of the series, however old, is trusted no more, and asks for a code: an answer was lost on its way, a
browser was restored from a copy, a database forgot its last second, or somebody copied the cookie. In the first three
the newest token never comes back. Where it does, two have the cookie: the device is revoked, with an alarm. The hashes
are bound to the user, the enrolment and the end of the trust, and the user's row seals the rows, so that no change of a
row by hand brings trust back. Trust skips a prompt and proves nothing (NIST SP 800-63B-4 §5.1).
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import sqlalchemy as sa

from twofold import device_cookie, proof
from twofold.account import reading, sealed, store
from twofold.account.attempt import Fact
from twofold.account.statements import CONTESTED, HeldDevice
from twofold.account.store import Change
from twofold.budget import CLOCKS_APART
from twofold.errors import ConfigurationError, Tampered
from twofold.keyring import canonical
from twofold.kinds import Kind, Status
from twofold.outcomes import Device, DeviceToken
from twofold.request import Request, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import UserId, Verified

_SERIES_BYTES = 16
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 256
_NAME_LIMIT = 255


class Recognition(NamedTuple):
    """What became of a browser's token: the state after it, whether the browser is trusted, and its next token."""

    account: Account
    is_trusted: bool = False
    device: DeviceToken | None = None


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
    token = f"{secrets.token_urlsafe(_SERIES_BYTES)}.{secrets.token_urlsafe(_TOKEN_BYTES)}"
    until = work.now + work.settings.device_lifetime
    held = HeldDevice(
        id=0 if before is None else before.id,
        device_fingerprint=_series_digests(work, account.user_id, token)[0],
        browser=origin.browser,
        platform=origin.platform,
        trust_token=_token_digests(work, account, token, until)[0],
        previous_token=None,
        rotated_at=None,
        trusted_until=until,
        last_used_at=work.now,
        created_at=work.now,
        device_name=printable(name, _NAME_LIMIT) or _name_of_before(before, origin) or origin.device_name,
    )
    row = held._asdict() | {
        "user_id": account.user_id,
        "usage_count": 0,
        "ip_address": origin.ip_address,
        "location": origin.location,
    }
    del row["id"]
    if before is None:
        written = work.connection.execute(sa.insert(devices).values(row))
        held = held._replace(id=written.inserted_primary_key[0])  # type: ignore[index]
        after = account._replace(devices_digest=sealed.devices_digest([*others, held]))
    else:
        work.connection.execute(sa.update(devices).where(devices.c.id == before.id).values(row))
        after = account._replace(devices_digest=sealed.devices_digest(_put(others, held)))
    details: dict[str, Any] = {"device": held.device_name, "trusted_until": until.isoformat(timespec="seconds")}
    if before is not None:
        details["replaced"] = True
    fact = Fact(Kind.DEVICE_TRUSTED, details=details, device_fingerprint=held.device_fingerprint)
    store.save(work, account, after, fact, request)
    return DeviceToken(token, held.id, until, device_cookie.name_for(work.settings, verified.user_id))


def recognize(
    work: Attempt, user_id: UserId, account: Account, devices: Sequence[HeldDevice] | None, token: str, request: Any
) -> Recognition:
    """Look at the token that a browser brings, among the devices that were read with the user's row.

    `user_id` is the id as the caller writes it, from which the name of the cookie is made.
    """
    comparison = sealed.compared_devices(work, account, devices)
    if devices is None or not comparison.is_intact:
        return Recognition(store.alarm(work, account, "mfa_device_trusts", comparison, request))
    held = _of_series(work, account, devices, token)
    if held is None or held not in _answerable(work, devices):
        return Recognition(account)
    fitting = _token_digests(work, account, token, held.trusted_until)
    is_current, is_graced = held.trust_token in fitting, held.previous_token in fitting and _is_in_grace(work, held)
    if not is_current and not is_graced:
        return Recognition(_contested(work, account, devices, held, request))
    if is_current and held.is_contested:
        why = "two browsers have a token of this device"
        return Recognition(_revoked(work, account, devices, held, why, request, Kind.DEVICE_THEFT, Status.ALARM))
    origin = Request.of(request)
    if (held.browser, held.platform) not in {(None, None), (origin.browser, origin.platform)}:
        # The cookie of one browser in another one: no theft is proven, and none is rewarded.
        return Recognition(account)
    recognized = Fact(
        Kind.DEVICE_RECOGNIZED, details={"device": held.device_name}, device_fingerprint=held.device_fingerprint
    )
    if is_graced:
        return Recognition(store.save(work, account, account, recognized, request), is_trusted=True)
    fresh = f"{_series(token)}.{secrets.token_urlsafe(_TOKEN_BYTES)}"
    rotated = held._replace(
        trust_token=_token_digests(work, account, fresh, held.trusted_until)[0],
        previous_token=held.trust_token,
        rotated_at=work.now,
        last_used_at=work.now,
        browser=origin.browser,
        platform=origin.platform,
    )
    after = account._replace(devices_digest=sealed.devices_digest(_put(devices, rotated)))
    values = (
        rotated.trust_token,
        rotated.previous_token,
        rotated.rotated_at,
        rotated.last_used_at,
        origin.ip_address,
        origin.browser,
        origin.platform,
        held.id,
        held.trust_token,
    )
    saved = store.save(work, account, after, recognized, request, Change(work.schema.rotate, values))
    named = device_cookie.name_for(work.settings, user_id)
    return Recognition(saved, is_trusted=True, device=DeviceToken(fresh, held.id, held.trusted_until, named))


def _contested(
    work: Attempt, account: Account, devices: Sequence[HeldDevice], held: HeldDevice, request: Any
) -> Account:
    """Remember that a token of this series came which is neither the last nor the one before, and trust it no more."""
    if held.is_contested:
        return account
    contested = held._replace(previous_token=CONTESTED)
    after = account._replace(devices_digest=sealed.devices_digest(_put(devices, contested)))
    details = {"device": held.device_name, "reason": "an old token of this device came"}
    fact = Fact(Kind.DEVICE_CONTESTED, Status.REFUSED, details, held.device_fingerprint)
    values = (CONTESTED, held.id, held.trust_token)
    return store.save(work, account, after, fact, request, Change(work.schema.contest, values))


def is_token(token: object) -> TypeGuard[str]:
    """Whether this can be a device's token at all."""
    return isinstance(token, str) and 0 < len(token) <= _LONGEST_TOKEN and token.isascii()


def list_(work: Attempt, user_id: UserId) -> tuple[Device, ...]:
    """The devices that a user has trusted, the newest first, with those that are revoked or expired.

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
    contested = {device.id for device in known if device.is_contested and not _is_over(work, device)}
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
        )
        for row in sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)
    )


def revoke(
    work: Attempt, user_id: UserId, device_id: int, *, reason: str = "revoked by its owner", request: Any = None
) -> bool:
    """Stop trusting one device of this user. False where the user has no such device, or it is revoked already.

    `device_id` is the `id` of a Device. Raises TypeError for what is no int, before anything is read, and Tampered,
    with an alarm, where the devices are not what the user's row says: then `revoke_all` ends them.
    """
    if not isinstance(device_id, int) or isinstance(device_id, bool):
        raise TypeError(f"device_id is the int of a Device, not {type(device_id).__name__}.")
    account = reading.find(work, user_id)
    if account is None:
        return False
    devices = sealed.devices(work, account)
    comparison = sealed.compared_devices(work, account, devices)
    if devices is None or not comparison.is_intact:
        store.alarm(work, account, "mfa_device_trusts", comparison, request)
        raise Tampered("The trusted devices of this user were changed outside Twofold; end them with revoke_all.")
    held = next((device for device in devices if device.id == device_id), None)
    if held is None:
        return False
    _revoked(work, account, devices, held, reason, request)
    return True


def revoke_all(work: Attempt, user_id: UserId, *, reason: str = "revoked by their owner", request: Any = None) -> int:
    """Stop trusting every device of this user; return how many there were. Devices that were altered end, too."""
    account = reading.find(work, user_id)
    if account is None:
        return 0
    account, number = tell_altered(work, account, request)
    if account.devices_digest is None:
        return 0
    after = ended(work, account, reason)
    fact = Fact(Kind.DEVICE_REVOKED, details={"devices": number, "reason": printable(reason, _NAME_LIMIT)})
    store.save(work, account, after, fact, request)
    return number


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
    why = printable(reason, _NAME_LIMIT)
    work.connection.execute(statement.values(revoked_at=work.now, revoked_reason=why))
    return account._replace(devices_digest=None)


def count(work: Attempt, account: Account) -> int | None:
    """How many devices are trusted now; None where they are not those that the user's row names."""
    devices = sealed.devices(work, account)
    if devices is None or not sealed.compared_devices(work, account, devices).is_intact:
        return None
    return len(active(work, devices))


def active(work: Attempt, devices: Sequence[HeldDevice]) -> list[HeldDevice]:
    """Those that are trusted by the settings as they are now: neither expired nor idle, the newest up to the limit.

    One that is contested is trusted no more.
    """
    fresh = [device for device in devices if not (device.is_contested or _is_over(work, device))]
    # A device that began anew kept its row, and its id with it.
    fresh.sort(key=lambda device: (device.created_at, device.id))
    return fresh[-work.settings.device_limit :] if work.settings.device_limit else []


def _answerable(work: Attempt, devices: Sequence[HeldDevice]) -> list[HeldDevice]:
    """Those of which a token says anything: the trusted ones, and the contested ones, which may turn out as stolen."""
    contested = [device for device in devices if device.is_contested and not _is_over(work, device)]
    return active(work, devices) + contested


def _is_over(work: Attempt, device: HeldDevice) -> bool:
    settings, last_used = work.settings, device.last_used_at or device.created_at
    ends = (device.trusted_until, device.created_at + settings.device_lifetime, last_used + settings.device_idle)
    return min(ends) <= work.now


def _is_in_grace(work: Attempt, device: HeldDevice) -> bool:
    age, grace = None if device.rotated_at is None else work.now - device.rotated_at, work.settings.device_grace
    # Whoever waited for the row, or has a slower clock, comes a moment before the token was rotated.
    return age is not None and -min(grace, CLOCKS_APART) <= age <= grace


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
    before = _of_series(work, account, devices, replaces) if is_token(replaces) else None
    left = [device for device in devices if device is before or not _is_over(work, device)]
    if expired := [device.id for device in devices if device not in left]:
        table, reason = work.schema.tables.devices, "expired"
        ending = sa.update(table).where(table.c.id.in_(expired))
        work.connection.execute(ending.values(revoked_at=work.now, revoked_reason=reason))
        after = account._replace(devices_digest=sealed.devices_digest(left))
        fact = Fact(Kind.DEVICE_REVOKED, details={"devices": len(expired), "reason": reason})
        account = store.save(work, account, after, fact, request)
    others = [device for device in left if device is not before]
    trusted = {device.id for device in active(work, others)}
    # What a lower limit has ended comes first, or it would be trusted again in the place of one that is.
    oldest = sorted(others, key=lambda one: (one.id in trusted, one.last_used_at or one.created_at, one.id))
    for device in oldest[: max(0, len(others) + 1 - work.settings.device_limit)]:
        account = _revoked(work, account, left, device, "more devices than the limit", request)
        left.remove(device)
    return account, left, before


def _name_of_before(before: HeldDevice | None, origin: Request) -> str | None:
    """The name that its owner may have given to a browser, where it is still the same one."""
    if before is None or (before.browser, before.platform) != (origin.browser, origin.platform):
        return None
    return before.device_name


def _revoked(
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
    why = printable(reason, _NAME_LIMIT)
    left = [other for other in devices if other.id != device.id]
    after = account._replace(devices_digest=sealed.devices_digest(left))
    fact = Fact(kind, status, {"device": device.device_name, "reason": why}, device.device_fingerprint)
    return store.save(work, account, after, fact, request, Change(work.schema.end_device, (work.now, why, device.id)))


def _readable(work: Attempt, query: sa.Select[*tuple[Any, ...]]) -> list[sa.Row[*tuple[Any, ...]]]:
    """Those devices that read. One that is revoked may hold what no device can, for ever; it is nobody's any more."""
    id_ = work.schema.tables.devices.c.id
    rows: list[sa.Row[*tuple[Any, ...]]] = []
    for device in work.connection.execute(query.with_only_columns(id_)).scalars().all():
        with suppress(*sealed.UNREADABLE):
            rows.append(work.connection.execute(query.where(id_ == device)).one())
    return rows


def _put(devices: Sequence[HeldDevice], changed: HeldDevice) -> list[HeldDevice]:
    """The devices with one of them as it is now."""
    return [changed if device.id == changed.id else device for device in devices]


def _of_series(work: Attempt, account: Account, devices: Sequence[HeldDevice], token: str) -> HeldDevice | None:
    """The device of this token, or of any other one of its series."""
    series = _series_digests(work, account.user_id, token)
    return next((device for device in devices if device.device_fingerprint in series), None)


def _series(token: str) -> str:
    """What stays the same through all tokens of a device; for a token of before Twofold, the whole of it."""
    return token.rpartition(".")[0] or token


def _series_digests(work: Attempt, user_id: UserId, token: str) -> tuple[str, ...]:
    """What the row of a token's series may hold as its fingerprint, under each key."""
    return work.keyring.macs("device tokens", canonical("device line", user_id, _series(token)))


def _token_digests(work: Attempt, account: Account, token: str, until: datetime) -> tuple[str, ...]:
    """What the row of a token may hold. Nothing that makes the trust can be changed without changing this."""
    return work.keyring.macs(
        "device tokens", canonical("device token", account.user_id, account.enabled_at, until, token)
    )


def adopted(work: Attempt, account: Account, token: str, until: datetime) -> tuple[str, str]:
    """The hash and the fingerprint of a raw token of before Twofold, whose cookie stays good."""
    return _token_digests(work, account, token, until)[0], _series_digests(work, account.user_id, token)[0]
