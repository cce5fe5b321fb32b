"""Where nobody knows whether a COMMIT arrived: look for what it would have written, before anything is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from twofold.account.attempt import Conflict
from twofold.account.driver import Statement
from twofold.account.translation import raise_translated

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt, Evidence
    from twofold.account.retries import Retries
    from twofold.account.statements import Schema

BEGIN_IMMEDIATE = Statement(sa.text("BEGIN IMMEDIATE"), ())


class Undone(Conflict):
    """A COMMIT failed, and nothing of it is left."""

    def __init__(self, cause: DBAPIError | OSError) -> None:
        super().__init__()
        self.cause = cause


def settle(engine: sa.Engine, attempt: Attempt, cause: DBAPIError | OSError, retries: Retries) -> None:
    """Return where the last event of an attempt has arrived, so that its answer stands. Raise Undone where it has not.

    Raises DatabaseUnavailable, which says that it is not known, where the database does not answer in time.
    """
    attempt.connection.invalidate(cause)
    evidence = attempt.evidence
    if evidence is None:
        raise Undone(cause)
    while True:
        try:
            with engine.connect() as connection:
                if _has_arrived(connection, attempt.schema, evidence):
                    return
            raise Undone(cause)
        except (SQLAlchemyError, OSError) as error:
            if not retries.wait():
                raise_translated(error, is_unknown=True)


def _has_arrived(connection: sa.Connection, schema: Schema, evidence: Evidence) -> bool:
    secrets, _, _, events = schema.tables
    if connection.dialect.name == "sqlite":
        BEGIN_IMMEDIATE.count(connection, ())
    # Under the lock, the transaction of which nobody knows has ended.
    lock = sa.select(secrets.c.version).where(secrets.c.user_id == evidence.user_id).with_for_update()
    row = connection.execute(lock).first()
    if evidence.is_erasure:
        return (
            row is None
            and not connection.execute(
                sa.select(schema.rows_of(sa.literal(evidence.user_id, schema.user_id_type)))
            ).scalar_one()
        )
    event = sa.exists().where(
        events.c.user_id == evidence.user_id, events.c.seq == evidence.seq, events.c.mac == evidence.mac
    )
    return bool(connection.execute(sa.select(event)).scalar_one())
