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
from typing import TYPE_CHECKING, Any, cast

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

    SQLite has one writer, whoever asks, and shares. Opening raises what SQLAlchemy raises.
    """
    if size == 0 or engine.dialect.name == "sqlite":
        return engine.connect
    own = _of(engine).setdefault(size, _Pool(size))

    def connect() -> sa.Connection:
        pool = own.beside(engine)
        return engine.connect() if pool is None else sa.Connection(engine, connection=_checked_out(engine, pool))

    return connect


def _checked_out(engine: sa.Engine, pool: sa.Pool) -> sa.PoolProxiedConnection:
    errors: Any = engine.dialect.loaded_dbapi.Error
    try:
        return pool.connect()
    except errors as error:
        raise DBAPIError.instance(None, None, error, errors, dialect=engine.dialect) from error


def _of(engine: sa.Engine) -> dict[int, _Pool]:
    """The pools that live and die with an engine, whatever options it is used with, and however many faces it has."""
    root: Any = engine
    while (proxied := getattr(root, "_proxied", None)) is not None:
        root = proxied
    with _LOCK:
        pools: dict[int, _Pool] | None = vars(root).get(_NAME)
        if pools is None:
            pools = vars(root)[_NAME] = {}
            # To listen turns Core's slower path on, for events that are sent in any case.
            heard = root._has_events  # noqa: SLF001
            event.listen(root, "engine_disposed", _dispose)
            root._has_events = heard  # noqa: SLF001
    return pools


def _dispose(engine: sa.Engine) -> None:
    """Close what is idle when the host disposes of its engine."""
    for pool in vars(engine).get(_NAME, {}).values():
        pool.close()


_LOCK = threading.Lock()


class _Pool:
    """One pool beside the host's. It is made anew where the host's is, in a fork, and on another event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._own: Any = None
        self._made_for: object = None
        self._place: tuple[int, int] | None = None

    def beside(self, engine: sa.Engine) -> sa.Pool | None:
        """The pool to take from; None where the host's is of a kind to be shared."""
        hosts, place = cast("Any", engine.pool), _place(engine)
        if self._made_for is not hosts or self._place != place:
            with _LOCK:
                if self._made_for is not hosts or self._place != place:
                    self._own = self._recreated(hosts)
                    self._made_for, self._place = hosts, place
        if self._own is not None and hosts._invalidate_time > self._own._invalidate_time:  # noqa: SLF001
            # The host has met a server that was started again: what is older than that is of no use here either.
            self._own._invalidate_time = hosts._invalidate_time  # noqa: SLF001
        return cast("sa.Pool | None", self._own)

    def close(self) -> None:
        """Close what is idle, unless it belongs to the process that this one was forked from."""
        own, self._own, self._made_for = self._own, None, None
        if own is not None and self._place is not None and self._place[0] == os.getpid():
            own.dispose()

    def _recreated(self, hosts: Any) -> Any:
        if type(hosts) not in _KINDS:
            return None
        own: Any = hosts.recreate()
        # A pool copies its listeners when it is made; these are the host's own, and those that come later.
        own.dispatch = hosts.dispatch
        own._pool = type(hosts._pool)(self._size, hosts._pool.use_lifo)  # noqa: SLF001
        own._overflow, own._max_overflow = -self._size, 0  # noqa: SLF001
        return own


def _place(engine: sa.Engine) -> tuple[int, int]:
    """The process, and the event loop that a driver of asyncio is bound to."""
    return os.getpid(), id(asyncio.get_running_loop()) if engine.dialect.is_async else 0
