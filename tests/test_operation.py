"""How often an operation is tried and in what transaction, and what becomes of the errors that a driver raises."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import itertools
import sqlite3
import time
from datetime import UTC
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tests.people import plain_settings
from twofold import MFA, AsyncMFA, ConfigurationError, DatabaseUnavailable, NotEnrolled, SchemaDrift, operation
from twofold.account import beginning
from twofold.account.attempt import Conflict, Writes
from twofold.account.runtime import read_keys
from twofold.database import create_async_engine
from twofold.keyring import Keyring, generate_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.people import Clock, Open, Sql
    from twofold.account.attempt import Attempt

# A deadline that a test can wait for, in seconds.
SHORT = "0.2"

MARIADB: Any = importlib.import_module("pymysql.err")


class PgcodeError(Exception):
    """An error as psycopg2 names it, which the tests do without."""

    pgcode = "40001"


def in_a_hurry(mfa: MFA) -> MFA:
    """The tables are looked at before the time counts."""
    mfa._perform(lambda _: None, "nothing")
    return mfa


@pytest.fixture
def face() -> str:
    """What is shown here both faces share."""
    return "blocking"


def commits_each(connection: sa.Connection) -> bool:
    """Whether the driver commits every statement by itself."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        return not driver.in_transaction
    return bool(driver.autocommit if connection.dialect.name == "postgresql" else driver.get_autocommit())


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("level", [None, "AUTOCOMMIT", "SERIALIZABLE"])
@pytest.mark.parametrize("writes", get_args(Writes))
def test_an_operation_is_tried_until_the_deadline_and_locks_after_the_first_try(
    migrated: Database, clock: Clock, keys: str, level: str | None, writes: Writes
) -> None:
    engine = migrated.engine()
    hosted = engine if level is None else engine.execution_options(isolation_level=level)
    mfa = in_a_hurry(MFA(hosted, plain_settings(keys=keys, deadline=SHORT), clock=clock))
    tries, levels = list[tuple[bool, ...]](), set[str]()

    def never(work: Attempt) -> None:
        tries.append((work.is_locking, work.in_transaction, work.may_guess, commits_each(work.connection)))
        if migrated.backend == "postgresql" and work.in_transaction:
            levels.add(work.connection.get_isolation_level())
        raise Conflict

    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="too busy to decide"):
        mfa._perform(never, writes)
    assert time.monotonic() - begun >= float(SHORT)
    is_alone = migrated.backend == "postgresql" and writes != "many"
    first = (True, True, True, False) if writes == "many" else (False, not is_alone, True, is_alone)
    assert tries[0] == first
    # What writes many begins with the lock, so that it runs once where nobody else writes.
    assert set(tries[1:]) == {(True, True, True, False)}
    assert levels <= {"READ COMMITTED"}


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("writes", get_args(Writes))
def test_within_a_transaction_every_try_locks(open_mfa: Open, migrated: Database, writes: Writes) -> None:
    mfa, tries = in_a_hurry(open_mfa(deadline=SHORT)), list[tuple[bool, ...]]()

    def never(work: Attempt) -> None:
        tries.append((work.is_locking, work.in_transaction, work.may_guess, commits_each(work.connection)))
        raise Conflict

    with (
        migrated.engine().connect() as connection,
        pytest.raises(DatabaseUnavailable, match="written by somebody else"),
    ):
        mfa.within(connection)._perform(never, writes)
    assert len(tries) > 1
    assert set(tries) == {(True, True, False, False)}


@pytest.mark.backends("postgresql", "mariadb")
def test_a_connection_comes_back_as_the_host_made_it(migrated: Database, clock: Clock, keys: str) -> None:
    engine = migrated.engine()
    for hosted, expected in ((engine, False), (engine.execution_options(isolation_level="AUTOCOMMIT"), True)):
        MFA(hosted, plain_settings(keys=keys), clock=clock)._perform(lambda work: work.now, "nothing")
        with hosted.connect() as connection:
            assert commits_each(connection) is beginning.is_autocommit(connection) is expected


