"""Whether what is stored was written under the keys that are configured: a wrong key told from a row that was altered.

Where the key is wrong, everything looks altered, and whatever mends or ends a user's rows would destroy what the right
key opens. The check values tell. They prove nothing, so no value is believed for one: they only stop what destroys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.errors import MissingKey, WrongKey

if TYPE_CHECKING:
    from collections.abc import Iterable

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

    Where the row of `user_id` names a configured key, and others do too, that key alone is asked. Raises WrongKey, or
    MissingKey where the first row names a key that is not configured.
    """
    state_mac, keyring = work.schema.tables.secrets.c.state_mac, work.keyring
    named = None if user_id is None else _named(work, user_id)
    if named in keyring.kids and _has(work, _begins(state_mac, f"v1:{named}:"), but=user_id):
        kids: Iterable[str] = (named,)
    else:
        kids = keyring.kids
    # An event tells as well, where the only row there is was altered.
    for column in (state_mac, work.schema.tables.events.c.mac):
        if _has(work, sa.or_(*(_begins(column, keyring.prefixes[kid]) for kid in kids))):
            return
    found = work.connection.execute(sa.select(state_mac).where(_begins(state_mac, "v1:")).limit(1)).scalar()
    if found is None:
        return
    kid = named if kids != keyring.kids and named else _kid(found)
    error = WrongKey if kid in keyring.kids else MissingKey
    raise error(
        f"Nothing was changed: not one user's row that names the key {kid!r} was written under the configured keys. "
        "Put the key back that wrote them, or the right TWOFOLD_DEPLOYMENT; see `twofold keys status`.",
        kid,
    )


def _named(work: Attempt, user_id: UserId) -> str | None:
    secrets = work.schema.tables.secrets
    query = sa.select(secrets.c.state_mac).where(secrets.c.user_id == work.schema.stored(user_id))
    found = work.connection.execute(query).scalar()
    return None if found is None else _kid(found)


def _kid(value: object) -> str:
    # SQLite keeps whatever is written into a column.
    return str(value).removeprefix("v1:").partition(":")[0][:16]


def _begins(column: sa.Column[Any], prefix: str) -> sa.ColumnElement[bool]:
    # A key id may hold an underscore, which LIKE would read as any character.
    return column.startswith(prefix, autoescape=True)


def _has(work: Attempt, is_so: sa.ColumnElement[bool], *, but: UserId | None = None) -> bool:
    query = sa.select(sa.literal(1)).where(is_so).limit(1)
    if but is not None:
        query = query.where(work.schema.tables.secrets.c.user_id != work.schema.stored(but))
    return work.connection.execute(query).first() is not None
