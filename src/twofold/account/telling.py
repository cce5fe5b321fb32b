"""Give committed lines to the host's hook: at once after a COMMIT of ours, or once the host's own has succeeded.

SQLAlchemy tells its listeners of a COMMIT before it is made; of one that has succeeded it tells nobody. So a connection
of the host's in whose transaction lines stand gets a class that knows: they wait there, go with the transaction or the
savepoint that is rolled back, and with a COMMIT that is refused or lost.

Tests: `tests/test_hook.py`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from twofold.account import chain
from twofold.outcomes import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twofold.hook import Hook


def tell(hook: Hook, lines: Iterable[chain.Link]) -> None:
    """Tell what is committed."""
    hook.tell(map(_event, lines))


def tell_later(hook: Hook, connection: sa.Connection, lines: Iterable[chain.Link]) -> None:
    """Tell what stands in the host's transaction, as soon as that is committed."""
    followed(connection).twofold_lines.extend(_Line(hook, line) for line in lines)


def followed(connection: sa.Connection) -> _Followed:
    """The same connection, which from now on knows what becomes of its transaction and of savepoints."""
    if not isinstance(connection, _Followed):
        kind: Any = type(connection)
        connection.__class__ = _following(kind)
        assert isinstance(connection, _Followed)  # noqa: S101 -- For type checkers.
        connection.twofold_forget()
    return connection


def _event(line: chain.Link) -> Event:
    """The line as a reader of the log finds it, but for its id, which the database gives and need not say."""
    return Event(
        id=0,
        user_id=line.user_id,
        seq=line.seq,
        kind=line.event_type,
        status=line.event_status,
        details=chain.details_of(line.event_details),
        ip_address=line.ip_address,
        user_agent=line.user_agent,
        device_fingerprint=line.device_fingerprint,
        at=line.created_at,
    )


class _Line(NamedTuple):
    hook: Hook
    line: chain.Link


class _Followed(sa.Connection):
    """What a connection does beside its own, at the places where a transaction begins and ends."""

    twofold_lines: list[_Line]
    twofold_savepoints: dict[str, int]

    def twofold_forget(self) -> None:
        """Begin with nothing."""
        self.twofold_lines, self.twofold_savepoints = [], {}

    def _begin_impl(self, transaction: Any) -> None:
        self.twofold_forget()
        super()._begin_impl(transaction)

    def _begin_twophase_impl(self, transaction: Any) -> None:
        self.twofold_forget()
        super()._begin_twophase_impl(transaction)

    def _commit_impl(self) -> None:
        lines = self.twofold_lines
        self.twofold_forget()
        super()._commit_impl()
        _tell_all(lines)

    def _commit_twophase_impl(self, xid: Any, is_prepared: bool) -> None:  # noqa: FBT001 -- As it is called.
        lines = self.twofold_lines
        self.twofold_forget()
        super()._commit_twophase_impl(xid, is_prepared)
        _tell_all(lines)

    def _rollback_twophase_impl(self, xid: Any, is_prepared: bool) -> None:  # noqa: FBT001 -- The same.
        self.twofold_forget()
        super()._rollback_twophase_impl(xid, is_prepared)

    def _rollback_impl(self) -> None:
        self.twofold_forget()
        super()._rollback_impl()

    def _savepoint_impl(self, name: str | None = None) -> str:
        name = super()._savepoint_impl(name)
        self.twofold_savepoints[name] = len(self.twofold_lines)
        return name

    def _rollback_to_savepoint_impl(self, name: str) -> None:
        # One that is not known was set before there was a line.
        del self.twofold_lines[self.twofold_savepoints.get(name, 0) :]
        super()._rollback_to_savepoint_impl(name)


@cache
def _following(kind: Any) -> type[_Followed]:
    return type(kind.__name__, (_Followed, kind), {})


def _tell_all(lines: Iterable[_Line]) -> None:
    for hook, line in lines:
        tell(hook, (line,))
