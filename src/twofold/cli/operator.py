"""The library as an operator uses it: ids as they are typed, and the users one after the other."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from twofold import provenance
from twofold.backup_codes.factor import older
from twofold.cli import samples
from twofold.errors import UnknownUser
from twofold.mfa import MFA
from twofold.operation import Operation
from twofold.upkeep import retention

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.account.attempt import Attempt
    from twofold.outcomes import UserId

_PAGE = 1000


def user(work: Attempt, text: str) -> UserId:
    """The id that a person typed, as `users.id` holds it. Raises UnknownUser where it cannot hold it or does not."""
    for typed in _readings(work, text):
        with suppress(UnknownUser):
            stored = work.stored(typed)
            found = work.connection.execute(sa.select(work.schema.users_id).where(work.schema.users_id == stored))
            # A database may take "Ada" and "ada" for one id, which everybody else tells apart.
            if stored in found.scalars().all():
                return stored
    raise UnknownUser


def _readings(work: Attempt, text: str) -> Iterator[UserId]:
    """What the text can mean, in the type of the column. Where UUIDs are kept as text, either spelling finds them."""
    kind = work.schema.ids.kind
    if kind in {"integer", "decimal"}:
        if re.fullmatch(r"-?[0-9]{1,38}", text):
            yield int(text)
        return
    if kind == "text":
        yield text
    if kind == "bytes" and re.fullmatch(r"([0-9A-Fa-f]{2})*", text):
        yield bytes.fromhex(text)
    with suppress(ValueError):
        yield UUID(text)


def users(work: Attempt, *, after: UserId | None = None) -> tuple[UserId, ...]:
    """The next thousand users with a row or an event, in the order of their ids. Empty after the last one."""
    known = _known(work)
    query = sa.select(known.c.user_id).order_by(known.c.user_id).limit(_PAGE)
    if after is not None:
        query = query.where(known.c.user_id > after)
    return tuple(work.connection.execute(query).scalars())


def how_many_users(work: Attempt) -> int:
    """How many users have a row or an event."""
    return work.connection.execute(sa.select(sa.func.count()).select_from(_known(work))).scalar_one()


def _known(work: Attempt) -> sa.Subquery:
    secrets, _, _, events = work.schema.tables
    logged = sa.select(events.c.user_id).where(events.c.seq.is_not(None))
    return sa.select(secrets.c.user_id).union(logged).subquery()


class Operator(MFA):
    """`MFA`, with what the command line alone asks for."""

    user = Operation(user, writes="nothing")
    users = Operation(users, writes="nothing")
    how_many_users = Operation(how_many_users, writes="nothing")
    sample_rows = Operation(samples.rows, writes="nothing")
    sample_events = Operation(samples.events, writes="nothing")
    orphans = Operation(samples.orphans, writes="nothing")
    ahead = Operation(samples.ahead, writes="nothing")
    refused = Operation(samples.refused, writes="nothing")
    older_codes = Operation(older, writes="nothing")
    how_many_old_events = Operation(retention.how_many, writes="nothing")
    kids_in_use = Operation(provenance.kids_in_use, writes="nothing")
    require_keys = Operation(provenance.require_keys, writes="nothing")
