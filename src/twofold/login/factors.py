"""The factors that can answer a challenge, told apart by the form of what was typed.

A new factor needs a form that no other has: the app has 6 to 8 digits, a backup code 25 symbols, one of before Twofold
6 to 32 letters and digits, what a passkey signed is JSON. `read` gets a line for it, and so do `companions`, where it
has rows in a table of its own, and the `factors` of `login.challenge`. Judging stays with its room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from twofold.account import digests
from twofold.backup_codes import factor as backup_codes
from twofold.errors import Reason
from twofold.passkeys import factor as passkeys
from twofold.refusal import Unspent
from twofold.totp import algorithm
from twofold.totp import factor as totp
from twofold.typed import one_form

if TYPE_CHECKING:
    from twofold.account.attempt import Attempt
    from twofold.account.reading import Companions, Login
    from twofold.account.row import Account
    from twofold.outcomes import Factor
    from twofold.refusal import Occasion, Spent


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

    def spend(self, work: Attempt, seen: Login, account: Account, challenge: int, request: Any) -> Spent | Unspent:
        """Judge and spend it: the state after that and what is written with it, or why not."""
        ...


class _Either(NamedTuple):
    """Digits that may be of the app, and may be a backup code of before Twofold: one look at both, one failure."""

    first: totp.Answer
    second: backup_codes.Answer

    @property
    def factor(self) -> Factor:
        """Whose code it looks like."""
        return self.first.factor

    @property
    def is_guessable(self) -> bool:
        """Short codes wait while the budget says so."""
        return True

    def spend(self, work: Attempt, seen: Login, account: Account, challenge: int, request: Any) -> Spent | Unspent:
        """Spend it as a code of the app; if it is none, as a backup code."""
        spent = self.first.spend(work, seen, account, challenge, request)
        if isinstance(spent, Unspent) and spent.reason is Reason.WRONG_CODE:
            return self.second.spend(work, seen, account, challenge, request)
        return spent


def companions(text: object) -> Companions | None:
    """What has to be read with the user's row to judge this, before the row says how its codes look."""
    if passkeys.is_signed(text):
        return "passkeys"
    return None if algorithm.may_be_code(one_form(text)) or backup_codes.read(text) is None else "codes"


def read(account: Account, text: object, occasion: Occasion) -> Answer | None:
    """What kind of code this is, by its form alone; None for what has the form of none: a mistake, and no guess."""
    if passkeys.is_signed(text):
        return passkeys.Answer(text, occasion)
    typed, has_older = one_form(text), digests.has_older(account.codes_digest)
    is_of_app = totp.is_code(account, typed)
    if is_of_app and not has_older:
        return totp.Answer(typed)
    code = backup_codes.read(text)
    if is_of_app:
        return totp.Answer(typed) if code is None else _Either(totp.Answer(typed), code)
    return code if code is not None and (has_older or not code.is_older) else None
