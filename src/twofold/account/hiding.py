"""Whether the database may hide rows of ours from the role that asks.

Row security shows a role no row of a tenant that nobody has named, and says nothing of it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from twofold.schema import history, place

WAYS = "in a listener of the engine at begin or in on_connection=, or join your transaction with mfa.within(session)"
"""How a host says to Twofold which tenant or role holds."""

_BOUND = sa.text(
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relname IN :names AND row_security_active(c.oid) ORDER BY c.relname"
).bindparams(sa.bindparam("names", expanding=True))
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


def bound(connection: sa.Connection) -> tuple[str, ...]:
    """The tables of ours whose row security binds the current role, on PostgreSQL."""
    if connection.dialect.name != "postgresql":
        return ()
    asked = {"schema": place.ours(connection), "names": sorted(history.OURS)}
    return tuple(connection.execute(_BOUND, asked).scalars())
