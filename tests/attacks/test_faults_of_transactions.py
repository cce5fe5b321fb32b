"""Deadlocks and serialization failures, provoked by somebody else: an operation is decided once, or not at all."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from tests.attacks.outages import wait_until_somebody_waits
from tests.people import Enrolment, challenged, enroll, kinds, plain_settings
from twofold import MFA, DatabaseUnavailable

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Clock

_DEADLOCKS = {"40P01", 1213}


@pytest.fixture
def face() -> str:
    """Threads tell more here."""
    return "blocking"


def code_of(error: BaseException | None) -> Any:
    """What the database calls it: MariaDB by a number, PostgreSQL by its SQLSTATE."""
    number = error.args[0] if error is not None and error.args else None
    return number if isinstance(number, int) else getattr(error, "sqlstate", None)


@pytest.mark.requirement("R11", "R101", "R105")
@pytest.mark.backends("postgresql", "mariadb")
def test_a_deadlock_with_the_host_costs_no_code_and_no_line(
    mfa: MFA, enrolled: Enrolment, migrated: Database, keys: str, clock: Clock
) -> None:
    token, code = challenged(mfa, enrolled.user_id), enrolled.phone.code()
    deadlocks: list[Any] = []
    engine = migrated.engine()

    @event.listens_for(engine, "handle_error")
    def seen(context: Any) -> None:
        deadlocks.append(code_of(context.original_exception))

    hosted = MFA(engine, plain_settings(keys=keys), clock=clock)
    with ThreadPoolExecutor(1) as pool, migrated.engine().connect() as host:
        # The host has the user and wants the row; the operation has the row and, for its event, wants the user.
        host.execute(sa.text("SELECT id FROM users WHERE id = :id FOR UPDATE"), {"id": enrolled.user_id})
        answer = pool.submit(hosted.verify, token, code)
        wait_until_somebody_waits(migrated)
        try:
            host.execute(sa.text("UPDATE user_mfa_secrets SET updated_at = updated_at"))
            host.commit()
        except DBAPIError as error:
            deadlocks.append(code_of(error.orig))
            host.rollback()
        assert answer.result(120).user_id == enrolled.user_id
    assert _DEADLOCKS & set(deadlocks), "There was no deadlock."
    assert kinds(mfa, enrolled.user_id).count("code_accepted") == 1
    assert mfa.events.verify(enrolled.user_id).is_intact


@pytest.mark.requirement("R11", "R64")
@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_caller_whose_snapshot_is_too_old_is_told_to_try_again(
    mfa: MFA, ada: int, migrated: Database, clock: Clock, level: str
) -> None:
    enrolled = enroll(mfa, ada, clock)
    with migrated.engine().connect().execution_options(isolation_level=level) as caller:
        caller.execute(sa.text("SELECT * FROM users")).all()
        mfa.challenge(ada)
        with pytest.raises(DatabaseUnavailable, match="Roll it back and begin it again") as told:
            mfa.within(caller).password_changed(ada)
        assert code_of(told.value.__cause__) == "40001"
        caller.rollback()
        assert mfa.within(caller).password_changed(ada) == 0
        caller.commit()
    assert kinds(mfa, ada).count("password_changed") == 1
    assert mfa.reverify(ada, enrolled.phone.code())
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R11", "R64")
@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_row_that_a_snapshot_does_not_show_is_not_waited_for(
    mfa: MFA, ada: int, migrated: Database, level: str
) -> None:
    with migrated.engine().connect().execution_options(isolation_level=level) as caller:
        caller.execute(sa.text("SELECT * FROM users")).all()
        mfa.totp.begin(ada, account_name="ada@example.com")
        with pytest.raises(DatabaseUnavailable, match="Roll it back and begin it again"):
            mfa.within(caller).totp.begin(ada, account_name="ada@example.com")
        caller.rollback()
        mfa.within(caller).totp.begin(ada, account_name="ada@example.com")
        caller.commit()
    assert kinds(mfa, ada) == ["totp_begun", "totp_begun"]
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R11", "R105")
@pytest.mark.backends("postgresql")
def test_two_callers_who_lock_each_other_out_both_have_their_line_in_the_end(
    mfa: MFA, ada: int, grace: int, migrated: Database, clock: Clock
) -> None:
    for user_id in (ada, grace):
        enroll(mfa, user_id, clock)
    engine = migrated.engine()

    def both(first: int, second: int) -> None:
        while True:
            with engine.connect() as caller, contextlib.suppress(DatabaseUnavailable):
                mfa.within(caller).password_changed(first)
                time.sleep(0.2)
                mfa.within(caller).password_changed(second)
                caller.commit()
                return

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(both, ada, grace), pool.submit(both, grace, ada)]
        for one in done:
            one.result(120)
    for user_id in (ada, grace):
        assert kinds(mfa, user_id).count("password_changed") == 2
        assert mfa.events.verify(user_id).is_intact
