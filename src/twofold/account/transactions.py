"""How an operation becomes a transaction: its own or the caller's, made once, or again until the deadline.

A refusal is an answer: what it wrote, the failure count and the event, is committed before `Rejected` leaves. An answer
is given when its COMMIT is confirmed. Where the database refused the COMMIT, everything is undone and decided again;
where nobody knows whether it arrived, `settlement` looks the event up before anything is said.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from twofold.account.attempt import Conflict, NeedsLock
from twofold.account.beginning import begin, begin_for_savepoint, end_what_has_begun, is_autocommit
from twofold.account.connections import Kept, opened
from twofold.account.driver import Statement, Translated, is_told_of_a_pooler
from twofold.account.retries import Retries, is_lock_timeout, is_lost, is_passing, is_stale
from twofold.account.settlement import settle
from twofold.account.telling import tell, tell_later
from twofold.account.translation import raise_translated
from twofold.alone import Taken, alone, is_for_all
from twofold.errors import ConfigurationError, DatabaseUnavailable, MFAError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twofold.account.attempt import Attempt, Writes
    from twofold.account.runtime import Runtime

R = TypeVar("R")

_UNMARK = Statement(sa.text("RELEASE twofold"), ())
_IN_TRANSACTION = nullcontext()
_SNAPSHOTS = frozenset({"REPEATABLE READ", "SERIALIZABLE"})
_HELD = (
    "Somebody holds a lock, and did not let go in time; nothing was spent. If it is your own transaction of this "
    "request, commit it first, or join it with mfa.within(session)."
)
_UNDONE = (
    "The database gives your transaction up for the sake of another one; nothing was spent. Roll it back and begin it "
    "again, as you do where a statement of yours is told so."
)


class _Refused(NamedTuple):
    """A refusal, to be raised once it is committed: an answer as any other."""

    error: MFAError


def _answered(attempt: Attempt, call: Callable[[Attempt], R]) -> R | _Refused:
    """Run the operation. An error that wrote nothing is no answer, and leaves at once."""
    try:
        return call(attempt)
    except MFAError as error:
        if not attempt.is_saved:
            raise
        return _Refused(error)


def _given(answer: R | _Refused) -> R:
    """Return the value, or raise the refusal."""
    if isinstance(answer, _Refused):
        raise answer.error
    return answer


def run_in_own_transaction(
    runtime: Runtime,
    engine: sa.Engine,
    call: Callable[[Attempt], R],
    writes: Writes,
    sleep: Callable[[float], None],
) -> R:
    """Run an operation in a transaction of its own, again on the fresh row where somebody else was faster.

    Raises DatabaseUnavailable where the database does not answer, or is too busy until TWOFOLD_DEADLINE.
    """
    retries = Retries(runtime.settings.deadline, sleep)
    is_locking = writes == "many"
    # One statement needs no transaction around it, and a verification on PostgreSQL is one statement; where the host
    # hangs anything on its transactions, or a pooler on the connection, it gets one all the same.
    is_heard, is_postgresql = runtime.hears_host(engine), engine.dialect.name == "postgresql"
    in_transaction = is_locking or not is_postgresql or is_heard
    take = partial(opened, engine, runtime.pool_size, is_told=runtime.on_connection is not None)
    finding_out = partial(settle, take, partial(begin, runtime), retries)
    locked: sa.Connection | None = None
    while True:
        cause: DBAPIError | OSError | None = None
        may_be_kept = not (is_heard or (is_postgresql and in_transaction))
        connect = partial(take, may_be_kept=may_be_kept)
        try:
            with _IN_TRANSACTION if locked else alone(engine), locked or _connected(connect) as connection:
                in_transaction = in_transaction or is_told_of_a_pooler(connection)
                if in_transaction and locked is None:
                    begin(runtime, connection, is_reading=writes == "nothing" and not is_locking)
                locked = None
                answer = _attempted(
                    runtime, connection, call, finding_out, is_locking=is_locking, in_transaction=in_transaction
                )
            return _given(answer)
        except NeedsLock:
            in_transaction = is_locking = True
            continue
        except Taken:
            pass
        except Conflict as conflict:
            cause, locked = conflict.cause, conflict.connection
        except (DBAPIError, OSError) as error:
            if retries.meets_drift(error):
                runtime.forget_tables()
                continue
            if not (is_lost(error) or is_passing(error)):
                raise_translated(error)
            cause = error
        in_transaction = is_locking = True
        has_waited = isinstance(cause, DBAPIError) and is_lock_timeout(cause)
        if not retries.wait(has_waited=has_waited):
            _give_up(locked, cause)


def _give_up(locked: sa.Connection | None, cause: DBAPIError | OSError | None) -> NoReturn:
    """Say why there is no answer in time."""
    if locked is not None:
        locked.close()
    if isinstance(cause, DBAPIError) and is_lock_timeout(cause):
        raise DatabaseUnavailable(_HELD)
    if cause is None or is_passing(cause):
        raise DatabaseUnavailable("The database is too busy to decide; nothing was spent, try again.")
    raise_translated(cause)


def _connected(connect: Callable[[], sa.Connection]) -> sa.Connection:
    """Check a connection out. A server that is not there is told at once: waiting would only pile requests up."""
    try:
        return connect()
    except (SQLAlchemyError, OSError) as error:
        raise_translated(error)


def _attempted(
    runtime: Runtime,
    connection: sa.Connection,
    call: Callable[[Attempt], R],
    finding_out: Callable[[Attempt, DBAPIError | OSError], None],
    *,
    is_locking: bool,
    in_transaction: bool,
) -> R | _Refused:
    """Make one attempt and commit it."""
    with _IN_TRANSACTION if in_transaction else _Autocommit(connection):
        attempt = runtime.attempt(connection, is_locking=is_locking, in_transaction=in_transaction)
        attempt.settle = finding_out
        is_committed = not in_transaction
        try:
            answer = _answered(attempt, call)
            if in_transaction:
                _commit(attempt)
                is_committed = True
        except DBAPIError as error:
            if is_stale(error):
                connection.invalidate(error)
            raise
        finally:
            # What is none of an answer has happened all the same, where each statement commits by itself.
            if attempt.told and is_committed and runtime.hook is not None:
                tell(runtime.hook, attempt.told)
    return answer


def _commit(attempt: Attempt) -> None:
    connection = attempt.connection
    if is_for_all(connection.engine):
        try:
            _UNMARK.count(connection, ())
        except DBAPIError:
            # Somebody else has ended the transaction on the one connection, and nothing is known to be written.
            raise Conflict from None
    try:
        connection.commit()
    except (DBAPIError, OSError) as error:
        if is_passing(error):
            _roll_back(connection)
            raise
        if attempt.settle is None:
            raise
        attempt.settle(attempt, error)


def _roll_back(connection: sa.Connection) -> None:
    """Undo a transaction whose COMMIT was refused: SQLAlchemy takes it to be over, and the driver may not."""
    connection.rollback()
    try:
        connection.connection.rollback()
    except Exception as broken:  # noqa: BLE001
        # A connection in an unknown state goes to nobody.
        connection.invalidate(broken)


class _Autocommit:
    """In the block the driver commits every statement by itself, without the round trips of a transaction.

    The driver is told and not SQLAlchemy, which would take longer to switch than the database takes to verify.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        driver: Any = connection.connection.dbapi_connection
        self._driver = driver
        self._is_ours = not driver.autocommit
        self._kept = connection if isinstance(connection, Kept) else None

    def __enter__(self) -> Self:
        if self._kept is not None and self._kept.commits_each:
            return self
        with Translated(self._connection):
            end_what_has_begun(self._connection)
            if self._is_ours:
                self._driver.autocommit = True
                if self._kept is not None:
                    self._kept.commits_each = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection.invalidated:
            return
        try:
            if self._connection.in_transaction():
                # Core begins one by itself, of which the driver knows nothing.
                self._connection.rollback()
            if self._is_ours and self._kept is None:
                self._driver.autocommit = False
        except Exception as broken:  # noqa: BLE001
            # What was decided stands; a connection that cannot go back as it came goes to nobody.
            self._connection.invalidate(broken)


