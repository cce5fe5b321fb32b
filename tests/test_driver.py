"""The statements of a login reach the driver as Core would send them, and are read as Core would read them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool, StaticPool

from tests.attacks.outages import wait_until_somebody_waits
from tests.databases import BACKENDS, Database, add_passkeys
from tests.people import FIREFOX, SAFARI, Blocked, Clock, challenged, enroll, kinds, log_in, plain_settings
from twofold import (
    MFA,
    AsyncMFA,
    Cleared,
    ConfigurationError,
    DatabaseUnavailable,
    Reason,
    Rejected,
    SchemaDrift,
    Tampered,
)
from twofold.account import lock_wait
from twofold.account.driver import Statement, _has_listeners
from twofold.account.row import Account
from twofold.account.statements import Schema
from twofold.database import enforce_foreign_keys
from twofold.keyring import generate_key
from twofold.schema.users.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import Sources
    from tests.people import Sql

DRIVERS = {
    "pysqlite": "sqlite",
    "aiosqlite": "sqlite",
    "psycopg": "postgresql",
    "psycopg_async": "postgresql",
    "asyncpg": "postgresql",
    "pymysql": "mariadb",
    "asyncmy": "mariadb",
}
AWAITED = {"aiosqlite", "psycopg_async", "asyncpg", "asyncmy"}


@pytest.fixture(params=[driver for driver, backend in DRIVERS.items() if backend in BACKENDS])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def migrated(databases: Sources, driver: str) -> Iterator[Database]:
    with databases.database(DRIVERS[driver], migrated=True) as ready:
        yield ready


class Driven:
    """An engine on one driver, and the face that belongs to it."""

    def __init__(self, database: Database, driver: str, runner: asyncio.Runner, **options: Any) -> None:
        url = sa.make_url(database.url).set(drivername=f"{database.backend}+{driver}")
        self._runner = runner
        self.awaited = create_async_engine(url, **options) if driver in AWAITED else None
        self.engine = (
            self.awaited.sync_engine if self.awaited else sa.create_engine(url, poolclass=QueuePool, **options)
        )
        if database.backend == "sqlite":
            enforce_foreign_keys(self.engine)

    def face(self, keys: str, clock: Clock) -> MFA:
        settings = plain_settings(keys=keys)
        if self.awaited is None:
            return MFA(self.engine, settings, clock=clock)
        return cast("MFA", Blocked(AsyncMFA(self.awaited, settings, clock=clock), self._runner))

    def connected(self, block: Callable[[sa.Connection], Any]) -> Any:
        """Run the block on a connection, and roll back."""

        async def run(engine: AsyncEngine) -> Any:
            async with engine.connect() as connection:
                return await connection.run_sync(block)

        if self.awaited is not None:
            return self._runner.run(run(self.awaited))
        with self.engine.connect() as connection:
            return block(connection)

    def close(self) -> None:
        if self.awaited is None:
            self.engine.dispose()
        else:
            self._runner.run(self.awaited.dispose())


@pytest.fixture
def driven(migrated: Database, driver: str) -> Iterator[Driven]:
    with asyncio.Runner() as runner:
        driven = Driven(migrated, driver, runner)
        yield driven
        driven.close()


@pytest.fixture
def mfa(driven: Driven, keys: str, clock: Clock) -> MFA:
    return driven.face(keys, clock)


def statements(schema: Schema, backend: str) -> Iterator[Statement[Any]]:
    """Every statement that a schema holds and this database can be sent."""
    alone = schema.swap_alone if backend != "postgresql" else None
    yield from (value for value in vars(schema).values() if isinstance(value, Statement) and value is not alone)
    yield from schema.read_beside.values()
    yield from schema.swap_at_login.values()
    if backend == "postgresql":
        yield from schema.at_once.values()
    if backend == "mariadb":
        yield from schema.swap_with.values()


def values(statement: Statement[Any], clock: Clock, dialect: sa.Dialect) -> tuple[Any, ...]:
    """A value of its column's type for each name, and NULL for every fourth."""
    compiled: Any = statement.core.compile(dialect=dialect)
    types = [compiled.binds[name].type for name in statement.names]
    of_kind: dict[type, Any] = {int: 7, bool: True, str: "v1:words", object: clock.now}
    return tuple(None if number % 4 == 3 else of_kind[type_.python_type] for number, type_ in enumerate(types))


