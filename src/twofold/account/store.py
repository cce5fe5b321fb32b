"""The user's row, the one lock of the system: read it, decide, compare and swap.

`find` reads the row and proves that it is as it was written. An operation decides on that value what the answer and
the next state are. `save` writes the next state and the event in one transaction, if nobody has written since; else
it raises `Conflict` and the operation starts again on the fresh row. So no answer leaves without its write, and one
statement decides replay, lockout, lost updates and the order of the audit chain.

The row seals the user's other rows by their digests. Whatever reads those rows to decide compares them with the digest;
whatever writes them writes the new digest in the same swap. One that writes neither carries the digest over unread.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from twofold.account import chain, digests
from twofold.account.attempt import Conflict, Evidence, Fact, NeedsLock
from twofold.account.retries import is_lost
from twofold.account.row import LOGIN, Account
from twofold.account.statements import HeldCode, HeldDevice
from twofold.errors import DatabaseUnavailable, MissingKey, NotAdopted, Tampered, UnknownUser
from twofold.kinds import Kind, Status
from twofold.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.driver import Statement
    from twofold.account.statements import Schema
    from twofold.outcomes import UserId

_log = logging.getLogger("twofold")

Table = Literal["mfa_backup_codes", "mfa_device_trusts"]

# What reading a value raises that no column of ours can hold: SQLite keeps whatever is written into a column, MariaDB
# has a day zero, and PostgreSQL has moments past the year 9999.
UNREADABLE = (TypeError, ValueError, OverflowError, DataError)


def _between(changing: set[str]) -> Iterator[slice]:
    """The parts of a state that lie before, between and behind these columns."""
    places = (place for place, name in enumerate(Account._fields) if name in changing)
    for before, place in pairwise((-1, *places, len(Account._fields))):
        if place - before > 1:
            yield slice(before + 1, place)


# The columns that stay as they are, by the digest that is made anew.
_OTHERS: dict[tuple[str, ...], Callable[[Account], tuple[Any, ...]]] = {
    anew: itemgetter(*_between({*LOGIN, *anew})) for anew in ((), ("codes_digest",), ("devices_digest",))
}


class Change(NamedTuple):
    """A statement of the hot path that belongs to the same write. It must find its one row, or the write is void."""

    statement: Statement[sa.Update]
    values: tuple[Any, ...]


class Login(NamedTuple):
    """What a login reads in one statement: the row, whether there are backup codes, and the rows beside it.

    `codes` are all of the user's codes, `devices` those that are not revoked; each None where it was not asked for, or
    does not read.
    """

    account: Account | None
    has_codes: bool = False
    codes: Sequence[HeldCode] | None = None
    devices: Sequence[HeldDevice] | None = None


Beside = Literal["codes", "devices"]


def read_login(work: Attempt, user_id: UserId, beside: Beside | None) -> Login:
    """Read a user's row like `find`, and with the same statement what an answer to a login rests on.

    A row that is locked is read first and its companions after it, under the lock, where they cannot change any more.
    """
    stored, schema = work.schema.stored(user_id), work.schema
    if work.is_locking:
        account = find(work, user_id)
        if account is None:
            return Login(None)
        codes = held_codes(work, account)
        devices = held_devices(work, account) if beside == "devices" else None
        return Login(account, any(_is_good(work, code) for code in codes or ()), codes, devices)
    values: tuple[Any, ...] = (stored, work.now)
    match beside:
        case "codes":
            statement, values = schema.read_with_codes, (stored,)
        case "devices":
            statement = schema.read_with_devices
        case None:
            statement = schema.read_for_challenge
    try:
        rows = statement.all(work.connection, values)
    except UNREADABLE:
        # Where the row itself does not read, `find` says so; the others stop their own factor alone.
        account = find(work, user_id)
        return Login(account, account is not None and account.codes_digest is not None)
    account = _account(work, stored, rows[0] if rows else None)
    if account is None:
        if _missing(work, stored, schema.read) is not None:
            # It was made a moment ago.
            raise Conflict
        return Login(None)
    width = len(Account._fields) + 1
    if beside == "codes":
        codes = [HeldCode._make(row[width:]) for row in rows if row[width] is not None]
        return Login(account, any(_is_good(work, code) for code in codes), codes)
    devices = [HeldDevice._make(row[width + 1 :]) for row in rows if row[width + 1] is not None] if beside else None
    return Login(account, bool(rows[0][width]), devices=devices)


def find(work: Attempt, user_id: UserId) -> Account | None:
    """Read a user's row; None for a user of whom there is nothing.

    A user of before Twofold is adopted on the way where the settings allow it, else NotAdopted. Raises UnknownUser
    where there is no such user, Tampered where the row is not what was written or is gone while the user's other rows
    are still there, MissingKey where the key of its MAC is.
    """
    stored = work.schema.stored(user_id)
    statement = work.schema.read_locked if work.is_locking else work.schema.read
    try:
        row = statement.first(work.connection, (stored,))
    except UNREADABLE:
        raise tampered(stored) from None
    return _account(work, stored, row) or _missing(work, stored, statement)


def _account(work: Attempt, stored: UserId, row: Sequence[Any] | None) -> Account | None:
    """The row as it was written; None where there is none."""
    # A collation may hold two ids for one that are two to everybody else.
    if row is None or row[0] != stored:
        return None
    width = len(Account._fields)
    account, state_mac = Account._make(row[:width]), row[width]
    if state_mac is None and account.version == account.event_count == 0:
        if work.connection.execute(work.schema.traces, {"user": stored}).one()[0]:
            raise tampered(stored)
        return _of_before(work, stored)
    prove(work, account, state_mac)
    return account


def _missing(work: Attempt, stored: UserId, statement: Statement[Any]) -> Account | None:
    """Look whether there is anything else of a user who has no row: then it was removed, or is hidden."""
    if stored not in work.connection.execute(work.schema.known, {"user": stored}).scalars().all():
        raise UnknownUser
    is_ours, is_any, is_standby = work.connection.execute(work.schema.traces, {"user": stored}).one()
    if is_standby:
        raise DatabaseUnavailable(_STANDBY)
    if not is_any:
        return None
    # The row may have been made since it was looked for.
    if statement.first(work.connection, (stored,)) is not None:
        raise Conflict
    if is_ours:
        raise tampered(stored)
    return _of_before(work, stored)


def _of_before(work: Attempt, stored: UserId) -> Account:
    if not work.settings.legacy_rows:
        raise NotAdopted
    work.need_lock()
    return work.adopt(work, stored)


def find_current(work: Attempt, user_id: UserId) -> Account | None:
    """Read a user's row like `find`, for an answer that writes nothing. Raises DatabaseUnavailable on a standby."""
    if work.is_locking:
        return find(work, user_id)
    stored = work.schema.stored(user_id)
    try:
        row = work.schema.read_current.first(work.connection, (stored,))
    except UNREADABLE:
        raise tampered(stored) from None
    if row is not None and row[-1]:
        raise DatabaseUnavailable(_STANDBY)
    return _account(work, stored, row) or _missing(work, stored, work.schema.read)


