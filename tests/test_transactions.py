"""Each operation has a transaction of its own, unless the caller says otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, Sql, challenged, enroll, kinds, plain_settings
from twofold import (
    MFA,
    AsyncMFA,
    Challenge,
    ConfigurationError,
    DatabaseUnavailable,
    Reason,
    Rejected,
    UnknownUser,
    operation,
)
from twofold.account import reading, store
from twofold.account.attempt import Fact
from twofold.account.store import Change
from twofold.database import create_async_engine
from twofold.kinds import Kind
from twofold.metadata import NAMES

if TYPE_CHECKING:
    from tests.databases import Database
    from twofold.account.attempt import Attempt

pytestmark = pytest.mark.every_driver


@pytest.fixture
def face() -> str:
    """The blocking face; the awaited one has a test of its own."""
    return "blocking"


class PasswordPageFails(Exception):
    pass


@pytest.mark.requirement("R23", "R101")
@pytest.mark.attack("A15")
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
        for code in (phone.wrong_code(), phone.code()):
            with pytest.raises(ConfigurationError, match="may_guess"):
                joined.totp.confirm(7, code)
        guessing = mfa.within(connection, may_guess=True)
        with pytest.raises(Rejected):
            guessing.totp.confirm(7, phone.wrong_code())
        guessing.totp.confirm(7, phone.code())
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
    event.listen(engine, "after_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    counted.verify(token, enrolment.phone.code())
    assert [statement.split()[0] for statement in statements] == ["SELECT", "WITH"]


@pytest.mark.parametrize("what", ["a spent code", "a replaced code", "a revoked device"])
def test_a_snapshot_of_the_caller_brings_nothing_back(
    mfa: MFA, migrated: Database, ada: int, clock: Clock, what: str
) -> None:
    enrolment = enroll(mfa, ada, clock)
    verified = mfa.verify(challenged(mfa, ada), enrolment.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    engine = migrated.engine()
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT * FROM users")).all()
        if what == "a spent code":
            mfa.reverify(ada, enrolment.backup_codes[0])
        elif what == "a replaced code":
            mfa.backup_codes.regenerate(verified)
        else:
            mfa.password_changed(ada)
        joined = mfa.within(connection, may_guess=True)
        token = device.token if what == "a revoked device" else None
        challenge = joined.challenge(ada, device_token=token, request=FIREFOX)
        assert isinstance(challenge, Challenge)
        if what != "a revoked device":
            with pytest.raises(Rejected):
                joined.verify(challenge.token, enrolment.backup_codes[0])
        connection.commit()
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R23")
def test_a_guess_that_could_be_rolled_back_is_not_taken(mfa: MFA, migrated: Database, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    token = challenged(mfa, ada)
    with migrated.engine().connect() as connection:
        with pytest.raises(ConfigurationError):
            mfa.within(connection).verify(token, enrolment.phone.code())
        with pytest.raises(ConfigurationError):
            mfa.within(connection).reverify(ada, enrolment.phone.code())
    assert mfa.verify(token, enrolment.phone.code())


@pytest.mark.requirement("R23")
def test_the_awaited_face_takes_no_such_guess_either(
    mfa: MFA, migrated: Database, ada: int, clock: Clock, keys: str
) -> None:
    enrolment = enroll(mfa, ada, clock)
    token, wrong = challenged(mfa, ada), enrolment.phone.wrong_code()

    async def story() -> None:
        engine = create_async_engine(migrated.url)
        awaited = AsyncMFA(engine, plain_settings(keys=keys), clock=clock)
        async with engine.connect() as connection:
            with pytest.raises(ConfigurationError):
                await awaited.within(connection).verify(token, wrong)
            with pytest.raises(ConfigurationError):
                await awaited.within(connection).repeat(token, wrong)
            with pytest.raises(Rejected):
                await awaited.within(connection, may_guess=True).verify(token, wrong)
            await connection.commit()
        await engine.dispose()

    asyncio.run(story())
    assert mfa.status(ada).failed_attempts == 1


@pytest.mark.requirement("R11", "R34")
def test_an_engine_that_commits_each_statement_still_has_one_winner(
    mfa: MFA, migrated: Database, ada: int, clock: Clock, keys: str
) -> None:
    enrolment = enroll(mfa, ada, clock)
    engine = migrated.engine().execution_options(isolation_level="AUTOCOMMIT")
    committing = MFA(engine, plain_settings(keys=keys), clock=clock)
    for code in enrolment.backup_codes[:5]:
        tokens = [challenged(mfa, ada) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(functools.partial(_outcome, committing, code=code), tokens))
        assert results.count("success") == 1
    assert mfa.backup_codes.remaining(ada) == 5
    assert mfa.events.verify(ada).is_intact


def _outcome(mfa: MFA, token: str, code: str) -> str:
    try:
        mfa.verify(token, code)
    except Rejected as rejected:
        return str(rejected.reason)
    return "success"


@pytest.mark.backends("mariadb")
@pytest.mark.parametrize("name", ["mariadb", "mysql"])
def test_a_connection_that_commits_each_statement_cannot_be_joined(
    mfa: MFA, migrated: Database, ada: int, name: str
) -> None:
    engine = sa.create_engine(sa.make_url(migrated.url).set(drivername=f"{name}+pymysql"))
    with engine.connect() as connection:
        mfa.within(connection).totp.begin(ada, account_name="ada@example.com")
    committing = engine.execution_options(isolation_level="AUTOCOMMIT")
    with committing.connect() as connection, pytest.raises(ConfigurationError):
        mfa.within(connection).totp.begin(ada, account_name="ada@example.com")
    engine.dispose()


@pytest.mark.requirement("R11")
@pytest.mark.parametrize("missed", ["row", "device", "token"])
def test_a_write_that_misses_its_row_or_its_device_writes_nothing(
    mfa: MFA, open_mfa: Open, enrolled: Enrolment, sql: Sql, missed: str
) -> None:
    mfa.trusted_devices.trust(mfa.reverify(enrolled.user_id, enrolled.phone.code()), request=FIREFOX)
    before = [sql(f"SELECT * FROM {name}") for name in NAMES]

    def write(work: Attempt) -> None:
        account = reading.find(work, enrolled.user_id)
        assert account is not None
        ((device, held),) = work.connection.execute(sa.text("SELECT id, trust_token FROM mfa_device_trusts"))
        seen = account._replace(version=account.version - 1) if missed == "row" else account
        device, held = device + (missed == "device"), held + "x" * (missed == "token")
        rotated = ("v1:next", held, work.now, work.now, None, None, None, device, held)
        change = Change(work.schema.rotate, rotated)
        store.save(work, seen, account, Fact(Kind.DEVICE_RECOGNIZED), change=change)

    with pytest.raises(DatabaseUnavailable, match="too busy to decide"):
        open_mfa(deadline="0.1")._perform(write, "one statement")
    assert [sql(f"SELECT * FROM {name}") for name in NAMES] == before


@pytest.mark.requirement("R11")
@pytest.mark.backends("sqlite")
def test_a_host_that_begins_its_own_transactions_on_sqlite(
    mfa: MFA, migrated: Database, ada: int, clock: Clock, keys: str, sql: Sql
) -> None:
    enrolment = enroll(mfa, ada, clock)
    engine = migrated.engine()
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    hosted = MFA(engine, plain_settings(keys=keys, deadline=60), clock=clock)
    tokens = [challenged(mfa, ada) for _ in range(16)]
    code = enrolment.phone.code()
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda token: _outcome(hosted, token, code), tokens))
    assert results.count("success") == 1
    # Everyone has written the row; of those who met the wait not everyone has a line.
    assert sql("SELECT version FROM user_mfa_secrets") == [(2 + 2 * 16,)]
    waited = results.count(Reason.WAITING)
    assert 2 + 2 * 16 - waited <= mfa.events.verify(ada).length <= 2 + 2 * 16


@pytest.mark.requirement("R22", "R23")
def test_a_request_that_goes_away_leaves_no_lock_and_takes_no_guess_back(
    mfa: MFA, migrated: Database, ada: int, clock: Clock, keys: str, sql: Sql
) -> None:
    enrolment = enroll(mfa, ada, clock)
    token, wrong = challenged(mfa, ada), enrolment.phone.wrong_code()

    async def story() -> None:
        engine = create_async_engine(migrated.url)
        awaited = AsyncMFA(engine, plain_settings(keys=keys), clock=clock)
        for pause in range(40):
            task = asyncio.ensure_future(awaited.verify(token, wrong))
            await asyncio.sleep(pause / 2000)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Rejected):
                await task
        await asyncio.gather(*operation._UNDER_WAY, return_exceptions=True)
        assert (await asyncio.wait_for(awaited.status(ada), 60)).failed_attempts == 5
        await engine.dispose()

    asyncio.run(story())
    # The five that counted have a line each, and the wait that followed has one, however often it was met.
    assert kinds(mfa, ada).count("code_refused") == 6
    # A task that is cancelled before it first runs has not begun; every other one has written what it came to.
    ((version,),) = sql("SELECT version FROM user_mfa_secrets")
    assert version >= 3 + 39
    assert mfa.events.verify(ada).is_intact
    assert mfa.password_changed(ada) == 0
