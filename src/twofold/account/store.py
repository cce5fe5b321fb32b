"""Write the state of a user: compare and swap, with the event in the same transaction.

`reading.find` reads the row. An operation decides on that value what the answer and the next state are. `save` writes
the next state and the event in one transaction, if nobody has written since; else it raises `Conflict` and the
operation starts again on the fresh row. So no answer leaves without its write, and one statement decides replay,
lockout, lost updates and the order of the audit chain.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from twofold import lines
from twofold.account import answered, chain, shown
from twofold.account.attempt import Conflict, Evidence, Fact, NeedsLock
from twofold.account.retries import is_lost
from twofold.account.row import LOGIN, Account
from twofold.errors import Tampered
from twofold.kinds import Kind, Status
from twofold.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from twofold.account import digests
    from twofold.account.attempt import Attempt
    from twofold.account.driver import Statement
    from twofold.account.statements import Schema
    from twofold.outcomes import UserId

Table = Literal["mfa_backup_codes", "mfa_device_trusts", "mfa_passkeys"]
_DIGEST: Final[dict[Table, str]] = {
    "mfa_backup_codes": "codes_digest",
    "mfa_device_trusts": "devices_digest",
    "mfa_passkeys": "passkeys_digest",
}


def _between(changing: set[str]) -> Iterator[slice]:
    """The parts of a state that lie before, between and behind these columns."""
    places = (place for place, name in enumerate(Account._fields) if name in changing)
    for before, place in pairwise((-1, *places, len(Account._fields))):
        if place - before > 1:
            yield slice(before + 1, place)


# The columns that stay as they are, by the digest that is made anew.
_OTHERS: dict[tuple[str, ...], Callable[[Account], tuple[Any, ...]]] = {
    anew: itemgetter(*_between({*LOGIN, *anew})) for anew in ((), *((digest,) for digest in _DIGEST.values()))
}


class Change(NamedTuple):
    """A statement of the hot path that belongs to the same write. It must find its one row, or the write is void."""

    statement: Statement[sa.Update]
    values: tuple[Any, ...]


def alarm(work: Attempt, account: Account, table: Table, comparison: digests.Comparison, request: Any) -> Account:
    """Tell that rows of a user are not what the user's row says, once for each altered state; the state after that."""
    if comparison.is_intact or comparison.is_reported:
        return account
    lines.ROWS_ALTERED.write(account.user_id, table)
    after = account.changed(**{_DIGEST[table]: comparison.reported})
    return save(work, account, after, Fact(Kind.ROWS_ALTERED, Status.ALARM, {"table": table}), request)


def save(
    work: Attempt,
    seen: Account | None,
    after: Account,
    fact: Fact | None,
    request: Any = None,
    change: Change | None = None,
) -> Account:
    """Write `after` and the event in place of `seen`, and the change that goes with it; return the state as it stands.

    `seen` is None where the user has no row yet, `fact` where only the state remembers what happened.

    Raises Conflict where the row is no longer `seen`, and Tampered where the log is longer than the row says.
    """
    work.is_saved = False
    if fact is None:
        return _save_quietly(work, seen or after, after)
    update = build_update(work, seen, after, fact, request)
    work.evidence = update.evidence
    try:
        if work.in_transaction:
            _write(work, seen, update, change)
        else:
            _write_at_once(work, seen, update, change)
    except IntegrityError:
        # Two first enrolments at once meet at the row's UNIQUE key; every later number can be taken only by a forged
        # line.
        if seen is None:
            raise Conflict from None
        raise Tampered from None
    work.is_saved = True
    if work.told is not None:
        work.told.append(update.link)
    return update.after