_STANDBY = "This is a standby, which may not know yet what was written; read from the primary."


def prove(work: Attempt, account: Account, state_mac: str | None) -> None:
    """Raise Tampered unless this is what was written, MissingKey where the key of its MAC is not configured."""
    try:
        work.proven = (account, account.parts())
        is_written = isinstance(state_mac, str) and work.keyring.check("state", account.message(work.proven), state_mac)
    except MissingKey as error:
        _log.critical("The row of user %r in user_mfa_secrets: %s", account.user_id, error)
        raise
    except (Tampered, TypeError):
        is_written = False
    if not is_written:
        raise tampered(account.user_id)


def tampered(user_id: UserId) -> Tampered:
    """The alarm: an event cannot be chained to a row that is not trusted, so the operator's log has to say it."""
    _log.critical("The row of user %r in user_mfa_secrets was changed outside Twofold, or removed.", user_id)
    return Tampered()


def held_codes(work: Attempt, account: Account) -> Sequence[HeldCode] | None:
    """Every backup code of a user, as it stands now; None where the rows do not read."""
    codes = work.schema.tables.codes
    query = sa.select(*work.schema.held_code).where(codes.c.user_id == account.user_id).order_by(codes.c.id)
    try:
        return [HeldCode(*row) for row in work.rows(query)]
    except UNREADABLE:
        return None


def held_devices(work: Attempt, account: Account) -> Sequence[HeldDevice] | None:
    """Every device of a user that is not revoked, as it stands now; None where the rows do not read."""
    devices = work.schema.tables.devices
    query = sa.select(*work.schema.held_device).where(
        devices.c.user_id == account.user_id, devices.c.revoked_at.is_(None)
    )
    try:
        return [HeldDevice(*row) for row in work.rows(query.order_by(devices.c.id))]
    except UNREADABLE:
        return None


def live(codes: Sequence[HeldCode]) -> list[HeldCode]:
    """Those that are not spent."""
    return [code for code in codes if not code.is_used]


def _is_good(work: Attempt, code: HeldCode) -> bool:
    return not code.is_used and (code.expires_at is None or code.expires_at > work.now)


def codes_digest(codes: Sequence[HeldCode]) -> str | None:
    """What a user's row says of these backup codes, those that are spent left out."""
    return digests.digest(code[: len(digests.CODES)] for code in live(codes))


def devices_digest(devices: Sequence[HeldDevice]) -> str | None:
    """What a user's row says of these devices."""
    return digests.digest(device.digested for device in devices)


def compared_codes(work: Attempt, account: Account, codes: Sequence[HeldCode] | None) -> digests.Comparison:
    """Compare backup codes with what the user's row says; judge a difference under the row's lock alone."""
    rows = None if codes is None else [code[: len(digests.CODES)] for code in live(codes)]
    return _judged(work, digests.compare(account.codes_digest, rows))


