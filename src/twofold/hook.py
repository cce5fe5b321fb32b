"""Tell the host's function what has happened, after it is committed, and let no answer wait for it.

Events wait in memory, in their order, and are told by one thread or one task, which lives as long as there is something
to tell. So a slow function delays nobody, and one that fails undoes nothing. It is told at most once: what waits when
the process is killed is told to nobody, and stays in the log. Whoever must miss nothing reads `events.export`.

Tests: `tests/test_hook.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import inspect
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from twofold import lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twofold.outcomes import Event

OnEvent = Callable[["Event"], object]
"""What the host wants to be called with each event."""
AwaitedOnEvent = OnEvent | Callable[["Event"], Awaitable[object]]
"""The same for asyncio: plain, or a coroutine function."""

LIMIT: Final = 1000
"""So many events wait; those that come then are told to nobody."""
_FLUSH_AT_EXIT: Final = 5.0
_PLAIN: Final = "on_event of MFA is a plain function of an Event; AsyncMFA takes a coroutine function, too."


class Hook(ABC):
    """The function, and the events that wait for it."""

    def __init__(self, function: Callable[[Event], object]) -> None:
        self._function = function
        self._renew()

    def tell(self, events: Iterable[Event]) -> None:
        """Let events wait for the function, and return at once."""
        if self._process != os.getpid():
            # What waited at a fork is told by the process that it happened in, and its lock may be held for ever here.
            self._renew()
        with self._changed:
            for event in events:
                if len(self._waiting) < LIMIT:
                    self._waiting.append(event)
                else:
                    self._lose()
            if self._waiting and not self._is_working():
                self._work()

    def _renew(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._lost = 0

    @abstractmethod
    def _is_working(self) -> bool:
        """Whether somebody tells what waits."""

    @abstractmethod
    def _work(self) -> None:
        """Let somebody tell what waits."""

    def _next(self) -> Event | None:
        """Take the event that is to be told now; None where nothing waits, and whoever asks stops working."""
        with self._changed:
            if self._waiting:
                return self._waiting.popleft()
            if self._lost:
                lines.HOOK_MISSED.write(self._lost)
                self._lost = 0
            self._stop()
            self._changed.notify_all()
            return None

    @abstractmethod
    def _stop(self) -> None:
        """Remember that nobody works any more."""

    def _lose(self) -> None:
        if not self._lost:
            lines.HOOK_BEHIND.write(LIMIT)
        self._lost += 1

    def _failed(self, event: Event, error: BaseException) -> None:
        """Log a failure by the name of its error alone: what the text holds is the host's."""
        lines.HOOK_FAILED.write(event.kind, event.user_id, type(error).__name__)


class ThreadedHook(Hook):
    """Calls a plain function, in a thread of its own."""

    def flush(self, seconds: float) -> bool:
        """Wait until everything is told, so many seconds at most; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._is_threaded, seconds)

    def _renew(self) -> None:
        super()._renew()
        self._is_threaded = False
        _THREADED.add(self)

    def _is_working(self) -> bool:
        return self._is_threaded

    def _work(self) -> None:
        try:
            threading.Thread(target=self._run, name="twofold-on-event", daemon=True).start()
        except RuntimeError as error:
            # The machine has no thread left, or the interpreter ends: what waits may be told with the next event.
            lines.HOOK_NOT_CALLED.write(type(error).__name__)
        else:
            self._is_threaded = True

    def _stop(self) -> None:
        self._is_threaded = False

    def _run(self) -> None:
        while (event := self._next()) is not None:
            try:
                returned = self._function(event)
                if inspect.iscoroutine(returned):
                    returned.close()
                    raise TypeError(_PLAIN)
            except BaseException as error:  # noqa: BLE001 -- Whatever it is, it is the host's and ends nothing of ours.
                self._failed(event, error)


class TaskHook(Hook):
    """Awaits a coroutine function, in a task of the running loop."""

    async def flush(self, seconds: float) -> bool:
        """Wait until everything is told, so many seconds at most; whether it is."""
        until = time.monotonic() + seconds
        while self._is_working() and (left := until - time.monotonic()) > 0:
            await asyncio.wait({self._task}, timeout=left)
        return not self._is_working()

    def _renew(self) -> None:
        super()._renew()
        self._task: Any = None

    def _is_working(self) -> bool:
        # A task of a loop that was closed is never done.
        return self._task is not None and not self._task.done() and self._task.get_loop() is _running()

    def _work(self) -> None:
        loop = _running()
        if loop is not None:
            # Not in the context of the request that happens to come first.
            self._task = loop.create_task(self._run(), context=contextvars.Context())

    def _stop(self) -> None:
        self._task = None

    async def _run(self) -> None:
        while (event := self._next()) is not None:
            try:
                returned: Any = self._function(event)
                await returned
            except Exception as error:  # noqa: BLE001 -- The same.
                self._failed(event, error)


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_THREADED: WeakSet[ThreadedHook] = WeakSet()


@atexit.register
def _flush_all() -> None:
    """Tell what waits before the process ends, for five seconds at most."""
    until = time.monotonic() + _FLUSH_AT_EXIT
    for hook in list(_THREADED):
        hook.flush(max(0.0, until - time.monotonic()))


def threaded(function: OnEvent | None) -> ThreadedHook | None:
    """The hook of `MFA`. Raises TypeError for a coroutine function, and for what cannot be called."""
    if function is None:
        return None
    if not callable(function) or _is_coroutine_function(function):
        raise TypeError(_PLAIN)
    return ThreadedHook(function)


def awaited(function: AwaitedOnEvent | None) -> ThreadedHook | TaskHook | None:
    """The hook of `AsyncMFA`. Raises TypeError for what cannot be called."""
    if function is None:
        return None
    if not callable(function):
        raise TypeError("on_event is a function of an Event.")
    return TaskHook(function) if _is_coroutine_function(function) else ThreadedHook(function)


def _is_coroutine_function(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