def test_a_batch_is_sealed_again_on_every_driver(
    driven: Driven, mfa: MFA, keys: str, clock: Clock, ada: int, grace: int
) -> None:
    for user_id in (ada, grace):
        enroll(mfa, user_id, clock)
    rotating = driven.face(f"{generate_key('k2')},{keys}", clock)
    batch = rotating.keys.rotate(limit=10)
    assert batch.done == 2
    assert rotating.status(ada).is_enrolled


def test_what_is_sent_is_what_core_would_send(driven: Driven, migrated: Database, clock: Clock) -> None:
    add_passkeys(migrated)
    schema, sent = Schema("users.id", Ids("integer"), has_passkeys=True), list[tuple[str, Any]]()

    def seen(_connection: Any, _cursor: Any, words: str, bound: Any, *_: Any) -> None:
        sent.append((words, tuple(bound) if isinstance(bound, list) else bound))

    def compare(connection: sa.Connection) -> int:
        compared = 0
        for statement in statements(schema, migrated.backend):
            given = values(statement, clock, connection.dialect)
            text = statement._text(connection.dialect)
            savepoint = connection.begin_nested()
            event.listen(connection.engine, "before_cursor_execute", seen)
            # What is sent is what counts: most of these values fit no row.
            with contextlib.suppress(DBAPIError):
                lock_wait.execute(connection, statement.core, statement.named(given))
            event.remove(connection.engine, "before_cursor_execute", seen)
            savepoint.rollback()
            assert sent == [(text.words, text.bound(given))]
            sent.clear()
            compared += 1
        return compared

    assert driven.connected(compare) == {"postgresql": 27, "mariadb": 25, "sqlite": 20}[migrated.backend]


def test_what_is_read_is_what_core_would_read(
    driven: Driven, mfa: MFA, keys: str, clock: Clock, ada: int, sql: Sql
) -> None:
    enrolled = enroll(mfa, ada, clock)
    mfa.trusted_devices.trust(enrolled.verified, name="a browser", request=FIREFOX)
    mfa.trusted_devices.trust(enrolled.verified, name="another", request=SAFARI)
    sql("UPDATE mfa_device_trusts SET browser = NULL WHERE device_name = 'another'")
    schema = Schema("users.id", Ids("integer"))

    def compare(connection: sa.Connection) -> None:
        now = clock.now
        for statement, given, number in (
            (schema.read, (ada,), 1),
            (schema.read_current, (ada,), 1),
            (schema.read_locked, (ada,), 1),
            (schema.read_beside[None], (ada, now), 1),
            (schema.read_beside["codes"], (ada,), 10),
            (schema.read_beside["devices"], (ada, now), 2),
        ):
            rows = [list(row) for row in statement.all(connection, given)]
            assert [row[0] for row in rows] == [ada] * number
            assert rows == [list(row) for row in connection.execute(statement.core, statement.named(given))]
            first = statement.first(connection, given)
            assert first is not None
            assert list(first) == rows[0]
            nobody = (ada + 1, *given[1:])
            assert (statement.first(connection, nobody), list(statement.all(connection, nobody))) == (None, [])

    driven.connected(compare)


def test_what_is_counted_is_what_core_would_count(driven: Driven, mfa: MFA, clock: Clock, ada: int) -> None:
    enroll(mfa, ada, clock)
    schema = Schema("users.id", Ids("integer"))

    def compare(connection: sa.Connection) -> None:
        row = schema.read.first(connection, (ada,))
        assert row is not None
        account = Account(*row[:-1])
        state = account._asdict() | {"state_mac": row[-1], "updated_at": clock.now}
        for swap in (schema.swap, *schema.swap_at_login.values()):
            for version, found in ((account.version, 1), (account.version + 1, 0)):
                given = (*(state[name.removeprefix("new_")] for name in swap.names[:-2]), ada, version)
                savepoint = connection.begin_nested()
                assert swap.count(connection, given) == found
                savepoint.rollback()
                assert connection.execute(swap.core, swap.named(given)).rowcount == found
        line = {"user": ada, "event_event_type": "x", "event_event_status": "x", "event_created_at": clock.now}
        for seq, found in ((account.event_count + 1, 1), (account.event_count, 0)):
            given = tuple((line | {"event_seq": seq}).get(name) for name in schema.append.names)
            savepoint = connection.begin_nested()
            assert schema.append.count(connection, given) == found
            savepoint.rollback()
            savepoint = connection.begin_nested()
            assert connection.execute(schema.append.core, schema.append.named(given)).rowcount == found
            savepoint.rollback()
        # There is a seventh backup code, and no seventh device.
        for change, found in ((schema.rotate, 0), (schema.contest, 0), (schema.end_device, 0), (schema.spend, 1)):
            given = values(change, clock, connection.dialect)
            savepoint = connection.begin_nested()
            assert change.count(connection, given) == found
            savepoint.rollback()
            assert connection.execute(change.core, change.named(given)).rowcount == found

    driven.connected(compare)


