"""A plan tried on an empty temporary table of MariaDB: whether a row of it would be too long, or a key.

What is online or copied is not told that way, nor are foreign keys, which no temporary table has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from twofold.schema.dependants.dependant import Dependant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa

    from twofold.schema.plan.plan import Step

_COPY = "twofold_rehearsal"
_FOREIGN_KEY = re.compile(r"(, )?(DROP FOREIGN KEY|ADD CONSTRAINT \w+ FOREIGN KEY) .*", re.DOTALL)
_WAY = re.compile(r", ALGORITHM=\w+, LOCK=\w+$")
_SYNTAX = 1064
_REMEDIES = {
    1118: "Make columns of your own TEXT, or give the table ROW_FORMAT = DYNAMIC.",
    1071: "Give the table ROW_FORMAT = DYNAMIC, which has longer keys.",
}


def refused(connection: sa.Connection, steps: Sequence[Step]) -> Iterator[tuple[Step, Dependant]]:
    """The first step on each table that its definition does not allow, where this role may try."""
    for table in dict.fromkeys(step.table for step in steps if step.kind != "table"):
        if _code(connection, f"CREATE TEMPORARY TABLE {_COPY} LIKE {table}") is not None:
            continue
        try:
            for step in steps:
                code = _code(connection, changed) if step.table == table and (changed := _of_the_copy(step)) else None
                if code is not None:
                    because = f"MariaDB refuses the change on an empty copy of it (error {code})"
                    remedy = _REMEDIES.get(code, "Change what the definition of the table has of your own.")
                    yield step, Dependant(table, f"table {table}", "refuses", because, remedy)
                    break
        finally:
            _code(connection, f"DROP TEMPORARY TABLE {_COPY}")


def _of_the_copy(step: Step) -> str | None:
    """What a step changes, for the copy; None where it is nothing but a foreign key."""
    begins, meant = f"ALTER TABLE {step.table} ", f"ALTER TABLE {_COPY} "
    plain = _FOREIGN_KEY.sub("", _WAY.sub("", step.statements[0])).replace(begins, meant, 1)
    return plain if len(plain) > len(meant) else None


def _code(connection: sa.Connection, statement: str) -> int | None:
    """Execute a statement; the number of its error, unless that is of our own making."""
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        code = int(error.orig.args[0]) if error.orig is not None else 0
        return None if code == _SYNTAX else code
    return None
