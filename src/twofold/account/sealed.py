"""The user's rows in other tables, which the user's row seals: read them, and compare them with what it says of them.

Whatever reads those rows to decide compares them with their digest; whatever writes them writes the new digest in the
same swap. A write of the user's row alone carries the digest over unread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DataError

from twofold.account import digests
from twofold.account.statements import HeldCode, HeldDevice, HeldPasskey
from twofold.errors import SchemaDrift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account

# What reading a value raises that no column of ours can hold: SQLite keeps whatever is written into a column, MariaDB
# has a day zero, and PostgreSQL has moments past the year 9999.
UNREADABLE = (TypeError, ValueError, OverflowError, DataError)


def codes(work: Attempt, account: Account) -> Sequence[HeldCode] | None:
    """Every backup code of a user, as it stands now; None where the rows do not read."""
    codes = work.schema.tables.codes
    query = sa.select(*work.schema.held_code).where(codes.c.user_id == account.user_id).order_by(codes.c.id)
    try:
        return [HeldCode(*row) for row in work.rows(query)]
    except UNREADABLE:
        return None


def devices(work: Attempt, account: Account) -> Sequence[HeldDevice] | None:
    """Every device of a user that is not revoked, as it stands now; None where the rows do not read."""
    devices = work.schema.tables.devices
    query = sa.select(*work.schema.held_device).where(
        devices.c.user_id == account.user_id, devices.c.revoked_at.is_(None)
    )
    try:
        return [HeldDevice(*row) for row in work.rows(query.order_by(devices.c.id))]
    except UNREADABLE:
        return None


def passkeys(work: Attempt, account: Account) -> Sequence[HeldPasskey] | None:
    """Every passkey of a user that is not revoked, as it stands now; None where the rows do not read.

    A database without their table holds none: where the user's row has a digest of some, they are gone.
    """
    passkeys = passkey_table(work, account)
    if passkeys is None:
        return []
    query = sa.select(*work.schema.held_passkey).where(
        passkeys.c.user_id == account.user_id, passkeys.c.revoked_at.is_(None)
    )
    try:
        return [HeldPasskey(*row) for row in work.rows(query.order_by(passkeys.c.id))]
    except UNREADABLE:
        return None


def passkey_table(work: Attempt, account: Account) -> sa.Table | None:
    """The table of passkeys, where the database has one.

    It may have been made since this process began: the row of a user who has some tells, and it is looked for then.
    """
    return work.schema.passkeys if account.passkeys_digest is None else current_passkeys(work)


def current_passkeys(work: Attempt) -> sa.Table | None:
    """The table of passkeys, looked for once more where there was none."""
    if work.schema.passkeys is None:
        work.schema = work.relearn("passkeys")
    return work.schema.passkeys


def required_passkeys(work: Attempt) -> sa.Table:
    """The table of passkeys. Raises SchemaDrift where there is none."""
    if (table := current_passkeys(work)) is None:
        raise SchemaDrift("There is no table for passkeys in this database; run `twofold db upgrade --passkeys`.")
    return table


def live(codes: Sequence[HeldCode]) -> list[HeldCode]:
    """Those that are not spent."""
    return [code for code in codes if not code.is_used]


def is_good(work: Attempt, code: HeldCode) -> bool:
    """Whether this code can still be spent."""
    return not code.is_used and (code.expires_at is None or code.expires_at > work.now)


def codes_digest(codes: Sequence[HeldCode]) -> str | None:
    """What a user's row says of these backup codes, those that are spent left out."""
    return digests.digest(code[: len(digests.CODES)] for code in live(codes))


def devices_digest(devices: Sequence[HeldDevice]) -> str | None:
    """What a user's row says of these devices."""
    return digests.digest(device.digested for device in devices)


def passkeys_digest(passkeys: Sequence[HeldPasskey]) -> str | None:
    """What a user's row says of these passkeys."""
    return digests.digest(passkey.digested for passkey in passkeys)


def match_codes(account: Account, codes: Sequence[HeldCode] | None) -> digests.Comparison:
    """Compare backup codes with what the user's row says."""
    rows = None if codes is None else [code[: len(digests.CODES)] for code in live(codes)]
    return digests.compare(account.codes_digest, rows)


def match_devices(account: Account, devices: Sequence[HeldDevice] | None) -> digests.Comparison:
    """Compare devices with what the user's row says."""
    rows = None if devices is None else [device.digested for device in devices]
    return digests.compare(account.devices_digest, rows)


def match_passkeys(account: Account, passkeys: Sequence[HeldPasskey] | None) -> digests.Comparison:
    """Compare passkeys with what the user's row says."""
    rows = None if passkeys is None else [passkey.digested for passkey in passkeys]
    return digests.compare(account.passkeys_digest, rows)


def compared_codes(work: Attempt, account: Account, codes: Sequence[HeldCode] | None) -> digests.Comparison:
    """Compare backup codes with what the user's row says. Raises NeedsLock for a difference read without a lock."""
    return _judged(work, match_codes(account, codes))


def compared_devices(work: Attempt, account: Account, devices: Sequence[HeldDevice] | None) -> digests.Comparison:
    """Compare devices with what the user's row says. Raises NeedsLock for a difference read without a lock."""
    return _judged(work, match_devices(account, devices))


def compared_passkeys(work: Attempt, account: Account, passkeys: Sequence[HeldPasskey] | None) -> digests.Comparison:
    """Compare passkeys with what the user's row says. Raises NeedsLock for a difference read without a lock."""
    return _judged(work, match_passkeys(account, passkeys))


def _judged(work: Attempt, comparison: digests.Comparison) -> digests.Comparison:
    if not comparison.is_intact:
        # Row and rows may be of two moments where nothing is locked, and that is no tampering.
        work.need_lock()
    return comparison
