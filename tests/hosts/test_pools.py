"""Connections beside those of the host: nobody waits for himself, and the pool follows the host's own."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.databases import ROOT
from tests.people import Clock, Enrolment, add_user, challenged, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, Cleared, DatabaseUnavailable
from twofold.database import enforce_foreign_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tests.databases import Database

pytestmark = pytest.mark.every_driver

LOGINS = 40
DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}
AWAITED = {
    "sqlite": ("sqlite+aiosqlite",),
    "postgresql": ("postgresql+asyncpg", "postgresql+psycopg_async"),
    "mariadb": ("mysql+asyncmy",),
}
COUNTED = {
    "postgresql": "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()",
    # One more has made the database.
    "mariadb": "SELECT count(*) - 2 FROM information_schema.processlist WHERE db = database()",
}
on_servers = pytest.mark.backends("postgresql", "mariadb")


@pytest.fixture
def engine(migrated: Database) -> Iterator[sa.Engine]:
    """The engine of a host that leaves its pool as SQLAlchemy makes it."""
    engine = sa.create_engine(sa.make_url(migrated.url).set(drivername=DRIVERS[migrated.backend]), pool_timeout=60)
    enforce_foreign_keys(engine)
    yield engine
    engine.dispose()


def connections(database: Database, most: int = 0) -> int:
    """How many others than the test are connected, once a server had the time to see that somebody went."""
    database.dispose()
    watching, number = database.engine(), most + 1
    until = time.monotonic() + 60
    while number > most and time.monotonic() < until:
        with watching.connect() as connection:
            number = int(connection.exec_driver_sql(COUNTED[database.backend]).scalar_one())
        if number > most:
            time.sleep(0.1)
    watching.dispose()
    return number


def crowd(mfa: MFA, database: Database, clock: Clock) -> list[Enrolment]:
    return [enroll(mfa, add_user(database, f"user{number}@example.com"), clock) for number in range(LOGINS)]


def test_forty_logins_at_once_that_each_hold_a_connection_of_the_host_are_answered(
    migrated: Database, engine: sa.Engine, keys: str, clock: Clock
) -> None:
    mfa = MFA(engine, plain_settings(keys=keys, deadline=60), clock=clock)
    said: list[object] = []

    def request(enrolled: Enrolment) -> None:
        with engine.connect() as session:
            session.exec_driver_sql("SELECT 1")
            try:
                token = challenged(mfa, enrolled.user_id)
                said.append(mfa.verify(token, enrolled.phone.code()).user_id == enrolled.user_id)
            except Exception as error:  # noqa: BLE001
                said.append(error)

    people = crowd(mfa, migrated, clock)
    threads = [threading.Thread(target=request, args=(one,)) for one in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [True] * LOGINS


def test_forty_awaited_logins_that_each_hold_a_connection_of_the_host_are_answered(
    migrated: Database, keys: str, clock: Clock
) -> None:
    people = crowd(MFA(migrated.engine(), plain_settings(keys=keys, deadline=60), clock=clock), migrated, clock)

    async def story(driver: str) -> list[object]:
        engine = create_async_engine(sa.make_url(migrated.url).set(drivername=driver), pool_timeout=60)
        enforce_foreign_keys(engine)
        mfa = AsyncMFA(engine, plain_settings(keys=keys, deadline=60), clock=clock)

        async def request(enrolled: Enrolment) -> object:
            async with engine.connect() as session:
                await session.exec_driver_sql("SELECT 1")
                challenge: Any = await mfa.challenge(enrolled.user_id)
                return (await mfa.verify(challenge.token, enrolled.phone.code())).user_id == enrolled.user_id

        answers = await asyncio.gather(*map(request, people), return_exceptions=True)
        await engine.dispose()
        return list(answers)

    for driver in AWAITED[migrated.backend]:
        assert asyncio.run(story(driver)) == [True] * LOGINS
        clock.forward(seconds=60)
        assert migrated.backend == "sqlite" or connections(migrated) == 0


@on_servers
def test_the_pool_is_small_however_many_faces_an_engine_has_and_goes_when_the_host_disposes(
    migrated: Database, engine: sa.Engine, keys: str, clock: Clock
) -> None:
    settings = plain_settings(keys=keys, pool_size=2)
    user = add_user(migrated, "ada@example.com")
    enroll(MFA(engine, settings, clock=clock), user, clock)
    faces = [MFA(one, settings, clock=clock) for one in (engine, engine.execution_options(logging_token="ours")) * 8]
    threads = [threading.Thread(target=face.challenge, args=(user,)) for face in faces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.pool.checkedin() == 0  # type: ignore[attr-defined]
    assert 1 <= connections(migrated, 2) <= 2
    engine.dispose()
    assert connections(migrated) == 0
    assert challenged(faces[0], user)
    # One that only carries other options has the same pool.
    engine.execution_options(logging_token="ours").dispose()
    assert connections(migrated) == 0
    assert challenged(faces[1], user)


@on_servers
def test_a_listener_that_comes_late_is_heard_and_core_is_as_fast_as_before(
    migrated: Database, engine: sa.Engine, keys: str, clock: Clock
) -> None:
    before = engine._has_events
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    user = add_user(migrated, "ada@example.com")
    enroll(mfa, user, clock)
    assert engine._has_events == before
    heard: list[str] = []
    event.listen(engine, "checkout", lambda *_: heard.append("checkout"))
    event.listen(engine, "begin", lambda _: heard.append("begin"))
    challenged(mfa, user)
    assert heard == ["checkout", "begin"]
    engine.dispose()
    event.listen(engine, "connect", lambda *_: heard.append("connect"))
    challenged(mfa, user)
    assert heard[2:] == ["connect", "checkout", "begin"]


@on_servers
def test_a_host_may_share_its_pool(migrated: Database, keys: str, clock: Clock) -> None:
    engine = sa.create_engine(migrated.engine().url, pool_size=1, max_overflow=0, pool_timeout=0.2)
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock, pool="host")
    user = add_user(migrated, "ada@example.com")
    with engine.connect(), pytest.raises(DatabaseUnavailable, match="TimeoutError"):
        mfa.challenge(user)
    assert not mfa.challenge(user)
    engine.dispose()


@on_servers
def test_a_pool_that_keeps_nothing_keeps_nothing(migrated: Database, keys: str, clock: Clock) -> None:
    engine = sa.create_engine(migrated.engine().url, poolclass=NullPool)
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    enroll(mfa, add_user(migrated, "ada@example.com"), clock)
    assert connections(migrated) == 0


@on_servers
def test_every_event_loop_has_connections_of_its_own(migrated: Database, keys: str, clock: Clock) -> None:
    user = add_user(migrated, "ada@example.com")
    for driver in AWAITED[migrated.backend]:
        engine = create_async_engine(sa.make_url(migrated.url).set(drivername=driver))
        mfa = AsyncMFA(engine, plain_settings(keys=keys), clock=clock)

        async def story(engine: Any = engine, mfa: AsyncMFA = mfa) -> None:
            assert not await mfa.challenge(user)
            await engine.dispose()

        for _ in range(3):
            asyncio.run(story())


@on_servers
def test_event_loops_that_take_turns_leave_no_connections_behind(migrated: Database, keys: str, clock: Clock) -> None:
    user = add_user(migrated, "ada@example.com")
    for driver in AWAITED[migrated.backend]:
        engine = create_async_engine(sa.make_url(migrated.url).set(drivername=driver))
        mfa = AsyncMFA(engine, plain_settings(keys=keys), clock=clock)
        with asyncio.Runner() as one, asyncio.Runner() as other:
            for _ in range(5):
                assert not one.run(mfa.challenge(user))
                assert not other.run(mfa.challenge(user))
            assert 1 <= connections(migrated, 2) <= 2
            one.run(engine.dispose())
            assert connections(migrated, 1) == 1
            # The other loop's were made for the pool that the host has thrown away.
            assert not other.run(mfa.challenge(user))
            other.run(engine.dispose())
        assert connections(migrated) == 0


FORKING = """
import os, sys
import sqlalchemy as sa
from tests.people import plain_settings
from twofold import MFA

