"""Run what the pages await where there is no event loop: everything in it answers at once.

Tests: `tests/web/test_bindings.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


async def here(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call what blocks, in this thread: a server without a loop gives each request a thread of its own."""
    return function(*args, **kwargs)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing, and return what it does. Raises RuntimeError for one that waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coroutine.close()
    raise RuntimeError("This waits for an event loop, and there is none: give plain functions and a blocking MFA.")
