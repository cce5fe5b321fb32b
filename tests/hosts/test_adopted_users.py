"""Tables of before Twofold whose users have ids of another kind: adopted, logged in to, and gone with their user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from pyotp import random_base32

from tests.hosts.test_users import KEYS, execute, rows
from tests.people import FIREFOX, Clock, Phone, log_in, plain_settings
from tests.schema.incident import models, stamp
from twofold import MFA, UnknownUser
from twofold.schema import adoption, commands, spec

if TYPE_CHECKING:
    from tests.databases import Database

SECRETS, _, DEVICES, _ = spec.NAMES
AT = "2026-11-20 08:00:00"


class Spelled(sa.types.UserDefinedType[Any]):
    """A type as the host wrote it."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        return self.text


def an_adoption_from_the_blind_stamp_to_the_farewell(database: Database, keys: str, clock: Clock, kind: str) -> None:
    declared, literal, user_id = KEYS[kind]
    engine, settings, phone = database.engine(), plain_settings(keys=keys), Phone(random_base32(), clock)
    with engine.begin() as connection:
        metadata = models(Spelled(declared))
        # Two tables differ, and two come in the course of it.
        metadata.create_all(connection, tables=[metadata.tables[name] for name in ("users", SECRETS, DEVICES)])
        stamp(connection)
    execute(
        database,
        f"INSERT INTO users (id, subject) VALUES ({literal}, 'ada@example.com')",
        f"INSERT INTO {SECRETS} (user_id, secret, is_enabled, is_verified, failed_attempts, created_at, updated_at)"
        f" VALUES ({literal}, '{phone.secret}', true, true, 0, '{AT}', '{AT}')",
        f"INSERT INTO {DEVICES} (user_id, device_fingerprint, trust_token, trusted_until, last_used_at, usage_count,"
        f" created_at) VALUES ({literal}, 'f00', 'raw-cookie', '2026-12-10 08:00:00', '{AT}', 1, '{AT}')",
    )
    assert commands.verify(engine, settings).drift
    adoption.apply(engine, settings, allow=["heavy"])
    assert commands.verify(engine, settings).conforms

    mfa = MFA(engine, settings, clock=clock)
    assert mfa.legacy.adopt().done == 1
    assert not mfa.challenge(user_id, device_token="raw-cookie", request=FIREFOX)
    verified = log_in(mfa, user_id, phone.code())
    assert (verified.user_id, len(mfa.backup_codes.regenerate(verified))) == (user_id, 10)
    assert mfa.events.verify(user_id).is_intact
    assert all(rows(database).values())
    execute(database, f"DELETE FROM users WHERE id = {literal}")
    assert not any(rows(database).values())
    with pytest.raises(UnknownUser):
        mfa.challenge(user_id)
    commands.downgrade(engine, settings)
    assert not set(sa.inspect(engine).get_table_names()) & set(spec.NAMES)


# Integers are what the incident has: tests/schema/test_incident.py.
@pytest.mark.parametrize("kind", ["bigint", "varchar"])
def test_tables_with_another_kind_of_user_are_adopted(database: Database, keys: str, clock: Clock, kind: str) -> None:
    an_adoption_from_the_blind_stamp_to_the_farewell(database, keys, clock, kind)


@pytest.mark.backends("postgresql", "mariadb")
def test_tables_with_users_under_a_native_uuid_are_adopted(database: Database, keys: str, clock: Clock) -> None:
    an_adoption_from_the_blind_stamp_to_the_farewell(database, keys, clock, "uuid")


@pytest.mark.backends("mariadb", "sqlite")
@pytest.mark.parametrize("kind", ["char(32)", "char(36)"])
def test_tables_with_users_under_a_uuid_in_text_are_adopted(
    database: Database, keys: str, clock: Clock, kind: str
) -> None:
    an_adoption_from_the_blind_stamp_to_the_farewell(database, keys, clock, kind)
