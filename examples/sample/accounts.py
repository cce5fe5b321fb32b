"""Accounts: an e-mail address and a password. The first factor, which Twofold never sees."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy.exc import IntegrityError

from examples.sample.tables import accounts, users

# NIST SP 800-63B-4 §3.1.1.2: 15 characters where the password stands alone, 8 where a second factor may join it. A real
# application without compulsory second factors should ask for 15.
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
# OWASP Password Storage: Argon2id with 19 MiB, two passes, one lane.
MEMORY, PASSES = 19 * 1024, 2


class Refused(Exception):
    """The form cannot be taken as it is; the message says why."""


def register(engine: sa.Engine, email: str, password: str) -> Account:
    """Make an account. Raises Refused."""
    email = _address(email)
    hashed = hashed_password(password)
    try:
        with engine.begin() as connection:
            row = {"subject": email, "created_at": datetime.now(UTC)}
            user_id: int = connection.execute(sa.insert(users).values(row).returning(users.c.id)).scalar_one()
            connection.execute(sa.insert(accounts).values(user_id=user_id, password_hash=hashed))
    except IntegrityError:
        # Without e-mail there is no way to say this to the owner alone.
        raise Refused("This address has an account already. Sign in instead.") from None
    return Account(user_id, 0)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose password was right, and which of the user's passwords it was."""

    user_id: int
    password_serial: int


def check(engine: sa.Engine, email: str, password: str) -> Account | None:
    """The account that belongs to address and password, or None, after the same work for any address."""
    columns = (users.c.id, accounts.c.password_hash, accounts.c.password_serial)
    query = sa.select(*columns).join(accounts, accounts.c.user_id == users.c.id)
    with engine.connect() as connection:
        # No address holds a NUL, and PostgreSQL would not be asked for one.
        address = email.replace("\0", "").strip().casefold()
        row = connection.execute(query.where(users.c.subject == address)).first()
    is_right = _verify(password, row.password_hash if row else _NOBODY)
    return Account(int(row.id), row.password_serial) if row and is_right else None


def hashed_password(password: str) -> str:
    """What the table keeps of a password. Raises Refused for one that is too short or too long."""
    return _hash(_long_enough(password))


def change_password(engine: sa.Engine, account: Account, hashed: str) -> Account:
    """Set another password, hashed, in the place of the one that was checked. Its sessions end. Raises Refused."""
    serial = account.password_serial + 1
    with engine.begin() as connection:
        statement = sa.update(accounts).where(
            accounts.c.user_id == account.user_id, accounts.c.password_serial == account.password_serial
        )
        if connection.execute(statement.values(password_hash=hashed, password_serial=serial)).rowcount != 1:
            raise Refused("The password was changed elsewhere a moment ago.")
    return Account(account.user_id, serial)


def _address(email: str) -> str:
    email = email.strip().casefold()
    name, at, domain = email.partition("@")
    if not (name and at and "." in domain and email.isprintable() and " " not in email and len(email) <= 254):
        raise Refused("Type an e-mail address, such as ada@example.com.")
    return email


def _long_enough(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise Refused(f"Choose a password of at least {SHORTEST_PASSWORD} characters.")
    if len(password) > LONGEST_PASSWORD:
        raise Refused(f"Choose a password of at most {LONGEST_PASSWORD} characters.")
    return password


def _hash(password: str) -> str:
    argon2 = Argon2id(salt=os.urandom(16), length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY)
    return argon2.derive_phc_encoded(_normal(password))


def _verify(password: str, hashed: str) -> bool:
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        Argon2id.verify_phc_encoded(_normal(password), hashed)
    except InvalidKey:
        return False
    return True


def _normal(password: str) -> bytes:
    """The same bytes for the same characters, however a keyboard composes them (NIST SP 800-63B-4 §3.1.1.2)."""
    return unicodedata.normalize("NFC", password).encode()


_NOBODY = _hash(os.urandom(16).hex())
