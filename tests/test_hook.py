"""The host hears of every line once it is committed, once, in order, and can neither undo nor delay an answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests.attacks.act import refusal
from tests.attacks.acts import ACTS
from tests.attacks.cutting import Cut
from tests.attacks.losing import DRIVERS, lost_at
from tests.attacks.refusing import REASONS, staged
from tests.databases import BACKENDS, ROOT
from tests.people import FIREFOX, Blocked, add_user, challenged, enroll, log_in, plain_settings
from twofold import MFA, AsyncMFA, Event, Rejected, UnknownUser
from twofold.account import store
from twofold.account.attempt import Conflict
from twofold.database import create_async_engine
from twofold.hook import LIMIT
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import Database
    from tests.people import Clock

# Whoever waits for a hook that stands still waits for a minute.
HURRIED = 30.0


class Ears:
    """A host that listens, on one of the faces."""

    def __init__(self, database: Database, face: str, clock: Clock, keys: str) -> None:
        self.database, self.face, self._clock, self._keys = database, face, clock, keys
        self.heard: list[Event] = []
        self._open = contextlib.ExitStack()
        self.runner = self._open.enter_context(asyncio.Runner())

    def mfa(self, on_event: Any = None, **settings: Any) -> MFA:
        """The library with a hook, which notes what it hears where no other is given."""
        on_event = on_event or self.heard.append
        made = plain_settings(**{"keys": self._keys} | settings)
        if self.face == "blocking":
            return MFA(self.database.engine(), made, on_event=on_event, clock=self._clock)
        engine = create_async_engine(self.database.url)
        self._open.callback(lambda: self.runner.run(engine.dispose()))
        return cast("MFA", Blocked(AsyncMFA(engine, made, on_event=on_event, clock=self._clock), self.runner))

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def ears(migrated: Database, face: str, clock: Clock, keys: str) -> Iterator[Ears]:
    with contextlib.closing(Ears(migrated, face, clock, keys)) as made:
        yield made


def logged(mfa: MFA, user_id: int) -> list[Event]:
    """The log as it stands, without what only the database knows."""
    return [replace(event, id=0) for event in reversed(mfa.events.recent(user_id, limit=1000))]


def test_what_is_heard_is_the_log_from_the_first_line_to_the_last(ears: Ears, ada: int, clock: Clock) -> None:
    mfa = ears.mfa()
    enrolment = enroll(mfa, ada, clock)
    token = challenged(mfa, ada, request=FIREFOX)
    with pytest.raises(Rejected):
        mfa.verify(token, enrolment.phone.wrong_code(), request=FIREFOX)
    verified = mfa.verify(token, enrolment.phone.code(), request=FIREFOX)
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    mfa.reverify(ada, enrolment.backup_codes[0])
    mfa.backup_codes.regenerate(verified)
    mfa.password_changed(ada)
    mfa.status(ada)
    with pytest.raises(UnknownUser):
        mfa.challenge(ada + 1000)
    mfa.reset(ada, by="support", reason="the phone is lost")
    assert mfa.flush(60)
    assert ears.heard == logged(mfa, ada)
    assert [event.kind for event in ears.heard][:4] == ["totp_begun", "totp_confirmed", "challenged", "code_refused"]


def test_what_many_rows_write_together_is_heard(ears: Ears, clock: Clock, keys: str, migrated: Database) -> None:
    mfa = ears.mfa()
    users = [enroll(mfa, add_user(migrated, f"user{n}@example.com"), clock).user_id for n in range(3)]
    assert mfa.flush(60)
    rotating = ears.mfa(keys=f"{generate_key('k2')},{keys}")
    assert rotating.keys.rotate().done == len(users)
    assert rotating.flush(60)
    resealed = [event.user_id for event in ears.heard if event.kind == "resealed"]
    assert sorted(map(int, map(str, resealed))) == users


def test_nothing_is_heard_of_an_attempt_that_is_thrown_away(
    ears: Ears, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, thrown = store.save, [0]

    def save(work: Any, *arguments: Any, **options: Any) -> Any:
        saved = begin(work, *arguments, **options)
        if thrown[0] < 2:
            thrown[0] += 1
            raise Conflict
        return saved

    mfa = ears.mfa()
    with monkeypatch.context() as patched:
        patched.setattr(store, "save", save)
        mfa.totp.begin(ada, account_name="ada@example.com")
    assert mfa.flush(60)
    assert thrown == [2]
    assert ears.heard == logged(mfa, ada)
    assert len(ears.heard) == 1


@pytest.mark.parametrize("deed", [Cut.BEFORE, Cut.AFTER])
@pytest.mark.parametrize("driver", [driver for driver, backend in DRIVERS.items() if backend in BACKENDS])
def test_a_commit_that_nobody_acknowledged_is_heard_of_once(databases: Any, driver: str, deed: Cut) -> None:
    heard: list[Event] = []
    with (
        databases.database(DRIVERS[driver], migrated=True) as database,
        lost_at(database, driver, heard.append) as losers,
    ):
        mfa = losers.scene.mfa
        for name in ("confirm", "challenge", "verify", "verify_wrongly", "trust"):
            act = ACTS[name](losers.scene)
            losers.losing.arm(deed)
            refusal(act.ask)
            losers.losing.disarm()
            assert losers.losing.done == 1
            assert mfa.flush(60)
            assert [event for event in heard if event.user_id == act.user_id] == logged(mfa, act.user_id)


def test_a_commit_that_was_refused_is_heard_of_once_when_it_succeeds(migrated: Database, face: str) -> None:
    heard: list[Event] = []
    with staged(migrated, face, heard.append) as stage:
        mfa = stage.scene.mfa
        for name in ("confirm", "verify", "verify_wrongly", "trust"):
            act = ACTS[name](stage.scene)
            stage.refusing.arm(REASONS[migrated.backend][0], 2)
            refusal(act.ask)
            assert stage.refusing.disarm() == 2
            assert mfa.flush(60)
            assert [event for event in heard if event.user_id == act.user_id] == logged(mfa, act.user_id)


def test_in_a_race_every_line_is_heard_once(migrated: Database, ada: int, clock: Clock, keys: str) -> None:
    heard: list[Event] = []
    mfa = MFA(migrated.engine(), plain_settings(keys=keys, deadline=60), on_event=heard.append, clock=clock)
    enrolment = enroll(mfa, ada, clock)
    token, code = challenged(mfa, ada), enrolment.phone.code()
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: refusal(lambda: mfa.verify(token, code)), range(16)))
    assert answers.count("success") == 1
    assert mfa.flush(60)
    assert sorted(heard, key=lambda event: event.seq) == logged(mfa, ada)


def test_in_a_race_of_tasks_every_line_is_heard_once(migrated: Database, ada: int, clock: Clock, keys: str) -> None:
    heard: list[Event] = []

    async def hear(event: Event) -> None:
        await asyncio.sleep(0)
        heard.append(event)

    async def race() -> None:
        engine = create_async_engine(migrated.url)
        mfa = AsyncMFA(engine, plain_settings(keys=keys, deadline=60), on_event=hear, clock=clock)
        await mfa.totp.begin(ada, account_name="ada@example.com")
        await asyncio.gather(*(mfa.password_changed(ada) for _ in range(6)))
        assert await mfa.flush(60)
        lines = [replace(event, id=0) for event in reversed(await mfa.events.recent(ada))]
        assert sorted(heard, key=lambda event: event.seq) == lines
        await engine.dispose()

    asyncio.run(race())
    assert len(heard) == 7


@pytest.fixture
def heard() -> list[Event]:
    return []


@pytest.fixture
def listening(migrated: Database, clock: Clock, keys: str, heard: list[Event]) -> MFA:
    """The blocking face with a hook."""
    return MFA(migrated.engine(), plain_settings(keys=keys), on_event=heard.append, clock=clock)


def test_within_it_is_heard_once_the_host_has_committed(
    listening: MFA, migrated: Database, ada: int, grace: int, heard: list[Event]
) -> None:
    with migrated.engine().connect() as connection:
        listening.within(connection).totp.begin(ada, account_name="ada@example.com")
        connection.rollback()
        assert listening.flush(60)
        assert heard == []
        listening.within(connection).totp.begin(grace, account_name="grace@example.com")
        assert listening.flush(60)
        assert heard == []
        connection.commit()
        assert listening.flush(60)
        assert heard == logged(listening, grace)
        connection.execute(sa.text("SELECT 1"))
        connection.commit()
    assert listening.flush(60)
    assert len(heard) == 1


def test_within_a_savepoint_that_is_rolled_back_takes_what_is_in_it(
    listening: MFA, migrated: Database, ada: int, grace: int, heard: list[Event]
) -> None:
    with Session(migrated.engine()) as session:
        session.execute(sa.text("SELECT 1"))
        if migrated.backend == "sqlite":
            session.connection().exec_driver_sql("BEGIN")
        outer = session.begin_nested()
        listening.within(session).totp.begin(ada, account_name="ada@example.com")
        with session.begin_nested():
            listening.within(session).totp.begin(grace, account_name="grace@example.com")
        outer.rollback()
        listening.within(session).totp.begin(grace, account_name="grace@example.com")
        inner = session.begin_nested()
        listening.within(session).password_changed(grace)
        listening.within(session).totp.begin(ada, account_name="ada@example.com")
        inner.rollback()
        assert listening.flush(60)
        assert heard == []
        session.commit()
    assert listening.flush(60)
    assert heard == logged(listening, grace)
    assert [event.kind for event in heard] == ["totp_begun"]


def test_within_a_session_that_is_closed_nothing_is_heard(
    listening: MFA, migrated: Database, ada: int, heard: list[Event]
) -> None:
    with Session(migrated.engine()) as session:
        listening.within(session).totp.begin(ada, account_name="ada@example.com")
    with Session(migrated.engine()) as session:
        session.execute(sa.text("SELECT 1"))
        session.commit()
    assert listening.flush(60)
    assert heard == []


def test_within_a_session_of_a_connection_the_connection_commits(
    listening: MFA, migrated: Database, ada: int, heard: list[Event]
) -> None:
    with migrated.engine().connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            if migrated.backend == "sqlite":
                connection.exec_driver_sql("BEGIN")
            listening.within(session).totp.begin(ada, account_name="ada@example.com")
            session.commit()
        assert listening.flush(60)
        assert heard == []
        outer.commit()
    assert listening.flush(60)
    assert [event.kind for event in heard] == ["totp_begun"]


def test_within_a_commit_that_is_refused_tells_nothing(databases: Any, backend: str) -> None:
    heard: list[Event] = []
    with (
        databases.database(backend, migrated=True) as database,
        staged(database, "blocking", heard.append) as stage,
    ):
        mfa, ada = stage.scene.mfa, stage.scene.add_user()
        with mfa._engine.connect() as connection:
            mfa.within(connection).totp.begin(ada, account_name="ada@example.com")
            stage.refusing.arm(REASONS[backend][0], 1)
            with pytest.raises(DBAPIError):
                connection.commit()
            stage.refusing.disarm()
            connection.rollback()
        assert mfa.flush(60)
        assert heard == []
        assert not mfa.status(ada).is_pending


def test_within_is_heard_on_the_awaited_face(migrated: Database, ada: int, clock: Clock, keys: str) -> None:
    heard: list[Event] = []

    async def hear(event: Event) -> None:
        heard.append(event)

    async def story() -> None:
        engine = create_async_engine(migrated.url)
        mfa = AsyncMFA(engine, plain_settings(keys=keys), on_event=hear, clock=clock)
        async with engine.connect() as connection:
            await mfa.within(connection).totp.begin(ada, account_name="ada@example.com")
            await connection.rollback()
        assert await mfa.flush(60)
        assert heard == []
        async with engine.begin() as connection:
            await mfa.within(connection).totp.begin(ada, account_name="ada@example.com")
            assert await mfa.flush(60)
            assert heard == []
        assert await mfa.flush(60)
        await engine.dispose()

    asyncio.run(story())
    assert [event.kind for event in heard] == ["totp_begun"]


def test_a_hook_that_stands_still_delays_no_answer_and_is_told_what_waited(
    ears: Ears, ada: int, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    is_told, stands, heard = threading.Event(), threading.Event(), list[Event]()

    def hear(event: Event) -> None:
        is_told.set()
        stands.wait(60)
        heard.append(event)

    mfa = ears.mfa(hear)
    began = time.monotonic()
    enroll(mfa, ada, clock)
    assert time.monotonic() - began < HURRIED
    assert not mfa.flush(0.05)
    assert is_told.wait(60)
    hook: Any = (mfa._face if isinstance(mfa, Blocked) else mfa)._runtime.hook
    event = Event(0, ada, 0, "challenged", "success", {}, None, None, None, clock.now)
    with caplog.at_level(logging.ERROR, "twofold"):
        hook.tell([event] * (LIMIT + 5))
        stands.set()
        assert mfa.flush(60)
    # One is told, one of the set-up waits, and so the others have two places less.
    assert len(heard) == LIMIT + 1
    assert caplog.messages[0].startswith(f"on_event is {LIMIT} events behind")
    assert caplog.messages[1].endswith("events were not told to on_event.")
    assert vars(caplog.records[1])["twofold_missed"] == 6
    mfa.password_changed(ada)
    assert mfa.flush(60)
    assert heard[-1].kind == "password_changed"


class HostFails(Exception):
    pass


@pytest.mark.parametrize("error", [HostFails, SystemExit])
def test_a_hook_that_fails_changes_no_answer_and_is_logged_by_the_name_of_its_error(
    ears: Ears, ada: int, clock: Clock, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    def fail(_event: Event) -> None:
        raise error("smtp://ada:secret@mail")

    mfa = ears.mfa(fail)
    with caplog.at_level(logging.ERROR, "twofold"):
        enrolment = enroll(mfa, ada, clock)
        assert log_in(mfa, ada, enrolment.phone.code())
        assert mfa.flush(60)
    assert len(caplog.messages) == len(logged(mfa, ada))
    assert caplog.messages[0] == f"on_event failed on totp_begun of user {ada!r}: {error.__name__}"
    assert "secret" not in caplog.text
    assert vars(caplog.records[0])["twofold_error"] == error.__name__


def test_a_coroutine_function_that_fails_or_is_slow_is_no_other(
    migrated: Database, ada: int, clock: Clock, keys: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    async def hear(event: Event) -> None:
        heard.append(event.kind)
        if event.kind == "totp_begun":
            raise HostFails("secret")
        await asyncio.sleep(60)

    async def story() -> None:
        engine = create_async_engine(migrated.url)
        mfa = AsyncMFA(engine, plain_settings(keys=keys), on_event=hear, clock=clock)
        began = time.monotonic()
        await mfa.totp.begin(ada, account_name="ada@example.com")
        await mfa.password_changed(ada)
        assert not await mfa.flush(0.05)
        assert time.monotonic() - began < HURRIED
        await engine.dispose()

    with caplog.at_level(logging.ERROR, "twofold"):
        asyncio.run(story())
    assert heard[0] == "totp_begun"
    assert caplog.messages[0] == f"on_event failed on totp_begun of user {ada!r}: HostFails"
    assert "secret" not in caplog.text


def test_a_hook_that_cannot_be_called_in_time_is_refused_at_start(migrated: Database, keys: str) -> None:
    async def awaited(_event: Event) -> None:
        """Is of no use without a loop."""

    class Awaited:
        async def __call__(self, _event: Event) -> None:
            """The same."""

    nothing: Any = "nothing"
    for wrong in (awaited, Awaited(), nothing):
        with pytest.raises(TypeError, match="on_event"):
            MFA(migrated.engine(), plain_settings(keys=keys), on_event=wrong)
    engine = create_async_engine(migrated.url)
    with pytest.raises(TypeError, match="on_event"):
        AsyncMFA(engine, plain_settings(keys=keys), on_event=nothing)
    AsyncMFA(engine, plain_settings(keys=keys), on_event=Awaited())


def test_what_returns_a_coroutine_from_a_thread_is_told_so(
    ears: Ears, ada: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def awaited() -> None:
        """Is never begun."""

    mfa = ears.mfa(lambda _event: awaited())
    with caplog.at_level(logging.ERROR, "twofold"):
        mfa.totp.begin(ada, account_name="ada@example.com")
        assert mfa.flush(60)
    assert caplog.messages == [f"on_event failed on totp_begun of user {ada!r}: TypeError"]


_ENDS = """
import os, sys, time
from twofold import MFA
from twofold.database import create_engine
from tests.people import plain_settings

def hear(event):
    time.sleep(0.2)
    print(name, event.kind, flush=True)

name = "parent"
mfa = MFA(create_engine(sys.argv[1]), plain_settings(keys=sys.argv[2]), on_event=hear)
ada = int(sys.argv[3])
mfa.totp.begin(ada, account_name="ada@example.com")
child = os.fork()
if not child:
    name = "child"
    mfa.password_changed(ada)
    sys.exit()
os.waitpid(child, 0)
"""


@pytest.mark.by_turns
def test_a_process_that_ends_tells_what_waits_and_its_fork_what_is_its_own(
    migrated: Database, ada: int, keys: str
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _ENDS, migrated.url, keys, str(ada)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert sorted(done.stdout.split("\n")) == ["", "child password_changed", "parent totp_begun"]


def test_nothing_is_kept_where_nobody_listens(migrated: Database, ada: int, clock: Clock, keys: str) -> None:
    mfa = MFA(migrated.engine(), plain_settings(keys=keys), clock=clock)
    with migrated.engine().begin() as connection:
        mfa.within(connection).totp.begin(ada, account_name="ada@example.com")
        assert type(connection) is sa.Connection
    assert mfa.flush()
    assert mfa._runtime.hook is None
