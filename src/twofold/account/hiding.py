"""Whether the database may hide a user's row from the role that asks: an expression of SQL.

Row security shows a role no row of a tenant that nobody has named, and says nothing of it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_ROWS = sa.Table("user_mfa_secrets", sa.MetaData())


class MayHide(FunctionElement[bool]):
    """True where row security of the users' rows binds the current role (PostgreSQL)."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(MayHide)
def _never(_element: MayHide, _compiler: Any, **_: Any) -> str:
    return "0"


@compiles(MayHide, "postgresql")
def _is_bound(_element: MayHide, compiler: Any, **_: Any) -> str:
    # Where schemas are renamed on the way, this one is, too.
    name = compiler.preparer.format_table(_ROWS)
    return f"coalesce(row_security_active(to_regclass('{name}')::oid), false)"
