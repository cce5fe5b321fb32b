"""The user's row, the one lock of the system: read it, decide, compare and swap.

`find` reads the row and proves that it is as it was written. An operation decides on that value what the answer and
the next state are. `save` writes the next state and the event in one transaction, if nobody has written since; else
it raises `Conflict` and the operation starts again on the fresh row. So no answer leaves without its write, and one
statement decides replay, lockout, lost updates and the order of the audit chain.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from twofold.driver import Statement
from twofold.errors import MFAError, NotEnrolled, Tampered, UnknownUser
from twofold.events import chain
from twofold.events.kinds import Kind, Status
from twofold.request import Request
from twofold.state import Account
from twofold.statements import LOGIN, STATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from twofold.keyring import Keyring
    from twofold.outcomes import UserId
    from twofold.settings import Settings
    from twofold.statements import Schema


_log = logging.getLogger("twofold")


class Change(NamedTuple):
    """A statement that belongs to the same write. One that `is_exact` must find its one row, or the write is void."""

    statement: sa.Executable | Statement[Any]
    values: tuple[Any, ...] = ()
    is_exact: bool = False

    def made(self, connection: sa.Connection) -> int:
        """Execute it; how many rows were written."""
        if isinstance(self.statement, Statement):
            return self.statement.count(connection, self.values)
        return connection.execute(self.statement).rowcount


Also = tuple[Change, ...]
"""What is written together with the user's row."""


class Conflict(Exception):
    """Somebody else wrote first, or the write needs a transaction. Never leaves the library."""


class OneByOne(Exception):
    """A batch cannot be read or written in one go. Never leaves the library."""


class Fact(NamedTuple):
    """What an operation tells the audit log."""

    kind: Kind
    status: Status = Status.SUCCESS
    details: Mapping[str, Any] = MappingProxyType({})
    device_fingerprint: str | None = None


class Commits(Protocol):
    """A transaction, as far as it matters here."""

    def commit(self) -> None:
        """End it, and keep what was written."""
        ...


@dataclass(slots=True)
class Kept:
    """The block of `Work.kept`."""

    work: Work
    transaction: Commits

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, MFAError) and self.work.is_saved:
            self.transaction.commit()


@dataclass(slots=True)
class Work:
    """One attempt at an operation: a connection, the moment, and what was saved so far."""

    connection: sa.Connection
    schema: Schema
    keyring: Keyring
    settings: Settings
    now: datetime
    is_locking: bool = False
    in_transaction: bool = True
    may_guess: bool = True
    is_saved: bool = False

    def rows(self, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Any]:
        """Read what a decision rests on, as it stands now: locked where the row of the user is."""
        return self.connection.execute(query.with_for_update() if self.is_locking else query).all()

    def kept(self, transaction: Commits) -> Kept:
        """Commit what was saved although the answer is an error: a refusal is what was saved. Nothing else is kept."""
        return Kept(self, transaction)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Decide one row of a batch by itself, so that one which cannot be written leaves nothing half done."""
        if not self.in_transaction:
            # Each write is one statement there, whole or not at all.
            yield
            return
        with self.connection.begin_nested() as savepoint, self.kept(savepoint):
            yield

    def need_transaction(self) -> None:
        """Start again in a transaction where this attempt has none: more than one statement will write."""
        if not self.in_transaction:
            raise Conflict


Beside = tuple[Statement[Any], tuple[Any, ...]]
"""A statement that reads a user's row and more beside it, and its values after the user's id."""


def find(work: Work, user_id: UserId, *, trusting: bool = False) -> Account | None:
    """Read a user's row; None for a user who never had a factor.

    Raises UnknownUser where there is no such user, Tampered where the row is not what was written or is gone while
    its events are still there, MissingKey where the key of its MAC is. `trusting` skips the proof, for those who
    repair or erase.
    """
    return read(work, user_id, trusting=trusting)[0]


def read(
    work: Work, user_id: UserId, beside: Beside | None = None, *, trusting: bool = False
) -> tuple[Account | None, Sequence[Any]]:
    """Read a user's row like `find`, and with the same statement what stands beside it.

    Nothing is beside it where the row is locked, since what a decision rests on is then locked too.
    """
    stored = work.schema.stored(user_id)
    statement, values = (work.schema.read, ()) if beside is None else beside
    if work.is_locking:
        statement, values = work.schema.read_locked, ()
    try:
        row = statement.first(work.connection, (stored, *values))
    except (TypeError, ValueError, OverflowError):
        # SQLite keeps whatever is written into a column, and a moment that is none does not read.
        raise _tampered(stored) from None
    # A collation may hold two ids for one that are two to everybody else.
    if row is None or row[0] != stored:
        if stored not in work.connection.execute(work.schema.known, {"user": stored}).scalars().all():
            raise UnknownUser
        if work.connection.execute(work.schema.traces, {"user": stored}).scalar_one() and not trusting:
            # The row may have been made since it was looked for; one that is still missing was removed.
            if statement.first(work.connection, (stored, *values)) is not None:
                raise Conflict
            raise _tampered(stored)
        return None, ()
    width = len(Account._fields)
    account = Account(*row[:width])
    if not trusting:
        prove(work, account, row[width])
    return account, row[width + 1 :]


def prove(work: Work, account: Account, state_mac: str | None) -> None:
    """Raise Tampered unless this is what was written, MissingKey where the key of its MAC is not configured."""
    if not (isinstance(state_mac, str) and work.keyring.check("state", account.message(), state_mac)):
        raise _tampered(account.user_id)


def _tampered(user_id: UserId) -> Tampered:
    """The alarm: an event cannot be chained to a row that is not trusted, so the operator's log has to say it."""
    _log.critical("The row of user %r in user_mfa_secrets was changed outside Twofold, or removed.", user_id)
    return Tampered()