def test_whoever_listens_to_the_engine_hears_every_statement(driven: Driven, mfa: MFA, clock: Clock, ada: int) -> None:
    enrolled = enroll(mfa, ada, clock)
    heard: list[str] = []
    event.listen(driven.engine, "before_cursor_execute", lambda _c, _k, words, *_: heard.append(words))
    mfa.verify(challenged(mfa, ada), enrolled.phone.code())
    reads = [words for words in heard if words.removeprefix(lock_wait.BOUND).startswith("SELECT user_mfa_secrets")]
    writes = [words for words in heard if "INSERT INTO mfa_events" in words]
    assert (len(reads), len(writes)) == (2, 2)


def test_whoever_listens_changes_nothing_of_what_is_told(driven: Driven, mfa: MFA, clock: Clock, ada: int) -> None:
    event.listen(driven.engine, "before_cursor_execute", ignore)
    enrolled = enroll(mfa, ada, clock)
    verified = mfa.verify(challenged(mfa, ada), enrolled.backup_codes[0])
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert mfa.trusted_devices.revoke(ada, device.device_id)
    assert len(mfa.backup_codes.regenerate(verified)) == 10
    assert mfa.password_changed(ada) == 0
    clock.forward(days=1)
    assert mfa.events.prune(ada, clock.now)
    mfa.reset(ada, by="grace", reason="lost phone")
    assert mfa.events.verify(ada).is_intact


def ignore(*_: Any) -> None:
    """A listener."""


