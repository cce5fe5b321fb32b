"""The user's row, the one lock of the system: read it, decide, compare and swap.

`find` reads the row and proves that it is as it was written. An operation decides on that value what the answer and
the next state are. `save` writes the next state and the event in one transaction, if nobody has written since; else
it raises `Conflict` and the operation starts again on the fresh row. So no answer leaves without its write, and one
statement decides replay, lockout, lost updates and the order of the audit chain.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, NoSuchTableError

from twofold.errors import ConfigurationError, MFAError, NotEnrolled, SchemaDrift, Tampered, UnknownUser
from twofold.events import chain
from twofold.events.kinds import Kind, Status
from twofold.keyring import canonical
from twofold.request import Request
from twofold.tables import UsersColumn, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from twofold.keyring import Keyring
    from twofold.outcomes import UserId
    from twofold.settings import Settings


_log = logging.getLogger("twofold")


@dataclass(frozen=True, slots=True)
class Change:
    """A statement that belongs to the same write. One that `is_exact` must find its one row, or the write is void."""

    statement: sa.Executable
    is_exact: bool = False


Also = tuple[Change, ...]
"""What is written together with the user's row."""


class Conflict(Exception):
    """Somebody else wrote first, or the write needs a transaction. Never leaves the library."""


class OneByOne(Exception):
    """A batch cannot be read or written in one go. Never leaves the library."""


@dataclass(frozen=True, slots=True)
class Account:
    """The security state of one user, as one row of `user_mfa_secrets` holds it."""

    user_id: UserId
    secret: str | None = field(default=None, repr=False)
    pending_secret: str | None = field(default=None, repr=False)
    pending_at: datetime | None = None
    algorithm: str = "SHA1"
    digits: int = 6
    period: int = 30
    is_enabled: bool = False
    is_verified: bool = False
    last_used_step: int | None = None
    last_challenge: int = 0
    last_used_at: datetime | None = None
    failed_attempts: int = 0
    last_failed_at: datetime | None = None
    locked_until: datetime | None = None
    event_count: int = 0
    event_head: str | None = field(default=None, repr=False)
    enabled_at: datetime | None = None
    disabled_at: datetime | None = None

    def message(self) -> bytes:
        """What the state MAC covers: the whole state, in the order of the columns."""
        return canonical("state 1", *(getattr(self, name) for name in _STATE))


@dataclass(frozen=True, slots=True)
class Fact:
    """What an operation tells the audit log."""

    kind: Kind
    status: Status = Status.SUCCESS
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    device_fingerprint: str | None = None


_STATE: Final = tuple(column.name for column in fields(Account))
_EVENT: Final = tuple(column.name for column in fields(chain.Link))


