"""Users under another name, in another schema, under another kind of key: the revision, the verifier, a whole login."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from tests.attacks.passkey_acts import registered, signed
from tests.people import FIREFOX, ORIGIN, Blocked, Clock, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, ConfigurationError, Rejected, UnknownUser
from twofold.cli.operator import Operator
from twofold.outcomes import spelled
from twofold.schema import commands, spec
from twofold.schema.history import PASSKEYS
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from tests.databases import Database

pytestmark = pytest.mark.every_driver

ADA = UUID("0190a7c8-d6e0-4f2b-8a3c-000000000001")
# How the host writes the column, how its statements write ada's id, and what it gives to Twofold.
KEYS: dict[str, tuple[str, str, Any]] = {
    "integer": ("INTEGER", "7", 7),
    "bigint": ("BIGINT", "9007199254740993", 9007199254740993),
    "uuid": ("UUID", f"'{ADA}'", ADA),
    "char(36)": ("CHAR(36)", f"'{ADA}'", ADA),
    "char(32)": ("CHAR(32)", f"'{ADA.hex}'", ADA),
    "varchar(36)": ("VARCHAR(36)", f"'{ADA}'", ADA),
    "varchar": ("VARCHAR(64)", "'Ada-ö'", "Ada-ö"),
    "text": ("TEXT", "'ada'", "ada"),
    "padded": ("CHAR(40)", "'ada'", "ada"),
    "smallint": ("SMALLINT", "-7", -7),
    "numeric": ("NUMERIC(20)", "9007199254740993", 9007199254740993),
    "guid": ("GUID", f"'{ADA}'", ADA),
    "uuid as text": ("UUID", f"'{ADA}'", str(ADA)),
    "blob": ("BLOB", f"X'{ADA.hex}'", ADA.bytes),
    "bytea": ("BYTEA", f"'\\x{ADA.hex}'", ADA.bytes),
    "a uuid in bytea": ("BYTEA", f"'\\x{ADA.hex}'", ADA),
    "numeric without limits": ("NUMERIC", "7", 7),
    "domain": ("uuid_of_a_user", f"'{ADA}'", ADA),
    "domain over a domain": ("short_name", "'ada'", "ada"),
    "binary(16)": ("BINARY(16)", f"X'{ADA.hex}'", ADA.bytes),
    "a uuid in binary(16)": ("BINARY(16)", f"X'{ADA.hex}'", ADA),
    "varbinary": ("VARBINARY(20)", f"X'{ADA.hex}'", ADA.bytes),
    "bigint unsigned": ("BIGINT UNSIGNED", "18446744073709551615", 18446744073709551615),
    "tinyint(1)": ("TINYINT(1)", "7", 7),
    "mediumint": ("MEDIUMINT UNSIGNED", "16777215", 16777215),
    "latin1": ("VARCHAR(400) CHARACTER SET latin1", "'Ada-ö'", "Ada-ö"),
}
DOMAINS = (
    "CREATE DOMAIN uuid_of_a_user AS uuid",
    "CREATE DOMAIN name AS varchar(20)",
    "CREATE DOMAIN short_name AS public.name CHECK (length(VALUE) < 10)",
)


def execute(database: Database, *statements: str) -> None:
    with database.engine().begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def rows(database: Database) -> dict[str, int]:
    with database.engine().connect() as connection:
        return {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in spec.NAMES}


def nobody(somebody: Any) -> Any:
    """An id of the same kind, which no user has."""
    match somebody:
        case UUID():
            return UUID(int=5)
        case bytes():
            return bytes(16)
        case str():
            return "nobody"
        case _:
            return 5


def a_login_from_set_up_to_farewell(database: Database, users: str, keys: str, user_id: Any, literal: str) -> None:
    """Migrate, enroll, log in, read the log, delete the user, and migrate back."""
    clock, engine, settings = Clock(), database.engine(), plain_settings(users=users, keys=keys, public_url=ORIGIN)
    commands.upgrade(engine, settings)
    commands.upgrade(engine, settings, history=PASSKEYS)
    assert commands.verify(engine, settings).findings == ()
    mfa = MFA(engine, settings, clock=clock)
    with pytest.raises(UnknownUser):
        mfa.totp.begin(nobody(user_id), account_name="nobody@example.com")

    enrolment = enroll(mfa, user_id, clock)
    challenge = mfa.challenge(user_id)
    assert challenge
    with pytest.raises(Rejected):
        mfa.verify(challenge.token, enrolment.phone.wrong_code())
    verified = mfa.verify(challenge.token, enrolment.phone.code())
    assert (verified.user_id, mfa.proof(verified.token)) == (user_id, verified)
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    assert not mfa.challenge(user_id, device_token=device.token, request=FIREFOX)
    passkey = VirtualPasskey(ORIGIN)
    registered(mfa, user_id, passkey, verified)
    assert mfa.verify(*signed(mfa, user_id, passkey)).user_id == user_id
    assert mfa.reverify(user_id, passkey.sign(mfa.passkeys.ask(user_id))).user_id == user_id
    clock.forward(seconds=60)
    log_in(mfa, user_id, enrolment.backup_codes[0])
    assert mfa.status(user_id).backup_codes_remaining == 9
    assert mfa.events.verify(user_id).is_intact
    assert len(mfa.events.recent(user_id, limit=50)) == len(list(mfa.events.export(after=0, limit=50))) > 6
    operator = Operator(engine, settings, clock=clock)
    typed = operator.user(spelled(user_id))
    assert mfa.status(typed).is_enrolled
    assert {type(event.user_id) for event in mfa.events.recent(user_id)} == {type(typed)}
    assert operator.users() == (typed,)

    assert all(rows(database).values())
    schema, _, table = users.rpartition(".")[0].rpartition(".")
    execute(database, f"DELETE FROM {schema}{'.' if schema else ''}{table} WHERE uuid = {literal}")
    assert not any(rows(database).values())
    with pytest.raises(UnknownUser):
        mfa.challenge(user_id)
    commands.downgrade(engine, settings, "base", history=PASSKEYS)
    commands.downgrade(engine, settings, "base")
    assert not any(finding.table == "accounts" for finding in commands.verify(engine, settings).findings)


def accounts_under_another_key(database: Database, keys: str, kind: str) -> None:
    declared, literal, user_id = KEYS[kind]
    key = "INTEGER PRIMARY KEY" if database.backend == "sqlite" else "INTEGER NOT NULL PRIMARY KEY"
    execute(
        database,
        f"CREATE TABLE accounts (number {key}, uuid {declared} NOT NULL, UNIQUE (uuid))",
        f"INSERT INTO accounts VALUES (1, {literal})",
    )
    a_login_from_set_up_to_farewell(database, "accounts.uuid", keys, user_id, literal)


@pytest.mark.parametrize(
    "kind", ["integer", "bigint", "char(36)", "char(32)", "varchar(36)", "varchar", "padded", "smallint", "numeric"]
)
def test_a_whole_login_works_for_accounts_under_another_key(database: Database, keys: str, kind: str) -> None:
    accounts_under_another_key(database, keys, kind)


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("kind", ["guid", "uuid as text", "blob"])
def test_a_whole_login_works_for_what_sqlite_takes_by_its_name(database: Database, keys: str, kind: str) -> None:
    accounts_under_another_key(database, keys, kind)


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize(
    "kind", ["bytea", "a uuid in bytea", "numeric without limits", "domain", "domain over a domain"]
)
def test_a_whole_login_works_for_the_kinds_of_postgresql(database: Database, keys: str, kind: str) -> None:
    execute(database, *DOMAINS)
    accounts_under_another_key(database, keys, kind)


@pytest.mark.backends("mariadb")
@pytest.mark.parametrize(
    "kind",
    ["binary(16)", "a uuid in binary(16)", "varbinary", "bigint unsigned", "tinyint(1)", "mediumint", "latin1"],
)
def test_a_whole_login_works_for_the_kinds_of_mariadb(database: Database, keys: str, kind: str) -> None:
    accounts_under_another_key(database, keys, kind)


UNSERVED = {
    "sqlite": ("REAL", "DATETIME", "BOOLEAN", "DECIMAL(10,2)", "MONEY"),
    "postgresql": ("OID", "NAME", "NUMERIC(10,2)", "TIMESTAMP", "INET", "BOOLEAN"),
    "mariadb": ("DECIMAL(10,2)", "DATETIME", "DOUBLE", "INET6", "ENUM('a', 'b')"),
}


def test_what_is_not_on_the_list_is_refused_before_anything_is_made(database: Database) -> None:
    engine, settings = database.engine(), plain_settings(users="accounts.uuid")
    for declared in UNSERVED[database.backend]:
        execute(database, f"CREATE TABLE accounts (uuid {declared} NOT NULL PRIMARY KEY)")
        with pytest.raises(ConfigurationError, match=r"accounts\.uuid is .*, which is no key that is served"):
            commands.upgrade(engine, settings)
        (finding,) = (one for one in commands.verify(engine, settings).drift if one.table == "accounts")
        assert (finding.aspect, finding.subject) == ("type", "uuid")
        assert commands.verify(engine, settings).nothing_there
        execute(database, "DROP TABLE accounts")


@pytest.mark.backends("postgresql", "mariadb")
def test_a_whole_login_works_for_accounts_under_a_native_uuid(database: Database, keys: str) -> None:
    accounts_under_another_key(database, keys, "uuid")


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("kind", ["uuid", "bigint", "char(36)", "text"])
def test_a_whole_login_works_for_accounts_in_another_schema(database: Database, keys: str, kind: str) -> None:
    declared, literal, user_id = KEYS[kind]
    execute(
        database,
        "CREATE SCHEMA app",
        f"CREATE TABLE app.accounts (uuid {declared} PRIMARY KEY)",
        f"INSERT INTO app.accounts VALUES ({literal})",
        # One of the same name that the search path finds is not meant.
        "CREATE TABLE accounts (uuid INTEGER PRIMARY KEY)",
    )
    a_login_from_set_up_to_farewell(database, "app.accounts.uuid", keys, user_id, literal)


@pytest.mark.backends("mariadb")
def test_a_whole_login_works_for_accounts_in_another_database_of_the_server(database: Database, keys: str) -> None:
    other = f"{database.engine().url.database}_app"
    execute(
        database,
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.accounts (uuid UUID PRIMARY KEY)",
        f"INSERT INTO {other}.accounts VALUES ('{ADA}')",
    )
    try:
        a_login_from_set_up_to_farewell(database, f"{other}.accounts.uuid", keys, ADA, f"'{ADA}'")
    finally:
        execute(database, *(f"DROP TABLE IF EXISTS {name}" for name in spec.NAMES), f"DROP DATABASE {other}")


@pytest.mark.backends("sqlite")
def test_sqlite_has_no_other_schema(database: Database) -> None:
    execute(database, "CREATE TABLE accounts (uuid INTEGER PRIMARY KEY)")
    with pytest.raises(ConfigurationError, match=r"There is no app\.accounts\.uuid"):
        commands.upgrade(database.engine(), plain_settings(users="app.accounts.uuid"))


def test_names_in_mixed_case_are_found_as_the_database_spells_them(database: Database, keys: str) -> None:
    quote = "`" if database.backend == "mariadb" else '"'
    execute(
        database,
        f"CREATE TABLE {quote}Account{quote} ({quote}Id{quote} INTEGER PRIMARY KEY)",
        f"INSERT INTO {quote}Account{quote} VALUES (7)",
    )
    settings = plain_settings(users="Account.Id", keys=keys)
    commands.upgrade(database.engine(), settings)
    assert commands.verify(database.engine(), settings).findings == ()
    clock = Clock()
    mfa = MFA(database.engine(), settings, clock=clock)
    enrolment = enroll(mfa, 7, clock)
    assert log_in(mfa, 7, enrolment.phone.code()).user_id == 7


AWAITED = {
    "postgresql": ("postgresql+psycopg_async", "postgresql+asyncpg"),
    "mariadb": ("mysql+asyncmy",),
    "sqlite": ("sqlite+aiosqlite",),
}
RARE = {
    "postgresql": ("bytea", "numeric", "domain", "padded", "smallint"),
    "mariadb": ("binary(16)", "numeric", "bigint unsigned", "tinyint(1)"),
    "sqlite": ("blob", "guid", "numeric"),
}


def test_awaited_drivers_take_and_give_the_same_kinds(database: Database, keys: str) -> None:
    engine, settings, clock = database.engine(), plain_settings(users="accounts.uuid", keys=keys), Clock()
    execute(database, *(DOMAINS if database.backend == "postgresql" else ()))
    for kind in RARE[database.backend]:
        declared, literal, user_id = KEYS[kind]
        execute(database, f"CREATE TABLE accounts (uuid {declared} NOT NULL PRIMARY KEY)")
        execute(database, f"INSERT INTO accounts VALUES ({literal})")
        commands.upgrade(engine, settings)
        for driver in AWAITED[database.backend]:
            with asyncio.Runner() as runner:
                awaited = create_async_engine(sa.make_url(database.url).set(drivername=driver))
                if database.backend == "sqlite":
                    event.listen(awaited.sync_engine, "connect", enforce_foreign_keys)
                mfa: Any = Blocked(AsyncMFA(awaited, settings, clock=clock), runner)
                enrolment = enroll(mfa, user_id, clock)
                clock.forward(seconds=60)
                assert log_in(mfa, user_id, enrolment.phone.code()).user_id == user_id
                assert mfa.events.verify(user_id).is_intact
                mfa.reset(user_id, by="grace@example.com", reason="a lost phone")
                runner.run(awaited.dispose())
        commands.downgrade(engine, settings, "base")
        execute(database, "DROP TABLE accounts")


def enforce_foreign_keys(raw: Any, _record: Any) -> None:
    cursor = raw.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
