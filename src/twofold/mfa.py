"""The two faces: `MFA` and `AsyncMFA` have the same operations, bound from the same functions.

Each runs in a short transaction of its own, and says here how much it writes.

Tests: `tests/test_login.py`, `tests/test_story.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from twofold import proof as proofs
from twofold.account.connections import let_go_after
from twofold.account.joining import Joined
from twofold.account.runtime import Runtime
from twofold.backup_codes import factor as backup_codes
from twofold.backup_codes import showing
from twofold.events import log
from twofold.hook import TaskHook, ThreadedHook, awaited, threaded
from twofold.login import lifecycle, login, registration, removal
from twofold.login.repeat import repeat
from twofold.operation import Awaited, Blocking, Operation
from twofold.passkeys import adoption, asking, registering
from twofold.passkeys import listing as passkeys
from twofold.totp import factor as totp
from twofold.trusted_devices import cookie, endings, listing
from twofold.trusted_devices.renaming import rename
from twofold.trusted_devices.trust import trust
from twofold.upkeep import legacy, retention, rotation

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

    from twofold.account.runtime import OnConnection, PoolOf
    from twofold.hook import AwaitedOnEvent, OnEvent
    from twofold.outcomes import UserId
    from twofold.settings import Settings


class _Login:
    """The operations of a login and of a whole user."""

    challenge = Operation(login.challenge, writes="one statement")
    verify = Operation(login.verify, writes="one statement")
    repeat = Operation(repeat, writes="one statement")
    reverify = Operation(login.reverify, writes="one statement")
    proof = Operation(proofs.proof, writes="nothing")
    status = Operation(lifecycle.status, writes="nothing")
    reset = Operation(lifecycle.reset, writes="many")
    repair = Operation(lifecycle.repair, writes="many")
    disable = Operation(lifecycle.disable_all, writes="many")
    password_changed = Operation(lifecycle.password_changed, writes="many")
    erase = Operation(lifecycle.erase, writes="many")


class _Totp:
    _room = "totp."

    begin = Operation(totp.begin, writes="many")
    pending = Operation(totp.pending, writes="nothing")
    confirm = Operation(lifecycle.confirm, writes="many")
    disable = Operation(lifecycle.disable, writes="many")


class _Passkeys:
    _room = "passkeys."

    begin = Operation(registering.begin, writes="many")
    confirm = Operation(registration.confirm, writes="many")
    ask = Operation(asking.ask, writes="nothing")
    adopt = Operation(adoption.adopt, writes="many")
    asked = Operation(asking.asked, writes="nothing")
    offered = Operation(asking.offered, writes="nothing")
    list = Operation(passkeys.list_, writes="nothing")
    rename = Operation(passkeys.rename, writes="many")
    revoke = Operation(removal.revoke, writes="many")
    revoke_all = Operation(removal.revoke_all, writes="many")


class _BackupCodes:
    _room = "backup_codes."

    regenerate = Operation(backup_codes.regenerate, writes="many")
    remaining = Operation(backup_codes.remaining, writes="nothing")
    shown = Operation(showing.shown_again, writes="nothing")
    keep = Operation(showing.keep, writes="one statement")


class _TrustedDevices:
    _room = "trusted_devices."
    _runtime: Runtime

    def cookie_name(self, user_id: UserId) -> str:
        """The name of the cookie in which a browser keeps this user's token, for `challenge(device_token=...)`.

        Each user has another one, so that two who share a browser keep their trust. Asks no database, and is never
        awaited. Give the id as you give it to `challenge`.
        """
        return cookie.name_for(self._runtime.settings, user_id)

    trust = Operation(trust, writes="many")
    list = Operation(listing.list_, writes="nothing")
    rename = Operation(rename, writes="many")
    revoke = Operation(endings.revoke, writes="many")
    revoke_all = Operation(endings.revoke_all, writes="many")


class _Events:
    _room = "events."

    recent = Operation(log.recent, writes="nothing")
    verify = Operation(log.verify, writes="nothing")
    export = Operation(log.export, writes="nothing")
    prunable = Operation(retention.prunable, writes="nothing")
    prune = Operation(retention.prune, writes="many")


class _Legacy:
    _room = "legacy."

    survey = Operation(legacy.survey, writes="nothing")
    adopt = Operation(legacy.adopt, writes="many")


class _Keys:
    _room = "keys."

    status = Operation(rotation.status, writes="nothing")
    rotate = Operation(rotation.rotate, writes="many")


class BlockingTotp(_Totp, Blocking):
    """TOTP, on `MFA`."""


class BlockingPasskeys(_Passkeys, Blocking):
    """Passkeys, on `MFA`."""


class BlockingBackupCodes(_BackupCodes, Blocking):
    """Backup codes, on `MFA`."""


class BlockingTrustedDevices(_TrustedDevices, Blocking):
    """Trusted devices, on `MFA`."""


class BlockingEvents(_Events, Blocking):
    """The audit log, on `MFA`."""


class BlockingKeys(_Keys, Blocking):
    """Key rotation, on `MFA`."""


class BlockingLegacy(_Legacy, Blocking):
    """Rows of before Twofold, on `MFA`."""


class AwaitedLegacy(_Legacy, Awaited):
    """Rows of before Twofold, on `AsyncMFA`."""


class AwaitedTotp(_Totp, Awaited):
    """TOTP, on `AsyncMFA`."""


class AwaitedPasskeys(_Passkeys, Awaited):
    """Passkeys, on `AsyncMFA`."""


class AwaitedBackupCodes(_BackupCodes, Awaited):
    """Backup codes, on `AsyncMFA`."""


class AwaitedTrustedDevices(_TrustedDevices, Awaited):
    """Trusted devices, on `AsyncMFA`."""


class AwaitedEvents(_Events, Awaited):
    """The audit log, on `AsyncMFA`."""


class AwaitedKeys(_Keys, Awaited):
    """Key rotation, on `AsyncMFA`."""


class MFA(_Login, Blocking):
    """Multi-factor authentication over an SQLAlchemy `Engine`.

    Connections come from a small pool of Twofold's own, with the driver, address, arguments and listeners of the engine
    (TWOFOLD_POOL_SIZE), so that a request that holds one of the engine's never waits for itself; `pool="host"` takes
    them from the engine's. Pools of another kind than QueuePool are always shared.

    `on_connection` is called with the `Connection` of each transaction, before its first statement, and says there what
    the host's own transactions say: `SET LOCAL app.tenant`, a role, a search path. Every operation then runs in one
    real transaction. An error of its own leaves as it is, and nothing was decided. In `within` it is not called: that
    transaction is the caller's.

    `on_event` is called with each `Event` once it is committed, in a thread of its own, so that it can undo nothing and
    delays no answer; in `within`, once the host's transaction is committed. What it raises is logged, by its name.
    Events of one operation come in their order; `seq` orders those of a user, and `id` is 0, since the database has not
    been asked for it. It is called at most once: where 1000 wait, and in a process that is killed, events are left out.
    They stand in the log all the same: `events.export` misses none.

    `clock` returns the moment, aware; it is there for tests. Raises ConfigurationError where keys are missing or weak.
    """

    def __init__(
        self,
        engine: sa.Engine,
        settings: Settings,
        *,
        pool: PoolOf = "own",
        on_connection: OnConnection | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        runtime = Runtime.of(settings, clock, legacy.adopt_one, pool, on_connection, threaded(on_event))
        self._open(runtime, engine)
        let_go_after(runtime, engine)

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until `on_event` was called with all that has happened, `seconds` at most; whether it was.

        At the end of a process this is done by itself.
        """
        hook = self._runtime.hook
        return not isinstance(hook, ThreadedHook) or hook.flush(seconds)

    def _open(self, runtime: Runtime, source: sa.Engine | Joined) -> None:
        super().__init__(runtime, source)
        self.totp = BlockingTotp(runtime, source)
        self.passkeys = BlockingPasskeys(runtime, source)
        self.backup_codes = BlockingBackupCodes(runtime, source)
        self.trusted_devices = BlockingTrustedDevices(runtime, source)
        self.events = BlockingEvents(runtime, source)
        self.keys = BlockingKeys(runtime, source)
        self.legacy = BlockingLegacy(runtime, source)

    def within(self, source: sa.Connection | Session | scoped_session[Any], *, may_guess: bool = False) -> Self:
        """The same operations in the transaction of the caller's `Session` or `Connection`, whose commit decides.

        For "create the user and begin the enrolment in one go". They see what was flushed and flush nothing; each runs
        in a savepoint, and nothing of one that raises stays, but for a failure that was counted. Failures, too, count
        when the caller commits. So `verify`, `reverify` and `totp.confirm` raise ConfigurationError here, unless
        `may_guess` says that this is a test.

        One transaction is joined: the one that is open, else the one that the first operation begins. Once it is over,
        operations raise ConfigurationError; so they do on a connection that is closed or that commits each statement,
        and on one to another database. Raises TypeError for anything else, an AsyncSession for example.
        """
        joined = type(self).__new__(type(self))
        runtime = replace(self._runtime, may_guess_within=may_guess)
        joined._open(runtime, Joined.blocking(source, self._engine))  # noqa: SLF001
        return joined


