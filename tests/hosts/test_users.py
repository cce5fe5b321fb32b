"""Users under another name, in another schema, under another kind of key: the revision, the verifier, a whole login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.people import FIREFOX, Clock, enroll, log_in, plain_settings
from twofold import MFA, ConfigurationError, Rejected, UnknownUser
from twofold.cli.operator import Operator
from twofold.schema import commands, spec

if TYPE_CHECKING:
    from tests.databases import Database

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
}


def execute(database: Database, *statements: str) -> None:
    with database.engine().begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def rows(database: Database) -> dict[str, int]:
    with database.engine().connect() as connection:
        return {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in spec.NAMES}


def a_login_from_set_up_to_farewell(database: Database, users: str, keys: str, user_id: Any, literal: str) -> None:
    """Migrate, enroll, log in, read the log, delete the user, and migrate back."""
    clock, engine, settings = Clock(), database.engine(), plain_settings(users=users, keys=keys)
    commands.upgrade(engine, settings)
    assert commands.verify(engine, settings).findings == ()
    mfa = MFA(engine, settings, clock=clock)
    with pytest.raises(UnknownUser):
        mfa.totp.begin(UUID(int=5) if isinstance(user_id, UUID) else 5, account_name="nobody@example.com")

    enrolment = enroll(mfa, user_id, clock)
    challenge = mfa.challenge(user_id)
    assert challenge
    with pytest.raises(Rejected):
        mfa.verify(challenge.token, enrolment.phone.wrong_code())
    verified = mfa.verify(challenge.token, enrolment.phone.code())
    assert (verified.user_id, mfa.proof(verified.token)) == (user_id, verified)
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    assert not mfa.challenge(user_id, device_token=device.token, request=FIREFOX)
    clock.forward(seconds=60)
    log_in(mfa, user_id, enrolment.backup_codes[0])
    assert mfa.status(user_id).backup_codes_remaining == 9
    assert mfa.events.verify(user_id).is_intact
    assert len(mfa.events.recent(user_id, limit=50)) == len(list(mfa.events.export(after=0, limit=50))) > 6
    operator = Operator(engine, settings, clock=clock)
    typed = operator.user(str(user_id))
    assert mfa.status(typed).is_enrolled
    assert operator.users() == (typed,)

    assert all(rows(database).values())
    schema, _, table = users.rpartition(".")[0].rpartition(".")
    execute(database, f"DELETE FROM {schema}{'.' if schema else ''}{table} WHERE uuid = {literal}")
    assert not any(rows(database).values())
    with pytest.raises(UnknownUser):
        mfa.challenge(user_id)
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


@pytest.mark.parametrize("kind", ["integer", "bigint", "char(36)", "char(32)", "varchar(36)", "varchar"])
def test_a_whole_login_works_for_accounts_under_another_key(database: Database, keys: str, kind: str) -> None:
    accounts_under_another_key(database, keys, kind)


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