def compared_devices(work: Attempt, account: Account, devices: Sequence[HeldDevice] | None) -> digests.Comparison:
    """Compare devices with what the user's row says; judge a difference under the row's lock alone."""
    rows = None if devices is None else [device.digested for device in devices]
    return _judged(work, digests.compare(account.devices_digest, rows))


def _judged(work: Attempt, comparison: digests.Comparison) -> digests.Comparison:
    if not comparison.is_intact:
        # Row and rows may be of two moments where nothing is locked, and that is no tampering.
        work.need_lock()
    return comparison


def alarm(work: Attempt, account: Account, table: Table, comparison: digests.Comparison, request: Any) -> Account:
    """Tell that rows of a user are not what the user's row says, once for each altered state; the state after that."""
    if comparison.is_intact or comparison.is_told:
        return account
    _log.critical("Rows of user %r in %s were changed outside Twofold.", account.user_id, table)
    told = comparison.told
    after = (
        account._replace(codes_digest=told) if table == "mfa_backup_codes" else account._replace(devices_digest=told)
    )
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
    return update.after


def _save_quietly(work: Attempt, seen: Account, after: Account) -> Account:
    """Write a state without a line. Raises Conflict where the row is no longer `seen`."""
    if work.is_settled:
        raise NeedsLock
    after = after._replace(version=seen.version + 1)
    known = work.proven if work.proven and work.proven[0] is seen else None
    state_mac = work.keyring.mac("state", after.message(known))
    work.evidence = Evidence(after.user_id, "row", after.version, state_mac)
    swap = work.schema.swap
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
    update, connection, secrets = (
        build_update(work, seen, after, fact, request),
        work.connection,
        work.schema.tables.secrets,
    )
    work.evidence = update.evidence
    row = update.first_row
    over = {name: value for name, value in row.items() if name not in {"user_id", "created_at"}}
    over_it = sa.update(secrets).where(secrets.c.user_id == after.user_id).values(over)
    if connection.execute(over_it).rowcount == 0:
        connection.execute(sa.insert(secrets), row)
    connection.execute(sa.insert(work.schema.tables.events), update.first_line)
    work.is_saved = True
    return update.after


def _write(work: Attempt, seen: Account | None, update: Update, change: Change | None) -> None:
    connection, schema = work.connection, work.schema
    if seen is None:
        connection.execute(sa.insert(schema.tables.secrets), update.first_row)
        # There was no line of this user a moment ago.
        connection.execute(sa.insert(schema.tables.events), update.first_line)
        return
    statement = change.statement if change else None
    swap = schema.swap_at_login[statement] if update.is_login(schema, seen, statement) else schema.swap
    if swap.count(connection, update.swap(swap)) != 1:
        raise Conflict
    if schema.append.count(connection, update.append) != 1:
        _log.critical("The log of user %r is longer than the row in user_mfa_secrets says.", update.after.user_id)
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
        return bool(_OTHERS[schema.made_anew[change]](self.after) == _OTHERS[schema.made_anew[change]](seen))

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
        """What the event holds that the state does not, for `Schema.at_once`."""
        link = self.link
        return (
            link.event_type,
            link.event_status,
            link.event_details,
            link.ip_address,
            link.user_agent,
            link.device_fingerprint,
        )

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
        chain.details_text(fact.details),
        origin.ip_address,
        origin.user_agent,
        fact.device_fingerprint,
        work.now,
    )
    after = after.changed(event_count=link.seq, event_head=chain.mac(work.keyring, link, head), version=version + 1)
    # Most of a state stays as it was read, and is encoded already.
    known = work.proven if work.proven and work.proven[0] is seen else None
    return Update(after, work.keyring.mac("state", after.message(known)), link, version)


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
        swapped = connection.execute(schema.swap.core, [schema.swap.named(one.swap(schema.swap)) for one in updates])
        if swapped.rowcount != len(updates):
            raise Conflict
        # In one statement where the driver can; the look for later lines is one for all of them, and comes after it.
        connection.execute(sa.insert(schema.tables.events), [one.first_line for one in updates])
    except IntegrityError:
        raise Tampered from None
    if connection.execute(_longer_logs(schema, [one.link.user_id for one in updates])).first() is not None:
        raise Tampered
    work.evidence = updates[-1].evidence
    work.is_saved = True


def _longer_logs(schema: Schema, users: Sequence[UserId]) -> sa.Select[*tuple[Any, ...]]:
    """The users among these whose log is longer than their row says."""
    secrets, _, _, events = schema.tables
    later = sa.exists().where(events.c.user_id == secrets.c.user_id, events.c.seq > secrets.c.event_count)
    return sa.select(secrets.c.user_id).where(secrets.c.user_id.in_(users), later).limit(1)


def counts_many(work: Attempt) -> bool:
    """Whether `save_all` can tell that every row was swapped."""
    return work.in_transaction and work.connection.dialect.supports_sane_multi_rowcount