@pytest.mark.backends("sqlite")
def test_a_host_that_begins_transactions_on_sqlite_does_not_begin_ours(
    migrated: Database, clock: Clock, keys: str
) -> None:
    engine = migrated.engine()
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    other = migrated.engine().connect()

    def write_elsewhere(work: Attempt) -> None:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.connection.cursor().execute("BEGIN IMMEDIATE")

    other.exec_driver_sql("PRAGMA busy_timeout = 1")
    other.rollback()
    mfa._perform(write_elsewhere, "one statement")
    other.close()


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("writes", ["nothing", "one statement", "many"])
def test_what_a_listener_wrote_when_it_began_arrives(
    migrated: Database, clock: Clock, keys: str, sql: Sql, writes: Any
) -> None:
    sql("CREATE TABLE begun (at TEXT)")
    engine = migrated.engine()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("INSERT INTO begun VALUES (CURRENT_TIMESTAMP)")

    MFA(engine, plain_settings(keys=keys), clock=clock)._perform(lambda work: work.now, writes)
    assert len(sql("SELECT * FROM begun")) == 1


@pytest.mark.requirement("R11", "R105")
@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(
    "error",
    [
        errors.SerializationFailure(),
        errors.DeadlockDetected(),
        errors.LockNotAvailable(),
        errors.DivisionByZero(),
        PgcodeError(),
        *(MARIADB.OperationalError(number, "as it happens") for number in (1205, 1213, 1020, 1412)),
        sqlite3.OperationalError("database is locked"),
        sqlite3.OperationalError("database table is locked"),
    ],
)
def test_what_a_database_took_back_by_itself_is_tried_again_until_the_deadline(
    open_mfa: Open, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    mfa = in_a_hurry(open_mfa(deadline=SHORT))
    # The time that a wait for a lock took counts, and the first try must not take all of it where the machine is busy.
    ticks = itertools.count()
    monkeypatch.setattr("twofold.account.retries.time", SimpleNamespace(monotonic=lambda: next(ticks) / 100))

    def fail(work: Attempt) -> None:
        seen.append(work.is_locking)
        raise DBAPIError("", None, error)

    with pytest.raises(
        DatabaseUnavailable, match=r"(too busy to decide|did not let go in time); nothing was spent"
    ) as told:
        mfa._perform(fail, "one statement")
    assert seen[0] is False
    assert set(seen[1:]) == {True}
    assert told.value.__cause__ is None


@pytest.mark.requirement("R11", "R105")
@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("passes", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        DBAPIError("", None, psycopg.OperationalError("the connection is lost"), connection_invalidated=True),
        DBAPIError("", None, MARIADB.OperationalError(2013, "Lost connection"), connection_invalidated=True),
        ConnectionResetError(),
    ],
)
def test_what_was_lost_with_its_connection_is_tried_again_on_another(
    open_mfa: Open, error: Exception, *, passes: bool
) -> None:
    connections = list[object]()

    def fail(work: Attempt) -> str:
        connections.append(work.connection)
        if passes and len(connections) == 2:
            return "answered"
        raise error

    mfa = in_a_hurry(open_mfa(deadline=SHORT))
    if passes:
        assert mfa._perform(fail, "one statement") == "answered"
    else:
        with pytest.raises(DatabaseUnavailable, match="does not answer") as told:
            mfa._perform(fail, "one statement")
        cause = error.orig if isinstance(error, DBAPIError) else error
        assert told.value.__cause__ is cause
    assert len(connections) == len({id(connection) for connection in connections}) > 1


