"""One attempt at an operation, what it writes, and how it asks to be made again."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from twofold.account import chain
from twofold.account.lock_wait import execute
from twofold.errors import MFAError
from twofold.kinds import Kind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    import sqlalchemy as sa
    from sqlalchemy.exc import DBAPIError

    from twofold.account.chain import Link
    from twofold.account.row import Account
    from twofold.account.statements import Schema
    from twofold.keyring import Keyring
    from twofold.outcomes import UserId
    from twofold.settings import Settings

Writes = Literal["nothing", "one statement", "many"]
"""How much an operation writes. What writes many begins with a lock on the user's row, so that it runs once."""

Learned = Literal["keys", "passkeys"]
"""What an attempt looks at again: which keys the column of users holds, or whether there is a table for passkeys."""


class Retry(Exception):
    """The attempt is thrown away, unseen, and made again on the fresh row. Never leaves the library."""


class Conflict(Retry):
    """Somebody else wrote first, or nothing is left of a COMMIT that failed for some `cause`.

    `connection` then holds the lock under which that was seen, and the next attempt goes on there: whatever is still
    under way comes too late to count.
    """

    def __init__(self, cause: DBAPIError | OSError | None = None, connection: sa.Connection | None = None) -> None:
        super().__init__()
        self.cause, self.connection = cause, connection


class NeedsLock(Retry):
    """More has to be read or written than this attempt can do without a transaction that locks the row."""


@dataclass(frozen=True)
class Fact:
    """What an operation tells the audit log."""

    kind: Kind
    status: Status = Status.SUCCESS
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    device_fingerprint: str | None = None

    @cached_property
    def text(self) -> str | None:
        """The details as the column holds them; a fact that is told often is kept, and written once."""
        return chain.details_text(self.details)


class Evidence(NamedTuple):
    """What tells later whether a transaction arrived: an event, the row itself where it has none, or nothing at all."""

    user_id: UserId
    of: Literal["event", "row", "erasure"]
    number: int = 0
    mac: str | None = None


@dataclass(slots=True)
class Attempt:
    """A connection, the moment, and what was saved so far.

    `is_locking` reads lock the rows they read. Without `in_transaction` every statement commits by itself. `adopt`
    takes a user of before Twofold into care, where the settings allow it, and `relearn` reads again which tables there
    are. It `is_told` by the host whose rows are asked for in the host's own transaction, and by `on_connection`.
    `settle` finds out whether a statement that commits by itself arrived, when the connection broke over it; nothing
    more is written where that `is_settled`.
    `proven` is the state that was read last, with its columns as the MAC covers them. `told` holds the lines that were
    written, in their order, where the host wants to hear of them.
    """

    connection: sa.Connection
    schema: Schema
    keyring: Keyring
    settings: Settings
    now: datetime
    adopt: Callable[[Attempt, UserId], Account]
    relearn: Callable[[Learned], Schema]
    settle: Callable[[Attempt, DBAPIError | OSError], None] | None = None
    is_locking: bool = False
    in_transaction: bool = True
    is_told: bool = True
    may_guess: bool = True
    is_saved: bool = False
    is_settled: bool = False
    proven: tuple[Account, list[str]] | None = None
    evidence: Evidence | None = None
    told: list[Link] | None = None

    def stored(self, user_id: object) -> UserId:
        """The value as the column holds it. Raises UnknownUser where the column cannot hold it, as it is now."""
        if (stored := self.schema.ids.stored(user_id)) is None:
            # The key may have been widened since this process read of it.
            self.schema = self.relearn("keys")
            return self.schema.stored(user_id)
        return stored

    def rows(self, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Any]:
        """Read what a decision rests on, as it stands now: locked where the row of the user is."""
        return execute(self.connection, query.with_for_update() if self.is_locking else query).all()

    def write(self, statement: sa.UpdateBase, values: Any = None) -> sa.CursorResult[Any]:
        """Execute a statement that writes, with a bound to its waits for locks."""
        return execute(self.connection, statement, values)

    def need_lock(self) -> None:
        """Start again with a lock on the user's row where this attempt has none."""
        if not self.is_locking:
            raise NeedsLock

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Decide one row of a batch by itself, so that one which cannot be written leaves nothing half done."""
        if not self.in_transaction:
            # Each write is one statement there, whole or not at all.
            yield
            return
        evidence, told = self.evidence, len(self.told or ())
        with self.connection.begin_nested() as savepoint:
            try:
                yield
            except BaseException as error:
                # An alarm is an answer: what it wrote is kept although an error leaves.
                if isinstance(error, MFAError) and self.is_saved:
                    savepoint.commit()
                else:
                    self.evidence = evidence
                    if self.told is not None:
                        del self.told[told:]
                raise
