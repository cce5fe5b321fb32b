"""The factors that can answer a challenge, told apart by the form of what was typed.

A new factor is one more room and one more line here; the story of a login does not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twofold.backup_codes import factor as backup_codes
from twofold.totp import algorithm
from twofold.totp import factor as totp

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.account.store import Beside, Change, Login
    from twofold.outcomes import Factor
    from twofold.refusal import Unspent


class Answer(Protocol):
    """What was typed, read as one factor's."""

    @property
    def factor(self) -> Factor:
        """Whose code it is."""
        ...

    @property
    def is_guessable(self) -> bool:
        """Whether it waits while the budget says so."""
        ...

    def spend(
        self, work: Attempt, seen: Login, account: Account, challenge: int, request: Any
    ) -> tuple[Account, Change | None] | Unspent:
        """Judge and spend it: the state after that and what is written with it, or why not."""
        ...


def beside(text: object) -> Beside | None:
    """What has to be read with the user's row to judge this, before the row says how its codes look."""
    return None if algorithm.may_be_code(text) or backup_codes.read(text) is None else "codes"


def read(account: Account, text: str) -> Answer:
    """What kind of code this is, by its form alone. What has no form is a wrong code of the app."""
    if totp.is_code(account, text):
        return totp.Answer(text)
    return backup_codes.read(text) or totp.Answer(text)
