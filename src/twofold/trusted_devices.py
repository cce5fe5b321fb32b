"""Trusted devices: browsers that may skip the challenge for a while.

A device holds a random 256-bit token in a cookie, its row a keyed hash of it. Each use rotates the token; the token
before it is good for a short grace, for requests that were already under way. Seen later, it is a copy: the device is
revoked. Trust skips a prompt and proves nothing (NIST SP 800-63B-4 §5.1).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold import account as accounts
from twofold import proof
from twofold.account import Fact
from twofold.errors import ConfigurationError
from twofold.events.kinds import Kind, Status
from twofold.keyring import canonical
from twofold.outcomes import Device, DeviceToken
from twofold.request import Request, printable

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.account import Account, Also, Work
    from twofold.outcomes import UserId, Verified

_TOKEN_BYTES = 32
_LONGEST_TOKEN = 256
_NAME_LIMIT = 255


def trust(work: Work, verified: Verified, *, name: str | None = None, request: Any = None) -> DeviceToken:
    """Trust the browser of a user who proved a factor a moment ago, and return its token for a cookie.

    `name` is what the owner will see, as `Firefox on Linux`; without it the request's browser gives one. Past the
    limit of devices the one unused for longest is revoked. Raises Stale where `verified` is too old,
    ConfigurationError where devices are off.
    """
    account = proof.fresh(work, verified)
    if work.settings.device_limit == 0:
        raise ConfigurationError("Trusted devices are turned off (TWOFOLD_DEVICE_LIMIT is 0).")
    devices, origin = work.schema.tables.devices, Request.of(request)
    account = _make_room(work, account, request)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    until = work.now + work.settings.device_lifetime
    fingerprint = _fingerprint(account, origin)
    row = {
        "user_id": account.user_id,
        "device_fingerprint": fingerprint,
        "device_name": printable(name, _NAME_LIMIT) or origin.device_name,
        "browser": origin.browser,
        "platform": origin.platform,
        "trust_token": _digests(work, account, token)[0],
        "trusted_until": until,
        "last_used_at": work.now,
        "usage_count": 0,
        "ip_address": origin.ip_address,
        "location": origin.location,
        "created_at": work.now,
    }
    details = {"device": row["device_name"], "trusted_until": until.isoformat(timespec="seconds")}
    fact = Fact(Kind.DEVICE_TRUSTED, details=details, device_fingerprint=fingerprint)
    accounts.save(work, account, account, fact, request, ((sa.insert(devices).values(row), {}),))
    held = sa.select(devices.c.id).where(devices.c.trust_token == row["trust_token"])
    return DeviceToken(token, work.connection.execute(held).scalar_one(), until)


def recognize(
    work: Work, account: Account, token: str | None, request: Any
) -> tuple[Account, DeviceToken | None, bool]:
    """Look at the token that a browser brings.

    Returns the state after it, the browser's new token, and whether the browser is trusted.
    """
    if not token or len(token) > _LONGEST_TOKEN or not token.isascii():
        return account, None, False
    devices, held = work.schema.tables.devices, _digests(work, account, token)
    query = sa.select(devices).where(
        devices.c.user_id == account.user_id,
        devices.c.revoked_at.is_(None),
        sa.or_(devices.c.trust_token.in_(held), devices.c.previous_token.in_(held)),
    )
    row = work.connection.execute(query.with_for_update() if work.is_locking else query).first()
    if row is None or not _is_active(work, row):
        return account, None, False
    is_current = row.trust_token in held
    if not is_current and (row.rotated_at is None or work.now - row.rotated_at > work.settings.device_grace):
        return _stolen(work, account, row, request), None, False
    if row.device_fingerprint != _fingerprint(account, Request.of(request)):
        # The cookie of one browser in another one: no theft is proven, and none is rewarded.
        return account, None, False
    if not is_current:
        return _cleared(work, account, row, request, None), None, True
    fresh = secrets.token_urlsafe(_TOKEN_BYTES)
    rotation = sa.update(devices).where(devices.c.id == row.id)
    rotation = rotation.values(
        trust_token=_digests(work, account, fresh)[0],
        previous_token=row.trust_token,
        rotated_at=work.now,
        last_used_at=work.now,
        usage_count=devices.c.usage_count + 1,
        ip_address=Request.of(request).ip_address,
    )
    account = _cleared(work, account, row, request, rotation)
    return account, DeviceToken(fresh, row.id, row.trusted_until), True


def list_(work: Work, user_id: UserId) -> tuple[Device, ...]:
    """The devices that a user has trusted, the newest first, with those that are revoked or expired."""
    account = accounts.find(work, user_id)
    if account is None:
        return ()
    devices = work.schema.tables.devices
    query = sa.select(devices).where(devices.c.user_id == account.user_id).order_by(devices.c.id.desc())
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
            is_active=_is_active(work, row),
        )
        for row in work.connection.execute(query)
    )


def revoke(
    work: Work, user_id: UserId, device_id: int, *, reason: str = "revoked by its owner", request: Any = None
) -> bool:
    """Stop trusting one device of this user. False where the user has no such device, or it is revoked already."""
    account = accounts.find(work, user_id)
    if account is None or not -(2**63) <= device_id < 2**63:
        return False
    devices = work.schema.tables.devices
    query = sa.select(devices).where(
        devices.c.id == device_id, devices.c.user_id == account.user_id, devices.c.revoked_at.is_(None)
    )
    row = work.connection.execute(query).first()
    if row is None:
        return False
    _revoked(work, account, row, reason, request)
    return True


def revoke_all(work: Work, user_id: UserId, *, reason: str = "revoked by their owner", request: Any = None) -> int:
    """Stop trusting every device of this user; return how many there were."""
    account = accounts.find(work, user_id)
    if account is None:
        return 0
    number = count(work, account)
    if number:
        fact = Fact(Kind.DEVICE_REVOKED, details={"devices": number, "reason": printable(reason, _NAME_LIMIT)})
        accounts.save(work, account, account, fact, request, revoking_all(work, account, reason))
    return number


def revoking_all(work: Work, account: Account, reason: str) -> Also:
    """The statement that revokes every device of a user."""
    devices = work.schema.tables.devices
    statement = sa.update(devices).where(devices.c.user_id == account.user_id, devices.c.revoked_at.is_(None))
    return ((statement.values(revoked_at=work.now, revoked_reason=printable(reason, _NAME_LIMIT)), {}),)


def count(work: Work, account: Account) -> int:
    """How many devices are trusted now."""
    return len(_active(work, account))


def _active(work: Work, account: Account) -> list[Any]:
    devices = work.schema.tables.devices
    query = sa.select(devices).where(devices.c.user_id == account.user_id, devices.c.revoked_at.is_(None))
    return [row for row in work.connection.execute(query) if _is_active(work, row)]


def _is_active(work: Work, row: Any) -> bool:
    last_used: datetime = row.last_used_at or row.created_at
    idle_until = last_used + work.settings.device_idle
    return row.revoked_at is None and row.trusted_until > work.now and idle_until > work.now


def _make_room(work: Work, account: Account, request: Any) -> Account:
    active = sorted(_active(work, account), key=lambda row: (row.last_used_at or row.created_at, row.id))
    for row in active[: max(0, len(active) + 1 - work.settings.device_limit)]:
        account = _revoked(work, account, row, "more devices than the limit", request)
    return account


def _revoked(
    work: Work,
    account: Account,
    row: Any,
    reason: str,
    request: Any,
    kind: Kind = Kind.DEVICE_REVOKED,
    status: Status = Status.SUCCESS,
) -> Account:
    devices, why = work.schema.tables.devices, printable(reason, _NAME_LIMIT)
    statement = sa.update(devices).where(devices.c.id == row.id).values(revoked_at=work.now, revoked_reason=why)
    details = {"device": row.device_name, "reason": why}
    fact = Fact(kind, status, details, row.device_fingerprint)
    return accounts.save(work, account, account, fact, request, ((statement, {}),))


def _stolen(work: Work, account: Account, row: Any, request: Any) -> Account:
    return _revoked(
        work, account, row, "an old token of this device came back", request, Kind.DEVICE_THEFT, Status.ALARM
    )


def _cleared(work: Work, account: Account, row: Any, request: Any, rotation: sa.Executable | None) -> Account:
    fact = Fact(Kind.DEVICE_RECOGNIZED, details={"device": row.device_name}, device_fingerprint=row.device_fingerprint)
    return accounts.save(work, account, account, fact, request, () if rotation is None else ((rotation, {}),))


def _digests(work: Work, account: Account, token: str) -> tuple[str, ...]:
    """What the row of a token may hold. The owner is part of it, so a row copied to another user recognises nobody."""
    return work.keyring.macs("device tokens", canonical("device token", account.user_id, token))


def _fingerprint(account: Account, origin: Request) -> str:
    """What kind of browser this is, in a form that tells no more: family and platform, hashed for this user alone.

    Versions are left out, since a browser that updates itself is still the same.
    """
    message = canonical("device fingerprint", account.user_id, origin.browser, origin.platform)
    return hashlib.sha256(message).hexdigest()[:32]