url, keys, user = sys.argv[1], sys.argv[2], int(sys.argv[3])
engine = sa.create_engine(url)
mfa = MFA(engine, plain_settings(keys=keys))
assert not mfa.challenge(user)
if os.fork():
    _, status = os.wait()
    for _ in range(20):
        assert not mfa.challenge(user)
    engine.dispose()
    sys.exit(os.waitstatus_to_exitcode(status))
if len(sys.argv) > 4:
    engine.dispose(close=False)
for _ in range(20):
    assert not mfa.challenge(user)
os._exit(0)
"""


@on_servers
@pytest.mark.parametrize("told", [(), ("told",)])
def test_a_child_takes_no_connection_of_its_parent(
    migrated: Database, engine: sa.Engine, keys: str, told: tuple[str, ...]
) -> None:
    user = add_user(migrated, "ada@example.com")
    address = engine.url.render_as_string(hide_password=False)
    words = [sys.executable, "-W", "ignore", "-c", FORKING, address, keys, str(user), *told]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.backends("postgresql", "sqlite")
def test_who_waits_gets_the_connection_that_would_else_be_kept(migrated: Database, keys: str, clock: Clock) -> None:
    engine = sa.create_engine(migrated.engine().url, pool_timeout=60)
    enforce_foreign_keys(engine)
    has_it, goes_on, is_slow = threading.Event(), threading.Event(), threading.local()

    def moment() -> datetime:
        if getattr(is_slow, "now", False):
            has_it.set()
            assert goes_on.wait(60)
        return clock()

    mfa = MFA(engine, plain_settings(keys=keys, pool_size=1), clock=moment)
    user, answers = add_user(migrated, "ada@example.com"), list[object]()
    assert not mfa.challenge(user)

    def challenge(*, slowly: bool) -> None:
        is_slow.now = slowly
        try:
            answers.append(mfa.challenge(user))
        except DatabaseUnavailable as error:
            answers.append(error)

    first, second = (threading.Thread(target=challenge, kwargs={"slowly": slowly}) for slowly in (True, False))
    first.start()
    assert has_it.wait(60)
    second.start()
    time.sleep(0.5)
    goes_on.set()
    first.join()
    second.join()
    engine.dispose()
    assert answers == [Cleared(user, "not_enrolled")] * 2


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("is_too_old", [False, True])
def test_what_is_kept_is_left_where_the_pool_would_leave_it(
    migrated: Database, keys: str, clock: Clock, *, is_too_old: bool
) -> None:
    user, opened = add_user(migrated, "ada@example.com"), list[int]()
    # With the address of the engine alone, so that nothing asks before each use.
    engine = sa.create_engine(migrated.engine().url, pool_recycle=60 if is_too_old else -1)

    @event.listens_for(engine, "connect")
    def connect(driver: Any, record: Any) -> None:
        opened.append(driver.info.backend_pid)
        if is_too_old:
            # The pool asks the clock of the machine, which may stand still or go back a little meanwhile.
            record.starttime -= 3600

    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    assert not mfa.challenge(user)
    first = opened[-1]
    assert not mfa.challenge(user)
    assert (opened[-1] != first) == is_too_old
    # The server goes away with it: nobody is told, and another one answers.
    with migrated.engine().connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({opened[-1]})")
    terminated = opened[-1]
    assert not mfa.challenge(user)
    assert opened[-1] != terminated
    engine.dispose()
    assert connections(migrated) == 0


@pytest.mark.backends("postgresql", "sqlite")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_nobody_has_any_more_is_forgotten_with_what_was_kept(
    migrated: Database, keys: str, clock: Clock
) -> None:
    user = add_user(migrated, "ada@example.com")

    def forgotten() -> weakref.ref[sa.Engine]:
        engine = sa.create_engine(migrated.engine().url)
        enforce_foreign_keys(engine)
        mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
        assert not mfa.challenge(user)
        return weakref.ref(engine)

    engines = [forgotten() for _ in range(3)]
    for _ in range(3):
        # What is in a circle with a face goes after the face.
        gc.collect()
    assert [engine() for engine in engines] == [None] * 3
    assert migrated.backend == "sqlite" or connections(migrated) == 0


@pytest.mark.backends("postgresql")
def test_a_statement_is_sent_by_the_cursor_that_sent_it_before_until_it_failed(
    migrated: Database, keys: str, clock: Clock
) -> None:
    made: list[object] = []

    class Counted(psycopg.Cursor[Any]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append(self)
            super().__init__(*args, **kwargs)

    engine = sa.create_engine(migrated.engine().url, connect_args={"cursor_factory": Counted})
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    enrolled = enroll(mfa, add_user(migrated, "ada@example.com"), clock)

    def logins(number: int) -> int:
        before = len(made)
        for _ in range(number):
            clock.forward(minutes=1)
            log_in(mfa, enrolled.user_id, enrolled.phone.code())
        return len(made) - before

    logins(2)
    assert logins(5) == 0
    with migrated.engine().begin() as connection:
        # What was prepared does not fit any more, so that the connection goes.
        connection.exec_driver_sql("ALTER TABLE user_mfa_secrets ALTER COLUMN epoch TYPE TEXT")
    assert logins(2) > 0
    assert logins(5) == 0
    engine.dispose()
    assert connections(migrated) == 0
