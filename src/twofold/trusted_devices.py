"""Trusted devices: browsers that may skip the challenge for a while.

A device holds a token in a cookie: 128 bits that name its line, and 256 bits that change with each use. Its row holds
keyed hashes of both. The token before the last is good for a short grace, for requests that were already under way. Any
other token of the line, however old, is a copy: the device is revoked. The hashes are bound to the user, the enrolment
and the end of the trust, and are overwritten when it is revoked, so that no change of a row by hand brings trust back.
Trust skips a prompt and proves nothing (NIST SP 800-63B-4 §5.1).
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeGuard

import sqlalchemy as sa

from twofold import account as accounts
from twofold import proof
from twofold.account import Change, Fact
from twofold.errors import ConfigurationError
from twofold.events import anchor as anchors
from twofold.events.kinds import Kind, Status
from twofold.keyring import canonical
from twofold.outcomes import Device, DeviceToken
from twofold.request import Request, printable
from twofold.statements import HeldDevice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twofold.account import Also, Beside, Work
    from twofold.outcomes import UserId, Verified
    from twofold.state import Account

_LINE_BYTES = 16
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 256
_NAME_LIMIT = 255


def trust(work: Work, verified: Verified, *, name: str | None = None, request: Any = None) -> DeviceToken:
    """Trust the browser of a user who proved a factor a moment ago, and return its token for a cookie.

    `name` is what the owner will see, as `Firefox on Linux`; without it the request's browser gives one. Past the
    limit of devices the one unused for longest is revoked. A backup code is a second factor like any other (NIST SP
    800-63B-4 §3.1.2), so its proof trusts as well; the pages do not offer it, since whoever uses one may have lost the
    phone. Raises Stale where `verified` is too old, ConfigurationError where devices are off.
    """
    account = proof.fresh(work, verified)
    if work.settings.device_limit == 0:
        raise ConfigurationError("Trusted devices are turned off (TWOFOLD_DEVICE_LIMIT is 0).")
    devices, origin = work.schema.tables.devices, Request.of(request)
    account = _make_room(work, account, request)
    token = f"{secrets.token_urlsafe(_LINE_BYTES)}.{secrets.token_urlsafe(_TOKEN_BYTES)}"
    until = work.now + work.settings.device_lifetime
    fingerprint = _lines(work, account.user_id, token)[0]
    row = {
        "user_id": account.user_id,
        "device_fingerprint": fingerprint,
        "device_name": printable(name, _NAME_LIMIT) or origin.device_name,
        "browser": origin.browser,
        "platform": origin.platform,
        "trust_token": _digests(work, account, token, until)[0],
        "trusted_until": until,
        "last_used_at": work.now,
        "usage_count": 0,
        "ip_address": origin.ip_address,
        "location": origin.location,
        "created_at": work.now,
    }
    details = {"device": row["device_name"], "trusted_until": until.isoformat(timespec="seconds")}
    fact = Fact(Kind.DEVICE_TRUSTED, details=details, device_fingerprint=fingerprint)
    accounts.save(work, account, account, fact, request, (Change(sa.insert(devices).values(row)),))
    held = sa.select(devices.c.id).where(devices.c.trust_token == row["trust_token"])
    return DeviceToken(token, work.connection.execute(held).scalar_one(), until)


def beside(work: Work, user_id: UserId, token: str | None) -> Beside:
    """What a challenge reads with the user's row: whether there are backup codes, and the device of this token."""
    if not _is_token(token):
        return work.schema.read_with_codes, (work.now,)
    return work.schema.read_with_device, (work.now, _lines(work, work.schema.stored(user_id), token)[0])


