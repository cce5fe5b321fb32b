"""Whose notebook it is: accounts with a password, and their notes. The same for all frameworks."""

from __future__ import annotations

import hashlib
import hmac
import os

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

COST = 2**14


class Base(DeclarativeBase):
    """The tables of the notebook."""


class Account(Base):
    """Somebody who signs in. Flask-Login asks the three properties."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(255), unique=True)
    password: Mapped[str] = mapped_column(sa.String(255))
    note: Mapped[str] = mapped_column(sa.Text, default="")

    is_authenticated, is_active, is_anonymous = True, True, False

    def get_id(self) -> str:
        """Say under which id Flask-Login finds the account again."""
        return str(self.id)


def register(engine: sa.Engine, email: str, password: str) -> int:
    """Make an account, and return its id."""
    with Session(engine) as session:
        account = Account(email=email, password=_hashed(password, os.urandom(16)))
        session.add(account)
        session.commit()
        return account.id


def check(engine: sa.Engine, email: str, password: str) -> Account | None:
    """Find the account that belongs to address and password."""
    with Session(engine) as session:
        account = session.scalar(sa.select(Account).where(Account.email == email))
        salt = bytes.fromhex(account.password.partition(":")[0]) if account else b"nobody"
        is_right = account is not None and hmac.compare_digest(_hashed(password, salt), account.password)
        return account if is_right else None


def find(engine: sa.Engine, account_id: int | str | None) -> Account | None:
    """Find the account of an id."""
    with Session(engine) as session:
        return None if account_id is None else session.get(Account, int(account_id))


def write(engine: sa.Engine, account_id: int, note: str) -> None:
    """Keep a note."""
    with Session(engine) as session:
        session.execute(sa.update(Account).where(Account.id == account_id).values(note=note))
        session.commit()


def _hashed(password: str, salt: bytes) -> str:
    return f"{salt.hex()}:{hashlib.scrypt(password.encode(), salt=salt, n=COST, r=8, p=1).hex()}"
