"""What `shown_codes` of a user's row says of the backup codes in force. Pure.

It is empty where nobody may see them again; or holds the codes, sealed, behind them after a space the moment at which
they were made, until their owner says that they are kept; or says just that.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from twofold.moments import is_within, microseconds, moment_at

if TYPE_CHECKING:
    from datetime import datetime

    from twofold.account.row import Account

KEPT: Final = "kept"
"""Stands there once the owner said so."""

LIFETIME: Final = timedelta(minutes=10)
"""So long new codes are shown again to the session that made them."""


class Shown(NamedTuple):
    """Codes that are sealed, and the moment at which they were made."""

    sealed: str
    made_at: datetime

    def is_live(self, now: datetime) -> bool:
        """Whether they may be shown."""
        return is_within(LIFETIME, self.made_at, now)


def written(sealed: str, made_at: datetime) -> str:
    """What the column holds for codes that are sealed."""
    return f"{sealed} {microseconds(made_at)}"


def read(account: Account) -> Shown | None:
    """What the column holds, where it holds codes."""
    if account.shown_codes is None:
        return None
    sealed, space, made_at = account.shown_codes.partition(" ")
    return Shown(sealed, moment_at(int(made_at))) if space else None


def cleared(account: Account, now: datetime) -> Account:
    """The state without codes whose time to be shown is over."""
    shown = read(account)
    return account if shown is None or shown.is_live(now) else account.changed(shown_codes=None)


def ended(account: Account) -> Account:
    """The state in which nobody sees the codes again; that they are kept stays said."""
    return account if read(account) is None else account.changed(shown_codes=None)
