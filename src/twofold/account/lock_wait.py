"""How long a statement waits for a lock: the caller itself may hold it, in a transaction of its own.

On PostgreSQL the transaction says it (`beginning`), or the one statement does. MariaDB has neither, and what SET says
to its session would stay with the connection, which may be the host's or a pooler's. There each statement says it for
itself: SET STATEMENT.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

LOCK_WAIT: Final = 2
"""Seconds. InnoDB counts in whole ones."""

BOUND: Final = f"SET STATEMENT innodb_lock_wait_timeout = {LOCK_WAIT}, lock_wait_timeout = {LOCK_WAIT} FOR "
"""What stands before a statement of MariaDB: a bound to its waits for rows, and for a table that somebody alters."""


class _Bounded(sa.Executable, sa.ClauseElement):
    """A statement that waits for a lock no longer than that, on MariaDB."""

    inherit_cache = True
    _traverse_internals = [("inner", InternalTraversal.dp_clauseelement)]  # noqa: RUF012 -- As the base has it.

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self._execution_options = inner._execution_options  # noqa: SLF001

    @property
    def _all_selected_columns(self) -> Any:
        return self.inner._all_selected_columns  # noqa: SLF001

    def __getattr__(self, name: str) -> Any:
        """What the compiler asks of an INSERT or UPDATE: the statement inside answers."""
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


@compiles(_Bounded)
def _as_it_is(element: _Bounded, compiler: Any, **how: Any) -> str:
    return str(compiler.process(element.inner, **how))


@compiles(_Bounded, "mysql", "mariadb")
def _for_one_statement(element: _Bounded, compiler: Any, **how: Any) -> str:
    # MySQL, which has no such words, is seen by its answer to the first connection.
    return (BOUND if compiler.dialect.is_mariadb else "") + _as_it_is(element, compiler, **how)


def bounded(statement: Any, dialect: sa.Dialect) -> Any:
    """The statement as it is sent: with a bound to its waits, where nothing else gives one.

    What only reads waits, too, on MariaDB: for a table that somebody is about to alter.
    """
    if dialect.name not in {"mysql", "mariadb"}:
        return statement
    may_wait = statement.is_dml or statement.is_select
    return _Bounded(statement) if may_wait else statement


def execute(connection: sa.Connection, statement: Any, values: Any = None) -> sa.CursorResult[Any]:
    """Execute what may wait for a lock."""
    sent = bounded(statement, connection.dialect)
    if sent is not statement and isinstance(values, list) and statement.is_insert and not statement._returning:  # noqa: SLF001
        # Drivers of MariaDB write many rows in one statement where its first word is INSERT; else SQLAlchemy does, but
        # only where something is given back.
        sent = bounded(statement.returning(*statement.table.primary_key), connection.dialect)
    return connection.execute(sent, values)