def _save_quietly(work: Attempt, seen: Account, after: Account) -> Account:
    """Write a state without a line. Raises Conflict where the row is no longer `seen`."""
    if work.is_settled:
        raise NeedsLock
    after = _cleared(after, work.now).changed(version=seen.version + 1)
    known = work.proven if work.proven and work.proven[0] is seen else None
    state_mac = work.keyring.mac("state", after.message(known))
    work.evidence = Evidence(after.user_id, "row", after.version, state_mac)
    swap = work.schema.swap if work.in_transaction else work.schema.swap_alone
    values = (*_columns(swap.names)(after), state_mac, work.now, after.user_id, seen.version)
    try:
        if swap.count(work.connection, values) != 1:
            raise Conflict
    except (DBAPIError, OSError) as error:
        if work.in_transaction or work.settle is None or not is_lost(error):
            raise
        work.settle(work, error)
    work.is_saved = True
    return after


def save_over(work: Attempt, seen: Account, after: Account, fact: Fact, request: Any = None) -> Account:
    """Write `after` and the event over whatever stands in a row that is locked, or where it stood; for a repair.

    Of `seen` only the user, the version and the end of the log are believed.
    """
    work.need_lock()
    work.is_saved = False
    update, secrets = build_update(work, seen, after, fact, request), work.schema.tables.secrets
    work.evidence = update.evidence
    row = update.first_row
    over = {name: value for name, value in row.items() if name not in {"user_id", "created_at"}}
    over_it = sa.update(secrets).where(secrets.c.user_id == after.user_id).values(over)
    if work.write(over_it).rowcount == 0:
        work.write(sa.insert(secrets), row)
    work.write(sa.insert(work.schema.tables.events), update.first_line)
    work.is_saved = True
    if work.told is not None:
        work.told.append(update.link)
    return update.after


def _write(work: Attempt, seen: Account | None, update: Update, change: Change | None) -> None:
    connection, schema = work.connection, work.schema
    if seen is None:
        work.write(sa.insert(schema.tables.secrets), update.first_row)
        # There was no line of this user a moment ago.
        work.write(sa.insert(schema.tables.events), update.first_line)
        return
    statement = change.statement if change else None
    is_login = update.is_login(schema, seen, statement)
    swap = schema.swap_at_login[statement] if is_login else schema.swap
    values, rows = update.swap(swap), 1
    if change is not None and is_login and connection.dialect.name in {"mariadb", "mysql"}:
        swap, values, rows, change = schema.swap_with[change.statement], values + change.values, 2, None
    if swap.count(connection, values) != rows:
        raise Conflict
    if schema.append.count(connection, update.append) != 1:
        lines.LOG_LONGER.write(update.after.user_id)
        raise Tampered
    if change is not None and change.statement.count(connection, change.values) != 1:
        raise Conflict


def _write_at_once(work: Attempt, seen: Account | None, update: Update, change: Change | None) -> None:
    """Write with one statement, which needs no transaction; where one is not enough, ask for a transaction."""
    schema, changed = work.schema, change.statement if change else None
    if work.is_settled or seen is None or not update.is_login(schema, seen, changed):
        raise NeedsLock
    values = update.swap(schema.swap_at_login[changed]) + update.event_only + (change.values if change else ())
    try:
        if schema.at_once[changed].count(work.connection, values) != 1:
            raise Conflict
    except (DBAPIError, OSError) as error:
        if work.settle is None or not is_lost(error):
            raise
        work.settle(work, error)


@lru_cache(maxsize=64)
def _columns(names: tuple[str, ...]) -> itemgetter[Any]:
    """Take out of a state what a swap with these values writes; its own last four values are not of the state."""
    return itemgetter(*(Account._fields.index(name.removeprefix("new_")) for name in names[:-4]))


