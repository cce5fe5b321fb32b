"""One connection for all, as SQLite's databases in memory have it: an operation is alone on it, or is not made.

Tests keep a database in memory. Where its engine has one connection, what the host wrote and has not committed is in
the same transaction as whatever Twofold would write there: to begin another one would end the host's, and to join it
would let the host roll a counted failure back without knowing. Even to give the connection back rolls it back, so it is
looked at before it is taken.

Tests: `tests/hosts/test_in_memory.py`.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from sqlalchemy.pool import SingletonThreadPool, StaticPool

from twofold.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import sqlalchemy as sa


class Taken(DatabaseUnavailable):
    """Another operation of Twofold is under way on the one connection; it is over soon."""


_LOCK = threading.Lock()
_TAKEN: WeakSet[sa.Pool] = WeakSet()
_OF_ONE = (StaticPool, SingletonThreadPool)
_OF_SEVERAL = nullcontext()


def alone(engine: sa.Engine) -> AbstractContextManager[None]:
    """Keep this engine's one connection for the length of the block; nothing where it has several.

    To enter raises ConfigurationError where a transaction of the host's is open on it, Taken where one of Twofold's is.
    """
    if engine.dialect.name != "sqlite" or not isinstance(engine.pool, _OF_ONE):
        return _OF_SEVERAL
    return _kept(engine)


@contextmanager
def _kept(engine: sa.Engine) -> Iterator[None]:
    pool = engine.pool
    with _LOCK:
        if pool in _TAKEN and is_for_all(engine):
            raise Taken("Another operation is under way on the one connection of this engine; try again.")
        if _is_in_transaction(pool):
            raise ConfigurationError(
                "This SQLite engine has one connection for all, and a transaction of yours is open on it: commit it "
                "first, join it with mfa.within(session), or use a file. Nothing was decided."
            )
        _TAKEN.add(pool)
    try:
        yield
    finally:
        with _LOCK:
            _TAKEN.discard(pool)


def is_for_all(engine: sa.Engine) -> bool:
    """Whether all threads and tasks share one connection of SQLite; another pool in memory has one for each thread."""
    return isinstance(engine.pool, StaticPool) and engine.dialect.name == "sqlite"


def _is_in_transaction(pool: Any) -> bool:
    if isinstance(pool, StaticPool):
        record = vars(pool).get("connection")
    else:
        current: Any = getattr(pool._conn, "current", None)  # noqa: SLF001
        record = current and current()
    return bool(getattr(record and record.driver_connection, "in_transaction", False))