def require(work: Work, user_id: UserId) -> Account:
    """Read the row of a user who has a confirmed factor. Raises NotEnrolled for everybody else."""
    account = find(work, user_id)
    if account is None or not account.is_enabled:
        raise NotEnrolled
    return account


def save(
    work: Work,
    seen: Account | None,
    after: Account,
    fact: Fact,
    request: Any = None,
    also: Also = (),
) -> Account:
    """Write `after` and the event in place of `seen`, and what goes with it; return the state as it stands now.

    `seen` is None where the user has no row yet.

    Raises Conflict where the row is no longer `seen`, and Tampered where the log is longer than the row says.
    """
    work.is_saved = False
    writing = written(work, seen, after, fact, request)
    try:
        if work.in_transaction:
            _write(work, seen, writing, also)
        else:
            _write_at_once(work, seen, writing, also)
    except IntegrityError:
        # Two first enrolments at once meet at the row's UNIQUE key; every later number can be taken only by a forged
        # line.
        if seen is None:
            raise Conflict from None
        raise Tampered from None
    work.is_saved = True
    return writing.after


def _write(work: Work, seen: Account | None, writing: Writing, also: Also) -> None:
    connection, schema = work.connection, work.schema
    if seen is None:
        row = dict(zip(("user_id", "created_at", *STATE), (writing.user_id, work.now, *writing.state), strict=True))
        connection.execute(sa.insert(schema.tables.secrets), row)
    else:
        is_login = writing.is_login(seen)
        swap, values = (schema.swap_at_login, writing.login) if is_login else (schema.swap, writing.swap)
        if swap.count(connection, values) != 1:
            raise Conflict
    schema.append.count(connection, writing.append)
    for change in also:
        # The row that was decided on is still as it was, even where this transaction read an older snapshot.
        if change.made(connection) != 1 and change.is_exact:
            raise Conflict


def _write_at_once(work: Work, seen: Account | None, writing: Writing, also: Also) -> None:
    """Write with one statement, which needs no transaction; where one is not enough, ask for a transaction."""
    match also:
        case ():
            change, values = None, ()
        case (Change(Statement() as change, values, is_exact=True),):
            pass
        case _:
            raise Conflict
    statement = work.schema.at_once.get(change)
    if statement is None or seen is None or not writing.is_login(seen):
        raise Conflict
    if statement.count(work.connection, writing.login + writing.told + values) != 1:
        raise Conflict


class Writing(NamedTuple):
    """What `save` is about to write: the state that will stand, its MAC, and the event."""

    after: Account
    state_mac: str
    link: chain.Link

    def is_login(self, seen: Account) -> bool:
        """Whether nothing changes but what a login changes."""
        return self.after[: LOGIN.start] == seen[: LOGIN.start] and self.after[LOGIN.stop :] == seen[LOGIN.stop :]

    @property
    def user_id(self) -> UserId:
        """Whose row it is."""
        return self.after.user_id

    @property
    def state(self) -> tuple[Any, ...]:
        """The columns of STATE."""
        return (*self.after[1:], self.state_mac, self.link.created_at)

    @property
    def swap(self) -> tuple[Any, ...]:
        """The values of `Schema.swap`."""
        return (*self.state, self.user_id, self.link.seq - 1)

    @property
    def login(self) -> tuple[Any, ...]:
        """The values of `Schema.swap_at_login`."""
        state: tuple[Any, ...] = self.after
        return (*state[LOGIN], self.state_mac, self.link.created_at, self.user_id, self.link.seq - 1)

    @property
    def append(self) -> tuple[Any, ...]:
        """The values of `Schema.append`."""
        return (*self.link, self.after.event_head)

    @property
    def told(self) -> tuple[Any, ...]:
        """What the event holds that the state does not, for `Schema.at_once`."""
        return self.link[2:-1]


def written(work: Work, seen: Account | None, after: Account, fact: Fact, request: Any = None) -> Writing:
    """Chain the event to the row and seal the state under its MAC, without a look at the database."""
    origin = Request.of(request)
    before, head = (seen.event_count, seen.event_head) if seen else (0, None)
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
    after = after._replace(event_count=link.seq, event_head=chain.mac(work.keyring, link, head))
    return Writing(after, work.keyring.mac("state", after.message()), link)


def save_all(work: Work, writings: Sequence[Writing]) -> None:
    """Write the rows and events of many users together, all of them or none.

    Raises Conflict where one of the rows is no longer what was seen, Tampered where one of the logs is longer than its
    row says: then each is to be written by itself. For transactions, and for drivers that count the rows of many
    statements: `counts_many` tells.
    """
    work.is_saved = False
    if not writings:
        return
    try:
        swap, append = work.schema.swap, work.schema.append
        swapped = work.connection.execute(swap.core, [swap.named(writing.swap) for writing in writings])
        if swapped.rowcount != len(writings):
            raise Conflict
        work.connection.execute(append.core, [append.named(writing.append) for writing in writings])
    except IntegrityError:
        raise Tampered from None
    work.is_saved = True


def counts_many(work: Work) -> bool:
    """Whether `save_all` can tell that every row was swapped."""
    return work.in_transaction and work.connection.dialect.supports_sane_multi_rowcount
