"""How often an operation is tried and in what transaction, and what becomes of the errors that a driver raises."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import sqlite3
from datetime import UTC
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tests.people import plain_settings
from twofold import MFA, AsyncMFA, ConfigurationError, DatabaseUnavailable, NotEnrolled, SchemaDrift, operation
from twofold.account.attempt import Conflict
from twofold.database import create_async_engine
from twofold.keyring import Keyring, generate_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.people import Clock
    from twofold.account.attempt import Attempt

MARIADB: Any = importlib.import_module("pymysql.err")


class PgcodeError(Exception):
    """An error as psycopg2 names it, which the tests do without."""

    pgcode = "40001"


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
def test_an_operation_is_tried_ten_times_and_locks_after_the_first(
    migrated: Database, clock: Clock, keys: str, level: str | None
) -> None:
    engine = migrated.engine()
    hosted = engine if level is None else engine.execution_options(isolation_level=level)
    mfa = MFA(hosted, plain_settings(keys=keys), clock=clock)
    tries, levels = list[tuple[bool, ...]](), set[str]()

    def never(work: Attempt) -> None:
        tries.append((work.is_locking, work.in_transaction, work.may_guess, commits_each(work.connection)))
        if migrated.backend == "postgresql" and work.in_transaction:
            levels.add(work.connection.get_isolation_level())
        raise Conflict

    with pytest.raises(DatabaseUnavailable, match="too busy to decide"):
        mfa._perform(never)
    is_alone = migrated.backend == "postgresql"
    assert tries == [(False, not is_alone, True, is_alone), *[(True, True, True, False)] * 9]
    assert levels <= {"READ COMMITTED"}


@pytest.mark.requirement("R11")
def test_within_a_transaction_every_try_locks(mfa: MFA, migrated: Database) -> None:
    tries: list[tuple[bool, ...]] = []

    def never(work: Attempt) -> None:
        tries.append((work.is_locking, work.in_transaction, work.may_guess, commits_each(work.connection)))
        raise Conflict

    with (
        migrated.engine().connect() as connection,
        pytest.raises(DatabaseUnavailable, match="written by somebody else"),
    ):
        mfa.within(connection)._perform(never)
    assert tries == [(True, True, False, False)] * 10


@pytest.mark.backends("postgresql", "mariadb")
def test_a_connection_comes_back_as_the_host_made_it(migrated: Database, clock: Clock, keys: str) -> None:
    engine = migrated.engine()
    for hosted, expected in ((engine, False), (engine.execution_options(isolation_level="AUTOCOMMIT"), True)):
        MFA(hosted, plain_settings(keys=keys), clock=clock)._perform(lambda work: work.now)
        with hosted.connect() as connection:
            assert commits_each(connection) is operation._is_autocommit(connection) is expected


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
    mfa._perform(write_elsewhere)
    other.close()


@pytest.mark.requirement("R11", "R105")
@pytest.mark.backends("sqlite")
@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (errors.SerializationFailure(), 10),
        (errors.DeadlockDetected(), 10),
        (PgcodeError(), 10),
        *((MARIADB.OperationalError(number, "as it happens"), 10) for number in (1205, 1213, 1020, 1412)),
        (sqlite3.OperationalError("database is locked"), 3),
        (sqlite3.OperationalError("disk I/O error"), 1),
        (psycopg.OperationalError("the connection is closed"), 1),
        (psycopg.OperationalError(), 1),
        (MARIADB.OperationalError(2013, "Lost connection to MySQL server during query"), 1),
    ],
)
def test_what_a_database_took_back_by_itself_is_tried_again(mfa: MFA, error: Exception, tries: int) -> None:
    seen: list[bool] = []

    def fail(work: Attempt) -> None:
        seen.append(work.is_locking)
        raise DBAPIError("", None, error)

    with pytest.raises(DatabaseUnavailable) as told:
        mfa._perform(fail)
    assert len(seen) == tries
    if tries < 10:
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
    mfa: MFA, raised: Exception, told: type[Exception], cause: Exception
) -> None:
    def fail(work: Attempt) -> None:
        raise raised

    with pytest.raises(told) as seen:
        mfa._perform(fail)
    assert seen.value.__cause__ is cause


@pytest.mark.backends("sqlite")
def test_an_error_of_somebody_else_stays_what_it_is(mfa: MFA) -> None:
    def fail(work: Attempt) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        mfa._perform(fail)


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
    assert bound._core.clock().tzinfo is UTC


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
    assert (
        operation.read_keys(plain_settings(keys_file=path)).kids == Keyring.parse(f"{new},{old}").kids == ("k2", "k1")
    )


def test_a_key_file_that_holds_no_keys_is_a_wrong_setting(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(ConfigurationError, match=rf"{path} cannot be read \(FileNotFoundError\)"):
        operation.read_keys(plain_settings(keys_file=path))
    path.write_bytes(b"k1:\xff\xfe")
    with pytest.raises(ConfigurationError):
        operation.read_keys(plain_settings(keys_file=path))
    with pytest.raises(ConfigurationError, match="There are no keys"):
        operation.read_keys(plain_settings())
