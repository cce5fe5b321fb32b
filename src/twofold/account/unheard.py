"""Warn of a tenant or role that the host sets where Twofold's own connections do not get it, once for each schema.

It is a warning and no refusal: a listener of Session may set something else, and row-level security may let the role
see every row that it needs. An operation on a user whose rows are hidden is refused when it is called.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twofold import lines
from twofold.account import hiding
from twofold.account.driver import says_whose

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

# What these listen for says no tenant.
_SILENT = ("sqlalchemy.", "zope.sqlalchemy.")


def warn(connection: sa.Connection) -> None:
    """Log the warnings, unless the host has a listener on the engine, where a tenant reaches these connections."""
    if says_whose(connection):
        return
    if names := hiding.bound(connection):
        lines.ROW_SECURITY.write(", ".join(names), hiding.WAYS)
    if any(_listening()):
        lines.SESSION_UNHEARD.write(hiding.WAYS)


def _listening() -> Iterator[bool]:
    """For Session and each class derived from it, whether somebody listens at after_begin who may say a tenant."""
    orm: Any = sys.modules.get("sqlalchemy.orm")
    kinds: list[Any] = [orm.Session] if orm else []
    for kind in kinds:
        # A sessionmaker derives a class of its own. Listeners of a class are found through an instance.
        listeners = object.__new__(kind).dispatch.after_begin
        yield any(not str(getattr(one, "__module__", "")).startswith(_SILENT) for one in listeners)
        kinds.extend(kind.__subclasses__())
