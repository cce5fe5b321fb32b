"""Operations in the transaction of the host's own Session or connection: they end as it ends, and in no other one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker
from transaction import TransactionManager
from zope.sqlalchemy import register

from tests.people import Blocked, Clock, Sql, enroll, plain_settings
from twofold import MFA, AlreadyEnrolled, AsyncMFA, ConfigurationError, NotEnrolled, UnknownUser
from twofold.database import create_engine, enforce_foreign_keys
from twofold.metadata import UTCDateTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import Database, Sources

DRIVERS = {
    "sqlite": ("sqlite+pysqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql+psycopg", "postgresql+psycopg_async", "postgresql+asyncpg"),
    "mariadb": ("mariadb+pymysql", "mariadb+asyncmy"),
}
AWAITED = frozenset({"sqlite+aiosqlite", "postgresql+psycopg_async", "postgresql+asyncpg", "mariadb+asyncmy"})


class Base(DeclarativeBase):
    pass


class User(Base):
    """The host's own user."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(sa.BigInteger(), primary_key=True)
    subject: Mapped[str] = mapped_column(sa.String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())


def new(number: int) -> User:
    return User(id=number, subject=f"{number}@example.com", created_at=datetime(2026, 1, 1, tzinfo=UTC))


class Host:
    """A host with one Session, awaited or not. What is said of a Session is done on the one that it has."""

    def __init__(self, url: str, driver: str, keys: str, clock: Clock, runner: asyncio.Runner) -> None:
        self.runner, self.is_awaited = runner, driver in AWAITED
        made, settings = sa.make_url(url).set(drivername=driver), plain_settings(keys=keys)
        self.engine: Any = create_async_engine(made) if self.is_awaited else sa.create_engine(made)
        enforce_foreign_keys(self.engine)
        kind: Any = AsyncMFA if self.is_awaited else MFA
        self.face: Any = kind(self.engine, settings, clock=clock)
        self.mfa = self.blocked(self.face)
        self.session: Any = self.opened()

    def opened(self, **how: Any) -> Any:
        """Another Session."""
        return AsyncSession(self.engine, **how) if self.is_awaited else Session(self.engine, **how)

    def blocked(self, face: Any) -> MFA:
        return cast("MFA", Blocked(face, self.runner) if self.is_awaited else face)

    def join(self, source: Any = None, **how: Any) -> MFA:
        """The operations in the transaction of the Session, or of another source."""
        return self.blocked(self.face.within(source or self.session, **how))

    def do(self, act: Callable[[Session], Any], session: Any = None) -> Any:
        """Let the host do something with its Session."""
        session = session or self.session
        return self.runner.run(session.run_sync(act)) if self.is_awaited else act(session)

    def add(self, number: int, session: Any = None) -> None:
        """Add a user, who is not flushed."""
        (session or self.session).add(new(number))

    def end_savepoint(self, ending: str) -> None:
        """Commit or roll back the innermost savepoint of the Session."""
        self.do(lambda session: getattr(session.get_nested_transaction(), ending)())

    def wait(self, answer: Any) -> Any:
        """What a call came to."""
        return self.runner.run(answer) if self.is_awaited else answer

    def close(self) -> None:
        self.do(Session.close)
        self.wait(self.engine.dispose())


@pytest.fixture
def hosts(migrated: Database, keys: str, clock: Clock) -> Iterator[Iterator[Host]]:
    """A host for each driver of the database, one after the other."""
    with asyncio.Runner() as runner:

        def each() -> Iterator[Host]:
            for driver in DRIVERS[migrated.backend]:
                host = Host(migrated.url, driver, keys, clock, runner)
                yield host
                host.close()

        yield each()


def begun(mfa: MFA, user: int) -> bool:
    return mfa.status(user).is_pending


def test_what_was_flushed_is_seen_and_the_commit_of_the_host_decides(hosts: Iterator[Host], sql: Sql) -> None:
    for number, host in enumerate(hosts, start=7):
        user = new(number)
        host.session.add(user)
        with pytest.raises(UnknownUser):
            host.join().totp.begin(number, account_name="ada@example.com")
        # Nothing was flushed for the look, and nothing is lost by the refusal.
        assert list(host.session.new) == [user]
        host.do(Session.flush)
        host.join().totp.begin(number, account_name="ada@example.com")
        host.do(Session.rollback)
        assert sql("SELECT count(*) FROM users WHERE id = :id", id=number) == [(0,)]
        assert sql("SELECT count(*) FROM user_mfa_secrets WHERE user_id = :id", id=number) == [(0,)]

        host.add(number)
        host.do(Session.flush)
        joined = host.join()
        joined.totp.begin(number, account_name="ada@example.com")
        assert begun(joined, number)
        host.do(Session.commit)
        assert begun(host.mfa, number)
        assert host.mfa.events.verify(number).length == 1


