"""Whether what is stored was written under the keys that are configured: a wrong key told from a row that was altered.

Where the key is wrong, everything looks altered, and whatever mends or ends a user's rows would destroy what the right
key opens. The check values tell. They prove nothing, so no value is believed for one: they only stop what destroys.

Tests: `tests/cli/test_wrong_keys.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.errors import MissingKey, WrongKey

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.outcomes import UserId


def kids_in_use(work: Attempt) -> frozenset[str]:
    """The ids of the configured keys under which anything is written: a user's row or an event.

    What names one of these and holds another check value was altered. What names one of the others was written under
    another key of that name.
    """
    secrets, _, _, events = work.schema.tables
    return frozenset(
        kid
        for kid, prefix in work.keyring.prefixes.items()
        if any(_has(work, _begins(column, prefix)) for column in (secrets.c.state_mac, events.c.mac))
    )


def require_keys(work: Attempt, user_id: UserId | None = None) -> None:
    """Refuse to go on where users have rows, and neither a row nor an event was written under a configured key.

    Where the row of `user_id` names a configured key, and others do too, that key alone is asked; and where that user's
    log names the same other key as the row, and has no line under the configured one, both are whole under that one,
    whatever else was written since. Raises WrongKey, or MissingKey where the first row names a key that is not
    configured.
    """
    state_mac, events, keyring = work.schema.tables.secrets.c.state_mac, work.schema.tables.events, work.keyring
    prefix = None if user_id is None else _prefix(work, state_mac, user_id)
    named = _kid(prefix)
    if user_id is not None and named in keyring.kids:
        own = keyring.prefixes[named]
        # One line is soon planted; a key that is the wrong one has never written for this user.
        is_whole = prefix != own and prefix == _prefix(work, events.c.mac, user_id)
        if is_whole and not _has(work, _begins(events.c.mac, own) & (events.c.user_id == work.stored(user_id))):
            raise WrongKey(
                f"Nothing was changed: row and log of this user were written under another key of the name {named!r}. "
                f"{_NEXT} Where it is lost for good: `twofold users repair --keys-lost`.",
                named,
            )
        is_alone = not _has(work, _begins(state_mac, f"v1:{named}:"), but=user_id)
        kids = keyring.kids if is_alone else (named,)
    else:
        kids = keyring.kids
    # An event tells as well, where the only row there is was altered.
    for column in (state_mac, events.c.mac):
        if _has(work, sa.or_(*(_begins(column, keyring.prefixes[kid]) for kid in kids))):
            return
    found = work.connection.execute(sa.select(state_mac).where(_begins(state_mac, "v1:")).limit(1)).scalar()
    if found is None:
        return
    kid = named if named in kids else _kid(found)
    error = WrongKey if kid in keyring.kids else MissingKey
    raise error(
        f"Nothing was changed: not one user's row that names the key {kid!r} was written under the configured keys. "
        f"{_NEXT}",
        kid,
    )


_NEXT = "Put the key back that wrote them, or the right TWOFOLD_DEPLOYMENT; see `twofold keys status`."


def _prefix(work: Attempt, column: sa.Column[Any], user_id: UserId) -> str | None:
    """What the newest of these values of a user begins with, up to the check value."""
    table = column.table
    query = sa.select(column).where(table.c.user_id == work.stored(user_id), column.is_not(None))
    found = work.connection.execute(query.order_by(table.c.id.desc()).limit(1)).scalar()
    # SQLite keeps whatever is written into a column.
    return f"{found.rpartition(':')[0]}:" if isinstance(found, str) else None


def _kid(value: str | None) -> str:
    return (value or "").removeprefix("v1:").partition(":")[0][:16]


def _begins(column: sa.Column[Any], prefix: str) -> sa.ColumnElement[bool]:
    # A key id may hold an underscore, which LIKE would read as any character.
    return column.startswith(prefix, autoescape=True)


def _has(work: Attempt, is_so: sa.ColumnElement[bool], *, but: UserId | None = None) -> bool:
    query = sa.select(sa.literal(1)).where(is_so).limit(1)
    if but is not None:
        query = query.where(work.schema.tables.secrets.c.user_id != work.stored(but))
    return work.connection.execute(query).first() is not None
