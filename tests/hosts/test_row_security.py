"""Rows that PostgreSQL hides from a role: the host says whose are to be seen, else nobody is "not enrolled"."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from tests.people import Blocked, Clock, Enrolment, add_user, challenged, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, ConfigurationError
from twofold.metadata import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import Database

pytestmark = pytest.mark.backends("postgresql")
DRIVERS = ("postgresql+psycopg", "postgresql+psycopg_async", "postgresql+asyncpg")
How = dict[str, Any]


class Guarded(NamedTuple):
    """A database whose rows are hidden from the role of the host, who is enrolled there, and who is not."""

    url: sa.URL
    role: str
    ada: Enrolment
    other: int

    @property
    def words(self) -> dict[str, str]:
        """What a host says to see the rows."""
        return {
            "SET LOCAL": "SET LOCAL app.tenant = 'a'",
            "set_config": "SELECT set_config('app.tenant', 'a', true)",
            "SET LOCAL ROLE": f"SET LOCAL ROLE {self.role}_a",
        }

    def engine(self, driver: str) -> Any:
        """An engine of the host's, with the role of the host."""
        if driver == "postgresql+asyncpg":
            arguments: How = {"server_settings": {"role": self.role}}
        else:
            arguments = {"options": f"-crole={self.role}"}
        made = self.url.set(drivername=driver)
        create: Any = sa.create_engine if driver == DRIVERS[0] else create_async_engine
        return create(made, connect_args=arguments)


