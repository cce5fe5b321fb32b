"""Faults in the seal, one at a time: the machine that finds none in the library must find each of these."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from twofold.account import digests, sealed, store
from twofold.account.driver import Statement
from twofold.account.statements import Schema, built
from twofold.backup_codes import codec
from twofold.errors import UnknownUser
from twofold.upkeep import legacy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import UserId

    Fault = Callable[[], AbstractContextManager[None]]


@contextmanager
def planted(*replacements: tuple[Any, str, Any]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, value in replacements:
            patch.setattr(owner, name, value)
        built.cache_clear()
        yield
    # Statements are built once for a process: none with a fault in it stays.
    built.cache_clear()


def digests_are_lost() -> AbstractContextManager[None]:
    """A write that touches neither codes nor devices forgets what the row says of them."""
    build = store.build_update

    def build_update(work: Attempt, seen: Account | None, after: Account, *rest: Any) -> store.Update:
        if seen is not None and seen.codes_digest == after.codes_digest:
            after = after._replace(codes_digest=None)
        return build(work, seen, after, *rest)

    return planted((store, "build_update", build_update))


def digests_are_made_anew() -> AbstractContextManager[None]:
    """A write that touches neither codes nor devices seals whatever stands there."""
    build = store.build_update

    def build_update(work: Attempt, seen: Account | None, after: Account, *rest: Any) -> store.Update:
        if seen is not None and seen.codes_digest == after.codes_digest:
            after = after._replace(codes_digest=sealed.codes_digest(sealed.codes(work, after) or ()))
        if seen is not None and seen.devices_digest == after.devices_digest:
            after = after._replace(devices_digest=sealed.devices_digest(sealed.devices(work, after) or ()))
        return build(work, seen, after, *rest)

    return planted((store, "build_update", build_update))


def digests_are_not_compared() -> AbstractContextManager[None]:
    """Whatever stands there is taken."""

    def compare(stored: str | None, _rows: Any) -> digests.Comparison:
        return digests.Comparison(is_intact=True, is_reported=False, reported=stored or "")

    return planted((digests, "compare", compare))


def passkeys_are_not_compared() -> AbstractContextManager[None]:
    """Whatever passkeys stand there are taken."""

    def match(account: Account, _passkeys: Any) -> digests.Comparison:
        return digests.Comparison(is_intact=True, is_reported=False, reported=account.passkeys_digest or "")

    return planted((sealed, "match_passkeys", match))


def altered_states_are_told_again_and_again() -> AbstractContextManager[None]:
    """Each look at an altered table makes one more alarm."""
    compare = digests.compare

    def forgetful(stored: str | None, rows: Any) -> digests.Comparison:
        return compare(stored, rows)._replace(is_reported=False)

    return planted((digests, "compare", forgetful))


def later_lines_are_not_looked_for() -> AbstractContextManager[None]:
    """A row that was put back goes on below its own later lines, where the next number is free."""

    def append(self: Schema, event: dict[str, sa.BindParameter[Any]]) -> Statement[sa.Insert]:
        row = {"user_id": self._user} | event
        return Statement(sa.insert(self.tables.events).values(row), ["user", *(bind.key for bind in event.values())])

    def longer_logs(schema: Schema, _users: Sequence[UserId]) -> sa.Select[*tuple[Any, ...]]:
        return sa.select(schema.tables.secrets.c.user_id).where(sa.false())

    return planted((Schema, "_append", append), (store, "_longer_logs", longer_logs))


def traces_are_not_looked_for() -> AbstractContextManager[None]:
    """Whoever has no row is not enrolled, whatever else there is."""

    def missing(work: Attempt, stored: UserId, _statement: Any) -> None:
        if stored not in work.connection.execute(work.schema.known, {"user": stored}).scalars().all():
            raise UnknownUser

    return planted((store, "_missing", missing))


def older_hashes_stay_bare() -> AbstractContextManager[None]:
    """Adoption leaves the hashes of before, and a code opens by them."""
    keyed = codec.digests

    def bare(_keyring: Any, _user_id: UserId, hash_: str) -> str:
        return hash_

    def either(keyring: Any, user_id: UserId, code: str, *, is_older: bool = False) -> tuple[str, ...]:
        return (codec.legacy_digest(code),) if is_older else keyed(keyring, user_id, code)

    return planted((legacy, "adopted_hash", bare), (codec, "digests", either))


def ended_proofs_stand() -> AbstractContextManager[None]:
    """A number in the row that ends proofs never rises."""
    build = store.build_update

    def build_update(work: Attempt, seen: Account | None, after: Account, *rest: Any) -> store.Update:
        return build(work, seen, after._replace(proofs_after=0), *rest)

    return planted((store, "build_update", build_update))


def a_column_is_forgotten(name: str, column: str) -> AbstractContextManager[None]:
    """One of the columns that decide is not part of what the row says."""
    columns: tuple[str, ...] = getattr(digests, name)
    place, digest = columns.index(column), digests.digest

    def without(rows: Any) -> str | None:
        cut = (row[:place] + row[place + 1 :] if len(row) == len(columns) else row for row in map(tuple, rows))
        return digest(cut)

    return planted((digests, "digest", without))


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        digests_are_lost,
        digests_are_made_anew,
        digests_are_not_compared,
        passkeys_are_not_compared,
        altered_states_are_told_again_and_again,
        later_lines_are_not_looked_for,
        traces_are_not_looked_for,
        older_hashes_stay_bare,
        ended_proofs_stand,
    )
} | {
    f"{column}_of_{name}_is_forgotten": lambda name=name, column=column: a_column_is_forgotten(name, column)
    for name, column in (
        ("CODES", "code_hash"),
        ("CODES", "expires_at"),
        ("DEVICES", "last_used_at"),
        ("DEVICES", "previous_token"),
    )
}
