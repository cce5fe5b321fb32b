"""Each operation has a transaction of its own, unless the caller says otherwise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.people import Clock, Phone, Sql, challenged, enroll, plain_settings
from twofold import MFA, AsyncMFA, Rejected, UnknownUser
from twofold.database import create_async_engine

if TYPE_CHECKING:
    from tests.databases import Database


@pytest.fixture
def face() -> str:
    """The blocking face; the awaited one has a test of its own."""
    return "blocking"


class PasswordPageFails(Exception):
    pass


@pytest.mark.backends("postgresql", "mariadb")
def test_a_caller_who_rolls_back_does_not_undo_the_failure(
    mfa: MFA, migrated: Database, ada: int, clock: Clock
) -> None:
    enrolment = enroll(mfa, ada, clock)
    token = challenged(mfa, ada)
    engine = migrated.engine()

    def login() -> None:
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE users SET subject = 'changed' WHERE id = :id"), {"id": 2})
            try:
                mfa.verify(token, enrolment.phone.wrong_code())
            except Rejected as rejected:
                raise PasswordPageFails from rejected

    with pytest.raises(PasswordPageFails):
        login()
    assert mfa.status(ada).failed_attempts == 1
    assert mfa.events.recent(ada, limit=1)[0].kind == "code_refused"


def test_creating_a_user_and_enrolling_are_one_transaction(
    mfa: MFA, migrated: Database, clock: Clock, sql: Sql
) -> None:
    engine = migrated.engine()
    insert = sa.text("INSERT INTO users (id, subject, created_at) VALUES (7, 'ada@example.com', '2026-01-01 00:00:00')")
    with engine.connect() as connection:
        connection.execute(insert)
        mfa.within(connection).totp.begin(7, account_name="ada@example.com")
        connection.rollback()
    assert sql("SELECT count(*) FROM user_mfa_secrets")[0][0] == 0
    with pytest.raises(UnknownUser):
        mfa.status(7)
    with engine.begin() as connection:
        connection.execute(insert)
        joined = mfa.within(connection)
        phone = Phone(joined.totp.begin(7, account_name="ada@example.com").secret, clock)
        with pytest.raises(Rejected):
            joined.totp.confirm(7, phone.wrong_code())
        joined.totp.confirm(7, phone.code())
        assert joined.status(7).is_enrolled
    assert mfa.status(7).is_enrolled
    assert mfa.events.verify(7).is_intact
    assert [line.kind for line in mfa.events.recent(7)] == ["totp_confirmed", "code_refused", "totp_begun"]


def test_the_awaited_face_joins_a_transaction_too(
    mfa: MFA, migrated: Database, ada: int, clock: Clock, keys: str
) -> None:
    async def story() -> None:
        engine = create_async_engine(migrated.url)
        awaited = AsyncMFA(engine, plain_settings(keys=keys), clock=clock)
        async with engine.connect() as connection:
            await awaited.within(connection).totp.begin(ada, account_name="ada@example.com")
            await connection.rollback()
        assert not (await awaited.status(ada)).is_pending
        async with engine.begin() as connection:
            await awaited.within(connection).totp.begin(ada, account_name="ada@example.com")
        assert (await awaited.status(ada)).is_pending
        await engine.dispose()

    asyncio.run(story())
    assert mfa.events.verify(ada).length == 1


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_the_engine_of_the_host_may_have_any_isolation(
    migrated: Database, ada: int, clock: Clock, keys: str, level: str
) -> None:
    engine = sa.create_engine(migrated.engine().url, isolation_level=level)
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    enrolment = enroll(mfa, ada, clock)
    assert mfa.verify(challenged(mfa, ada), enrolment.phone.code())
    with engine.connect() as connection:
        assert connection.get_isolation_level() == level
    engine.dispose()


@pytest.mark.backends("postgresql")
def test_a_verification_is_two_round_trips(migrated: Database, mfa: MFA, ada: int, clock: Clock, keys: str) -> None:
    enrolment = enroll(mfa, ada, clock)
    engine = migrated.engine()
    counted = MFA(engine, plain_settings(keys=keys), clock=clock)
    token = challenged(counted, ada)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    counted.verify(token, enrolment.phone.code())
    assert [statement.split()[0] for statement in statements] == ["SELECT", "WITH"]
