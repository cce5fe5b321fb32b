"""What the doctor asks the rows themselves: a sample is proven, and what is wrong by its number is counted.

Nothing is written, and no alarm is raised: whoever asks is the operator. A sample is the newest rows, and as many that
stand together anywhere among the older ones; a table that is no longer than a sample is looked at whole.
"""

from __future__ import annotations

import secrets as randomness
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from twofold.account import chain, sealed
from twofold.account.row import Account
from twofold.budget import FAILURE, Budget
from twofold.errors import MissingKey, Tampered
from twofold.events import log
from twofold.moments import CLOCKS_APART

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twofold.account.attempt import Attempt
    from twofold.outcomes import UserId

SAMPLE = 200
"""So many rows of a table are proven at most."""

_TRIES = 3
_LISTED = 10_000


class Sample(NamedTuple):
    """So many rows were looked at and so many proven; these, users or ids of events, are not as they were written.

    What was written under a key that is missing, and an event whose predecessor was pruned, is not proven.
    """

    looked_at: int
    proven: int
    altered: tuple[str, ...]


class Refused(NamedTuple):
    """How many users are refused codes of the app, suspended or with a full second vessel."""

    suspended: int
    exhausted: int


def rows(work: Attempt) -> Sample:
    """Prove users' rows, and by their digests the backup codes, devices and passkeys of these users."""
    secrets = work.schema.tables.secrets
    is_ours = ~work.schema.is_of_before | work.schema.traces_of(secrets.c.user_id)
    users = _sampled(work, secrets.c.id, secrets.c.user_id, is_ours)
    return _proven((user, _row_is_intact(work, user)) for user in users)


def events(work: Attempt) -> Sample:
    """Prove that events are as they were written, each behind the one before it."""
    table = work.schema.tables.events
    ids = _sampled(work, table.c.id, table.c.id, table.c.mac.is_not(None))
    return _proven((id_, _event_is_intact(work, id_)) for id_ in ids)


def orphans(work: Attempt) -> dict[str, int]:
    """How many users have rows in each table and are no users any more. Tables without such rows are left out."""
    users_id, found = work.schema.users_id, dict[str, int]()
    for table in (work.schema.tables.secrets, *work.schema.others):
        is_gone = ~sa.exists().where(users_id == table.c.user_id)
        query = sa.select(sa.func.count(table.c.user_id.distinct())).where(is_gone)
        if number := int(work.connection.execute(query).scalar_one()):
            found[table.name] = number
    return found


def ahead(work: Attempt) -> int:
    """How many rows of users, devices and passkeys hold a moment that is still to come: a clock stood ahead."""
    secrets, _, devices, _ = work.schema.tables
    written = {
        secrets: ("updated_at", "pending_at", "last_used_at", "last_failed_at", "failure_level_at", "lines_day"),
        devices: ("created_at", "rotated_at", "last_used_at"),
    }
    if work.schema.passkeys is not None:
        written[work.schema.passkeys] = ("created_at", "last_used_at", "suspended_at")
    number = 0
    for table, columns in written.items():
        is_ahead = sa.or_(*(table.c[name] > work.now + CLOCKS_APART for name in columns))
        query = sa.select(sa.func.count()).select_from(table).where(is_ahead)
        number += int(work.connection.execute(query).scalar_one())
    return number


def refused(work: Attempt) -> Refused:
    """Count the users who are suspended, or whose second vessel is full now; of ten thousand at most."""
    secrets, budget = work.schema.tables.secrets, Budget.of(work.settings)
    full = (budget.held - 1) * FAILURE
    query = sa.select(secrets.c.failed_attempts, secrets.c.failure_level, secrets.c.failure_level_at).where(
        secrets.c.is_enabled.is_(sa.true()),
        (secrets.c.failed_attempts >= budget.cap) | (secrets.c.failure_level > full),
    )
    suspended = exhausted = 0
    for failures, level, at in work.connection.execute(query.limit(_LISTED)):
        if budget.is_suspended(failures):
            suspended += 1
        elif budget.is_full(budget.level(level, at, work.now)):
            exhausted += 1
    return Refused(suspended, exhausted)


def _sampled(
    work: Attempt, id_: sa.Column[int], wanted: sa.Column[Any], condition: sa.ColumnElement[bool]
) -> Sequence[Any]:
    """The newest of a table, and others that stand together anywhere among the older ones."""
    query, half = sa.select(id_, wanted).where(condition), SAMPLE // 2
    newest = work.connection.execute(query.order_by(id_.desc()).limit(half)).all()
    found = [value for _, value in newest]
    if len(newest) == half:
        end = newest[-1][0]
        begin = 1 + randomness.randbelow(max(1, end - half))
        older = query.where(id_ >= begin, id_ < end).order_by(id_).limit(half)
        found += [value for _, value in work.connection.execute(older)]
    return found


def _proven(found: Iterable[tuple[object, bool | None]]) -> Sample:
    """Those of which something can be said, out of all."""
    all_of_them = list(found)
    proven = sum(is_intact is not None for _, is_intact in all_of_them)
    return Sample(len(all_of_them), proven, tuple(str(one) for one, is_intact in all_of_them if is_intact is False))


def _row_is_intact(work: Attempt, user_id: UserId) -> bool | None:
    """None where the key is missing, which says nothing of the row, or the user is gone by now."""
    seen: object = None
    for _ in range(_TRIES):
        try:
            row = work.schema.read.first(work.connection, (user_id,))
            if row is None:
                return None
            account, state_mac = Account._make(row[: len(Account._fields)]), row[len(Account._fields)]
            is_written = isinstance(state_mac, str) and work.keyring.check("state", account.message(), state_mac)
        except MissingKey:
            return None
        except (Tampered, *sealed.UNREADABLE):
            return False
        if is_written and _has_its_rows(work, account):
            return True
        if seen == account.version:
            return False
        # Somebody may have written between the looks at the tables.
        seen = account.version
    return None


def _has_its_rows(work: Attempt, account: Account) -> bool:
    return (
        sealed.match_codes(account, sealed.codes(work, account)).is_intact
        and sealed.match_devices(account, sealed.devices(work, account)).is_intact
        and sealed.match_passkeys(account, sealed.passkeys(work, account)).is_intact
    )


def _event_is_intact(work: Attempt, id_: int) -> bool | None:
    """None where the key is missing, the line is gone by now, or the one before it was pruned."""
    table = work.schema.tables.events
    try:
        row = work.connection.execute(sa.select(table).where(table.c.id == id_)).one_or_none()
        if row is None or row.seq is None:
            return None if row is None else False
        previous = None
        if row.seq > 1:
            before = sa.select(table.c.mac).where(table.c.user_id == row.user_id, table.c.seq == row.seq - 1)
            previous = work.connection.execute(before).scalar_one_or_none()
            if previous is None:
                return None
        return chain.fits(work.keyring, log.link(row), previous, row.mac)
    except MissingKey:
        return None
    except (Tampered, AttributeError, *sealed.UNREADABLE):
        return False