def test_a_savepoint_of_the_host_takes_back_what_was_done_in_it_and_no_more(hosts: Iterator[Host], sql: Sql) -> None:
    for number, host in enumerate(hosts, start=7):
        # Nothing but a write begins a transaction of SQLite in the driver: a savepoint alone would be one by itself.
        host.add(number)
        host.do(Session.flush)
        host.do(Session.begin_nested)
        host.join().totp.begin(number, account_name="ada@example.com")
        host.end_savepoint("rollback")
        assert not begun(host.join(), number)
        host.do(Session.begin_nested)
        host.join().totp.begin(number, account_name="ada@example.com")
        host.end_savepoint("commit")
        host.do(Session.commit)
        assert begun(host.mfa, number)
        assert host.mfa.events.verify(number).length == 1
        assert sql("SELECT count(*) FROM mfa_events WHERE user_id = :id", id=number) == [(1,)]


def test_a_refusal_leaves_nothing_half_done_and_the_transaction_goes_on(hosts: Iterator[Host], clock: Clock) -> None:
    for number, host in enumerate(hosts, start=7):
        host.add(number)
        host.do(Session.commit)
        enroll(host.mfa, number, clock)
        before = host.mfa.events.recent(number)
        host.add(number + 100)
        host.do(Session.flush)
        joined = host.join()
        with pytest.raises(AlreadyEnrolled):
            joined.totp.begin(number, account_name="ada@example.com")
        with pytest.raises(NotEnrolled):
            host.join(may_guess=True).reverify(number + 100, "123456")
        host.do(Session.commit)
        assert host.wait(host.session.get(User, number + 100)) is not None
        host.do(Session.rollback)
        assert host.mfa.events.recent(number) == before


@pytest.mark.parametrize("ending", ["commit", "rollback", "close"])
def test_a_transaction_that_is_over_is_not_followed_by_another_one(
    hosts: Iterator[Host], sql: Sql, ending: str
) -> None:
    for number, host in enumerate(hosts, start=7):
        host.add(number)
        host.do(Session.commit)
        early = host.join()
        assert not begun(early, number)
        late = host.join()
        host.do(getattr(Session, ending))
        for joined in (early, late):
            with pytest.raises(ConfigurationError, match=r"is over; call within\(\) again"):
                joined.totp.begin(number, account_name="ada@example.com")
        # A Session that has none begins one, as it does for the host.
        assert not begun(host.join(), number)
        host.do(Session.rollback)
        assert sql("SELECT count(*) FROM mfa_events WHERE user_id = :id", id=number) == [(0,)]


def test_what_has_no_transaction_to_give_says_so(hosts: Iterator[Host]) -> None:
    for host in hosts:
        finished = host.opened(close_resets_only=False)
        host.do(Session.close, finished)
        with pytest.raises(ConfigurationError, match="no transaction to join"):
            host.join(finished).status(7)
        # A flush that failed has undone everything, and the host has not yet heard of it.
        host.do(lambda session: session.add_all([new(1), new(1)]))
        with pytest.raises(IntegrityError):
            host.do(Session.flush)
        with pytest.raises(ConfigurationError, match="roll it back"):
            host.join().status(7)
        host.do(Session.rollback)
        with pytest.raises(UnknownUser):
            host.join().status(7)
        host.do(Session.rollback)
        routed = type(host.session)(binds={User: host.engine})
        with pytest.raises(ConfigurationError, match="bind_arguments"):
            host.join(routed).status(7)
        connection = host.wait(routed.connection(bind_arguments={"bind": host.do(Session.get_bind)}))
        with pytest.raises(UnknownUser):
            host.join(connection).status(7)
        host.do(Session.close, routed)
        with pytest.raises(ConfigurationError, match="no transaction to join"):
            host.join(connection).status(7)


def test_a_connection_and_a_session_on_it_are_the_same_transaction(hosts: Iterator[Host]) -> None:
    for number, host in enumerate(hosts, start=7):
        host.add(number)
        host.do(Session.commit)
        connection = host.wait(host.engine.connect().__aenter__() if host.is_awaited else host.engine.connect())
        for source in (connection, type(host.session)(bind=connection)):
            host.join(source).totp.begin(number, account_name="ada@example.com")
            assert begun(host.join(connection), number)
        host.wait(connection.rollback())
        assert not begun(host.mfa, number)
        joined = host.join(connection)
        assert not begun(joined, number)
        host.wait(connection.commit())
        with pytest.raises(ConfigurationError, match="is over"):
            joined.status(number)
        host.wait(connection.close())
        with pytest.raises(ConfigurationError, match="no transaction to join"):
            host.join(connection).status(number)


def test_a_session_that_a_registry_hands_out_is_joined(hosts: Iterator[Host]) -> None:
    for number, host in enumerate(hosts, start=7):
        if host.is_awaited:
            registry: Any = async_scoped_session(async_sessionmaker(host.engine), scopefunc=lambda: 1)
        else:
            registry = scoped_session(sessionmaker(host.engine))
        host.add(number, registry())
        host.do(Session.flush, registry())
        host.join(registry).totp.begin(number, account_name="ada@example.com")
        host.do(Session.commit, registry())
        host.wait(registry.remove())
        assert begun(host.mfa, number)