def recognize(
    work: Work, account: Account, token: str | None, request: Any, found: Sequence[Any]
) -> tuple[Account, DeviceToken | None, bool]:
    """Look at the token that a browser brings; `found` is the device that was read beside the user's row.

    Returns the state after it, the browser's new token, and whether the browser is trusted.
    """
    if not _is_token(token):
        return account, None, False
    origin = Request.of(request)
    row = HeldDevice(*found) if found and found[0] is not None else _of_line(work, account, token, is_read=bool(found))
    if row is None or not _is_active(work, row):
        return account, None, False
    held = _digests(work, account, token, row.trusted_until)
    is_current = row.trust_token in held
    is_graced = (
        row.previous_token in held
        and row.rotated_at is not None
        and work.now - row.rotated_at <= work.settings.device_grace
    )
    if not is_current and not is_graced:
        why = "an old token of this device came back"
        return _revoked(work, account, row, why, request, Kind.DEVICE_THEFT, Status.ALARM), None, False
    if not _is_trusted_in_the_log(work, account, row):
        why = "the row of this device came back after it was revoked"
        return _revoked(work, account, row, why, request, Kind.DEVICE_THEFT, Status.ALARM), None, False
    if (row.browser, row.platform) not in {(None, None), (origin.browser, origin.platform)}:
        # The cookie of one browser in another one: no theft is proven, and none is rewarded.
        return account, None, False
    if is_graced:
        return _cleared(work, account, row, request), None, True
    fresh = f"{_line(token)}.{secrets.token_urlsafe(_TOKEN_BYTES)}"
    digest = _digests(work, account, fresh, row.trusted_until)[0]
    written = (digest, row.trust_token, work.now, work.now, origin.ip_address, origin.browser, origin.platform)
    rotation = Change(work.schema.rotate, (*written, row.id, row.trust_token), is_exact=True)
    account = _cleared(work, account, row, request, rotation)
    return account, DeviceToken(fresh, row.id, row.trusted_until), True


def _is_token(token: object) -> TypeGuard[str]:
    return isinstance(token, str) and 0 < len(token) <= _LONGEST_TOKEN and token.isascii()


def _of_line(work: Work, account: Account, token: str, *, is_read: bool) -> HeldDevice | None:
    """The device of this token's line, under any key but the one that was read already."""
    lines = _lines(work, account.user_id, token)[1 if is_read else 0 :]
    if not lines:
        return None
    users, _, devices, _ = work.schema.tables
    both = devices.join(users, users.c.user_id == devices.c.user_id)
    query = sa.select(*work.schema.held_device).select_from(both)
    query = query.where(
        devices.c.user_id == account.user_id,
        devices.c.revoked_at.is_(None),
        devices.c.device_fingerprint.in_(lines),
    )
    row = next(iter(work.rows(query)), None)
    return None if row is None else HeldDevice(*row)


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
    """Stop trusting one device of this user. False where the user has no such device, or it is revoked already.

    `device_id` is the `id` of a Device. Raises TypeError for what is no int, before anything is read.
    """
    if not isinstance(device_id, int) or isinstance(device_id, bool):
        raise TypeError(f"device_id is the int of a Device, not {type(device_id).__name__}.")
    account = accounts.find(work, user_id)
    if account is None or not -(2**63) <= device_id < 2**63:
        return False
    devices = work.schema.tables.devices
    query = sa.select(devices).where(
        devices.c.id == device_id, devices.c.user_id == account.user_id, devices.c.revoked_at.is_(None)
    )
    row = next(iter(work.rows(query)), None)
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
    return (Change(statement.values(_revocation(work, printable(reason, _NAME_LIMIT)))),)


def count(work: Work, account: Account) -> int:
    """How many devices are trusted now."""
    return len(_active(work, account))


def _active(work: Work, account: Account) -> list[Any]:
    devices = work.schema.tables.devices
    query = sa.select(devices).where(devices.c.user_id == account.user_id, devices.c.revoked_at.is_(None))
    return [row for row in work.rows(query) if _is_active(work, row)]


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
    statement = sa.update(devices).where(devices.c.id == row.id).values(_revocation(work, why))
    details = {"device": row.device_name, "reason": why}
    fact = Fact(kind, status, details, row.device_fingerprint)
    return accounts.save(work, account, account, fact, request, (Change(statement),))