def run_in_callers_transaction(
    runtime: Runtime, connection: sa.Connection, call: Callable[[Attempt], R], sleep: Callable[[float], None]
) -> R:
    """Run an operation in the caller's transaction, each try in a savepoint.

    Every read locks, since the caller may have taken a snapshot long ago.
    """
    _begin_where_it_has_not(connection)
    retries = Retries(runtime.settings.deadline, sleep)
    while True:
        try:
            return _given(_attempted_in_savepoint(runtime, connection, call))
        except Conflict:
            if _keeps_its_snapshot(connection):
                raise DatabaseUnavailable(_UNDONE) from None
        except DBAPIError as error:
            if retries.meets_drift(error):
                runtime.forget_tables()
                continue
            if not is_passing(error):
                raise_translated(error)
            if not is_lock_timeout(error):
                raise DatabaseUnavailable(_UNDONE) from error.orig
        if not retries.wait():
            raise DatabaseUnavailable("The row is written by somebody else; end this transaction and try again.")


def _begin_where_it_has_not(connection: sa.Connection) -> None:
    """Have a transaction in which savepoints can be set. Raises ConfigurationError where there can be none."""
    if connection.dialect.name == "sqlite":
        begin_for_savepoint(connection)
    elif is_autocommit(connection):
        raise ConfigurationError("This connection commits by itself; give within() one that has a transaction.")


def _attempted_in_savepoint(runtime: Runtime, connection: sa.Connection, call: Callable[[Attempt], R]) -> R | _Refused:
    """Make one attempt and keep what it wrote, for the caller's commit to decide."""
    with connection.begin_nested() as savepoint:
        attempt = runtime.attempt(
            connection, is_locking=True, in_transaction=True, may_guess=runtime.may_guess_within, is_callers=True
        )
        answer = _answered(attempt, call)
        savepoint.commit()
    if attempt.told and runtime.hook is not None:
        tell_later(runtime.hook, connection, attempt.told)
    return answer


def _keeps_its_snapshot(connection: sa.Connection) -> bool:
    """Whether another try would see what this one has seen. On MariaDB what locks sees what is there now."""
    return connection.dialect.name == "postgresql" and connection.get_isolation_level() in _SNAPSHOTS