def test_a_session_on_another_database_is_refused(hosts: Iterator[Host], databases: Sources, backend: str) -> None:
    with databases.database(backend, migrated=True) as other:
        for host in hosts:
            made = sa.make_url(other.url).set(drivername=host.engine.url.drivername)
            if host.is_awaited:
                elsewhere: Any = create_async_engine(made)
                session: Any = AsyncSession(elsewhere)
            else:
                elsewhere = sa.create_engine(made)
                session = Session(elsewhere)
            with pytest.raises(ConfigurationError, match=str(made.database)):
                host.join(session).status(7)
            host.do(Session.close, session)
            host.wait(elsewhere.dispose())


@pytest.mark.backends("postgresql")
def test_a_database_that_is_named_by_an_argument_of_the_driver_is_told_apart(migrated: Database, keys: str) -> None:
    here = sa.make_url(migrated.url)
    by_argument = here.set(database="nowhere").update_query_dict({"dbname": str(here.database)})
    elsewhere = sa.create_engine(by_argument.update_query_dict({"dbname": "template1"}))
    engine, same = sa.create_engine(by_argument), sa.create_engine(here)
    mfa = MFA(engine, plain_settings(keys=keys))
    with Session(elsewhere) as session, pytest.raises(ConfigurationError, match="/template1, and the MFA of"):
        mfa.within(session).status(7)
    with Session(same) as session, pytest.raises(UnknownUser):
        mfa.within(session).status(7)
    for one in (engine, same, elsewhere):
        one.dispose()


@pytest.mark.backends("postgresql")
def test_a_connection_that_commits_each_statement_cannot_be_joined(hosts: Iterator[Host]) -> None:
    for host in hosts:
        engine = host.engine.execution_options(isolation_level="AUTOCOMMIT")
        session = type(host.session)(engine)
        with pytest.raises(ConfigurationError, match="commits by itself"):
            host.join(session).status(7)
        host.do(Session.close, session)


def test_each_face_takes_what_is_of_its_kind(keys: str) -> None:
    settings = plain_settings(keys=keys)
    engine, awaited = create_engine("sqlite:///never-opened.db"), create_async_engine("sqlite+aiosqlite:///never.db")
    mfa, awaited_mfa = MFA(engine, settings), AsyncMFA(awaited, settings)
    wrong: Any
    for wrong in (AsyncSession(awaited), awaited, engine, awaited.connect(), None, "session"):
        with pytest.raises(TypeError, match=r"^within\(\) of MFA takes a Session or a Connection, not"):
            mfa.within(wrong)
    for wrong in (Session(engine), awaited, engine, None):
        with pytest.raises(TypeError, match=r"^within\(\) of AsyncMFA takes an AsyncSession or an AsyncConnection"):
            awaited_mfa.within(wrong)
    with pytest.raises(ConfigurationError, match="not opened"):
        awaited_mfa.within(awaited.connect())
    # What is inside of an AsyncSession would have to be awaited.
    with pytest.raises(ConfigurationError, match="MissingGreenlet"):
        mfa.within(AsyncSession(awaited).sync_session).status(7)


def test_in_memory_each_engine_has_a_database_of_its_own(keys: str) -> None:
    one, other = create_memory(), create_memory()
    mfa = MFA(one, plain_settings(keys=keys))
    with Session(other) as session, pytest.raises(ConfigurationError, match="of :memory:, and the MFA of :memory:"):
        mfa.within(session).status(7)
    for engine in (one, other):
        engine.dispose()


def create_memory() -> sa.Engine:
    return sa.create_engine("sqlite://")


def test_zope_sqlalchemy_commits_whatever_was_written_and_nothing_else(hosts: Iterator[Host]) -> None:
    for number, host in enumerate(hosts, start=7):
        host.add(number)
        host.do(Session.commit)
        manager: Any = TransactionManager()
        commits: list[Session] = []

        def joined(session: Session, manager: Any = manager, commits: list[Session] = commits) -> None:
            register(session, transaction_manager=manager)
            event.listen(session, "after_commit", commits.append)

        def commit(_: Session, manager: Any = manager) -> None:
            manager.commit()

        def abort(_: Session, manager: Any = manager) -> None:
            manager.abort()

        host.do(joined)
        host.join().status(number)
        host.do(commit)
        assert commits == []
        host.join().totp.begin(number, account_name="ada@example.com")
        host.do(commit)
        assert begun(host.mfa, number)
        host.join().reset(number, by="grace@example.com", reason="lost phone")
        host.do(abort)
        assert begun(host.mfa, number)
        host.join().reset(number, by="grace@example.com", reason="lost phone")
        host.do(commit)
        assert not begun(host.mfa, number)
