"""Databases in memory that hold the host's tables and Twofold's, made by the real revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import greenlet_spawn

from twofold.database import enforce_foreign_keys
from twofold.schema import commands
from twofold.schema.history import PASSKEYS
from twofold.testing.setting import settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

# One connection for all threads, or each would have an empty database of its own.
_ONE: dict[str, Any] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}


def engine(*hosts: sa.MetaData, users: str = "users.id", passkeys: bool = False) -> sa.Engine:
    """Make SQLite in memory with the host's tables and Twofold's. `users` is TWOFOLD_USERS.

    With `passkeys` there is the table of passkeys as well.

    Without tables of a host's, `users` is the one that Twofold makes: `id`, `subject`, `created_at`. All threads share
    one connection, so a test commits what it writes before it asks Twofold. What tells databases apart, locks and races
    for example, is not to be seen here.
    """
    made = sa.create_engine("sqlite://", **_ONE)
    enforce_foreign_keys(made)
    _fill(made, hosts, users, passkeys=passkeys)
    return made


async def async_engine(*hosts: sa.MetaData, users: str = "users.id", passkeys: bool = False) -> AsyncEngine:
    """Make the same for `AsyncMFA`, with aiosqlite: `pip install 'twofold[async]'`."""
    from sqlalchemy.ext.asyncio import create_async_engine

    made = create_async_engine("sqlite+aiosqlite://", **_ONE)
    enforce_foreign_keys(made)
    await greenlet_spawn(_fill, made.sync_engine, hosts, users, passkeys=passkeys)
    return made


def _fill(made: sa.Engine, hosts: tuple[sa.MetaData, ...], users: str, *, passkeys: bool) -> None:
    for metadata in hosts:
        metadata.create_all(made)
    commands.upgrade(made, settings(users=users))
    if passkeys:
        commands.upgrade(made, settings(users=users), history=PASSKEYS)
