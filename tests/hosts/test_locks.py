"""A host that holds a lock of the user in the same request: the wait has a bound, and the error names the way out."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from tests.people import Clock, Enrolment, add_user, challenged, enroll, plain_settings
from tests.test_costs import TABLE, Counted, named
from twofold import MFA, AsyncMFA, DatabaseUnavailable
from twofold.account.lock_wait import BOUND
from twofold.database import enforce_foreign_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import Database
    from tests.test_costs import Told

pytestmark = pytest.mark.every_driver

# MariaDB is known by either name, and its own bound is 50 s. SQLAlchemy's driver of SQLite waits five seconds.
DRIVERS = {
    "sqlite": ("sqlite+pysqlite", {"timeout": 1}),
    "postgresql": ("postgresql+psycopg", {}),
    "mariadb": ("mysql+pymysql", {}),
}
AWAITED = {
    "postgresql": ("postgresql+asyncpg", "postgresql+psycopg_async"),
    "mariadb": ("mysql+asyncmy", "mariadb+asyncmy"),
}
HELD = {
    "the user, changed": "UPDATE users SET subject = 'new' WHERE id = {}",
    "the user, locked": "SELECT id FROM users WHERE id = {} FOR UPDATE",
    "our row": "SELECT id FROM user_mfa_secrets WHERE user_id = {} FOR UPDATE",
}
on_servers = pytest.mark.backends("postgresql", "mariadb")


@pytest.fixture
def face() -> str:
    """What is shown of the blocking face stands below for the awaited one."""
    return "blocking"


@pytest.fixture
def engine(migrated: Database) -> Iterator[sa.Engine]:
    driver, arguments = DRIVERS[migrated.backend]
    engine = sa.create_engine(sa.make_url(migrated.url).set(drivername=driver), connect_args=arguments)
    enforce_foreign_keys(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def ada(engine: sa.Engine, ada: int, keys: str, clock: Clock) -> Enrolment:
    return enroll(MFA(engine, plain_settings(keys=keys), clock=clock), ada, clock)


@on_servers
@pytest.mark.parametrize("what", HELD)
def test_a_lock_of_the_callers_own_is_not_waited_for_without_end(
    engine: sa.Engine, ada: Enrolment, keys: str, clock: Clock, what: str
) -> None:
    mfa = MFA(engine, plain_settings(keys=keys, deadline=1), clock=clock)
    with engine.connect() as host:
        host.exec_driver_sql(HELD[what].format(ada.user_id))
        for call in (lambda: mfa.challenge(ada.user_id), lambda: mfa.reset(ada.user_id, by="grace", reason="lost")):
            begun = time.monotonic()
            with pytest.raises(DatabaseUnavailable, match=r"commit it first, or join it with mfa\.within"):
                call()
            assert time.monotonic() - begun < 30
        # The way out that is named.
        assert mfa.within(host).challenge(ada.user_id)
        host.rollback()
    assert mfa.verify(challenged(mfa, ada.user_id), ada.phone.code())


@pytest.mark.backends("mariadb")
def test_a_table_that_somebody_waits_to_alter_is_not_waited_for_without_end(
    engine: sa.Engine, ada: Enrolment, keys: str, clock: Clock
) -> None:
    mfa = MFA(engine, plain_settings(keys=keys, deadline=1), clock=clock)
    assert mfa.challenge(ada.user_id)
    with engine.connect() as host, ThreadPoolExecutor(1) as others:
        host.exec_driver_sql("SELECT count(*) FROM user_mfa_secrets")
        altering = others.submit(altered, engine)
        try:
            wait_until_it_waits(engine)
            for call in (lambda: mfa.challenge(ada.user_id), lambda: mfa.status(ada.user_id)):
                begun = time.monotonic()
                with pytest.raises(DatabaseUnavailable, match=r"commit it first, or join it with mfa\.within"):
                    call()
                assert time.monotonic() - begun < 30
        finally:
            host.rollback()
        altering.result()
    assert mfa.verify(challenged(mfa, ada.user_id), ada.phone.code())


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("table", ["user_mfa_secrets", "mfa_events"])
def test_a_table_that_somebody_alters_is_waited_for_as_long_as_the_host_says(
    migrated: Database, keys: str, clock: Clock, table: str
) -> None:
    url = sa.make_url(migrated.url).set(drivername="postgresql+psycopg")
    said = sa.create_engine(url, connect_args={"options": "-c lock_timeout=300ms"})
    mfa = MFA(said, plain_settings(keys=keys, deadline=1), clock=clock)
    ada = enroll(mfa, add_user(migrated, "ada@example.com"), clock)
    clock.forward(minutes=1)
    with said.connect() as somebody:
        somebody.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match=r"commit it first, or join it with mfa\.within"):
            mfa.challenge(ada.user_id)
        assert time.monotonic() - begun < 30
        somebody.rollback()
    assert mfa.verify(challenged(mfa, ada.user_id), ada.phone.code())
    said.dispose()


def waited_in_vain(call: Callable[[], object]) -> float:
    """How many seconds a call waits; one that the machine has held up is longer than it was told to be."""
    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match=r"commit it first, or join it with mfa\.within"):
        call()
    return time.monotonic() - begun


def altered(engine: sa.Engine) -> None:
    """Change the table, which waits for whoever has read it, and which everybody else then waits for."""
    with engine.begin() as somebody:
        somebody.exec_driver_sql("ALTER TABLE user_mfa_secrets ADD COLUMN note INTEGER")


def wait_until_it_waits(engine: sa.Engine) -> None:
    waiting = "SELECT count(*) FROM information_schema.processlist WHERE state LIKE '%%metadata lock%%'"
    deadline = time.monotonic() + 60
    with engine.connect() as connection:
        while not connection.exec_driver_sql(waiting).scalar_one():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@on_servers
def test_an_awaited_call_does_not_wait_for_its_caller_without_end_either(
    migrated: Database, ada: Enrolment, keys: str, clock: Clock
) -> None:
    async def story(driver: str) -> None:
        engine = create_async_engine(sa.make_url(migrated.url).set(drivername=driver))
        mfa = AsyncMFA(engine, plain_settings(keys=keys, deadline=1), clock=clock)
        async with engine.connect() as host:
            await host.exec_driver_sql(HELD["the user, locked"].format(ada.user_id))
            with pytest.raises(DatabaseUnavailable, match="commit it first"):
                await mfa.challenge(ada.user_id)
            await host.rollback()
        assert await mfa.challenge(ada.user_id)
        await engine.dispose()

    for driver in AWAITED[migrated.backend]:
        begun = time.monotonic()
        asyncio.run(story(driver))
        assert time.monotonic() - begun < 30


@pytest.mark.backends("sqlite")
def test_a_file_of_sqlite_is_waited_for_as_long_as_its_driver_is_told(
    engine: sa.Engine, ada: Enrolment, keys: str, clock: Clock
) -> None:
    mfa = MFA(engine, plain_settings(keys=keys, deadline=1), clock=clock)
    with engine.connect() as host:
        host.exec_driver_sql(f"UPDATE users SET subject = 'new' WHERE id = {ada.user_id}")
        for call in (lambda: mfa.challenge(ada.user_id), lambda: mfa.reset(ada.user_id, by="grace", reason="lost")):
            assert any(waited_in_vain(call) < 4 for _ in range(5))
        assert mfa.within(host).challenge(ada.user_id)
        host.rollback()
    assert mfa.verify(challenged(mfa, ada.user_id), ada.phone.code())


@on_servers
def test_a_lock_that_is_let_go_before_the_deadline_is_waited_for(
    engine: sa.Engine, ada: Enrolment, keys: str, clock: Clock
) -> None:
    mfa = MFA(engine, plain_settings(keys=keys, deadline=60), clock=clock)
    with engine.connect() as host:
        host.exec_driver_sql(HELD["the user, locked"].format(ada.user_id))
        # Longer than one wait, and shorter than TWOFOLD_DEADLINE, however late a busy machine is.
        letting_go = threading.Timer(3, host.rollback)
        letting_go.start()
        assert mfa.challenge(ada.user_id)
        letting_go.join()
    assert mfa.events.verify(ada.user_id).is_intact


@pytest.mark.backends("mariadb")
@pytest.mark.parametrize("told", TABLE, ids=named)
def test_whatever_may_wait_for_a_lock_says_how_long(migrated: Database, keys: str, clock: Clock, told: Told) -> None:
    counted = Counted(sa.make_url(migrated.url), keys, clock, add_user(migrated, "grace@example.com"))
    perform, waiting = told.make(counted), list[str]()

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if re.match("INSERT|UPDATE|DELETE|.* FOR UPDATE$", statement, re.DOTALL):
            waiting.append(statement)

    event.listen(counted.engine, "after_cursor_execute", hear)
    perform()
    counted.engine.dispose()
    assert [one for one in waiting if not one.startswith(BOUND)] == []


@pytest.mark.backends("mariadb")
@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_the_bound_holds_for_each_statement_and_stays_with_no_connection(
    migrated: Database, ada: Enrolment, keys: str, clock: Clock, name: str
) -> None:
    engine = sa.create_engine(sa.make_url(migrated.url).set(drivername=f"{name}+pymysql"), pool_size=1, max_overflow=0)
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock, pool="host")
    challenged(mfa, ada.user_id)
    mfa.backup_codes.regenerate(ada.verified)
    with engine.connect() as connection:
        mfa.within(connection).password_changed(ada.user_id)
        assert connection.exec_driver_sql("SELECT @@innodb_lock_wait_timeout").scalar_one() == 50
        connection.commit()
    engine.dispose()


@pytest.mark.backends("postgresql")
def test_the_bound_holds_for_one_transaction_and_nothing_after_it(
    engine: sa.Engine, ada: Enrolment, keys: str, clock: Clock
) -> None:
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock, pool="host")
    shown = sa.text("SHOW lock_timeout")
    challenged(mfa, ada.user_id)
    mfa.backup_codes.regenerate(ada.verified)
    with engine.connect() as connection:
        assert connection.execute(shown).scalar_one() == "0"
        mfa.within(connection).password_changed(ada.user_id)
        # In the caller's transaction the caller's own bound holds.
        assert connection.execute(shown).scalar_one() == "0"
        connection.commit()