class Update(NamedTuple):
    """What `save` is about to write: the state that will stand, its MAC, and the event."""

    after: Account
    state_mac: str
    link: chain.Link
    seen_version: int

    @property
    def evidence(self) -> Evidence:
        """What tells that this was written."""
        return Evidence(self.link.user_id, "event", self.link.seq, self.after.event_head)

    def is_login(self, schema: Schema, seen: Account, change: Statement[sa.Update] | None) -> bool:
        """Whether nothing changes but what an answer to a login changes, and what this change makes anew."""
        others = _OTHERS[schema.made_anew[change]]
        return bool(others(self.after) == others(seen))

    def swap(self, swap: Statement[sa.Update]) -> tuple[Any, ...]:
        """The values of one of the swaps of `Schema`."""
        state = _columns(swap.names)(self.after)
        return (*state, self.state_mac, self.link.created_at, self.after.user_id, self.seen_version)

    @property
    def append(self) -> tuple[Any, ...]:
        """The values of `Schema.append`."""
        return (*self.link, self.after.event_head)

    @property
    def event_only(self) -> tuple[Any, ...]:
        """What the event holds that the state does not, for `Schema.at_once`: all but the user, number and moment."""
        return self.link[2:-1]

    @property
    def first_row(self) -> dict[str, Any]:
        """The row of a user who has none."""
        moment = self.link.created_at
        new = {"state_mac": self.state_mac, "created_at": moment, "updated_at": moment}
        return self.after._asdict() | new

    @property
    def first_line(self) -> dict[str, Any]:
        """The line of a user who has none."""
        return self.link._asdict() | {"mac": self.after.event_head}


def build_update(work: Attempt, seen: Account | None, after: Account, fact: Fact, request: Any = None) -> Update:
    """Chain the event to the row and seal the state under its MAC, without a look at the database."""
    origin = Request.of(request)
    before, head, version = (seen.event_count, seen.event_head, seen.version) if seen else (0, None, after.version)
    link = chain.Link(
        after.user_id,
        before + 1,
        str(fact.kind),
        str(fact.status),
        fact.text,
        origin.ip_address,
        origin.user_agent,
        fact.device_fingerprint,
        work.now,
    )
    after = _cleared(after, work.now)
    after = after.changed(event_count=link.seq, event_head=chain.mac(work.keyring, link, head), version=version + 1)
    # Most of a state stays as it was read, and is encoded already.
    known = work.proven if work.proven and work.proven[0] is seen else None
    return Update(after, work.keyring.mac("state", after.message(known)), link, version)


def _cleared(after: Account, now: datetime) -> Account:
    """The state without what is only for a while, once that is over: every write takes it along."""
    return answered.cleared(shown.cleared(after, now), now)


def save_all(work: Attempt, updates: Sequence[Update]) -> None:
    """Write the rows and events of many users together, all of them or none.

    Raises Conflict where one of the rows is no longer what was seen, Tampered where one of the logs is longer than its
    row says: then each is to be written by itself. For transactions, and for drivers that count the rows of many
    statements: `counts_many` tells.
    """
    work.is_saved = False
    if not updates:
        return
    connection, schema = work.connection, work.schema
    try:
        swapped = work.write(schema.swap.core, [schema.swap.named(one.swap(schema.swap)) for one in updates])
        if swapped.rowcount != len(updates):
            raise Conflict
        # In one statement where the driver can; the look for later lines is one for all of them, and comes after it.
        work.write(sa.insert(schema.tables.events), [one.first_line for one in updates])
    except IntegrityError:
        raise Tampered from None
    if connection.execute(_longer_logs(schema, [one.link.user_id for one in updates])).first() is not None:
        raise Tampered
    work.evidence = updates[-1].evidence
    work.is_saved = True
    if work.told is not None:
        work.told.extend(one.link for one in updates)


def _longer_logs(schema: Schema, users: Sequence[UserId]) -> sa.Select[*tuple[Any, ...]]:
    """The users among these whose log is longer than their row says."""
    secrets, _, _, events = schema.tables
    later = sa.exists().where(events.c.user_id == secrets.c.user_id, events.c.seq > secrets.c.event_count)
    return sa.select(secrets.c.user_id).where(secrets.c.user_id.in_(users), later).limit(1)


def counts_many(work: Attempt) -> bool:
    """Whether `save_all` can tell that every row was swapped."""
    return work.in_transaction and work.connection.dialect.supports_sane_multi_rowcount