@pytest.fixture
def guarded(migrated: Database, ada: int, keys: str, clock: Clock) -> Guarded:
    enrolled = enroll(MFA(migrated.engine(), plain_settings(keys=keys), clock=clock), ada, clock)
    other = add_user(migrated, "grace@example.com")
    role = f"app_{sa.make_url(migrated.url).database}"
    with migrated.engine().begin() as connection:
        for name in (role, f"{role}_a"):
            connection.exec_driver_sql(f"CREATE ROLE {name}")
            for kind in ("TABLES", "SEQUENCES"):
                connection.exec_driver_sql(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {name}")
        for name in NAMES:
            connection.exec_driver_sql(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
            connection.exec_driver_sql(
                f"CREATE POLICY ours ON {name} TO {role} USING (current_setting('app.tenant', true) = 'a')"
            )
            connection.exec_driver_sql(f"CREATE POLICY theirs ON {name} TO {role}_a USING (true)")
    return Guarded(sa.make_url(migrated.url), role, enrolled, other)


def at_begin(engine: sa.Engine, statement: str) -> How:
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(statement))
    return {}


def as_connection_is_made(engine: sa.Engine, statement: str) -> How:
    event.listen(engine, "engine_connect", lambda connection: connection.exec_driver_sql(statement))
    return {}


def on_connection(_engine: sa.Engine, statement: str) -> How:
    return {"on_connection": lambda connection: connection.exec_driver_sql(statement)}


WAYS: dict[str, Callable[[sa.Engine, str], How]] = {
    "begin": at_begin,
    "engine_connect": as_connection_is_made,
    "on_connection": on_connection,
}


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def opened(engine: Any, keys: str, clock: Clock, runner: asyncio.Runner, **how: Any) -> MFA:
    settings = plain_settings(keys=keys)
    if isinstance(engine, sa.Engine):
        return MFA(engine, settings, clock=clock, **how)
    return cast("MFA", Blocked(AsyncMFA(engine, settings, clock=clock, **how), runner))


def closed(engine: Any, runner: asyncio.Runner) -> None:
    done = engine.dispose()
    if done is not None:
        runner.run(done)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("words", ["SET LOCAL", "set_config", "SET LOCAL ROLE"])
def test_what_the_host_says_is_in_force_from_the_first_statement_on(
    guarded: Guarded, keys: str, clock: Clock, runner: asyncio.Runner, words: str, way: str
) -> None:
    phone = guarded.ada.phone
    for driver in DRIVERS:
        engine = guarded.engine(driver)
        how = WAYS[way](getattr(engine, "sync_engine", engine), guarded.words[words])
        mfa = opened(engine, keys, clock, runner, **how)
        verified = log_in(mfa, guarded.ada.user_id, phone.code())
        device = mfa.trusted_devices.trust(verified)
        assert not mfa.challenge(guarded.ada.user_id, device_token=device.token)
        assert len(mfa.backup_codes.regenerate(verified)) == 10
        assert mfa.events.verify(guarded.ada.user_id).is_intact
        assert not mfa.challenge(guarded.other)
        assert mfa.totp.begin(guarded.other, account_name="grace@example.com").secret
        mfa.reset(guarded.other, by="ada@example.com", reason="the next driver")
        clock.forward(seconds=60)
        closed(engine, runner)


def test_a_row_that_a_policy_hides_is_never_not_enrolled(
    guarded: Guarded, keys: str, clock: Clock, runner: asyncio.Runner
) -> None:
    for driver in DRIVERS:
        engine = guarded.engine(driver)
        mfa = opened(engine, keys, clock, runner)
        for user_id in (guarded.ada.user_id, guarded.other):
            with pytest.raises(ConfigurationError, match=r"listener.*on_connection=.*within\(session\).*BYPASSRLS"):
                mfa.challenge(user_id)
        closed(engine, runner)


@pytest.mark.parametrize("what", ["checkout", "checkin", "before_cursor_execute", "commit", "rollback"])
def test_who_traces_and_counts_has_said_nothing(
    guarded: Guarded, keys: str, clock: Clock, runner: asyncio.Runner, what: str
) -> None:
    for driver in DRIVERS:
        engine = guarded.engine(driver)
        event.listen(getattr(engine, "sync_engine", engine), what, lambda *_: None)
        mfa = opened(engine, keys, clock, runner)
        with pytest.raises(ConfigurationError, match="Row security"):
            mfa.challenge(guarded.ada.user_id)
        closed(engine, runner)


def test_what_is_said_on_the_session_holds_for_whoever_joins_it(
    guarded: Guarded, keys: str, clock: Clock, runner: asyncio.Runner
) -> None:
    engine = guarded.engine(DRIVERS[0])
    mfa = opened(engine, keys, clock, runner)
    with Session(engine) as session:
        said = guarded.words["SET LOCAL"]
        event.listen(session, "after_begin", lambda _session, _begun, connection: connection.exec_driver_sql(said))
        joined = mfa.within(session)
        assert challenged(joined, guarded.ada.user_id)
        assert not joined.challenge(guarded.other)
        session.commit()
    closed(engine, runner)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_what_is_not_heard_is_told_at_the_start(
    guarded: Guarded, keys: str, clock: Clock, runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    for driver in DRIVERS:
        engine = guarded.engine(driver)
        caplog.clear()
        mfa = opened(engine, keys, clock, runner)
        for _ in range(2):
            with pytest.raises(ConfigurationError):
                mfa.status(guarded.ada.user_id)
        (told,) = warnings(caplog)
        assert told.startswith(f"Row security of {', '.join(sorted(NAMES))} binds this role")
        assert "on_connection=" in told
        assert "mfa.within(session)" in told

        caplog.clear()
        how = on_connection(engine, guarded.words["SET LOCAL"])
        assert opened(engine, keys, clock, runner, **how).status(guarded.ada.user_id).is_enrolled
        at_begin(getattr(engine, "sync_engine", engine), guarded.words["SET LOCAL"])
        assert opened(engine, keys, clock, runner).status(guarded.ada.user_id).is_enrolled
        assert warnings(caplog) == []
        closed(engine, runner)


def says_nothing(_connection: sa.Connection) -> None:
    """Stand for a host whose variable of the context is not set, in a thread or a task of its own."""


def ends_by_the_driver(connection: sa.Connection) -> None:
    connection.exec_driver_sql("SET LOCAL app.tenant = 'a'")
    cast("Any", connection.connection.dbapi_connection).commit()


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("traces", [None, "checkout", "before_cursor_execute"])
@pytest.mark.parametrize("told", [says_nothing, ends_by_the_driver])
def test_an_on_connection_after_which_nothing_is_told_makes_nobody_not_enrolled(
    guarded: Guarded,
    keys: str,
    clock: Clock,
    runner: asyncio.Runner,
    driver: str,
    told: Callable[[sa.Connection], None],
    traces: str | None,
) -> None:
    engine = guarded.engine(driver)
    if traces:
        event.listen(getattr(engine, "sync_engine", engine), traces, lambda *_: None)
    mfa = opened(engine, keys, clock, runner, on_connection=told)
    for call in (mfa.challenge, mfa.status):
        with pytest.raises(ConfigurationError, match="on_connection has said nothing in this transaction"):
            call(guarded.ada.user_id)
    closed(engine, runner)
