"""New backup codes once more, for the session that made them, until their owner says that they are kept.

The answer that brought them may be lost, and a page reloaded. So they stand in the user's row meanwhile, sealed for one
session: with another one they do not open.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twofold.account import reading, shown, store
from twofold.account import sealed as rows
from twofold.account.attempt import Fact
from twofold.backup_codes import codec
from twofold.errors import Tampered
from twofold.keyring import canonical
from twofold.kinds import Kind
from twofold.outcomes import ShownCodes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from twofold.account.attempt import Attempt
    from twofold.account.row import Account
    from twofold.outcomes import UserId

_TWICE = timedelta(seconds=30)


def sealed(work: Attempt, account: Account, codes: Sequence[str], session: str | None) -> Account:
    """The state in which this session may see these codes again. The same state where there is none."""
    if session is None:
        return account
    value = work.keyring.seal(" ".join(codes).encode(), _context(account, session, work.now))
    return account._replace(shown_codes=shown.written(value, work.now))


def shown_again(work: Attempt, user_id: UserId, *, session: str) -> ShownCodes | None:
    """Give the new backup codes once more to the session that `totp.confirm` or `regenerate` was given; else None.

    For ten minutes, until `keep`, or until they end: new codes, a password change, a reset, the factor turned off.
    Nothing is written. Codes that were spent since are left out. Read from the primary: a standby, which may not know
    yet of newer codes, is refused with DatabaseUnavailable. Raises UnknownUser.
    """
    account = reading.find_current(work, user_id)
    return None if account is None else _shown(work, account, session)


def made_just_now(work: Attempt, account: Account, session: str | None) -> tuple[str, ...] | None:
    """The codes that `regenerate` made for this very session within half a minute: one form came twice; else None."""
    held = None if session is None else shown.read(account)
    # A set-up makes codes in the moment in which it is confirmed; those are none that were asked for anew.
    if session is None or held is None or held.made_at == account.enabled_at or work.now - held.made_at > _TWICE:
        return None
    again = _shown(work, account, session)
    return None if again is None else again.codes


def _shown(work: Attempt, account: Account, session: str) -> ShownCodes | None:
    held = shown.read(account)
    if held is None or not held.is_live(work.now):
        return None
    codes = _opened(work, account, held, session)
    live = None if codes is None else _live(work, account)
    if codes is None or live is None:
        return None
    unspent = tuple(code for code in codes if live & set(_digests(work, account, code)))
    # Codes that are not those in force, though somebody put them into the row, are nobody's.
    if not unspent or len(unspent) != len(live):
        return None
    return ShownCodes(unspent, held.made_at, held.made_at + shown.LIFETIME)


def keep(work: Attempt, user_id: UserId, *, session: str, request: Any = None) -> bool:
    """Tell that the owner has kept the new backup codes: from now on nobody sees them again.

    `Status.backup_codes_kept` says so until there are others. True as well where they are
    kept already, whichever session asks: nothing is left to be seen. False where this session made none that still wait
    for that word. Raises UnknownUser.
    """
    account = reading.find(work, user_id)
    if account is None:
        return False
    if account.shown_codes == shown.KEPT:
        return True
    held = shown.read(account)
    if held is None or _opened(work, account, held, session) is None:
        return False
    after = account.changed(shown_codes=shown.KEPT)
    store.save(work, account, after, Fact(Kind.BACKUP_CODES_KEPT), request)
    return True


def _opened(work: Attempt, account: Account, held: shown.Shown, session: str) -> list[str] | None:
    """The codes that are sealed for this session; None for every other one."""
    try:
        return work.keyring.open(held.sealed, _context(account, session, held.made_at)).decode().split(" ")
    except Tampered:
        return None


def _live(work: Attempt, account: Account) -> set[str] | None:
    """The hashes of the codes that are not spent; None where they are not those that the row names."""
    codes = rows.codes(work, account)
    if codes is None or not rows.compared_codes(work, account, codes).is_intact:
        return None
    return {code.code_hash for code in rows.live(codes)}


def _digests(work: Attempt, account: Account, code: str) -> tuple[str, ...]:
    return codec.digests(work.keyring, account.user_id, code.replace("-", ""))


def _context(account: Account, session: str, made_at: datetime) -> bytes:
    """Where the codes belong; sealed with it, they open nowhere else."""
    return canonical("user_mfa_secrets", "shown_codes", account.user_id, session, made_at)