class AsyncMFA(_Login, Awaited):
    """Multi-factor authentication over an SQLAlchemy `AsyncEngine`: the operations of `MFA`, awaited.

    `on_connection` is a plain function here, too, called with the `Connection` inside of the `AsyncConnection` as the
    engine's listeners are: what it executes does not block the event loop, and it sees the context variables of the
    task that awaits. `on_event` may be a coroutine function, awaited in a task of the running loop, or a plain one,
    called in a thread.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        *,
        pool: PoolOf = "own",
        on_connection: OnConnection | None = None,
        on_event: AwaitedOnEvent | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        hook = awaited(on_event)
        self._open(Runtime.of(settings, clock, legacy.adopt_one, pool, on_connection, hook), engine)

    async def flush(self, seconds: float = 5.0) -> bool:
        """Wait until `on_event` was called with all that has happened, `seconds` at most; whether it was.

        Await it before the loop ends: a task that is under way then is cancelled, and what waits is told to nobody.
        """
        hook = self._runtime.hook
        if isinstance(hook, ThreadedHook):
            return await asyncio.to_thread(hook.flush, seconds)
        return not isinstance(hook, TaskHook) or await hook.flush(seconds)

    def _open(self, runtime: Runtime, source: AsyncEngine | Joined) -> None:
        super().__init__(runtime, source)
        self.totp = AwaitedTotp(runtime, source)
        self.passkeys = AwaitedPasskeys(runtime, source)
        self.backup_codes = AwaitedBackupCodes(runtime, source)
        self.trusted_devices = AwaitedTrustedDevices(runtime, source)
        self.events = AwaitedEvents(runtime, source)
        self.keys = AwaitedKeys(runtime, source)
        self.legacy = AwaitedLegacy(runtime, source)

    def within(
        self, source: AsyncConnection | AsyncSession | async_scoped_session[Any], *, may_guess: bool = False
    ) -> Self:
        """The same operations in the transaction of the caller's `AsyncSession` or `AsyncConnection`.

        See `MFA.within`. It is not awaited itself; the operations are.
        """
        joined = type(self).__new__(type(self))
        runtime = replace(self._runtime, may_guess_within=may_guess)
        joined._open(runtime, Joined.awaited(source, self._engine))  # noqa: SLF001
        return joined
