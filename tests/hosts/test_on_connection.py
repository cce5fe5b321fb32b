"""What the host says on each connection: in the transaction, before our first statement, and once for each."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from zope.sqlalchemy import register

from tests.people import Clock, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, ConfigurationError, DatabaseUnavailable
from twofold.database import enforce_foreign_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database

AWAITED = {
    "sqlite": ("sqlite+aiosqlite",),
    "postgresql": ("postgresql+psycopg_async", "postgresql+asyncpg"),
    "mariadb": ("mariadb+asyncmy",),
}
TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")


@pytest.fixture
def face() -> str:
    """The blocking face; the awaited one has a test of its own."""
    return "blocking"


@pytest.fixture
def engine(migrated: Database) -> Iterator[sa.Engine]:
    drivers = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}
    engine = sa.create_engine(sa.make_url(migrated.url).set(drivername=drivers[migrated.backend]))
    enforce_foreign_keys(engine)
    yield engine
    engine.dispose()


def test_it_is_called_once_in_each_transaction_and_before_any_statement(
    engine: sa.Engine, ada: int, keys: str, clock: Clock
) -> None:
    heard: list[str] = []

    def say(connection: sa.Connection) -> None:
        assert connection.in_transaction()
        heard.append("host")

    event.listen(engine, "after_cursor_execute", lambda *arguments: heard.append(arguments[2].split()[0]))
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock, on_connection=say)
    enrolled = enroll(mfa, ada, clock)
    token = mfa.challenge(ada).token  # type: ignore[union-attr]
    for call in (
        lambda: mfa.status(ada),
        lambda: mfa.verify(token, enrolled.phone.code()),
        lambda: mfa.password_changed(ada),
    ):
        heard.clear()
        call()
        assert heard.count("host") == 1
        # On SQLite a transaction begins with a statement.
        assert next(word for word in heard if word != "BEGIN") == "host"
    heard.clear()
    with Session(engine) as session:
        mfa.within(session).status(ada)
    assert "host" not in heard


def test_what_it_raises_leaves_as_it_is_and_nothing_was_decided(
    engine: sa.Engine, ada: int, keys: str, clock: Clock
) -> None:
    enrolled = enroll(MFA(engine, plain_settings(keys=keys), clock=clock), ada, clock)

    def say(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT 1")
        TENANT.get()

    mfa = MFA(engine, plain_settings(keys=keys), clock=clock, on_connection=say)
    for _ in range(10):
        with pytest.raises(LookupError):
            mfa.challenge(ada)
    named = TENANT.set("a")
    assert log_in(mfa, ada, enrolled.phone.code())
    assert mfa.events.verify(ada).is_intact
    TENANT.reset(named)


def test_an_error_that_a_driver_may_raise_leaves_as_it_is_where_the_host_raises_it(
    engine: sa.Engine, ada: int, keys: str, clock: Clock
) -> None:
    def say(_connection: sa.Connection) -> None:
        raise NotImplementedError("No tenant is chosen here.")

    mfa = MFA(engine, plain_settings(keys=keys), clock=clock, on_connection=say)
    with pytest.raises(NotImplementedError, match=r"No tenant is chosen here\."):
        mfa.challenge(ada)


def test_one_that_ends_the_transaction_or_fails_in_it_is_told_of(
    engine: sa.Engine, ada: int, keys: str, clock: Clock
) -> None:
    ending = MFA(engine, plain_settings(keys=keys), clock=clock, on_connection=sa.Connection.commit)
    with pytest.raises(ConfigurationError, match="on_connection has ended the transaction"):
        ending.status(ada)
    wrong = MFA(
        engine, plain_settings(keys=keys), clock=clock, on_connection=lambda one: one.exec_driver_sql("nonsense")
    )
    with pytest.raises(DatabaseUnavailable):
        wrong.status(ada)


def test_each_task_says_what_its_own_context_holds(engine: sa.Engine, ada: int, keys: str, clock: Clock) -> None:
    enroll(MFA(engine, plain_settings(keys=keys), clock=clock), ada, clock)

    async def story(driver: str) -> None:
        heard: list[str] = []

        def say(connection: sa.Connection) -> None:
            connection.exec_driver_sql("SELECT 1")
            heard.append(TENANT.get())

        async def request(tenant: str) -> None:
            TENANT.set(tenant)
            assert await mfa.challenge(ada)

        awaited = create_async_engine(engine.url.set(drivername=driver))
        enforce_foreign_keys(awaited)
        mfa = AsyncMFA(awaited, plain_settings(keys=keys), clock=clock, on_connection=say)
        for tenant in "abcd":
            await asyncio.create_task(request(tenant))
        assert heard == ["a", "b", "c", "d"]
        heard.clear()
        await asyncio.gather(*map(request, "abcd"))
        assert {*heard} == {"a", "b", "c", "d"}
        await awaited.dispose()

    for driver in AWAITED[engine.dialect.name]:
        asyncio.run(story(driver))


def test_anything_but_a_plain_function_is_refused(keys: str) -> None:
    engine, settings = sa.create_engine("sqlite://"), plain_settings(keys=keys)

    async def say(connection: sa.Connection) -> None: ...

    class Said:
        async def __call__(self, connection: sa.Connection) -> None: ...

    wrong: Any
    for wrong in (say, "SET ROLE app", 5):
        with pytest.raises(TypeError, match="on_connection is a plain function"):
            MFA(engine, settings, on_connection=wrong)
    enforce_foreign_keys(engine)
    with pytest.raises(TypeError, match="on_connection is a plain function"):
        MFA(engine, settings, on_connection=Said()).status(7)
    engine.dispose()


def test_a_transaction_manager_that_joins_each_session_is_none_to_warn_of(
    engine: sa.Engine, ada: int, keys: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    maker = sessionmaker(engine)
    register(maker)
    MFA(engine, plain_settings(keys=keys), clock=clock).status(ada)
    assert "after_begin" not in caplog.text


@pytest.mark.parametrize("of", ["all Sessions", "those of a sessionmaker"])
def test_a_listener_of_sessions_is_told_of_unless_the_host_is_heard(
    engine: sa.Engine, ada: int, keys: str, clock: Clock, of: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings, maker = plain_settings(keys=keys), sessionmaker(engine)
    MFA(engine, settings, clock=clock).status(ada)
    assert "after_begin" not in caplog.text

    def say(_session: Session, _begun: object, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT 1")

    target: Any = Session if of == "all Sessions" else maker
    event.listen(target, "after_begin", say)
    try:
        MFA(engine, settings, clock=clock, on_connection=lambda _: None).status(ada)
        with maker() as session:
            MFA(engine, settings, clock=clock).within(session).status(ada)
        assert "after_begin" not in caplog.text
        mfa = MFA(engine, settings, clock=clock)
        for _ in range(2):
            mfa.status(ada)
        assert caplog.text.count("A listener of Session at after_begin is not heard") == 1
    finally:
        event.remove(target, "after_begin", say)
