"""Whether the schema is still the one that a plan was computed from, asked in the transaction that changes it.

On PostgreSQL and MariaDB a run keeps its turn from the plan to the last step. SQLite has no lock that outlives a
transaction, but it numbers the states of its schema.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa


class Moved(Exception):
    """Somebody else has changed the schema; the plan has to be computed anew."""


def steady(connection: sa.Connection) -> None:
    """Have all that is read from here on be of one state of SQLite, whose driver begins nothing before it writes."""
    if connection.dialect.name == "sqlite" and not getattr(connection.connection, "in_transaction", False):
        connection.exec_driver_sql("BEGIN")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection for a plan that is only shown, while others may change what it is about.

    A transaction of MariaDB that is older than a change of a table is told so when it reads the table (error 1412), and
    with READ COMMITTED none is older than its statement.
    """
    with engine.connect() as connection:
        if connection.dialect.name not in {"postgresql", "sqlite"}:
            connection.execution_options(isolation_level="READ COMMITTED")
        steady(connection)
        yield connection


class Sight:
    """The schema as it was seen last. One for each plan, made in the transaction that read the catalog."""

    def __init__(self, connection: sa.Connection) -> None:
        self._seen = _number(connection)

    def check(self, connection: sa.Connection) -> None:
        """Raise Moved where somebody else has been at work since. For the beginning of a step's transaction."""
        if _number(connection) != self._seen:
            raise Moved

    def renew(self, connection: sa.Connection) -> None:
        """Take what is there now for what is known. For the end of the same transaction."""
        self._seen = _number(connection)


def _number(connection: sa.Connection) -> Any:
    if connection.dialect.name != "sqlite":
        return None
    return connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
