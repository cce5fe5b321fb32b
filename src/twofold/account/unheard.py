"""What a host says where Twofold does not hear it, on a Session or on connections of its own: told once, at the start.

Nothing is refused for it: a listener may say what does not concern us, and a role may see all that it is to see. What
is hidden is refused where somebody asks for it.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from twofold.account import hiding
from twofold.account.driver import says_whose

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

_log = logging.getLogger("twofold")


def warn(connection: sa.Connection) -> None:
    """Log what is not heard, unless the host says whose rows are asked for where it is."""
    if says_whose(connection):
        return
    if names := hiding.bound(connection):
        _log.warning(
            "Row security of %s binds this role, and nobody has told Twofold whose rows are asked for: say it %s.",
            ", ".join(names),
            hiding.WAYS,
        )
    if any(_listening()):
        _log.warning(
            "A listener of Session at after_begin is not heard in Twofold's own transactions: a tenant or a role that "
            "it sets, say %s.",
            hiding.WAYS,
        )


def _listening() -> Iterator[bool]:
    """Whether anybody listens to the transactions of all Sessions, or of those of one sessionmaker."""
    orm: Any = sys.modules.get("sqlalchemy.orm")
    kinds: list[Any] = [orm.Session] if orm else []
    for kind in kinds:
        # What is listened to on a class shows on what is made of it.
        listeners = object.__new__(kind).dispatch.after_begin
        yield any(not str(getattr(one, "__module__", "")).startswith("sqlalchemy.") for one in listeners)
        kinds.extend(kind.__subclasses__())