@pytest.mark.requirement("R105")
@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("disk I/O error"),
        psycopg.OperationalError("the connection is closed"),
        psycopg.OperationalError(),
        MARIADB.OperationalError(2013, "Lost connection to MySQL server during query"),
    ],
)
def test_what_does_not_pass_is_told_at_once(mfa: MFA, error: Exception) -> None:
    seen: list[bool] = []

    def fail(work: Attempt) -> None:
        seen.append(work.is_locking)
        raise DBAPIError("", None, error)

    with pytest.raises(DatabaseUnavailable) as told:
        mfa._perform(fail, "one statement")
    assert seen == [False]
    assert told.value.__cause__ is error
    assert f"({type(error).__name__})" in str(told.value)


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(
    ("raised", "told", "cause"),
    [
        *(
            (DBAPIError("", None, error), SchemaDrift, error)
            for error in (
                errors.UndefinedTable(),
                errors.UndefinedColumn(),
                MARIADB.ProgrammingError(1146, "Table 'test.users' doesn't exist"),
                MARIADB.OperationalError(1054, "Unknown column 'x' in 'SELECT'"),
                sqlite3.OperationalError("no such table: main.users: gone"),
                sqlite3.OperationalError("no such column: users.x"),
            )
        ),
        *((error, DatabaseUnavailable, error) for error in (SQLAlchemyError("pool"), ConnectionRefusedError())),
    ],
)
def test_an_error_of_the_database_is_told_as_one_of_ours(
    open_mfa: Open, raised: Exception, told: type[Exception], cause: Exception
) -> None:
    def fail(work: Attempt) -> None:
        raise raised

    with pytest.raises(told) as seen:
        in_a_hurry(open_mfa(deadline=SHORT))._perform(fail, "one statement")
    assert seen.value.__cause__ is cause


@pytest.mark.backends("sqlite")
def test_an_error_of_somebody_else_stays_what_it_is(mfa: MFA) -> None:
    def fail(work: Attempt) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        mfa._perform(fail, "one statement")


@pytest.mark.requirement("R22")
@pytest.mark.backends("sqlite")
def test_nothing_is_left_of_an_operation_that_nobody_waits_for(
    migrated: Database, ada: int, clock: Clock, keys: str
) -> None:
    complaints: list[Any] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        engine = create_async_engine(migrated.url)
        awaited = AsyncMFA(engine, plain_settings(keys=keys), clock=clock)
        with pytest.raises(NotEnrolled):
            await awaited.reverify(ada, "000000")
        task = asyncio.ensure_future(awaited.reverify(ada, "000000"))
        await asyncio.sleep(0)
        assert operation._UNDER_WAY
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.wait(operation._UNDER_WAY, timeout=60)
        await asyncio.sleep(0)
        assert not operation._UNDER_WAY
        gc.collect()
        await engine.dispose()

    asyncio.run(story())
    assert not complaints


@pytest.mark.parametrize("kind", [MFA, AsyncMFA])
def test_an_operation_says_what_it_does_and_is_bound_once(kind: Any, keys: str) -> None:
    engine: Any = sa.create_engine("sqlite://") if kind is MFA else create_async_engine("sqlite:///never-opened.db")
    bound = kind(engine, plain_settings(keys=keys))
    assert kind.verify.__doc__
    assert (bound.verify.__doc__, bound.verify.__name__) == (kind.verify.__doc__, "verify")
    assert bound.verify is bound.verify
    assert bound._runtime.clock().tzinfo is UTC


def test_an_engine_of_the_other_kind_is_refused_at_once(keys: str) -> None:
    other: Any = create_async_engine("sqlite:///never-opened.db")
    with pytest.raises(TypeError, match=r"^MFA takes an Engine, not AsyncEngine"):
        MFA(other, plain_settings(keys=keys))
    with pytest.raises(TypeError, match=r"^AsyncMFA takes an AsyncEngine, not Engine"):
        AsyncMFA(other.sync_engine, plain_settings(keys=keys))


def test_a_key_file_has_a_key_on_each_line(tmp_path: Path) -> None:
    new, old = generate_key("k2"), generate_key("k1")
    path = tmp_path / "keys"
    path.write_text(f"\n  {new}\n\n{old}  \n")
    path.chmod(0o600)
    assert read_keys(plain_settings(keys_file=path)).kids == Keyring.parse(f"{new},{old}").kids == ("k2", "k1")


def test_a_key_file_that_holds_no_keys_is_a_wrong_setting(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(ConfigurationError, match=rf"{path} cannot be read \(FileNotFoundError\)"):
        read_keys(plain_settings(keys_file=path))
    path.write_bytes(b"k1:\xff\xfe")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"^Key 1 is not base64"):
        read_keys(plain_settings(keys_file=path))
    with pytest.raises(ConfigurationError, match="There are no keys"):
        read_keys(plain_settings())
