"""Behind PgBouncer in transaction mode, which gives each transaction another connection of the server."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from tests.hosts.at_once import DRIVERS, at_once, engine_of, face_of
from tests.left_behind import left_behind
from tests.people import Clock, Enrolment, add_user, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, Challenge, DatabaseUnavailable, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database

PEOPLE = 12

pytestmark = pytest.mark.backends("postgresql")


@pytest.fixture
def people(migrated: Database, keys: str, clock: Clock) -> list[Enrolment]:
    mfa = MFA(migrated.engine(), plain_settings(keys=keys), clock=clock)
    return [enroll(mfa, add_user(migrated, f"user{number}@example.com"), clock) for number in range(PEOPLE)]


def a_life(mfa: MFA, one: Enrolment) -> None:
    """Ask everything that a host asks for a user, with one code of the app."""
    with pytest.raises(Rejected):
        log_in(mfa, one.user_id, one.phone.wrong_code())
    verified = log_in(mfa, one.user_id, one.phone.code())
    with pytest.raises(Rejected):
        log_in(mfa, one.user_id, one.phone.code())
    device = mfa.trusted_devices.trust(verified)
    assert not mfa.challenge(one.user_id, device_token=device.token)
    assert [known.id for known in mfa.trusted_devices.list(one.user_id)]
    assert log_in(mfa, one.user_id, one.backup_codes[0])
    assert len(mfa.backup_codes.regenerate(verified)) == 10
    assert mfa.password_changed(one.user_id, verified=verified) == 1
    status = mfa.status(one.user_id)
    assert (status.is_enrolled, status.backup_codes_remaining) == (True, 10)
    assert mfa.events.verify(one.user_id).is_intact


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_crowd_is_answered_over_every_driver(
    migrated: Database, people: list[Enrolment], keys: str, clock: Clock, pooler: Callable[..., str], driver: str
) -> None:
    engine = engine_of(pooler(migrated.url), driver, is_pooled=True)
    mfa = face_of(engine, plain_settings(keys=keys), clock)
    said = at_once([engine], [partial(a_life, mfa, one) for one in people], workers=PEOPLE)
    assert said == [None] * PEOPLE


@pytest.mark.parametrize(
    ("of_the_engine", "of_the_driver"), [({"poolclass": NullPool}, {}), ({}, {"prepared_statement_cache_size": 0})]
)
def test_a_crowd_is_answered_where_asyncpg_gives_each_statement_a_new_name(
    migrated: Database,
    people: list[Enrolment],
    keys: str,
    clock: Clock,
    pooler: Callable[..., str],
    of_the_engine: dict[str, Any],
    of_the_driver: dict[str, Any],
) -> None:
    names = {"statement_cache_size": 0, "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__"}
    url = sa.make_url(pooler(migrated.url)).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, connect_args=names | of_the_driver, **of_the_engine)
    mfa = face_of(engine, plain_settings(keys=keys), clock)
    said = at_once([engine], [partial(a_life, mfa, one) for one in people], workers=PEOPLE)
    assert said == [None] * PEOPLE


def left_by_us(pooled: str, database: Database, driver: str) -> dict[str, list[Any]]:
    """What is left on the connection. asyncpg 0.30 may leave its last statement there, under a name of its own."""
    found = left_behind(pooled, database)
    return {what: found[what] for what in found if what != "statements" or "asyncpg" not in driver}


@pytest.mark.parametrize("driver", DRIVERS)
def test_nothing_is_left_on_a_connection_of_the_server(
    migrated: Database, people: list[Enrolment], keys: str, clock: Clock, pooler: Callable[..., str], driver: str
) -> None:
    pooled = pooler(migrated.url, size=1)
    before = left_by_us(pooled, migrated, driver)
    engine, ada = engine_of(pooled, driver, is_pooled=True), people[0]
    mfa = face_of(engine, plain_settings(keys=keys), clock)

    def work() -> None:
        a_life(mfa, ada)
        mfa.reset(ada.user_id, by="grace@example.com", reason="a lost phone")
        enroll(mfa, ada.user_id, clock)
        assert mfa.erase(ada.user_id)

    assert at_once([engine], [work], workers=1) == [None]
    assert left_by_us(pooled, migrated, driver) == before


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_wait_for_a_lock_is_bounded_and_the_bound_is_left_to_nobody(
    migrated: Database, people: list[Enrolment], keys: str, clock: Clock, pooler: Callable[..., str], driver: str
) -> None:
    pooled = pooler(migrated.url, size=1)
    before = left_by_us(pooled, migrated, driver)
    engine, ada = engine_of(pooled, driver, is_pooled=True), people[0]
    mfa = face_of(engine, plain_settings(keys=keys, deadline=timedelta(seconds=1)), clock)
    with migrated.engine().connect() as somebody:
        somebody.exec_driver_sql("SELECT 1 FROM user_mfa_secrets FOR UPDATE")
        began = time.monotonic()
        (said,) = at_once([engine], [lambda: log_in(mfa, ada.user_id, ada.phone.code())], workers=1)
        assert isinstance(said, DatabaseUnavailable)
        assert time.monotonic() - began < 30
        somebody.rollback()
    assert left_by_us(pooled, migrated, driver) == before


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_transaction_of_the_host_is_joined_and_a_shared_pool_is_used(
    migrated: Database, people: list[Enrolment], keys: str, clock: Clock, pooler: Callable[..., str], driver: str
) -> None:
    pooled = pooler(migrated.url, size=1)
    before = left_by_us(pooled, migrated, driver)
    engine, ada = engine_of(pooled, driver, is_pooled=True), people[0]
    settings = plain_settings(keys=keys)
    if isinstance(engine, sa.Engine):
        mfa = MFA(engine, settings, clock=clock, pool="host")
        with engine.begin() as connection:
            assert mfa.within(connection).challenge(ada.user_id)
            assert mfa.within(connection, may_guess=True).reverify(ada.user_id, ada.phone.code())
        assert log_in(mfa, ada.user_id, ada.backup_codes[0])
        engine.dispose()
    else:
        asyncio.run(_joined(engine, AsyncMFA(engine, settings, clock=clock, pool="host"), ada))
    assert left_by_us(pooled, migrated, driver) == before


async def _joined(engine: AsyncEngine, mfa: AsyncMFA, ada: Enrolment) -> None:
    async with engine.begin() as connection:
        assert await mfa.within(connection).challenge(ada.user_id)
        assert await mfa.within(connection, may_guess=True).reverify(ada.user_id, ada.phone.code())
    challenge = await mfa.challenge(ada.user_id)
    assert isinstance(challenge, Challenge)
    assert await mfa.verify(challenge.token, ada.backup_codes[0])
    await engine.dispose()


def test_what_is_left_behind_is_seen(migrated: Database, pooler: Callable[..., str]) -> None:
    pooled = pooler(migrated.url, size=1)
    before = left_behind(pooled, migrated)
    with psycopg.connect(pooled, autocommit=True) as careless:
        careless.execute("SET lock_timeout = '7s'")
        careless.execute("SELECT pg_advisory_lock(7)")
        careless.execute("PREPARE seven AS SELECT 7")
    after = left_behind(pooled, migrated)
    assert {what for what in before if after[what] != before[what]} == {"settings", "locks", "statements"}
