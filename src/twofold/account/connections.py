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
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[[], sa.Connection]

# Pools of other kinds are as they are for a reason: NullPool keeps nothing, StaticPool has one connection for all.
_KINDS = (QueuePool, AsyncAdaptedQueuePool)
_NAME = "_twofold_pools"


def connecting(engine: sa.Engine, size: int) -> Connect:
    """What opens connections for this engine, at most `size` at a time; 0 shares the host's pool.

    Opening raises what SQLAlchemy raises.
    """
    if size == 0:
        return engine.connect
    pools = _of(engine)
    own = pools.get(size) or pools.setdefault(size, _Pools(size))

    def connect() -> sa.Connection:
        pool = own.pool_for(engine)
        return engine.connect() if pool is None else sa.Connection(engine, connection=_checked_out(engine, pool))

    return connect


def _checked_out(engine: sa.Engine, pool: sa.Pool) -> sa.PoolProxiedConnection:
    errors: Any = engine.dialect.loaded_dbapi.Error
    try:
        return pool.connect()
    except errors as error:
        raise DBAPIError.instance(None, None, error, errors, dialect=engine.dialect) from error


def _of(engine: sa.Engine) -> dict[int, _Pools]:
    """The pools that live and die with an engine, whatever options it is used with, and however many faces it has."""
    behind = root(engine)
    pools: dict[int, _Pools] | None = vars(behind).get(_NAME)
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


class _Made(NamedTuple):
    """A pool, and what it was made for: it is of no use beside another pool of the host, or in a fork."""

    own: Any
    hosts: sa.Pool
    process: int

    def dispose(self) -> None:
        """Close what is idle, unless it belongs to the process that this one was forked from."""
        if self.own is not None and self.process == os.getpid():
            self.own.dispose()


class _Pools:
    """The pools of one size beside the host's: one, or with a driver of asyncio one for each event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._made: dict[asyncio.AbstractEventLoop | None, _Made] = {}

    def pool_for(self, engine: sa.Engine) -> sa.Pool | None:
        """The pool to take from; None where the host's is of a kind to be shared."""
        loop, former = _loop(engine), None
        made = self._fitting(loop, engine)
        if made is None:
            with _LOCK:
                made = self._fitting(loop, engine)
                if made is None:
                    former = self._made.get(loop)
                    made = _Made(self._recreated(engine.pool), engine.pool, os.getpid())
                    # Connections of a loop that is closed cannot be closed any more.
                    self._made = {one: of for one, of in self._made.items() if not (one and one.is_closed())}
                    self._made[loop] = made
        if former is not None:
            former.dispose()
        own, hosts = made.own, cast("Any", made.hosts)
        if own is not None and hosts._invalidate_time > own._invalidate_time:  # noqa: SLF001
            # The host has met a server that was started again: what is older than that is of no use here either.
            own._invalidate_time = hosts._invalidate_time  # noqa: SLF001
        return cast("sa.Pool | None", own)

    def close(self, engine: sa.Engine) -> None:
        """Close what is idle. What belongs to another event loop is closed when that one asks again."""
        made = self._made.pop(_loop(engine), None)
        if made is not None:
            made.dispose()

    def _fitting(self, loop: asyncio.AbstractEventLoop | None, engine: sa.Engine) -> _Made | None:
        made = self._made.get(loop)
        return made if made is not None and made.hosts is engine.pool and made.process == os.getpid() else None

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