def _is_trusted_in_the_log(work: Work, account: Account, row: HeldDevice) -> bool:
    """Whether trust is the last that the log says of a device; where it says nothing any more, the anchor tells."""
    if row.said is None:
        return row.device_fingerprint in anchors.newest(work, account)[1].devices
    return row.said in {Kind.DEVICE_TRUSTED, Kind.ADOPTED}


def _cleared(work: Work, account: Account, row: HeldDevice, request: Any, *rotation: Change) -> Account:
    fact = Fact(Kind.DEVICE_RECOGNIZED, details={"device": row.device_name}, device_fingerprint=row.device_fingerprint)
    return accounts.save(work, account, account, fact, request, rotation)


def _revocation(work: Work, why: str | None) -> dict[str, Any]:
    """What a revoked row holds: no hash that any token could match, whatever becomes of the mark."""
    void = sa.literal("revoked ") + sa.cast(work.schema.tables.devices.c.id, sa.String(20))
    return {"revoked_at": work.now, "revoked_reason": why, "trust_token": void, "previous_token": None}


class Adopting:
    """The raw tokens of before Twofold that some users have, to become keyed hashes; the cookies stay good."""

    def __init__(self, work: Work, accounts: Sequence[Account]) -> None:
        self._work = work
        self._accounts = {account.user_id: account for account in accounts}
        devices = work.schema.tables.devices
        query = sa.select(devices.c.id, devices.c.user_id, devices.c.trust_token, devices.c.trusted_until).where(
            devices.c.user_id.in_(self._accounts),
            devices.c.revoked_at.is_(None),
            devices.c.trust_token.not_like("v1:%"),
            devices.c.trust_token.not_like("revoked %"),
        )
        self._rows = [row for row in work.rows(query) if row.user_id in self._accounts] if accounts else []
        self._counts = Counter(row.user_id for row in self._rows)

    def count(self, account: Account) -> int:
        """How many tokens of this user become hashes."""
        return self._counts[account.user_id]

    def write(self) -> None:
        """Put the hashes in the place of the tokens. Raises Conflict where a row is no longer what was read."""
        if not self._rows:
            return
        work, devices = self._work, self._work.schema.tables.devices
        statement = (
            sa.update(devices)
            .where(devices.c.id == sa.bindparam("row"), devices.c.trust_token == sa.bindparam("raw"))
            .values(
                trust_token=sa.bindparam("hash"),
                device_fingerprint=sa.bindparam("line"),
                # What the browser was is told in other words there; its next visit says it in ours.
                browser=None,
                platform=None,
            )
        )
        changes = [self._change(row) for row in self._rows]
        at_once = len(changes) if accounts.counts_many(work) else 1
        parts = (changes[first : first + at_once] for first in range(0, len(changes), at_once))
        if sum(work.connection.execute(statement, part).rowcount for part in parts) != len(changes):
            raise accounts.Conflict

    def _change(self, row: Any) -> dict[str, Any]:
        account, token = self._accounts[row.user_id], row.trust_token
        return {
            "row": row.id,
            "raw": token,
            "hash": _digests(self._work, account, token, row.trusted_until)[0],
            "line": _lines(self._work, account.user_id, token)[0],
        }


def _line(token: str) -> str:
    """What stays the same through all tokens of a device; for a token of before Twofold, the whole of it."""
    return token.rpartition(".")[0] or token


def _lines(work: Work, user_id: UserId, token: str) -> tuple[str, ...]:
    """What the row of a token's line may hold as its fingerprint, under each key."""
    return work.keyring.macs("device tokens", canonical("device line", user_id, _line(token)))


def _digests(work: Work, account: Account, token: str, until: datetime) -> tuple[str, ...]:
    """What the row of a token may hold. Nothing that makes the trust can be changed without changing this."""
    return work.keyring.macs(
        "device tokens", canonical("device token", account.user_id, account.enabled_at, until, token)
    )
