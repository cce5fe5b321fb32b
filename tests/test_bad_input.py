"""Whatever is missing or wrong around the library is a named error, and leaves no half-written row."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine as sa_create_async_engine

from tests.databases import migrate
from tests.people import Clock, Enrolment, Open, Phone, Sql, challenged, enroll, log_in, plain_settings
from twofold import (
    MFA,
    AsyncMFA,
    ConfigurationError,
    DatabaseUnavailable,
    MFAError,
    NotEnrolled,
    Reason,
    Rejected,
    SchemaDrift,
    UnknownUser,
)
from twofold.database import create_async_engine, create_engine, enforce_foreign_keys
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from tests.databases import Database


def test_a_user_without_a_factor_has_nothing_to_act_on(mfa: MFA, ada: int) -> None:
    with pytest.raises(NotEnrolled):
        mfa.reverify(ada, "123456")
    with pytest.raises(NotEnrolled):
        mfa.reset(ada, by="grace", reason="test")
    assert mfa.password_changed(ada) == 0
    assert mfa.backup_codes.remaining(ada) == 0
    assert mfa.trusted_devices.list(ada) == ()
    assert mfa.events.recent(ada) == ()
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R55")
@pytest.mark.attack("A30")
def test_a_user_who_is_deleted_while_the_challenge_waits(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    token = challenged(mfa, enrolled.user_id)
    sql("DELETE FROM users WHERE id = :id", id=enrolled.user_id)
    with pytest.raises(Rejected) as refused:
        mfa.verify(token, enrolled.phone.code())
    assert refused.value.reason is Reason.NOT_ENROLLED


@pytest.mark.requirement("R64", "R92")
def test_without_keys_nothing_starts(migrated: Database, face: str) -> None:
    make: Any = MFA if face == "blocking" else AsyncMFA
    engine: Any = migrated.engine()
    for settings in ({}, {"keys": ""}, {"keys": "k1:short"}, {"keys_file": "/nonexistent/keys"}):
        with pytest.raises(ConfigurationError):
            make(engine, plain_settings(**settings))


def test_without_the_tables_the_next_step_is_named(migrated: Database, open_mfa: Open, ada: int, sql: Sql) -> None:
    running = open_mfa()
    running.status(ada)
    for table in ("mfa_events", "mfa_device_trusts", "mfa_backup_codes", "user_mfa_secrets"):
        sql(f"DROP TABLE {table}")
    for mfa in (open_mfa(), running):
        with pytest.raises(SchemaDrift, match="twofold db"):
            mfa.challenge(ada)


@pytest.mark.attack("A30")
def test_a_missing_column_is_drift(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    sql("ALTER TABLE user_mfa_secrets DROP COLUMN event_head")
    with pytest.raises(SchemaDrift):
        mfa.challenge(enrolled.user_id)


@pytest.mark.requirement("R64")
def test_an_unreachable_database_is_named_and_nothing_is_told(keys: str) -> None:
    urls = (
        "postgresql://nobody@127.0.0.1:1/nothing",
        "mariadb://nobody:hidden-password@127.0.0.1:1/nothing",
        "sqlite:////nonexistent/folder/file.db",
    )
    for url in urls:
        with pytest.raises(DatabaseUnavailable) as blocking:
            MFA(create_engine(url), plain_settings(keys=keys)).challenge(1)
        with pytest.raises(DatabaseUnavailable) as awaited:
            asyncio.run(_challenge(AsyncMFA(create_async_engine(url), plain_settings(keys=keys))))
        for error in (blocking.value, awaited.value):
            assert "hidden-password" not in str(error)


async def _challenge(mfa: Any) -> None:
    before = set(threading.enumerate())
    try:
        await mfa.challenge(1)
    finally:
        # The thread of a file that could not be opened still speaks to its loop, which must not be closed before.
        for _ in range(500):
            if not set(threading.enumerate()) - before:
                break
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "oracle://x", "sqlite://", "sqlite:///:memory:", "postgresql", "mysql+pymysql"]
)
def test_a_wrong_url_is_a_configuration_error(url: str) -> None:
    for make in (create_engine, create_async_engine):
        with pytest.raises(ConfigurationError):
            make(url)


@pytest.mark.requirement("R93")
def test_a_failing_statement_shows_no_parameters(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    sql("ALTER TABLE mfa_device_trusts DROP COLUMN location")
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    with pytest.raises(MFAError) as failed:
        mfa.trusted_devices.trust(verified, name="my very own browser")
    shown = f"{failed.value!r} {failed.value.__cause__!r}"
    assert "my very own browser" not in shown
    assert mfa.events.verify(enrolled.user_id).is_intact


@pytest.mark.requirement("R64", "R101")
def test_a_write_that_fails_half_way_leaves_nothing(
    mfa: MFA, enrolled: Enrolment, migrated: Database, sql: Sql
) -> None:
    before = sql("SELECT event_count, last_used_step FROM user_mfa_secrets")
    with migrated.engine().begin() as connection:
        connection.execute(sa.text("ALTER TABLE mfa_events RENAME TO hidden"))
    with pytest.raises(MFAError):
        mfa.reverify(enrolled.user_id, enrolled.phone.code())
    with migrated.engine().begin() as connection:
        connection.execute(sa.text("ALTER TABLE hidden RENAME TO mfa_events"))
    assert sql("SELECT event_count, last_used_step FROM user_mfa_secrets") == before
    assert mfa.reverify(enrolled.user_id, enrolled.phone.code())


def test_a_uuid_is_nobody_where_ids_are_numbers(mfa: MFA) -> None:
    with pytest.raises(UnknownUser):
        mfa.challenge(uuid4())


@pytest.mark.backends("sqlite")
def test_another_spelling_of_an_id_is_nobody(database: Database, clock: Clock, keys: str) -> None:
    engine = database.engine()
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE users (id VARCHAR(40) COLLATE NOCASE PRIMARY KEY)"))
        connection.execute(sa.text("INSERT INTO users VALUES ('ada')"))
    migrate(database)
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    phone = Phone(mfa.totp.begin("ada", account_name="ada@example.com").secret, clock)
    mfa.totp.confirm("ada", phone.code())
    for spelled in ("ADA", "Ada", "ada "):
        with pytest.raises(UnknownUser):
            mfa.challenge(spelled)
    assert mfa.challenge("ada")


@pytest.mark.backends("sqlite")
def test_sqlite_without_foreign_keys_is_refused(migrated: Database, ada: int, keys: str) -> None:
    engine = sa.create_engine(migrated.url)
    with pytest.raises(ConfigurationError, match=r"twofold\.database\.enforce_foreign_keys\(engine\)"):
        MFA(engine, plain_settings(keys=keys)).challenge(ada)
    engine.dispose()


@pytest.mark.backends("sqlite")
def test_one_line_makes_a_hosts_engine_enforce_foreign_keys(migrated: Database, ada: int, keys: str) -> None:
    engine = sa.create_engine(migrated.url)
    enforce_foreign_keys(engine)
    mfa = MFA(engine, plain_settings(keys=keys))
    mfa.totp.begin(ada, account_name="ada@example.com")
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM users"))
        assert connection.execute(sa.text("SELECT count(*) FROM user_mfa_secrets")).scalar_one() == 0
    engine.dispose()

    async def story() -> None:
        awaited = sa_create_async_engine(f"sqlite+aiosqlite{migrated.url.removeprefix('sqlite')}")
        enforce_foreign_keys(awaited)
        with pytest.raises(UnknownUser):
            await AsyncMFA(awaited, plain_settings(keys=keys)).totp.begin(ada, account_name="ada@example.com")
        await awaited.dispose()

    asyncio.run(story())


@pytest.mark.backends("postgresql", "mariadb")
def test_elsewhere_the_line_does_nothing(migrated: Database) -> None:
    engine = migrated.engine()
    enforce_foreign_keys(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_a_key_id_with_an_underscore_rotates(open_mfa: Open, ada: int, clock: Clock) -> None:
    old, new = generate_key("a.b"), generate_key("a_b")
    enroll(open_mfa(keys=old), ada, clock)
    assert open_mfa(keys=f"{new},{old}").keys.rotate().done == 1
