"""Functions of the host's, called whichever way they are written.

Tests: `tests/web/test_sessions.py`, `tests/web/test_languages.py`.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def called(in_thread: Callable[..., Awaitable[Any]], function: Callable[..., Any], *of: Any) -> Any:
    """Await an `async def`, and run a plain function by `in_thread`, where it may block."""
    if inspect.iscoroutinefunction(function):
        return await function(*of)
    answer = await in_thread(function, *of)
    return await answer if inspect.isawaitable(answer) else answer
