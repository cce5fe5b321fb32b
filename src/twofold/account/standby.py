"""Whether the server is a standby, which may not know yet what was written: an expression of SQL.

An answer that writes nothing is not refused there, so it asks.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class IsStandby(FunctionElement[bool]):
    """True on a server in recovery (PostgreSQL) or with `read_only` (MariaDB); a file of SQLite is always the one."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(IsStandby)
def _never(_element: IsStandby, _compiler: Any, **_: Any) -> str:
    return "0"


@compiles(IsStandby, "postgresql")
def _in_recovery(_element: IsStandby, _compiler: Any, **_: Any) -> str:
    return "pg_is_in_recovery()"


@compiles(IsStandby, "mysql", "mariadb")
def _read_only(_element: IsStandby, _compiler: Any, **_: Any) -> str:
    # A number in older releases, a word in newer ones.
    return "(CAST(@@global.read_only AS CHAR) NOT IN ('0', 'OFF'))"
