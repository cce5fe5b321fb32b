"""Compile each statement once for a driver and its server, and not again for the engine of every test.

Compiling is a quarter of an ordinary test. What is kept, and by which key, is what SQLAlchemy keeps for one engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.sql.elements import ClauseElement

if TYPE_CHECKING:
    from collections.abc import Hashable

    import sqlalchemy as sa

_compile = ClauseElement._compiler
_compiled: dict[Hashable, Any] = {}


def _kind(dialect: sa.Dialect) -> Hashable:
    """What the words of a statement depend on: the class, its options, and what the server told it."""
    plain = (str, int, tuple, type(None))
    # Copied in one step: meanwhile another thread may connect first, and set what the server told.
    told = vars(dialect).copy()
    return type(dialect), frozenset((name, value) for name, value in told.items() if isinstance(value, plain))


def _compiler(self: ClauseElement, dialect: sa.Dialect, **how: Any) -> Any:
    given = how.pop("cache_key", None)
    statement = given or self._generate_cache_key()
    if statement is None:
        return _compile(self, dialect, cache_key=None, **how)
    # A statement that is compiled with its key takes its values when it is executed; any other holds them.
    values = () if given else tuple((type(bound.value), bound.value) for bound in statement.bindparams)
    key = (_kind(dialect), statement.key, given is None, values, repr(sorted(how.items())))
    try:
        compiled = _compiled.get(key)
    except TypeError:  # A value cannot be hashed.
        return _compile(self, dialect, cache_key=given, **how)
    if compiled is None:
        compiled = _compiled[key] = _compile(self, dialect, cache_key=given, **how)
    return compiled


def compile_once() -> None:
    """Keep what is compiled from now on."""
    ClauseElement._compiler = _compiler  # type: ignore[method-assign, assignment]
