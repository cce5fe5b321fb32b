"""One batch of rows: written together, or one by one where a row stands in the way of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.errors import Tampered
from twofold.outcomes import spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twofold.account.attempt import Attempt
    from twofold.errors import MFAError
    from twofold.outcomes import UserId

LARGEST = 1000
"""So many rows at most are written together."""


class Unsupported(Exception):
    """These rows cannot be read or written in one go. Never leaves the library."""


def write(
    work: Attempt,
    users: Sequence[UserId],
    together: Callable[[], list[str]],
    alone: Callable[[UserId], None],
    refusals: tuple[type[MFAError], ...],
) -> tuple[str, ...]:
    """Write a batch with a handful of statements; where that cannot be, each user by itself, in a savepoint.

    `together` returns the users whose rows it left as they are. `alone` raises one of `refusals` for such a user.
    Returns all who were left, spelled.
    """
    try:
        with work.savepoint():
            return tuple(together())
    except (Unsupported, Tampered):
        left: list[str] = []
    for user_id in users:
        try:
            with work.savepoint():
                alone(user_id)
        except refusals:
            left.append(spelled(user_id))
    return tuple(left)
