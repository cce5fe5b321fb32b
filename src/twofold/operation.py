"""How one plain function becomes an operation of both faces, `MFA` and `AsyncMFA`.

An operation is a function whose first parameter is its `Attempt`. `Operation` binds it: called on the blocking face it
runs, called on the awaited face it is awaited and runs in a greenlet, as SQLAlchemy itself runs on asyncio. Both run it
in a short transaction of its own, so that a caller who rolls back after a wrong code takes neither the failure count
nor the event with him.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import time
import traceback
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import await_only, greenlet_spawn

from twofold import arguments
from twofold.account.joining import Joined
from twofold.account.transactions import run_in_callers_transaction, run_in_own_transaction
from twofold.account.translation import raise_translated, without_frames
from twofold.errors import ConfigurationError, MFAError
from twofold.telemetry import is_heard, observed, telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncEngine

    from twofold.account.attempt import Attempt, Writes
    from twofold.account.runtime import Runtime
    from twofold.telemetry import Telemetry

P = ParamSpec("P")
R = TypeVar("R")

_UNHEARD: contextlib.nullcontext[Callable[[object], None]] = contextlib.nullcontext(lambda _: None)


class Blocking:
    """The face of an `Engine`, or of a transaction that the caller owns."""

    def __init__(self, runtime: Runtime, source: sa.Engine | Joined) -> None:
        if not isinstance(source, Joined | sa.Engine):
            raise TypeError(f"MFA takes an Engine, not {type(source).__name__}; AsyncMFA takes an AsyncEngine.")
        _refuse_one_for_all(source)
        self._runtime = runtime
        self._source = source
        self._engine = source.engine

    def _perform(
        self, function: Callable[Concatenate[Attempt, P], R], writes: Writes, /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        arguments.check(kwargs)
        call: Callable[[Attempt], R] = lambda work: function(work, *args, **kwargs)  # noqa: E731
        try:
            return _run(self._runtime, self._source, call, writes, time.sleep)
        except MFAError as error:
            del args, kwargs, call
            raise without_frames(error)  # noqa: B904

    def _observed(self, found: Telemetry, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Perform in a span of the host's OpenTelemetry, where it has set one up."""
        with observed(found, name) if is_heard(found) else _UNHEARD as note:
            try:
                answer = self._perform(*args, **kwargs)
            except BaseException as error:
                note(error)
                del args, kwargs
                if isinstance(error, MFAError):
                    without_frames(error)
                raise
            note(answer)
            return answer


