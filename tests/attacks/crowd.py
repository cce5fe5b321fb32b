"""Many at once: operations that start together, from threads or from tasks, and what each of them is answered."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy.pool import QueuePool

from twofold import MFA, AsyncMFA, MFAError, Rejected
from twofold.database import create_async_engine, create_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from twofold import Settings

_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Call:
    """An operation with its arguments, told so that a thread, a task and another process can each perform it."""

    operation: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def on(self, face: MFA | AsyncMFA) -> Any:
        return attrgetter(self.operation)(face)(*self.arguments, **self.options)


def call(operation: str, *arguments: Any, **options: Any) -> Call:
    return Call(operation, arguments, options)


@dataclass(frozen=True)
class Answer:
    """What a caller sees: success and its value, the reason of a refusal, or the name of another error."""

    outcome: str
    value: Any = None

    @classmethod
    def of(cls, error: MFAError) -> Answer:
        return cls(str(error.reason) if isinstance(error, Rejected) else type(error).__name__)


class Crowd(Protocol):
    """Performs calls at once and gives the answers in their order.

    Every call has a hand of its own, or there are so many `hands`, and each performs its share one after another.
    """

    def __call__(self, calls: Sequence[Call], *, hands: int | None = None) -> list[Answer]: ...


class OpenCrowd(Protocol):
    """How a crowd is gathered; `isolation` is the level of the host's engine, where it has one of its own."""

    def __call__(
        self, url: str, settings: Settings, clock: Callable[[], datetime], isolation: str | None = None
    ) -> contextlib.AbstractContextManager[Crowd]: ...


def outcomes(answers: Sequence[Answer]) -> Counter[str]:
    return Counter(answer.outcome for answer in answers)


@contextlib.contextmanager
def threads(
    url: str, settings: Settings, clock: Callable[[], datetime], isolation: str | None = None
) -> Iterator[Crowd]:
    """A thread for each call, on the blocking face."""
    engine = create_engine(url)
    _be_patient(engine)
    host = engine.execution_options(isolation_level=isolation) if isolation else engine
    mfa = MFA(host, settings, clock=clock)

    def crowd(calls: Sequence[Call], *, hands: int | None = None) -> list[Answer]:
        shares = _shares(calls, hands)
        barrier = threading.Barrier(len(shares))

        def perform(share: Sequence[Call]) -> list[Answer]:
            barrier.wait(_PATIENCE)
            return [answered(one) for one in share]

        with ThreadPoolExecutor(len(shares)) as pool:
            return _gathered(list(pool.map(perform, shares)))

    def answered(one: Call) -> Answer:
        try:
            return Answer("success", one.on(mfa))
        except MFAError as error:
            return Answer.of(error)

    try:
        yield crowd
    finally:
        engine.dispose()


@contextlib.contextmanager
def tasks(url: str, settings: Settings, clock: Callable[[], datetime], isolation: str | None = None) -> Iterator[Crowd]:
    """A task for each call, on the awaited face."""
    engine = create_async_engine(url)
    _be_patient(engine.sync_engine)
    host = engine.execution_options(isolation_level=isolation) if isolation else engine
    mfa = AsyncMFA(host, settings, clock=clock)

    async def all_of(shares: Sequence[Sequence[Call]]) -> list[Answer]:
        return _gathered(await asyncio.gather(*map(perform, shares)))

    async def perform(share: Sequence[Call]) -> list[Answer]:
        return [await answered(one) for one in share]

    async def answered(one: Call) -> Answer:
        try:
            return Answer("success", await one.on(mfa))
        except MFAError as error:
            return Answer.of(error)

    with asyncio.Runner() as runner:
        try:
            yield lambda calls, *, hands=None: runner.run(all_of(_shares(calls, hands)))
        finally:
            runner.run(engine.dispose())


def _be_patient(engine: sa.Engine) -> None:
    """Let hands wait for a connection as long as it takes: a pool hands them out to whoever comes first."""
    assert isinstance(engine.pool, QueuePool)
    engine.pool._timeout = 10 * _PATIENCE


def _shares(calls: Sequence[Call], hands: int | None) -> list[Sequence[Call]]:
    number = hands or len(calls)
    return [calls[first::number] for first in range(number)]


def _gathered(shares: Sequence[list[Answer]]) -> list[Answer]:
    return [answer for turn in zip_longest(*shares) for answer in turn if answer is not None]


WAYS: Final[dict[str, OpenCrowd]] = {"blocking": threads, "awaited": tasks}
