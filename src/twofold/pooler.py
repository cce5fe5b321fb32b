"""A pooler before PostgreSQL that gives each transaction another connection: whether one is there, and what it breaks.

What belongs to a connection of the server is not there in the next transaction, or is somebody else's: statements that
a driver has prepared, locks and settings of a session.
"""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Iterable

PREPARED: Final = (
    "A statement that the driver had prepared was not there, or was another one: a pooler gives each transaction "
    "another connection. Let the driver prepare none, as docs/hosts.md says under poolers"
)
REFUSED: Final = (
    "A pooler refuses a parameter that connections are opened with. Leave it out, or give it to the role: "
    "ALTER ROLE ... SET ..., as docs/hosts.md says under poolers"
)
# invalid_sql_statement_name, duplicate_prepared_statement.
_NOT_PREPARED = frozenset({"26000", "42P05"})
_IS_PREPARED = sa.text("SELECT true FROM pg_prepared_statements WHERE name = :name")


def sentence(error: BaseException | None) -> str | None:
    """What to do about an error of a driver that a pooler is the reason for, without a full stop; None for others."""
    message = str(error)
    if "unsupported startup parameter" in message:
        return REFUSED
    state = getattr(error, "sqlstate", None)
    if state in _NOT_PREPARED or (state == "08P01" and "prepared statement" in message):
        return PREPARED
    return None


def changes_connections(engine: sa.Engine) -> bool:
    """Whether two connections of this engine share one of the server, or one of them does not keep its own.

    It opens two and asks each of them thrice. Raises what SQLAlchemy raises where not even one can be had.
    """
    if engine.dialect.name != "postgresql":
        return False
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as one:
        mine = _servers(one, range(3))
        try:
            with engine.connect() as other:
                theirs = _servers(other, range(3))
        except SQLAlchemyError as error:
            if sentence(getattr(error, "orig", None)) is not None:
                raise
            # No other connection before the first lets go of its own: so it has one.
            return False
        return len(mine | _servers(one, range(1))) > 1 or len(theirs) > 1 or mine == theirs


def _servers(connection: sa.Connection, times: Iterable[int]) -> set[int]:
    """The processes of the server that answer one transaction after the other."""
    return {int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()) for _ in times}


def loses_statements(connection: sa.Connection) -> bool:
    """Whether psycopg prepares statements on this connection, and they reach the server under its own names.

    A pooler that keeps account of them (PgBouncer 1.21 or newer) renames them, and then they are safe. Nothing is left
    on the server. Raises what SQLAlchemy raises.
    """
    connection.exec_driver_sql("SELECT 1")
    driver: Any = connection.connection.driver_connection
    if getattr(driver, "prepare_threshold", None) is None:
        return False
    name = f"twofold_{token_hex(8)}"
    # In one transaction all of it is on one connection of the server.
    driver.pgconn.prepare(name.encode(), b"SELECT 1")
    is_there = bool(connection.scalar(_IS_PREPARED, {"name": name}))
    if is_there:
        connection.exec_driver_sql(f'DEALLOCATE "{name}"')
    connection.rollback()
    return is_there
