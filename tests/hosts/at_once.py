"""The library on one engine of a host's, asked by many at once: by threads, or by tasks of one event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from twofold import MFA, AsyncMFA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twofold import Settings
    from twofold.account.runtime import OnConnection

T = TypeVar("T")
Made = sa.Engine | AsyncEngine

DRIVERS = ("postgresql+psycopg", "postgresql+psycopg_async", "postgresql+asyncpg")
_AWAITED = frozenset(DRIVERS[1:])
# As docs/hosts.md tells hosts to write it.
_BEHIND_A_POOLER: dict[str, dict[str, Any]] = {
    "postgresql+psycopg": {"prepare_threshold": None},
    "postgresql+psycopg_async": {"prepare_threshold": None},
    "postgresql+asyncpg": {"statement_cache_size": 0, "prepared_statement_cache_size": 0},
}


def engine_of(url: str, driver: str, *, is_pooled: bool, **options: Any) -> Made:
    """Make the engine of a host, with what its driver needs behind a pooler where there is one."""
    address = sa.make_url(url).set(drivername=driver)
    arguments = _BEHIND_A_POOLER[driver] if is_pooled else {}
    if driver in _AWAITED:
        return create_async_engine(address, connect_args=arguments, **options)
    return sa.create_engine(address, connect_args=arguments, **options)


def core(engine: Made) -> sa.Engine:
    """The engine that listeners are given to."""
    return engine if isinstance(engine, sa.Engine) else engine.sync_engine


class _InTask:
    """The awaited face, called in a task as if it were the blocking one."""

    def __init__(self, face: Any) -> None:
        self._face = face

    def __getattr__(self, name: str) -> Any:
        attribute: Any = getattr(self._face, name)
        if not callable(attribute):
            return _InTask(attribute)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = attribute(*args, **kwargs)
            return await_only(answer) if asyncio.iscoroutine(answer) else answer

        return call


def face_of(engine: Made, settings: Settings, clock: Any, on_connection: OnConnection | None = None) -> MFA:
    """The library on an engine. Over an awaited driver it can be called inside `at_once` alone."""
    if isinstance(engine, sa.Engine):
        return MFA(engine, settings, clock=clock, on_connection=on_connection)
    return cast("MFA", _InTask(AsyncMFA(engine, settings, clock=clock, on_connection=on_connection)))


def at_once(engines: Sequence[Made], jobs: Sequence[Callable[[], T]], workers: int) -> list[T | BaseException]:
    """Do the jobs, `workers` of them at a time, on threads or on tasks, and let go of the engines.

    What comes back is what each job gave, or raised.
    """
    if all(isinstance(engine, sa.Engine) for engine in engines):
        with ThreadPoolExecutor(workers) as pool:
            results = [pool.submit(job) for job in jobs]
        for engine in engines:
            core(engine).dispose()
        return [result.exception() or result.result() for result in results]
    return asyncio.run(_awaited(cast("Sequence[AsyncEngine]", engines), jobs, workers))


async def _awaited(
    engines: Sequence[AsyncEngine], jobs: Sequence[Callable[[], T]], workers: int
) -> list[T | BaseException]:
    waiting, given = iter(enumerate(jobs)), dict[int, T | BaseException]()

    async def work() -> None:
        for number, job in waiting:
            try:
                given[number] = await asyncio.create_task(greenlet_spawn(job))
            except Exception as error:  # noqa: BLE001
                given[number] = error

    await asyncio.gather(*(work() for _ in range(workers)))
    for engine in engines:
        await engine.dispose()
    return [given[number] for number in range(len(jobs))]