@pytest.mark.parametrize("driver", ["pysqlite"])
@pytest.mark.parametrize("how", ["connection", "engine", "dialect", "log", "names", "driver"])
def test_each_way_to_listen_is_enough(
    driven: Driven, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    ways: dict[str, Callable[[sa.Connection], object]] = {
        "connection": lambda connection: event.listen(connection, "before_cursor_execute", ignore),
        "engine": lambda connection: event.listen(connection.engine, "before_cursor_execute", ignore),
        "dialect": lambda connection: event.listen(connection.engine, "do_execute", ignore),
        "log": lambda _: caplog.set_level(logging.INFO, "sqlalchemy.engine"),
        "names": lambda connection: connection.execution_options(schema_translate_map={None: "main"}),
        "driver": lambda _: monkeypatch.setattr("twofold.account.driver._DRIVERS", frozenset[str]()),
    }

    def compare(connection: sa.Connection) -> None:
        assert not _has_listeners(connection)
        ways[how](connection)
        # Whether it logs, a connection learns when it is checked out.
        with connection.engine.connect() as later:
            assert _has_listeners(later if how == "log" else connection)

    driven.connected(compare)


def test_a_value_for_each_name_is_needed(clock: Clock) -> None:
    read = Schema("users.id", Ids("integer")).read_beside[None]
    assert read.named((7, clock.now)) == {"user": 7, "now": clock.now}
    for wrong in ((7,), (7, clock.now, None)):
        with pytest.raises(ValueError, match="argument"):
            read.named(wrong)


def test_whoever_listens_for_errors_hears_of_them(driven: Driven, mfa: MFA, ada: int, sql: Sql) -> None:
    heard: list[Any] = []
    assert not mfa.challenge(ada)
    event.listen(driven.engine, "handle_error", lambda context: heard.append(context.original_exception))
    sql("DROP TABLE user_mfa_secrets")
    with pytest.raises(SchemaDrift):
        mfa.challenge(ada)
    assert len(heard) == 1


def test_a_login_goes_as_it_goes_on_every_driver(driven: Driven, mfa: MFA, keys: str, clock: Clock, ada: int) -> None:
    enrolled = enroll(mfa, ada, clock)
    code = enrolled.phone.code()
    with pytest.raises(Rejected) as refused:
        mfa.verify(challenged(mfa, ada), enrolled.phone.wrong_code())
    assert refused.value.reason is Reason.WRONG_CODE
    verified = mfa.verify(challenged(mfa, ada), code)
    with pytest.raises(Rejected) as refused:
        mfa.verify(challenged(mfa, ada), code)
    assert refused.value.reason is Reason.CODE_ALREADY_USED
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    cleared = mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    cleared = mfa.challenge(ada, device_token=cleared.device.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    mfa.verify(challenged(mfa, ada), enrolled.backup_codes[0])
    with pytest.raises(Rejected):
        mfa.verify(challenged(mfa, ada), enrolled.backup_codes[0])
    clock.forward(hours=1)
    # A token of before is in doubt; with the newest beside it there are two who have the cookie.
    assert not isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Cleared)
    assert kinds(mfa, ada)[-2:] == ["device_contested", "challenged"]
    assert not isinstance(mfa.challenge(ada, device_token=cleared.device.token, request=FIREFOX), Cleared)
    assert kinds(mfa, ada)[-2:] == ["device_theft", "challenged"]
    assert mfa.status(ada).trusted_devices == 0
    assert mfa.events.verify(ada).is_intact


@pytest.mark.parametrize("moment", ["connect", "checkout"])
@pytest.mark.parametrize(
    ("driver", "first"),
    [
        *((driver, "SET TIME ZONE 'Asia/Kolkata'") for driver in ("psycopg", "psycopg_async", "asyncpg")),
        # asyncpg itself refuses to work in a transaction that somebody has begun by hand.
        *((driver, "BEGIN") for driver in ("psycopg", "psycopg_async")),
    ],
)
@pytest.mark.parametrize("is_autocommit", [False, True])
def test_what_a_host_has_begun_on_a_connection_takes_no_answer_back(
    driven: Driven, mfa: MFA, clock: Clock, ada: int, sql: Sql, moment: str, first: str, *, is_autocommit: bool
) -> None:
    @event.listens_for(driven.engine, moment)
    def set_up(connection: Any, *_: Any) -> None:
        connection.autocommit = is_autocommit
        cursor = connection.cursor()
        cursor.execute(first)
        cursor.close()

    enrolled = enroll(mfa, ada, clock)
    code = enrolled.phone.code()
    assert mfa.verify(challenged(mfa, ada), code)
    with pytest.raises(Rejected):
        mfa.verify(challenged(mfa, ada), code)
    assert mfa.events.verify(ada).is_intact
    assert sql("SELECT count(*) FROM mfa_events")[0][0] == 6


def test_tables_that_are_gone_and_lines_that_are_forged_are_told_as_core_tells_them(
    driven: Driven, mfa: MFA, clock: Clock, ada: int, sql: Sql
) -> None:
    enrolled = enroll(mfa, ada, clock)
    schema = Schema("users.id", Ids("integer"))

    def line(**columns: Any) -> tuple[Any, ...]:
        held = {"user": ada, "event_event_status": "x"} | {f"event_{name}": value for name, value in columns.items()}
        return tuple(held.get(name, clock.now if name.endswith("_at") else None) for name in schema.append.names)

    # Enrolling has left two lines: a number that is taken, or below one that is, is no end of the log.
    def appended(seq: int) -> int:
        values = line(seq=seq, event_type="x")
        return int(driven.connected(lambda connection: schema.append.count(connection, values)))

    assert [appended(seq) for seq in (1, 2, 3)] == [0, 0, 1]
    with pytest.raises(IntegrityError):
        driven.connected(lambda c: schema.append.count(c, line(seq=3, event_type=None)))
    sql("DROP TABLE mfa_events")
    with pytest.raises(SchemaDrift):
        mfa.challenge(ada)
    sql("DROP TABLE user_mfa_secrets")
    with pytest.raises(SchemaDrift):
        mfa.reverify(ada, enrolled.phone.code())


def end_every_other_connection(sql: Sql) -> None:
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg_async", "asyncpg"])
def test_a_connection_that_the_server_ended_costs_nobody_an_answer(
    driven: Driven, mfa: MFA, clock: Clock, ada: int, sql: Sql
) -> None:
    enrolled = enroll(mfa, ada, clock)
    end_every_other_connection(sql)
    code = enrolled.phone.code()
    assert mfa.reverify(ada, code)
    end_every_other_connection(sql)
    with pytest.raises(Rejected) as refused:
        mfa.reverify(ada, code)
    assert refused.value.reason is Reason.CODE_ALREADY_USED
    # Each was decided once, and each has its line.
    assert kinds(mfa, ada)[2:] == ["code_accepted", "code_refused"]
    assert mfa.events.verify(ada).is_intact


@pytest.mark.parametrize("driver", ["psycopg", "psycopg_async", "asyncpg"])
def test_a_column_that_gets_another_type_costs_nobody_an_answer(
    driven: Driven, mfa: MFA, clock: Clock, ada: int, sql: Sql
) -> None:
    for table, key in (("users", "id"), ("user_mfa_secrets", "user_id")):
        sql(f"ALTER TABLE {table} ALTER COLUMN {key} TYPE INTEGER")
    enrolled = enroll(mfa, ada, clock)

    def every() -> int:
        """Go through whatever is prepared on a connection, and what locks and what reads alone."""
        clock.forward(minutes=1)
        verified = log_in(mfa, ada, enrolled.phone.code())
        device = mfa.trusted_devices.trust(verified, request=FIREFOX)
        assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
        assert mfa.proof(verified.token)
        mfa.backup_codes.regenerate(verified)
        return mfa.status(ada).backup_codes_remaining

    # psycopg prepares what is sent for the sixth time.
    assert {every() for _ in range(7)} == {10}
    for table, column, kind in (
        ("user_mfa_secrets", "epoch", "TEXT"),
        ("user_mfa_secrets", "user_id", "BIGINT"),
        ("mfa_device_trusts", "trust_token", "TEXT"),
        ("mfa_backup_codes", "code_hash", "TEXT"),
        ("mfa_events", "user_agent", "TEXT"),
    ):
        sql(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
        assert every() == 10
    assert mfa.events.verify(ada).is_intact
    # Whoever comes with a key that only the wider column holds is nobody unknown.
    sql("ALTER TABLE users ALTER COLUMN id TYPE BIGINT")
    sql(f"INSERT INTO users (id, subject) VALUES ({2**40}, 'grace@example.com')")
    assert not mfa.challenge(2**40)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg_async", "asyncpg"])
@pytest.mark.parametrize("change", ["trust_token = 'v1:other'", "revoked_at = now()"])
def test_a_device_that_somebody_is_writing_by_hand_is_not_trusted_by_half(
    driven: Driven, mfa: MFA, clock: Clock, ada: int, sql: Sql, migrated: Database, change: str
) -> None:
    enrolled = enroll(mfa, ada, clock)
    device = mfa.trusted_devices.trust(enrolled.verified, request=FIREFOX)
    before = sql("SELECT count(*) FROM mfa_events")[0][0]
    with ThreadPoolExecutor(1) as pool, migrated.engine().connect() as host:
        host.execute(sa.text(f"UPDATE mfa_device_trusts SET {change}"))
        answer = pool.submit(mfa.challenge, ada, device_token=device.token, request=FIREFOX)
        wait_until_somebody_waits(migrated)
        host.commit()
        assert answer.result(60)
    assert kinds(mfa, ada)[before:] == ["rows_altered", "challenged"]
    report = mfa.events.verify(ada)
    assert report.problem is not None
    assert "mfa_device_trusts" in report.problem


@pytest.mark.parametrize("driver", ["psycopg", "psycopg_async", "asyncpg"])
def test_a_pool_that_resets_nothing_heals_when_its_connections_are_lost(
    migrated: Database, driver: str, keys: str, clock: Clock, ada: int, sql: Sql
) -> None:
    with asyncio.Runner() as runner:
        driven = Driven(migrated, driver, runner, pool_reset_on_return=None)
        mfa = driven.face(keys, clock)
        enrolled = enroll(mfa, ada, clock)
        end_every_other_connection(sql)
        assert mfa.reverify(ada, enrolled.phone.code())
        driven.close()


@pytest.mark.parametrize(
    ("driver", "cursor"), [("psycopg", psycopg.ClientCursor), ("psycopg_async", psycopg.AsyncClientCursor)]
)
def test_a_cursor_of_the_hosts_that_writes_values_into_statements_is_as_good(
    migrated: Database, driver: str, cursor: type, keys: str, clock: Clock, ada: int
) -> None:
    with asyncio.Runner() as runner:
        driven = Driven(migrated, driver, runner, connect_args={"cursor_factory": cursor})
        mfa = driven.face(keys, clock)
        enrolled = enroll(mfa, ada, clock)
        clock.forward(minutes=1)
        verified = log_in(mfa, ada, enrolled.phone.code())
        device = mfa.trusted_devices.trust(verified, request=FIREFOX)
        assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
        assert log_in(mfa, ada, enrolled.backup_codes[0])
        assert mfa.events.verify(ada).is_intact
        mfa.reset(ada, by="grace@example.com", reason="50 % sure: 'lost' \\")
        assert mfa.events.verify(ada).is_intact
        driven.close()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg_async"])
def test_moments_that_the_driver_does_not_read_are_told_with_the_way_out(
    migrated: Database, driver: str, keys: str, clock: Clock, ada: int
) -> None:
    with asyncio.Runner() as runner:
        plain = Driven(migrated, driver, runner)
        enrolled = enroll(plain.face(keys, clock), ada, clock)
        plain.close()
        german = Driven(migrated, driver, runner, connect_args={"options": "-c datestyle=German"})
        mfa = german.face(keys, clock)
        with pytest.raises(ConfigurationError, match=r"SET datestyle = 'ISO'") as told:
            mfa.reverify(ada, enrolled.phone.code())
        assert str(clock.now.year) not in str(told.value)
        german.close()


@pytest.mark.parametrize("driver", ["pysqlite", "aiosqlite"])
def test_a_column_that_does_not_read_is_an_outage_or_an_alarm(mfa: MFA, clock: Clock, ada: int, sql: Sql) -> None:
    enrolled = enroll(mfa, ada, clock)
    for column, kind in (("secret", "TEXT"), ("state_mac", "BLOB")):
        sql(f"UPDATE user_mfa_secrets SET {column} = CAST(x'ff' AS {kind})")
        with pytest.raises((DatabaseUnavailable, Tampered)):
            mfa.reverify(ada, enrolled.phone.code())


def test_a_clock_without_a_zone_is_not_taken_for_an_altered_row(
    driven: Driven, mfa: MFA, keys: str, clock: Clock, ada: int
) -> None:
    enroll(mfa, ada, clock)
    naive: Any = Clock(clock.now.replace(tzinfo=None))
    with pytest.raises(ConfigurationError, match="time zone"):
        driven.face(keys, naive).challenge(ada)


def test_a_method_of_the_hosts_own_class_stays_in_force(driven: Driven, keys: str, clock: Clock, ada: int) -> None:
    called: list[int] = []

    class Audited(MFA):
        def challenge(self, user_id: Any, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            called.append(user_id)
            return super().challenge(user_id, **options)

    if driven.awaited is None:
        audited = Audited(driven.engine, plain_settings(keys=keys), clock=clock)
        for _ in range(3):
            audited.challenge(ada)
        assert called == [ada] * 3


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg", "pymysql"])
def test_one_connection_for_all_is_refused(migrated: Database, driver: str, keys: str) -> None:
    url = sa.make_url(migrated.url).set(drivername=f"{migrated.backend}+{driver}")
    settings = plain_settings(keys=keys)
    if driver in AWAITED:
        awaited = create_async_engine(url, poolclass=StaticPool)
        with pytest.raises(ConfigurationError, match="StaticPool"):
            AsyncMFA(awaited, settings)
    else:
        blocking = sa.create_engine(url, poolclass=StaticPool)
        with pytest.raises(ConfigurationError, match="StaticPool"):
            MFA(blocking, settings)
