"""Twofold's own programs behind PgBouncer in transaction mode, as it is installed: with no parameter let through."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from tests.cli.test_doctor import states
from tests.left_behind import left_behind
from tests.people import Clock, add_user, enroll, plain_settings
from tests.servers import can_rename_statements
from twofold import MFA, AsyncMFA, DatabaseUnavailable
from twofold.database import create_async_engine, create_engine
from twofold.keyring import generate_key
from twofold.pooler import PREPARED, changes_connections
from twofold.service.app import create_app
from twofold.service.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Enrolment

PEOPLE, TIMES = 8, 8
PREPARING = "?prepare_threshold=5"

pytestmark = pytest.mark.backends("postgresql")


@pytest.fixture
def people(migrated: Database, mfa: MFA, clock: Clock) -> list[int]:
    """Users with a second factor, whose ids are not all that they have in common."""
    users = [add_user(migrated, f"user{number}@example.com") for number in range(PEOPLE)]
    for user in users:
        enroll(mfa, user, clock)
    return users


@pytest.mark.parametrize("query", ["", "?prepare_threshold=none"])
def test_a_crowd_is_answered(
    migrated: Database, people: list[int], keys: str, pooler: Callable[..., str], query: str
) -> None:
    pooled = pooler(migrated.url) + query
    settings = plain_settings(keys=keys)
    engine = create_engine(pooled)
    mfa = MFA(engine, settings)
    with ThreadPoolExecutor(PEOPLE) as pool:
        assert {status.is_enrolled for status in pool.map(mfa.status, people * TIMES)} == {True}
    engine.dispose()

    async def awaited() -> None:
        engine = create_async_engine(pooled)
        mfa = AsyncMFA(engine, settings)
        found = await asyncio.gather(*(mfa.status(user) for user in people * TIMES))
        assert {status.is_enrolled for status in found} == {True}
        await engine.dispose()

    asyncio.run(awaited())


def test_where_statements_are_prepared_all_the_same_an_error_names_the_remedy(
    migrated: Database, people: list[int], keys: str, pooler: Callable[..., str]
) -> None:
    engine = create_engine(pooler(migrated.url, size=1) + "?prepare_threshold=0")
    mfa, said = MFA(engine, plain_settings(keys=keys)), set[str]()

    def ask(user: int) -> None:
        try:
            mfa.status(user)
        except DatabaseUnavailable as error:
            said.add(str(error))

    # Clients prepare under the same names, on the one connection that there is.
    with ThreadPoolExecutor(PEOPLE) as pool:
        list(pool.map(ask, people * TIMES))
    engine.dispose()
    assert f"{PREPARED}; nothing was spent." in said


COMMANDS = [
    "doctor",
    "db verify",
    "db current",
    "keys status",
    "keys rotate",
    "users status {ada}",
    "events list {ada}",
    "events verify",
    "events prune --older-than 30 --yes",
    "secrets import-legacy",
    "users reset {ada} --reason lost --by grace --yes",
    "db downgrade --yes",
    "db upgrade",
]


def test_every_command_works_and_leaves_nothing_on_a_connection_of_the_server(
    twofold: Shell, migrated: Database, enrolled: Enrolment, keys: str, ada: int, pooler: Callable[..., str]
) -> None:
    pooled = pooler(migrated.url, size=1)
    before = left_behind(pooled, migrated)
    twofold.environment |= {"database_url": pooled, "keys": f"{generate_key('k2')},{keys}"}
    for command in COMMANDS:
        answer = twofold(*command.format(ada=ada).split())
        assert answer.code == 0, (command, answer.out, answer.err)
        assert left_behind(pooled, migrated) == before, command


def test_the_service_is_ready(migrated: Database, keys: str, pooler: Callable[..., str]) -> None:
    pooled = pooler(migrated.url, size=1)
    before = left_behind(pooled, migrated)
    engine = create_engine(pooled)
    with TestClient(create_app(Readiness(engine, plain_settings(keys=keys)))) as client:
        assert client.get("/health/ready").status_code == 200
    engine.dispose()
    assert left_behind(pooled, migrated) == before


SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(300)' AND state = 'active'"


def test_a_silent_server_is_given_up_and_its_statement_taken_back_through_the_pooler(
    migrated: Database, pooler: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.patience._CANCELLED_WITHIN", 20.0)
    pooled = pooler(migrated.url) + "?read_timeout=0.5"
    engine = create_engine(pooled)
    with pytest.raises(OperationalError, match="did not answer within"), engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(300)")
    engine.dispose()

    async def awaited() -> None:
        engine = create_async_engine(pooled)
        with pytest.raises(OperationalError, match="did not answer within"):
            async with engine.connect() as connection:
                await connection.exec_driver_sql("SELECT pg_sleep(300)")
        await engine.dispose()

    asyncio.run(awaited())
    with migrated.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as watching:
        end = time.monotonic() + 60
        while watching.exec_driver_sql(SLEEPING).scalar_one():
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("size", [1, 3])
def test_tables_are_not_adopted_through_a_pooler_whose_connections_would_keep_the_lock(
    twofold: Shell, migrated: Database, pooler: Callable[..., str], size: int
) -> None:
    with migrated.engine().begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_mfa_backup_codes_code_hash")
    pooled = pooler(migrated.url, size=size)
    answer = twofold("db", "adopt", "--apply", "--yes", database_url=pooled)
    assert answer.code != 0
    assert "Adopt over an address of the server itself; nothing was changed." in answer.err
    assert twofold("db", "verify").code == 2
    # A pooler that leaves each client its connection is as good as none.
    kept = pooler(migrated.url, mode="session")
    assert twofold("db", "adopt", "--apply", "--yes", database_url=kept).code == 0
    assert twofold("db", "verify").code == 0


@pytest.mark.parametrize(("mode", "size"), [("session", 5), ("transaction", 1), ("transaction", 5)])
def test_the_doctor_tells_a_pooler_that_changes_connections_from_one_that_does_not(
    twofold: Shell, enrolled: Enrolment, migrated: Database, pooler: Callable[..., str], mode: str, size: int
) -> None:
    pooled = pooler(migrated.url, mode=mode, size=size)
    is_changing = mode == "transaction"
    answer = twofold("doctor", "--json", database_url=pooled + ("" if is_changing else PREPARING))
    assert answer.code == 0, answer.out
    assert set(states(answer).values()) == {"ok"}
    said = "A pooler gives each transaction" if is_changing else "Every connection keeps its own"
    assert said in answer.out


def test_a_direct_connection_is_never_taken_for_a_pooler(migrated: Database) -> None:
    assert not changes_connections(migrated.engine())


def test_a_pooler_that_renames_statements_loses_none(
    twofold: Shell, enrolled: Enrolment, migrated: Database, pooler: Callable[..., str]
) -> None:
    """PgBouncer can since 1.21; an older one loses them here, too."""
    answer = twofold("doctor", "--json", database_url=pooler(migrated.url, renames=True) + PREPARING)
    assert (answer.code == 0) == can_rename_statements()
    assert (states(answer)["pooler"] == "ok") == can_rename_statements()