class Awaited:
    """The face of an `AsyncEngine`, or of a transaction that the caller owns. For asyncio."""

    def __init__(self, runtime: Runtime, source: AsyncEngine | Joined) -> None:
        from sqlalchemy.ext.asyncio import AsyncEngine

        if not isinstance(source, Joined | AsyncEngine):
            raise TypeError(f"AsyncMFA takes an AsyncEngine, not {type(source).__name__}.")
        self._runtime = runtime
        self._source = source if isinstance(source, Joined) else source.sync_engine
        self._engine = self._source.engine
        _refuse_one_for_all(self._source)

    async def _perform(
        self, function: Callable[Concatenate[Attempt, P], R], writes: Writes, /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        arguments.check(kwargs)
        call: Callable[[Attempt], R] = lambda work: function(work, *args, **kwargs)  # noqa: E731
        try:
            if isinstance(self._source, Joined):
                return await greenlet_spawn(_run, self._runtime, self._source, call, writes, _sleep)
            # A request that goes away must not leave a transaction half done, nor take back a guess that was made: what
            # has begun is finished, whoever still waits for it.
            task = asyncio.ensure_future(greenlet_spawn(_run, self._runtime, self._source, call, writes, _sleep))
            _UNDER_WAY.add(task)
            task.add_done_callback(_done)
            return await asyncio.shield(task)
        except MFAError as error:
            del args, kwargs, call
            raise without_frames(error)  # noqa: B904

    async def _observed(self, found: Telemetry, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Perform in a span of the host's OpenTelemetry, where it has set one up."""
        with observed(found, name) if is_heard(found) else _UNHEARD as note:
            try:
                answer = await self._perform(*args, **kwargs)
            except BaseException as error:
                note(error)
                del args, kwargs
                if isinstance(error, MFAError):
                    without_frames(error)
                raise
            note(answer)
            return answer


def _run(
    runtime: Runtime,
    source: sa.Engine | Joined,
    call: Callable[[Attempt], R],
    writes: Writes,
    sleep: Callable[[float], None],
) -> R:
    try:
        if isinstance(source, Joined):
            connection = source.connection(is_writing=writes != "nothing")
            return run_in_callers_transaction(runtime, connection, call, sleep)
        return run_in_own_transaction(runtime, source, call, writes, sleep)
    except (SQLAlchemyError, OSError) as error:
        raise_translated(error)
    except NotImplementedError as error:
        if not _is_of_driver(error):
            # What a function of the host's raises leaves as it is.
            raise
        # psycopg reads no moment that is written in another style; what it says shows the moment.
        raise ConfigurationError(_UNREAD) from error


def _is_of_driver(error: NotImplementedError) -> bool:
    """Whether psycopg raised this, and nobody that it was called by."""
    *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
    return str(innermost.f_globals.get("__name__")).startswith("psycopg")


_UNREAD = (
    "The driver does not read what this server writes; nothing was decided. Where PostgreSQL writes moments in another "
    "style: ALTER ROLE ... SET datestyle = 'ISO', and new connections."
)


def _sleep(seconds: float) -> None:
    """Pause in a greenlet of the loop, which goes on meanwhile."""
    await_only(asyncio.sleep(seconds))


# The loop itself keeps only a weak hold of its tasks.
_UNDER_WAY: set[asyncio.Future[Any]] = set()


def _done(task: asyncio.Future[Any]) -> None:
    _UNDER_WAY.discard(task)
    if not task.cancelled():
        # An error that nobody waits for any more was still written where it is to be written.
        task.exception()


class Operation(Generic[P, R]):
    """An operation as an attribute of a face, with how much it writes."""

    def __init__(self, function: Callable[Concatenate[Attempt, P], R], *, writes: Writes) -> None:
        self._function = function
        self._writes: Writes = writes
        self.__doc__ = function.__doc__
        signature = inspect.signature(function)
        _attempt, *given = signature.parameters.values()
        self._signature = signature.replace(parameters=given)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._full_name = getattr(owner, "_room", "") + name

    @overload
    def __get__(self, face: None, owner: type) -> Self: ...
    @overload
    def __get__(self, face: Blocking, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, face: Awaited, owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, face: Blocking | Awaited | None, owner: type) -> Any:
        """Bind the operation to a face, which keeps it."""
        if face is None:
            return self
        perform: Any = face._perform  # noqa: SLF001
        if (found := telemetry()) is not None:
            perform = functools.partial(face._observed, found, self._full_name)  # noqa: SLF001
        bound: Any = functools.update_wrapper(functools.partial(perform, self._function, self._writes), self._function)
        # What an editor or a schema reads of it: the parameters that the caller gives, without the attempt.
        bound.__signature__ = self._signature
        if getattr(type(face), self._name, None) is not self:
            # Do not cache where a subclass overrides this operation: the cached partial would shadow the override.
            return bound
        return face.__dict__.setdefault(self._name, bound)


def _refuse_one_for_all(source: object) -> None:
    """Refuse an engine that gives everybody the same connection: one operation would end the transaction of another.

    On SQLite a file has one writer at a time, and tests keep a database in memory that way.
    """
    if isinstance(source, sa.Engine) and isinstance(source.pool, StaticPool) and source.dialect.name != "sqlite":
        raise ConfigurationError("A StaticPool shares one connection; give Twofold an engine with a pool of several.")
