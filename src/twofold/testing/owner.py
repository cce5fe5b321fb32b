"""A user who has a second factor, with everything that such a user has in hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from twofold.mfa import MFA
from twofold.testing.phone import Phone

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from twofold.mfa import AsyncMFA
    from twofold.outcomes import Enrolled, UserId, Verified
    from twofold.totp.provisioning import Enrollment


@dataclass
class Owner:
    """A phone, the backup codes on paper, and the proof of the set-up, `verified`, with which the factor is managed."""

    user_id: UserId
    phone: Phone
    backup_codes: tuple[str, ...] = field(repr=False)
    verified: Verified
    _used: int = field(default=0, repr=False)

    def code(self, *, again: bool = False) -> str:
        """Give the code that the phone shows: `Phone.code`."""
        return self.phone.code(again=again)

    def wrong_code(self) -> str:
        """Give a code that is wrong now."""
        return self.phone.wrong_code()

    def backup_code(self) -> str:
        """Give the next code of the paper, each once. Raises IndexError where all were given."""
        self._used += 1
        return self.backup_codes[self._used - 1]


@overload
def enrolled(mfa: MFA, user_id: UserId, *, account_name: str = ...) -> Owner: ...
@overload
def enrolled(mfa: AsyncMFA, user_id: UserId, *, account_name: str = ...) -> Awaitable[Owner]: ...
def enrolled(
    mfa: MFA | AsyncMFA, user_id: UserId, *, account_name: str = "ada@example.com"
) -> Owner | Awaitable[Owner]:
    """Set up the second factor of a user, who has to be there; with `AsyncMFA` it is awaited.

    The code of the moment is spent by that: `owner.code()` turns the clock of `MFA(clock=Clock())` to the next one.
    """
    clock = mfa._runtime.clock  # noqa: SLF001 -- The clock of the one is that of the other.

    def set_up(begun: Enrollment) -> tuple[Phone, str]:
        phone = Phone(begun.uri, clock)
        return phone, phone.code()

    def owner(phone: Phone, enrolled: Enrolled) -> Owner:
        return Owner(user_id, phone, enrolled.backup_codes, enrolled.verified)

    if isinstance(mfa, MFA):
        phone, code = set_up(mfa.totp.begin(user_id, account_name=account_name))
        return owner(phone, mfa.totp.confirm(user_id, code))

    async def awaited(mfa: AsyncMFA) -> Owner:
        phone, code = set_up(await mfa.totp.begin(user_id, account_name=account_name))
        return owner(phone, await mfa.totp.confirm(user_id, code))

    return awaited(mfa)
