"""Where connections come from: a small pool of Twofold's own, made from the engine that the host gives.

A request that holds a connection of the host's and asks for the second factor would else wait for itself, as soon as
as many requests do so as the host's pool has connections. The pool has the host's driver, address, arguments and
listeners, those that are added later too; what is opened is a connection of the host's engine in everything but the
place that it goes back to.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine.interfaces import DBAPICursor

# Pools of other kinds are as they are for a reason: NullPool keeps nothing, StaticPool has one connection for all.
_KINDS = (QueuePool, AsyncAdaptedQueuePool)
_NAME = "_twofold_pools"
# Whether nothing has begun, by the drivers whose connections are kept. Zero is PQTRANS_IDLE.
_IS_IDLE: dict[str, Callable[[Any], bool]] = {
    "psycopg": lambda driver: driver.pgconn.transaction_status == 0,
    "pysqlite": lambda driver: not driver.in_transaction,
}
# The driver whose cursor keeps, for the statement that it sent last, how each value is written and read. One of SQLite
# holds its read open instead, until it is closed.
_REMEMBERS = frozenset({"psycopg"})


def opened(engine: sa.Engine, size: int, *, may_be_kept: bool = False, is_told: bool = False) -> sa.Connection:
    """Open a connection for this engine, at most `size` at a time; 0 shares the host's pool.

    Where it `may_be_kept`, it is one that was kept before, if there is any; that one may still be in autocommit.
    `is_told` asks for a connection on which the host says whose rows are meant. Something of that may stay on it, so
    such connections have a pool of their own. Raises what SQLAlchemy raises.
    """
    if size == 0:
        return engine.connect()
    pools, kind = _of(engine), (size, is_told)
    made = (pools.get(kind) or pools.setdefault(kind, _Pools(size))).made_for(engine)
    if made.own is None:
        return engine.connect()
    return (may_be_kept and made.taken(engine)) or made.connected(engine, may_be_kept=may_be_kept)


def let_go_after(owner: object, engine: sa.Engine) -> None:
    """Give back what is kept for an engine once its owner is gone, so that both can be forgotten.

    SQLAlchemy remembers for ever what is checked out of a pool, and with it the engine of the pool.
    """
    forgotten = weakref.finalize(owner, _let_go, weakref.ref(root(engine)))
    # When the process ends, the connections end with it, and what they would need may be gone before them.
    forgotten.atexit = False


def _let_go(behind: weakref.ref[Any]) -> None:
    if (engine := behind()) is not None:
        for pools in list(vars(engine).get(_NAME, {}).values()):
            pools.let_go()


class Kept(sa.Connection):
    """A connection of our pool that stays out of it between operations, as long as nothing has to be undone.

    To give one back to SQLAlchemy and to take it again costs a tenth of a verification, and to switch the driver's
    autocommit off and on a third of that. Whoever waits for a connection gets it all the same.
    """

    made: _Made
    may_be_kept = False
    commits_each = False
    """Whether the driver was told to commit every statement, and is told otherwise before the connection goes back."""
    cursors: dict[object, DBAPICursor] | None
    """Those of the driver that have sent a statement, by the statement, where the driver works it out once for each."""

    def close(self) -> None:
        """Keep the connection for the next operation where it may be kept, else give it back."""
        if not (self.may_be_kept and self._is_as_taken() and self.made.keep(self)):
            self.give_back()

    def give_back(self) -> None:
        """Give the connection back to the pool, as it was taken."""
        if self.commits_each and not self.invalidated:
            try:
                driver: Any = self.connection.dbapi_connection
                driver.autocommit = False
            except Exception as broken:  # noqa: BLE001
                # What was decided stands; a connection that cannot go back as it came goes to nobody.
                self.invalidate(broken)
        self.may_be_kept = self.commits_each = False
        self.cursors = None
        super().close()

    def fits(self, engine: sa.Engine) -> bool:
        """Whether the pool would give out this very connection for this engine."""
        record: Any = cast("Any", self.connection)._connection_record  # noqa: SLF001
        recycle: int = self.made.own._recycle  # noqa: SLF001
        return (
            self.engine is engine
            and self._execution_options is engine._execution_options  # noqa: SLF001
            and not record._is_hard_or_soft_invalidated()  # noqa: SLF001
            and (recycle < 0 or time.time() - record.starttime <= recycle)
        )

    def _is_as_taken(self) -> bool:
        """Whether nobody listens, nothing has begun, and no option was set."""
        if self._dbapi_connection is None or self._transaction is not None:
            return False
        engine = self.engine
        return (
            not (self._has_events or engine._has_events or self.dialect._has_events)  # noqa: SLF001
            and self._execution_options is engine._execution_options  # noqa: SLF001
            and _IS_IDLE[self.dialect.driver](self._dbapi_connection.dbapi_connection)
        )


def _checked_out(engine: sa.Engine, pool: sa.Pool) -> sa.PoolProxiedConnection:
    errors: Any = engine.dialect.loaded_dbapi.Error
    try:
        return pool.connect()
    except errors as error:
        raise DBAPIError.instance(None, None, error, errors, dialect=engine.dialect) from error


def _of(engine: sa.Engine) -> dict[tuple[int, bool], _Pools]:
    """The pools of an engine, by their size and by `is_told`.

    They live and die with it, whatever options it is used with, and however many faces it has.
    """
    behind = root(engine)
    pools: dict[tuple[int, bool], _Pools] | None = vars(behind).get(_NAME)
    if pools is not None:
        # A lock that somebody holds in the moment of a fork is held for ever in the child.
        return pools
    with _LOCK:
        pools = vars(behind).get(_NAME)
        if pools is None:
            pools = vars(behind)[_NAME] = {}
            # To listen turns Core's slower path on, for events that are sent in any case.
            heard = behind._has_events  # noqa: SLF001
            event.listen(behind, "engine_disposed", _dispose)
            behind._has_events = heard  # noqa: SLF001
    return pools


def root(engine: sa.Engine) -> Any:
    """The engine behind those that only carry other options, which all have its pool."""
    behind: Any = engine
    while (proxied := getattr(behind, "_proxied", None)) is not None:
        behind = proxied
    return behind


def _dispose(engine: sa.Engine) -> None:
    """Close what is idle when the host disposes of its engine, or of one that carries other options."""
    for pools in vars(root(engine)).get(_NAME, {}).values():
        pools.close(engine)


_LOCK = threading.Lock()


class _Made:
    """A pool, the pool of the host that it was made beside, and the connections that are kept out of it.

    Lists of Python are appended to and popped from by one thread at a time, so that no lock is needed.
    """

    def __init__(self, own: Any, hosts: Any, dialect: sa.Dialect) -> None:
        self.own, self.hosts = own, hosts
        # Where the pool asks the server before each use, it has to be asked for each.
        self._keeps = own is not None and not own._pre_ping and not dialect.is_async and dialect.driver in _IS_IDLE  # noqa: SLF001
        self._kept: list[Kept] = []
        self._waiting: list[None] = []
        self._is_over = False

    def taken(self, engine: sa.Engine) -> Kept | None:
        """A connection that was kept; None where there is none for this engine."""
        while self._kept:
            with suppress(IndexError):
                kept = self._kept.pop()
                if kept.fits(engine):
                    kept._echo = engine._should_log_info()  # noqa: SLF001 -- As for one that is new.
                    return kept
                kept.give_back()
        return None

    def connected(self, engine: sa.Engine, *, may_be_kept: bool) -> sa.Connection:
        """Check one out of the pool; nobody keeps one while somebody waits for it."""
        self._waiting.append(None)
        try:
            self.let_go()
            checked_out = _checked_out(engine, self.own)
        finally:
            self._waiting.pop()
        if not (may_be_kept and self._keeps):
            return sa.Connection(engine, connection=checked_out)
        connection = Kept(engine, connection=checked_out)
        connection.made, connection.may_be_kept = self, True
        connection.cursors = {} if engine.dialect.driver in _REMEMBERS else None
        return connection

    def keep(self, connection: Kept) -> bool:
        """Keep this one, unless somebody waits for it or it is of no more use."""
        if self._waiting or self._is_over:
            return False
        self._kept.append(connection)
        if self._waiting or self._is_over:
            # Whoever came in between may have looked before it was there.
            self.let_go()
        return True

    def dispose(self) -> None:
        """Close what is idle."""
        self._is_over = True
        self.let_go()
        if self.own is not None:
            self.own.dispose()

    def let_go(self) -> None:
        """Give back what is kept."""
        while self._kept:
            with suppress(IndexError):
                self._kept.pop().give_back()


class _Pools:
    """The pools of one size beside the host's: one, or with a driver of asyncio one for each event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        # A fork has its own, and leaves alone what belongs to the process that it was forked from.
        self._made: dict[tuple[int, asyncio.AbstractEventLoop | None], _Made] = {}

    def made_for(self, engine: sa.Engine) -> _Made:
        """The pool to take from; none in it where the host's is of a kind to be shared."""
        whose, former = (os.getpid(), _loop(engine)), None
        made = self._made.get(whose)
        if made is None or made.hosts is not engine.pool:
            with _LOCK:
                made = self._made.get(whose)
                if made is None or made.hosts is not engine.pool:
                    former, made = made, _Made(self._recreated(engine.pool), engine.pool, engine.dialect)
                    # Connections of a loop that is closed cannot be closed any more.
                    self._made = {one: of for one, of in self._made.items() if not (one[1] and one[1].is_closed())}
                    self._made[whose] = made
        if former is not None:
            former.dispose()
        own, hosts = made.own, made.hosts
        if own is not None and hosts._invalidate_time > own._invalidate_time:  # noqa: SLF001
            # The host has met a server that was started again: what is older than that is of no use here either.
            own._invalidate_time = hosts._invalidate_time  # noqa: SLF001
        return made

    def let_go(self) -> None:
        """Give back what this process keeps."""
        for (process, _), made in list(self._made.items()):
            if process == os.getpid():
                made.let_go()

    def close(self, engine: sa.Engine) -> None:
        """Close what is idle. What belongs to another event loop is closed when that one asks again."""
        made = self._made.pop((os.getpid(), _loop(engine)), None)
        if made is not None:
            made.dispose()

    def _recreated(self, hosts: Any) -> Any:
        if type(hosts) not in _KINDS:
            return None
        own: Any = hosts.recreate()
        # A pool copies its listeners when it is made; these are the host's own, and those that come later.
        own.dispatch = hosts.dispatch
        own._pool = type(hosts._pool)(self._size, hosts._pool.use_lifo)  # noqa: SLF001
        own._overflow, own._max_overflow = -self._size, 0  # noqa: SLF001
        return own


def _loop(engine: sa.Engine) -> asyncio.AbstractEventLoop | None:
    """The event loop that connections of a driver of asyncio are bound to; None for others, and where none runs."""
    if engine.dialect.is_async:
        with suppress(RuntimeError):
            return asyncio.get_running_loop()
    return None
