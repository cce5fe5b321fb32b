"""Databases in memory, as the fixtures of hosts' tests have them: one connection, which is the host's too."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from tests.people import Clock, challenged, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, ConfigurationError, Rejected
from twofold.database import enforce_foreign_keys
from twofold.schema import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

POOLS: dict[str, dict[str, Any]] = {
    "StaticPool": {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}},
    "the default": {},
}
ADA = "INSERT INTO users (id, subject) VALUES (7, 'ada@example.com')"
NEW = "INSERT INTO users (id, subject) VALUES (8, 'new@example.com')"


@pytest.fixture(params=POOLS)
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """What a host's fixture yields: an engine in memory, with the tables and with Ada."""
    engine = sa.create_engine("sqlite://", **POOLS[request.param])
    enforce_foreign_keys(engine)
    commands.upgrade(engine, plain_settings())
    with engine.begin() as connection:
        connection.exec_driver_sql(ADA)
    yield engine
    engine.dispose()


@pytest.fixture
def mfa(engine: sa.Engine, keys: str, clock: Clock) -> MFA:
    return MFA(engine, plain_settings(keys=keys), clock=clock)


def people(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT id FROM users ORDER BY id").scalars())


def test_the_whole_story_works_beside_a_session_that_has_only_read(engine: sa.Engine, mfa: MFA, clock: Clock) -> None:
    with Session(engine) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM users")) == 1
        ada = enroll(mfa, 7, clock)
        code = ada.backup_codes[0]
        assert session.scalar(sa.text("SELECT count(*) FROM user_mfa_secrets")) == 1
        verified = log_in(mfa, 7, ada.phone.code())
        assert mfa.proof(verified.token).user_id == 7
        with pytest.raises(Rejected):
            log_in(mfa, 7, code[:-1] + ("Y" if code.endswith("Z") else "Z"))
        session.execute(sa.text(NEW))
        session.commit()
    assert people(engine) == [7, 8]
    assert mfa.events.verify(7).is_intact


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_what_the_host_has_not_committed_stays_its_own_and_nothing_is_decided_meanwhile(
    engine: sa.Engine, mfa: MFA, clock: Clock, ending: str
) -> None:
    ada = enroll(mfa, 7, clock)
    token, code, before = challenged(mfa, 7), ada.phone.code(), mfa.events.recent(7)
    with Session(engine) as session:
        session.execute(sa.text(NEW))
        for ask in (
            lambda: mfa.challenge(7),
            lambda: mfa.verify(token, code),
            lambda: mfa.verify(token, "000000"),
            lambda: mfa.status(7),
            lambda: mfa.totp.begin(7, account_name="ada@example.com"),
            lambda: mfa.password_changed(7),
            lambda: commands.upgrade(engine, plain_settings()),
            lambda: commands.verify(engine, plain_settings()),
            lambda: commands.current(engine),
        ):
            with pytest.raises(ConfigurationError, match=r"a transaction of yours is open .* mfa\.within"):
                ask()
        assert session.scalar(sa.text("SELECT count(*) FROM users")) == 2
        getattr(session, ending)()
    assert people(engine) == ([7, 8] if ending == "commit" else [7])
    assert mfa.events.recent(7) == before
    assert mfa.verify(token, code).user_id == 7


def test_a_transaction_of_the_host_can_be_joined(engine: sa.Engine, mfa: MFA, clock: Clock) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(NEW)
        phone_less = mfa.within(connection).totp.begin(8, account_name="new@example.com")
        with pytest.raises(ConfigurationError):
            mfa.within(connection).totp.confirm(8, "000000")
    assert phone_less.secret
    assert mfa.totp.pending(8, account_name="new@example.com")
    assert people(engine) == [7, 8]
    with engine.connect() as connection:
        enroll(mfa.within(connection, may_guess=True), 7, clock)
        connection.rollback()
    assert not mfa.status(7).is_enrolled


def test_a_host_that_begins_by_itself_is_refused_as_long_as_its_session_is_open(engine: sa.Engine, mfa: MFA) -> None:
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    assert not mfa.challenge(7)
    with Session(engine) as session:
        session.execute(sa.text("SELECT 1"))
        with pytest.raises(ConfigurationError, match="open"):
            mfa.challenge(7)
        session.commit()
        assert not mfa.challenge(7)


def test_threads_that_share_the_connection_wait_for_each_other(keys: str, clock: Clock) -> None:
    engine = sa.create_engine("sqlite://", **POOLS["StaticPool"])
    enforce_foreign_keys(engine)
    commands.upgrade(engine, plain_settings())
    with engine.begin() as connection:
        connection.exec_driver_sql(ADA)
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    ada = enroll(mfa, 7, clock)
    token, code = challenged(mfa, 7), ada.phone.code()
    said: list[str] = []

    def answer() -> None:
        try:
            said.append(str(mfa.verify(token, code).user_id))
        except Rejected:
            said.append("rejected")

    threads = [threading.Thread(target=answer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["7"] + ["rejected"] * 7
    assert mfa.events.verify(7).is_intact
    engine.dispose()


@pytest.mark.parametrize("refused", [False, True])
def test_an_answer_whose_write_another_thread_took_back_is_decided_again(
    keys: str, clock: Clock, *, refused: bool
) -> None:
    engine = sa.create_engine("sqlite://", **POOLS["StaticPool"])
    enforce_foreign_keys(engine)
    commands.upgrade(engine, plain_settings())
    with engine.begin() as connection:
        connection.exec_driver_sql(ADA)
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    ada = enroll(mfa, 7, clock)
    token, code = challenged(mfa, 7), "000000" if refused else ada.phone.code()
    ended: list[bool] = []

    def end(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO mfa_events" in statement and not ended:
            ended.append(True)
            # A request of the host's gives the connection back, and the pool rolls it back.
            thread = threading.Thread(target=lambda: engine.connect().close())
            thread.start()
            thread.join()

    event.listen(engine, "after_cursor_execute", end)
    if refused:
        with pytest.raises(Rejected):
            mfa.verify(token, code)
    else:
        assert mfa.verify(token, code).user_id == 7
        with pytest.raises(Rejected):
            mfa.verify(token, code)
    assert ended
    assert mfa.status(7).failed_attempts == int(refused)
    assert mfa.events.verify(7).is_intact
    engine.dispose()


def test_awaited_operations_that_share_the_connection_wait_for_each_other(keys: str, clock: Clock) -> None:
    async def story() -> None:
        engine = create_async_engine("sqlite+aiosqlite://")
        enforce_foreign_keys(engine)
        async with engine.connect() as connection:
            assert isinstance(engine.pool, StaticPool)
            await connection.run_sync(lambda one: commands.upgrade(one.engine, plain_settings()))
        async with engine.begin() as connection:
            await connection.exec_driver_sql(ADA)
        mfa = AsyncMFA(engine, plain_settings(keys=keys), clock=clock)
        assert not any(await asyncio.gather(*(mfa.challenge(7) for _ in range(8))))
        begun = await asyncio.gather(*(mfa.totp.begin(7, account_name="ada@example.com") for _ in range(3)))
        assert len({one.secret for one in begun}) == 3
        async with engine.connect() as connection:
            await connection.exec_driver_sql(NEW)
            with pytest.raises(ConfigurationError, match="open"):
                await mfa.challenge(7)
            await connection.commit()
            assert (await connection.exec_driver_sql("SELECT count(*) FROM users")).scalar_one() == 2
        assert (await mfa.events.verify(7)).is_intact
        await engine.dispose()

    asyncio.run(story())
