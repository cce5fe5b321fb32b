"""Ask a passkey: for a login that waits, and in a live session before something sensitive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twofold import tokens
from twofold.account import reading, sealed
from twofold.errors import NotEnrolled, UnknownUser
from twofold.outcomes import Ceremony
from twofold.passkeys import ceremony, held
from twofold.passkeys.relying_party import RelyingParty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.account.statements import HeldPasskey
    from twofold.outcomes import UserId


class Usable(NamedTuple):
    """The passkeys that may answer now, and who asks them; nobody where no domain is set."""

    party: RelyingParty | None
    held: Sequence[HeldPasskey]

    @classmethod
    def of(cls, work: Attempt, passkeys: Sequence[HeldPasskey]) -> Usable:
        """Those among them that are of the domain of today."""
        party = RelyingParty.of(work.settings)
        return cls(party, held.usable(party, passkeys))

    def options(self, work: Attempt, account: Account, token: str) -> dict[str, Any] | None:
        """What a browser asks these passkeys for, to answer that token; None where none of them can."""
        named = held.descriptors(work, account, self.held)
        if self.party is None or not named:
            return None
        return self.party.request_options(token, named, work.settings.challenge_lifetime)


def usable(
    work: Attempt, account: Account, passkeys: Sequence[HeldPasskey] | None, request: Any
) -> tuple[Account, Usable]:
    """The passkeys that may answer now, and the state after the alarm of those that were altered.

    They are read here where they were not read with the user's row.
    """
    if passkeys is None and account.passkeys_digest is not None:
        passkeys = sealed.passkeys(work, account)
    elif passkeys is None:
        return account, Usable(None, ())
    account, found = held.compared(work, account, passkeys, request)
    return account, Usable.of(work, found or ())


def offered(work: Attempt) -> bool:
    """Whether passkeys can be registered here: a domain is set, the table is there, and so is the package."""
    is_set = RelyingParty.of(work.settings) is not None
    return is_set and ceremony.is_installed() and sealed.current_passkeys(work) is not None


def asked(work: Attempt, challenge_token: str) -> Mapping[str, Any] | None:
    """What a browser is asked for a login that waits, once more: the `passkey_options` of its challenge.

    None where no passkey can answer it, and where the challenge is spent, too old, or none.
    """
    read = tokens.read_challenge(work.keyring, challenge_token)
    try:
        account = None if read is None else reading.find(work, read.user_id)
    except UnknownUser:
        # The user was deleted in the middle of the login.
        return None
    if read is None or account is None or account.passkeys_digest is None or read.expires_at <= work.now:
        return None
    if read.enabled_at != account.enabled_at or not account.last_challenge < read.serial <= account.version:
        return None
    return _intact(work, account).options(work, account, challenge_token)


def ask(work: Attempt, user_id: UserId) -> Ceremony:
    """Ask for a passkey in a live session; what it signs is given to `reverify`, once.

    Raises NotEnrolled for a user without a passkey that can answer, as where no domain is set.
    """
    account = reading.find(work, user_id)
    usable = None if account is None or not account.is_enabled else _intact(work, account)
    if account is None or usable is None:
        raise NotEnrolled(_NONE)
    expires_at = work.now + work.settings.challenge_lifetime
    token = tokens.CeremonyToken(account.user_id, "step_up", account.version, expires_at, account.enabled_at)
    asked = usable.options(work, account, tokens.write_ceremony(work.keyring, token))
    if asked is None:
        raise NotEnrolled(_NONE)
    return Ceremony(asked, expires_at)


_NONE: Final = "This user has no passkey that can answer; ask for a code."


def _intact(work: Attempt, account: Account) -> Usable:
    """The passkeys that may answer now; none, without an alarm, where they are not what the user's row says."""
    passkeys = sealed.passkeys(work, account)
    if passkeys is None or not sealed.compared_passkeys(work, account, passkeys).is_intact:
        return Usable(None, ())
    return Usable.of(work, passkeys)
