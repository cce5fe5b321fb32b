"""A host that holds a lock of the user in the same request: the wait has a bound, and the error names the way out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.people import Clock, Enrolment, challenged, enroll, plain_settings
from twofold import MFA, AsyncMFA, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database

# MariaDB's own bound is 50 s.
IMPATIENT = {
    "postgresql": ("postgresql+psycopg", {}),
    "mariadb": ("mysql+pymysql", {"init_command": "SET SESSION innodb_lock_wait_timeout = 2"}),
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
    driver, arguments = IMPATIENT[migrated.backend]
    engine = sa.create_engine(sa.make_url(migrated.url).set(drivername=driver), connect_args=arguments)
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
            assert time.monotonic() - begun < 8
        # The way out that is named.
        assert mfa.within(host).challenge(ada.user_id)
        host.rollback()
    assert mfa.verify(challenged(mfa, ada.user_id), ada.phone.code())


@on_servers
def test_an_awaited_call_does_not_wait_for_its_caller_without_end_either(
    migrated: Database, ada: Enrolment, keys: str, clock: Clock
) -> None:
    drivers = {"postgresql": ("postgresql+asyncpg", "postgresql+psycopg_async"), "mariadb": ("mysql+asyncmy",)}

    async def story(driver: str) -> None:
        url, (_, arguments) = sa.make_url(migrated.url).set(drivername=driver), IMPATIENT[migrated.backend]
        engine = create_async_engine(url, connect_args=arguments)
        mfa = AsyncMFA(engine, plain_settings(keys=keys, deadline=1), clock=clock)
        async with engine.connect() as host:
            await host.exec_driver_sql(HELD["the user, locked"].format(ada.user_id))
            with pytest.raises(DatabaseUnavailable, match="commit it first"):
                await mfa.challenge(ada.user_id)
            await host.rollback()
        assert await mfa.challenge(ada.user_id)
        await engine.dispose()

    for driver in drivers[migrated.backend]:
        asyncio.run(story(driver))


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
