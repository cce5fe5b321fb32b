"""A passkey as a factor: what it signed, judged and spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeGuard

import sqlalchemy as sa

from twofold import tokens
from twofold.account import sealed, store
from twofold.account.attempt import Fact
from twofold.account.store import Change
from twofold.errors import MissingKey, Reason, Tampered
from twofold.kinds import Kind, Status
from twofold.log_volume import noted
from twofold.passkeys import ceremony, held
from twofold.passkeys.relying_party import RelyingParty
from twofold.refusal import Spent, Unspent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.reading import Login
    from twofold.account.row import Account
    from twofold.account.statements import HeldPasskey
    from twofold.outcomes import Means
    from twofold.refusal import Occasion


class Answer(NamedTuple):
    """The JSON of an assertion that somebody's browser brought."""

    text: str
    occasion: Occasion

    @property
    def factor(self) -> Literal["passkeys"]:
        """Whose answer it is."""
        return "passkeys"

    @property
    def is_guessable(self) -> bool:
        """A signature cannot be guessed, so passkeys stay open during a wait: the owner has a way in."""
        return False

    def spend(self, work: Attempt, seen: Login, account: Account, challenge: int, request: Any) -> Spent | Unspent:
        """Judge the assertion by its passkey; the state after the challenge was spent, or why not."""
        account, passkeys = held.compared(work, account, seen.passkeys, request)
        if passkeys is None:
            return Unspent(Reason.ALTERED, account)
        try:
            response = ceremony.read(self.text)
            serial, is_live = self._asked(work, account, response.asked, challenge)
            party = RelyingParty.of(work.settings)
            if party is None or not passkeys:
                # Whoever types a brace has not found a fault in the settings of a host that has no passkeys.
                raise ceremony.Refused("it is none of this user's")
            passkey = _found(work, party, passkeys, response)
            signed = _signed(work, account, passkey, party, response, request)
        except ceremony.Refused as error:
            return Unspent(Reason.PASSKEY_REFUSED, account, str(error))
        if not is_live:
            # The signature holds, and its challenge is spent or over: a counter that did not rise shows no copy then.
            return Unspent(Reason.CODE_ALREADY_USED, account)
        if signed.backup_eligible != passkey.backup_eligible:
            # WebAuthn Level 3 §7.2: what may be synced is decided once, when a passkey is made.
            return Unspent(Reason.PASSKEY_REFUSED, account, "what may be synced has changed")
        if ceremony.counted(passkey.sign_count, signed.sign_count) == "copied":
            return Unspent(Reason.PASSKEY_CLONED, _suspended(work, account, passkeys, passkey, signed, request))
        used = passkey._replace(
            # It never falls: one that did not rise, to nothing as well, was refused above.
            sign_count=signed.sign_count,
            backup_state=signed.backup_state,
            user_verified=passkey.user_verified or signed.user_verified,
        )
        after = account.changed(
            last_used_at=work.now,
            last_challenge=serial,
            passkeys_digest=sealed.passkeys_digest(replaced(passkeys, used)),
        )
        values = (used.sign_count, used.backup_state, used.user_verified, work.now, passkey.id, passkey.sign_count)
        means = means_of(is_synced=signed.backup_eligible, user_verified=signed.user_verified)
        return Spent(after, Change(work.schema.use_passkey, values), means)

    def _asked(self, work: Attempt, account: Account, asked: str, challenge: int) -> tuple[int, bool]:
        """The number of the challenge that was signed, of the login or of the live session, and whether it still waits.

        Raises Refused for every other one.
        """
        if self.occasion == "login":
            login = tokens.read_challenge(work.keyring, asked)
            # It holds the id as the host gave it, and the row as the column has it.
            whose = None if login is None else work.schema.ids.stored(login.user_id)
            if login is None or whose != account.user_id or login.serial != challenge:
                raise ceremony.Refused("it answers another challenge")
            # Whoever was erased begins with the number one again, so the number alone does not name a challenge.
            if login.enabled_at != account.enabled_at or login.expires_at <= work.now:
                raise ceremony.Refused("what it answers is over")
            return challenge, True
        step_up = tokens.read_ceremony(work.keyring, asked)
        if step_up is None or step_up.occasion != "step_up" or step_up.user_id != account.user_id:
            raise ceremony.Refused("it answers another challenge")
        # Each is spent by the number that it carries, as the challenge of a login is.
        is_live = account.last_challenge < step_up.serial <= account.version
        return step_up.serial, is_live and step_up.enabled_at == account.enabled_at and step_up.expires_at > work.now


def is_signed(text: object) -> TypeGuard[str]:
    """Whether this has the form of what a browser brings from a passkey: a JSON object."""
    return isinstance(text, str) and text.startswith("{")


def means_of(*, is_synced: bool, user_verified: bool) -> Means:
    """How a passkey was given."""
    if is_synced:
        return "passkeys.synced.user" if user_verified else "passkeys.synced"
    return "passkeys.user" if user_verified else "passkeys"


def replaced(passkeys: Sequence[HeldPasskey], one: HeldPasskey) -> list[HeldPasskey]:
    """The passkeys with one of them as it is now."""
    return [one if passkey.id == one.id else passkey for passkey in passkeys]


def _found(
    work: Attempt, party: RelyingParty, passkeys: Sequence[HeldPasskey], response: ceremony.Response
) -> HeldPasskey:
    known = held.keys(work.keyring, party.id, response.credential_id)
    passkey = next((one for one in passkeys if one.credential_key in known), None)
    if passkey is None:
        raise ceremony.Refused("it is none of this user's")
    if passkey.suspended_at is not None:
        raise ceremony.Refused("it is suspended, since it may have been copied")
    return passkey


def _signed(
    work: Attempt,
    account: Account,
    passkey: HeldPasskey,
    party: RelyingParty,
    response: ceremony.Response,
    request: Any,
) -> ceremony.Signed:
    try:
        public_key = held.public_key(work, account, passkey, response.credential_id)
    except MissingKey:
        after, line = noted(work, account, Fact(Kind.KEY_MISSING, Status.ALARM))
        store.save(work, account, after, line, request)
        raise
    except Tampered:
        store.save(work, account, account, Fact(Kind.SEAL_BROKEN, Status.ALARM), request)
        raise
    return ceremony.signed(response, party, public_key, passkey.user_handle)


def _suspended(
    work: Attempt,
    account: Account,
    passkeys: Sequence[HeldPasskey],
    passkey: HeldPasskey,
    signed: ceremony.Signed,
    request: Any,
) -> Account:
    """Suspend a passkey whose counter did not rise although its signature holds; the state after it."""
    work.need_lock()
    table = sealed.required_passkeys(work)
    work.write(sa.update(table).where(table.c.id == passkey.id).values(suspended_at=work.now))
    suspended = passkey._replace(suspended_at=work.now)
    digest = sealed.passkeys_digest(replaced(passkeys, suspended))
    # Proofs and registrations of before end: they may be of whoever has the copy. The epoch stays, since this login
    # goes on with another factor.
    after = account.changed(passkeys_digest=digest, proofs_after=account.version)
    details = {"passkey": passkey.name, "counter": signed.sign_count, "before": passkey.sign_count}
    return store.save(work, account, after, Fact(Kind.PASSKEY_CLONED, Status.ALARM, details), request)
