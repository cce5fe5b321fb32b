"""Read a user's row, and prove that it is as it was written.

A user without a row is "not enrolled" only where no other table of ours holds anything of that user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from twofold import lines
from twofold.account import hiding, sealed
from twofold.account.attempt import Conflict
from twofold.account.driver import says_whose
from twofold.account.row import Account
from twofold.account.statements import HeldCode, HeldDevice, HeldPasskey
from twofold.errors import ConfigurationError, DatabaseUnavailable, MissingKey, NotAdopted, Tampered, UnknownUser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twofold.account.attempt import Attempt
    from twofold.account.driver import Statement
    from twofold.outcomes import UserId


class Login(NamedTuple):
    """What a login reads in one statement: the row, whether there are backup codes, and the rows beside it.

    `codes` are all of the user's codes, `devices` and `passkeys` those that are not revoked; each None where it was not
    asked for, or does not read.
    """

    account: Account | None
    has_codes: bool = False
    codes: Sequence[HeldCode] | None = None
    devices: Sequence[HeldDevice] | None = None
    passkeys: Sequence[HeldPasskey] | None = None


Companions = Literal["codes", "devices", "passkeys"]


def read_login(work: Attempt, user_id: UserId, companions: Companions | None) -> Login:
    """Read a user's row like `find`, and with the same statement what an answer to a login rests on.

    Without `companions` it is for a challenge, which names the passkeys that can answer it. A row that is locked is
    read first and its companions after it, under the lock, where they cannot change any more.
    """
    stored, schema = work.stored(user_id), work.schema
    if work.is_locking:
        return _locked_login(work, user_id, companions)
    statement = schema.read_beside[companions]
    try:
        rows = statement.all(work.connection, (stored, work.now)[: len(statement.names)])
    except sealed.UNREADABLE:
        # Where the row itself does not read, `find` says so; the others stop their own factor alone.
        account = find(work, user_id)
        return Login(account, account is not None and account.codes_digest is not None)
    account = _account(work, stored, rows[0] if rows else None)
    if account is None:
        if _missing(work, stored, schema.read) is not None:
            # It was made a moment ago.
            raise Conflict
        return Login(None)
    width = len(Account._fields) + 1
    match companions:
        case "codes":
            codes = [HeldCode._make(row[width:]) for row in rows if row[width] is not None]
            return Login(account, any(sealed.is_good(work, code) for code in codes), codes)
        case "passkeys":
            return Login(account, passkeys=_passkeys(rows, width))
        case "devices":
            devices = [HeldDevice._make(row[width + 1 :]) for row in rows if row[width + 1] is not None]
            return Login(account, bool(rows[0][width]), devices=devices)
        case None:
            return Login(account, bool(rows[0][width]), passkeys=_passkeys(rows, width + 1))


def _locked_login(work: Attempt, user_id: UserId, companions: Companions | None) -> Login:
    account = find(work, user_id)
    if account is None:
        return Login(None)
    codes = sealed.codes(work, account)
    devices = sealed.devices(work, account) if companions == "devices" else None
    passkeys = sealed.passkeys(work, account) if companions in {"passkeys", None} else None
    return Login(account, any(sealed.is_good(work, code) for code in codes or ()), codes, devices, passkeys)


def _passkeys(rows: Sequence[Sequence[Any]], width: int) -> Sequence[HeldPasskey]:
    """The passkeys that were read behind so many columns, if there is a table of them."""
    return [HeldPasskey._make(row[width:]) for row in rows if len(row) > width and row[width] is not None]


def find(work: Attempt, user_id: UserId) -> Account | None:
    """Read a user's row; None for a user of whom there is nothing.

    A user of before Twofold is adopted on the way where the settings allow it, else NotAdopted. Raises UnknownUser
    where there is no such user, Tampered where the row is not what was written or is gone while the user's other rows
    are still there, MissingKey where the key of its MAC is, ConfigurationError where the row may be hidden.
    """
    stored = work.stored(user_id)
    statement = work.schema.read_locked if work.is_locking else work.schema.read
    try:
        row = statement.first(work.connection, (stored,))
    except sealed.UNREADABLE:
        raise tampered(stored) from None
    return _account(work, stored, row) or _missing(work, stored, statement)


def _account(work: Attempt, stored: UserId, row: Sequence[Any] | None) -> Account | None:
    """The row as it was written; None where there is none."""
    # A collation may hold two ids for one that are two to everybody else.
    if row is None or row[0] != stored:
        return None
    width = len(Account._fields)
    account, state_mac = Account._make(row[:width]), row[width]
    if state_mac is None and account.version == account.event_count == 0:
        if work.connection.execute(work.schema.traces, {"user": stored}).one()[0]:
            raise tampered(stored)
        return _of_before(work, stored)
    prove(work, account, state_mac)
    return account


def _missing(work: Attempt, stored: UserId, statement: Statement[Any]) -> Account | None:
    """Look whether there is anything else of a user who has no row: then it was removed, or is hidden."""
    if stored not in work.connection.execute(work.schema.known, {"user": stored}).scalars().all():
        raise UnknownUser
    is_ours, is_any, is_standby, may_hide = work.connection.execute(work.schema.traces, {"user": stored}).one()
    if is_standby:
        raise DatabaseUnavailable(_STANDBY)
    if not is_any:
        if may_hide and not (work.is_told or says_whose(work.connection)):
            raise ConfigurationError(_HIDDEN)
        return None
    # The row may have been made since it was looked for.
    if statement.first(work.connection, (stored,)) is not None:
        raise Conflict
    if is_ours:
        raise tampered(stored)
    return _of_before(work, stored)


def _of_before(work: Attempt, stored: UserId) -> Account:
    if not work.settings.legacy_rows:
        raise NotAdopted
    work.need_lock()
    return work.adopt(work, stored)


def find_current(work: Attempt, user_id: UserId) -> Account | None:
    """Read a user's row like `find`, for an answer that writes nothing. Raises DatabaseUnavailable on a standby."""
    if work.is_locking:
        return find(work, user_id)
    stored = work.stored(user_id)
    try:
        row = work.schema.read_current.first(work.connection, (stored,))
    except sealed.UNREADABLE:
        raise tampered(stored) from None
    if row is not None and row[-1]:
        raise DatabaseUnavailable(_STANDBY)
    return _account(work, stored, row) or _missing(work, stored, work.schema.read)


_HIDDEN = (
    "Row security of user_mfa_secrets binds this role, so that nobody knows whether a row is hidden or not there: name "
    f"the tenant {hiding.WAYS}, or give Twofold a role with BYPASSRLS."
)
_STANDBY = "This is a standby, which may not know yet what was written; read from the primary."


def prove(work: Attempt, account: Account, state_mac: str | None) -> None:
    """Raise Tampered unless this is what was written, MissingKey where the key of its MAC is not configured."""
    try:
        work.proven = (account, account.parts())
        is_written = isinstance(state_mac, str) and work.keyring.check("state", account.message(work.proven), state_mac)
    except MissingKey as error:
        lines.ROW_WITHOUT_KEY.write(account.user_id, str(error))
        raise
    except (Tampered, TypeError):
        is_written = False
    if not is_written:
        raise tampered(account.user_id)


def tampered(user_id: UserId) -> Tampered:
    """The alarm: an event cannot be chained to a row that is not trusted, so the operator's log has to say it."""
    lines.ROW_ALTERED.write(user_id)
    return Tampered()