class Schema:
    """The tables with the type that the live `users.id` has, and the statements of the hot path, built once."""

    def __init__(self, users: str, user_id_type: sa.types.TypeEngine[Any]) -> None:
        self.user_id_type = user_id_type
        metadata = sa.MetaData()
        reference = UsersColumn.parse(users)
        self.users = sa.Table(
            reference.table, metadata, sa.Column(reference.column, user_id_type), schema=reference.schema
        )
        self.users_id = self.users.c[reference.column]
        self.tables = tables(metadata, users)
        secrets, events = self.tables.secrets, self.tables.events
        user = sa.bindparam("user", type_=user_id_type)

        self.state = tuple(secrets.c[name] for name in _STATE)
        self.read = sa.select(*self.state, secrets.c.state_mac).where(secrets.c.user_id == user)
        self.read_locked = self.read.with_for_update()
        self.known = sa.select(self.users_id).where(self.users_id == user)
        self.traces = sa.select(self.traces_of(user))
        state = {name: sa.bindparam(f"new_{name}", type_=secrets.c[name].type) for name in _STATE if name != "user_id"}
        state |= {name: sa.bindparam(f"new_{name}", type_=secrets.c[name].type) for name in ("state_mac", "updated_at")}
        self.swap = (
            sa.update(secrets)
            .where(secrets.c.user_id == user, secrets.c.event_count == sa.bindparam("seen"))
            .values(state)
        )
        event = {
            name: sa.bindparam(f"event_{name}", type_=events.c[name].type)
            for name in (*_EVENT, "mac")
            if name != "user_id"
        }
        self.append = sa.insert(events).values(user_id=user, **event)
        # PostgreSQL swaps the state and appends the event in one statement: two round trips for a whole verification.
        swapped = self.swap.returning(secrets.c.user_id).cte("swapped")
        self.swap_and_append = (
            sa.insert(events)
            .from_select(["user_id", *event], sa.select(swapped.c.user_id, *event.values()))
            .returning(events.c.id)
        )

    def traces_of(self, user_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Whether Twofold ever wrote anything about this user, apart from the row in `user_mfa_secrets`."""
        _, codes, devices, events = self.tables
        return sa.or_(
            sa.exists().where(events.c.user_id == user_id, events.c.mac.is_not(None)),
            sa.exists().where(codes.c.user_id == user_id, codes.c.code_hash.like("v1:%")),
            sa.exists().where(devices.c.user_id == user_id, devices.c.device_fingerprint.like("v1:%")),
        )

    @classmethod
    def of(cls, connection: sa.Connection, users: str) -> Schema:
        """Read the type of `user_id` from the database.

        Raises SchemaDrift where the table is not there, ConfigurationError where SQLite does not enforce foreign keys:
        a deleted user would leave a factor behind, for whoever is given the same id next.
        """
        if connection.dialect.name == "sqlite" and not connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
            raise ConfigurationError(
                "SQLite must enforce foreign keys: run PRAGMA foreign_keys = ON on every connection."
            )
        try:
            columns = sa.inspect(connection).get_columns("user_mfa_secrets")
        except NoSuchTableError:
            raise SchemaDrift("The MFA tables are not in this database; run `twofold db upgrade`.") from None
        found = next((column["type"] for column in columns if column["name"] == "user_id"), None)
        match found:
            case sa.Integer():
                return cls(users, sa.BigInteger())
            case sa.Uuid():
                return cls(users, sa.Uuid())
            case sa.String():
                return cls(users, sa.String(found.length))
            case _:
                raise SchemaDrift("user_id is neither an integer, a UUID nor a string; run `twofold db verify`.")

    def stored(self, user_id: object) -> UserId:
        """The value as the column holds it. Raises UnknownUser where the column cannot hold it.

        The databases coerce what they compare ('5' is 5 to one, 'ada' is 0 to another), so another type is refused
        here.
        """
        match self.user_id_type, user_id:
            case (_, bool()):
                pass
            case (sa.BigInteger(), int()) if -(2**63) <= user_id < 2**63:
                return user_id
            case (sa.Uuid(), UUID()):
                return user_id
            case (sa.String(length=length), UUID()):
                return user_id.hex if length == 32 else str(user_id)
            case (sa.String(length=length), str()) if _is_text(user_id) and len(user_id) <= (length or 255):
                return user_id
            case _:
                pass
        raise UnknownUser


def _is_text(value: str) -> bool:
    """Whether a database can hold it: NUL ends a text, and half of a surrogate pair begins none."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)


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

    @contextmanager
    def kept(self, transaction: sa.Transaction) -> Iterator[None]:
        """Commit what was saved although the answer is an error: a refusal is what was saved. Nothing else is kept."""
        try:
            yield
        except MFAError:
            if self.is_saved:
                transaction.commit()
            raise

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


def find(work: Work, user_id: UserId, *, trusting: bool = False) -> Account | None:
    """Read a user's row; None for a user who never had a factor.

    Raises UnknownUser where there is no such user, Tampered where the row is not what was written or is gone while
    its events are still there, MissingKey where the key of its MAC is. `trusting` skips the proof, for those who
    repair or erase.
    """
    stored = work.schema.stored(user_id)
    statement = work.schema.read_locked if work.is_locking else work.schema.read
    try:
        row = work.connection.execute(statement, {"user": stored}).mappings().first()
    except (TypeError, ValueError):
        # SQLite keeps whatever is written into a column, and a moment that is none does not read.
        raise _tampered(stored) from None
    # A collation may hold two ids for one that are two to everybody else.
    if row is None or row["user_id"] != stored:
        if stored not in work.connection.execute(work.schema.known, {"user": stored}).scalars().all():
            raise UnknownUser
        if work.connection.execute(work.schema.traces, {"user": stored}).scalar_one() and not trusting:
            # The row may have been made since it was looked for; one that is still missing was removed.
            if work.connection.execute(statement, {"user": stored}).first() is not None:
                raise Conflict
            raise _tampered(stored)
        return None
    account = Account(**{name: row[name] for name in _STATE})
    if not trusting:
        prove(work, account, row["state_mac"])
    return account


def prove(work: Work, account: Account, state_mac: str | None) -> None:
    """Raise Tampered unless this is what was written, MissingKey where the key of its MAC is not configured."""
    if not (state_mac and work.keyring.check("state", account.message(), state_mac)):
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
            if seen is None:
                first = {"user_id": after.user_id, "created_at": work.now}
                work.connection.execute(sa.insert(work.schema.tables.secrets), writing.state | first)
            elif work.connection.execute(work.schema.swap, writing.swap).rowcount != 1:
                raise Conflict
            work.connection.execute(work.schema.append, writing.event)
            for change in also:
                # The row that was decided on is still as it was, even where this transaction read an older snapshot.
                if work.connection.execute(change.statement).rowcount != 1 and change.is_exact:
                    raise Conflict
        elif (
            also
            or seen is None
            or work.connection.execute(work.schema.swap_and_append, writing.swap | writing.event).first() is None
        ):
            raise Conflict
    except IntegrityError:
        # Two first enrolments at once meet at the row's UNIQUE key; every later number can be taken only by a forged
        # line.
        if seen is None:
            raise Conflict from None
        raise Tampered from None
    work.is_saved = True
    return writing.after


@dataclass(frozen=True, slots=True)
class Writing:
    """What `save` is about to write: the state that will stand, and the values of its two statements."""

    after: Account
    state: dict[str, Any]
    swap: dict[str, Any]
    event: dict[str, Any]


def written(work: Work, seen: Account | None, after: Account, fact: Fact, request: Any = None) -> Writing:
    """Chain the event to the row and seal the state under its MAC, without a look at the database."""
    origin = Request.of(request)
    link = chain.Link(
        user_id=after.user_id,
        seq=seen.event_count + 1 if seen else 1,
        event_type=fact.kind,
        event_status=fact.status,
        event_details=chain.details_text(fact.details),
        ip_address=origin.ip_address,
        user_agent=origin.user_agent,
        device_fingerprint=fact.device_fingerprint,
        created_at=work.now,
    )
    mac = chain.mac(work.keyring, link, seen.event_head if seen else None)
    after = replace(after, event_count=link.seq, event_head=mac)
    state = {name: getattr(after, name) for name in _STATE if name != "user_id"}
    state |= {"state_mac": work.keyring.mac("state", after.message()), "updated_at": work.now}
    event = {f"event_{name}": getattr(link, name) for name in _EVENT if name != "user_id"}
    event |= {"user": after.user_id, "event_mac": mac}
    swap = {f"new_{name}": value for name, value in state.items()}
    swap |= {"user": after.user_id, "seen": link.seq - 1}
    return Writing(after, state, swap, event)


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
        swapped = work.connection.execute(work.schema.swap, [writing.swap for writing in writings])
        if swapped.rowcount != len(writings):
            raise Conflict
        work.connection.execute(work.schema.append, [writing.event for writing in writings])
    except IntegrityError:
        raise Tampered from None
    work.is_saved = True


def counts_many(work: Work) -> bool:
    """Whether `save_all` can tell that every row was swapped."""
    return work.in_transaction and work.connection.dialect.supports_sane_multi_rowcount
