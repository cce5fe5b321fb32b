"""Check the types of arguments by their names, before anything is read from the database. Pure.

Tests: `tests/attacks/test_wrong_arguments.py`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twofold.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LARGEST = 2**63 - 1
"""The largest number that a BIGINT column holds."""


def check(given: Mapping[str, object]) -> None:
    """Raise TypeError for an argument that is of another type than its name promises, whatever the operation is."""
    for name, value in given.items():
        promised = _PROMISED.get(name)
        if promised is not None and not promised[0](value):
            shown = "an empty one" if value == "" else type(value).__name__
            raise TypeError(f"{name} is {promised[1]}, not {shown}.")


def whole(name: str, number: object) -> int:
    """Clamp a whole number to what a BIGINT column holds. Raises TypeError, which names the argument, for others."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name} is an int, not {type(number).__name__}.")
    return max(-LARGEST, min(number, LARGEST))


def identity(name: str, value: object, what: str) -> None:
    """Raise TypeError for what is not the number of a thing that a list has told, as `Device.id`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is the int of a {what}, not {type(value).__name__}.")


def batch(number: object, most: int) -> int:
    """Clamp the size of a batch to between 1 and `most`. Raises TypeError for what is no whole number."""
    return max(1, min(whole("limit", number), most))


def _is_request(value: object) -> bool:
    return (
        value is None or isinstance(value, Request) or callable(getattr(getattr(value, "headers", None), "get", None))
    )


def _is_session(value: object) -> bool:
    # Sessions without an id would all give the empty text, and each could confirm what another began.
    return value is None or (isinstance(value, str) and value != "")


_PROMISED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "request": (_is_request, "the request of a web framework or a twofold.Request"),
    "session": (_is_session, "a text that only this session has"),
    "max_age": (lambda value: value is None or isinstance(value, timedelta), "a timedelta"),
    "by": (lambda value: isinstance(value, str), "a text"),
    "reason": (lambda value: isinstance(value, str), "a text"),
}
