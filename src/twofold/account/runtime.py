"""What every operation of a face shares: settings, keys, the clock, and the live schema once it has been read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import sqlalchemy as sa

from twofold.account import unheard
from twofold.account.attempt import Attempt
from twofold.account.driver import needs_transaction
from twofold.account.statements import Schema
from twofold.errors import ConfigurationError
from twofold.key_files import read_key_file
from twofold.keyring import Keyring
from twofold.schema import place

if TYPE_CHECKING:
    from twofold.account.attempt import Learned
    from twofold.account.row import Account
    from twofold.hook import Hook
    from twofold.outcomes import UserId
    from twofold.settings import Settings

PoolOf = Literal["own", "host"]
"""Whose pool connections are taken from."""

OnConnection = Callable[[sa.Connection], object]
"""What the host says on a connection, in its transaction and before any statement of ours."""


@dataclass(slots=True, weakref_slot=True)
class Runtime:
    """Made once for a face, and shared by all of its threads."""

    settings: Settings
    keyring: Keyring
    clock: Callable[[], datetime]
    adopt: Callable[[Attempt, UserId], Account]
    pool_size: int
    on_connection: OnConnection | None = None
    schemas: dict[str | None, Schema] = field(default_factory=dict[str | None, Schema])
    may_guess_within: bool = False
    hook: Hook | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        clock: Callable[[], datetime] | None,
        adopt: Callable[[Attempt, UserId], Account],
        pool: PoolOf,
        on_connection: OnConnection | None,
        hook: Hook | None,
    ) -> Runtime:
        """Make the runtime. Raises ConfigurationError where keys are missing or weak, TypeError for another `pool`.

        And TypeError for an `on_connection` that is no plain function.
        """
        if pool not in get_args(PoolOf):
            raise TypeError('pool is "own" or "host".')
        if on_connection is not None and (not callable(on_connection) or inspect.iscoroutinefunction(on_connection)):
            raise TypeError(_PLAIN)
        pool_size = settings.pool_size if pool == "own" else 0
        clock = clock or (lambda: datetime.now(UTC))
        return cls(settings, read_keys(settings), clock, adopt, pool_size, on_connection, hook=hook)

    def hears_host(self, engine: sa.Engine) -> bool:
        """Whether the host says on its connections what may hold for one transaction alone: a tenant, or a role."""
        return self.on_connection is not None or needs_transaction(engine)

    def hear(self, connection: sa.Connection) -> None:
        """Let the host speak in the transaction that has begun. Raises what it raises."""
        if self.on_connection is None:
            return
        returned = self.on_connection(connection)
        if inspect.isawaitable(returned):
            if inspect.iscoroutine(returned):
                returned.close()
            raise TypeError(_PLAIN)
        if not connection.in_transaction():
            raise ConfigurationError("on_connection has ended the transaction that it was called in; leave it open.")

    def attempt(
        self,
        connection: sa.Connection,
        *,
        is_locking: bool,
        in_transaction: bool,
        may_guess: bool = True,
        is_callers: bool = False,
    ) -> Attempt:
        """Begin one attempt on a connection."""
        is_told = is_callers or self.on_connection is not None
        where = self._where(connection, is_told=is_told, in_transaction=in_transaction)
        schema = self._schema(connection, where, is_told=is_told)
        now = self.clock()
        if now.tzinfo is None:
            raise ConfigurationError("The clock gives a moment without a time zone.")
        return Attempt(
            connection,
            schema,
            self.keyring,
            self.settings,
            now,
            self.adopt,
            partial(self._relearned, connection, where, schema),
            is_locking=is_locking,
            in_transaction=in_transaction,
            is_told=is_told,
            may_guess=may_guess,
            told=None if self.hook is None else [],
        )

    def _where(self, connection: sa.Connection, *, is_told: bool, in_transaction: bool) -> str | None:
        """The schema in which the host lets statements run.

        Where the host may have changed the search path, it is asked for what is current: a tenant without tables of
        its own would find another one's further along. Where it may have, there is a transaction (`hears_host`).
        """
        where = place.translated(connection, None)
        is_open = in_transaction and where is None and connection.dialect.name == "postgresql"
        if is_open and (is_told or needs_transaction(connection.engine)):
            return place.ours(connection)
        return where

    def _schema(self, connection: sa.Connection, where: str | None, *, is_told: bool) -> Schema:
        """The live tables, read once for each schema."""
        if (found := self.schemas.get(where)) is None:
            found = self.schemas[where] = Schema.of(connection, self.settings.users)
            if not is_told:
                unheard.warn(connection)
        return found

    def _relearned(self, connection: sa.Connection, where: str | None, known: Schema, what: Learned) -> Schema:
        """The live tables as they are now: one may have been made since, or altered."""
        found = Schema.of(connection, self.settings.users) if what == "keys" else known.with_passkeys(connection)
        self.schemas[where] = found
        return found

    def forget_tables(self) -> None:
        """Read which tables there are once more, at the next attempt: one may have been taken away since."""
        self.schemas.clear()


_PLAIN = (
    "on_connection is a plain function of a Connection, for AsyncMFA too: it runs where the connection does, as "
    "listeners of an AsyncEngine do."
)


def read_keys(settings: Settings) -> Keyring:
    """Read the keys that the settings name, TWOFOLD_KEYS before TWOFOLD_KEYS_FILE. Raises ConfigurationError."""
    if settings.keys is not None:
        text = settings.keys.get_secret_value()
    elif settings.keys_file is not None:
        text = ",".join(read_key_file(settings.keys_file))
    else:
        raise ConfigurationError("There are no keys; make one with `twofold keys generate` and set TWOFOLD_KEYS.")
    audit = settings.audit_keys.get_secret_value() if settings.audit_keys is not None else ""
    return Keyring.parse(text, audit=audit, deployment=settings.deployment)
