"""Where nobody knows whether a COMMIT arrived: look for what it would have written, before anything is said."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from twofold.account.attempt import Conflict
from twofold.account.translation import raise_translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twofold.account.attempt import Attempt, Evidence
    from twofold.account.retries import Retries
    from twofold.account.statements import Schema


def settle(
    connect: Callable[[], sa.Connection],
    begin: Callable[[sa.Connection], None],
    retries: Retries,
    attempt: Attempt,
    cause: DBAPIError | OSError,
) -> None:
    """Return where the last event of an attempt has arrived, so that its answer stands.

    Raises Conflict where it has not, with the connection that holds the lock under which that was seen. Raises
    DatabaseUnavailable, which says that it is not known, where the database does not answer in time.
    """
    attempt.connection.invalidate(cause)
    attempt.is_settled = True
    evidence = attempt.evidence
    if evidence is None:
        raise Conflict(cause)
    while True:
        try:
            connection = connect()
        except (SQLAlchemyError, OSError) as error:
            if not retries.wait():
                raise_translated(error, is_unknown=True)
            continue
        try:
            with _given_back(connection):
                begin(connection)
                if _has_arrived(connection, attempt.schema, evidence):
                    connection.close()
                    return
        except (SQLAlchemyError, OSError) as error:
            if not retries.wait():
                raise_translated(error, is_unknown=True)
        else:
            raise Conflict(cause, connection)


@contextmanager
def _given_back(connection: sa.Connection) -> Iterator[None]:
    """Give the connection back where the block fails, whoever raises: the host's own function may."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, DBAPIError):
            connection.invalidate(error)
        connection.close()
        raise


def _has_arrived(connection: sa.Connection, schema: Schema, evidence: Evidence) -> bool:
    secrets, _, _, events = schema.tables
    # Under the lock, the transaction of which nobody knows has ended. Waiting for it would have no bound.
    lock = sa.select(secrets.c.version, secrets.c.state_mac).where(secrets.c.user_id == evidence.user_id)
    row = connection.execute(lock.with_for_update(nowait=True)).first()
    match evidence.of:
        case "event":
            event = sa.exists().where(
                events.c.user_id == evidence.user_id, events.c.seq == evidence.number, events.c.mac == evidence.mac
            )
            return bool(connection.execute(sa.select(event)).scalar_one())
        case "row":
            # Where somebody has written since, nobody knows: it is decided again, which costs whoever asked nothing.
            return row is not None and tuple(row) == (evidence.number, evidence.mac)
        case "erasure":
            user = sa.literal(evidence.user_id, schema.user_id_type)
            return row is None and not connection.execute(sa.select(schema.rows_of(user))).scalar_one()
