"""Sessions: on the server, under a random id of 256 bits; the browser has it in a cookie, the table has its hash.

What a session keeps of the second factor is sealed under the session id itself, so that whoever reads the table can
use neither.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa
from cryptography.fernet import Fernet

from examples.sample.accounts import Account
from examples.sample.tables import accounts, sessions, users

if TYPE_CHECKING:
    from twofold import MFA

How = Literal["password", "trusted device", "two steps"]

# Longer than a challenge, so that a page can say that it waited too long.
_WAITING = timedelta(minutes=15)
_ANSWERED = timedelta(seconds=30)
_LOOKS, _PAUSE = 10, 0.2
_SIGNED_IN = timedelta(hours=12)
# No password has this number.
_ENDED = -1


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it stands in the table. With a `challenge` it waits, and opens nothing."""

    id: str = field(repr=False)
    account: Account
    email: str
    how: How
    epoch: str | None
    challenge: str | None = field(repr=False)
    proof: str | None = field(repr=False)
    is_answered: bool = False

    @property
    def user_id(self) -> int:
        """Whose session it is."""
        return self.account.user_id


def new_id() -> str:
    """A session id that means nothing yet."""
    return secrets.token_urlsafe(32)


def begin(
    engine: sa.Engine,
    account: Account,
    how: How,
    epoch: str | None,
    *,
    challenge: str | None = None,
    proof: str | None = None,
) -> str:
    """Begin a session of whoever had this password, and return its id. It is none once the password was changed.

    `epoch` is that of before the login, so that a change which came in between ends the session as well.
    """
    session_id, now = new_id(), datetime.now(UTC)
    row = {
        "id_hash": _hash(session_id),
        "user_id": account.user_id,
        "password_serial": account.password_serial,
        "how": how,
        "epoch": epoch,
        "challenge": _sealed(session_id, challenge),
        "proof": _sealed(session_id, proof),
        "expires_at": now + (_WAITING if challenge else _SIGNED_IN),
    }
    with engine.begin() as connection:
        connection.execute(sa.delete(sessions).where(sessions.c.expires_at <= now))
        connection.execute(sa.insert(sessions).values(row))
    return session_id


def answer(engine: sa.Engine, waiting: Session) -> None:
    """Let a session that waited be followed by another one. It opens nothing, and lives for a moment longer.

    Where the answer with the new session's cookie is lost, the browser comes once more with the old one, and another
    session follows. The first one stays: which of two answers a browser keeps, the server cannot know.
    """
    kept = sa.update(sessions).where(sessions.c.id_hash == _hash(waiting.id))
    with engine.begin() as connection:
        connection.execute(kept.values(is_answered=True, expires_at=datetime.now(UTC) + _ANSWERED))


def find(engine: sa.Engine, session_id: str | None, *, or_answered: bool = False) -> Session | None:
    """The session of an id, while it lives; with `or_answered` also one that another has followed a moment ago."""
    if not session_id:
        return None
    query = (
        sa.select(sessions, users.c.subject)
        .join(users, users.c.id == sessions.c.user_id)
        .join(accounts, accounts.c.user_id == sessions.c.user_id)
        .where(
            sessions.c.id_hash == _hash(session_id),
            sessions.c.expires_at > datetime.now(UTC),
            # A login with the old password may have been under way when it was changed.
            sessions.c.password_serial == accounts.c.password_serial,
        )
    )
    with engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None or (row.is_answered and not or_answered):
        return None
    challenge, proof = _opened(session_id, row.challenge), _opened(session_id, row.proof)
    account = Account(row.user_id, row.password_serial)
    return Session(session_id, account, row.subject, row.how, row.epoch, challenge, proof, row.is_answered)


def find_current(engine: sa.Engine, mfa: MFA, session_id: str | None, *, or_answered: bool = False) -> Session | None:
    """The session of an id, unless the user's factors changed since it began, wherever that was done.

    One that waits opens nothing, and is compared once it has become a session. The request that changed the factors may
    be about to give its session the new epoch while a second one of the same browser comes, so it is looked at again.
    """
    for _ in range(_LOOKS):
        found = find(engine, session_id, or_answered=or_answered)
        if found is None or found.challenge is not None or mfa.status(found.user_id).epoch == found.epoch:
            return found
        time.sleep(_PAUSE)
    _end_where(engine, sessions.c.id_hash == _hash(session_id or ""))
    return None


def has_ended(engine: sa.Engine, session_id: str | None) -> bool:
    """Whether this was a session that somebody else ended, or a change of the password or of the factors."""
    query = (
        sa.select(sessions.c.user_id)
        .join(accounts, accounts.c.user_id == sessions.c.user_id)
        .where(sessions.c.id_hash == _hash(session_id or ""), sessions.c.password_serial != accounts.c.password_serial)
    )
    with engine.connect() as connection:
        return connection.execute(query).first() is not None


def keep_epoch(engine: sa.Engine, session_id: str, epoch: str | None) -> None:
    """Let a session go on beside the factors that it has just changed."""
    kept = sa.update(sessions).where(sessions.c.id_hash == _hash(session_id)).values(epoch=epoch)
    with engine.begin() as connection:
        connection.execute(kept)


def keep_proof(engine: sa.Engine, session_id: str, proof: str) -> None:
    """Remember that the second factor was given just now."""
    kept = sa.update(sessions).where(sessions.c.id_hash == _hash(session_id)).values(proof=_sealed(session_id, proof))
    with engine.begin() as connection:
        connection.execute(kept)


def end(engine: sa.Engine, session_id: str | None) -> None:
    """End one session."""
    if session_id:
        with engine.begin() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.id_hash == _hash(session_id)))


def end_all(engine: sa.Engine, user_id: int) -> None:
    """End every session of a user."""
    _end_where(engine, sessions.c.user_id == user_id)


def _end_where(engine: sa.Engine, condition: sa.ColumnElement[bool]) -> None:
    # The row stays until its time is over, so that the login can say why somebody has to sign in again.
    ended = sa.update(sessions).where(condition).values(password_serial=_ENDED, challenge=None, proof=None)
    with engine.begin() as connection:
        connection.execute(ended)


def _hash(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _box(session_id: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"sample session " + session_id.encode()).digest()))


def _sealed(session_id: str, text: str | None) -> str | None:
    return text and _box(session_id).encrypt(text.encode()).decode()


def _opened(session_id: str, sealed: str | None) -> str | None:
    return sealed and _box(session_id).decrypt(sealed.encode()).decode()
