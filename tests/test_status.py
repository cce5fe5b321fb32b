"""How a user stands, in all that is told of it, from one moment to the next."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from pyotp.totp import TOTP

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, Sql, challenged, enroll, kinds, log_in
from twofold import MFA, Reason, Rejected, Status
from twofold.keyring import generate_key
from twofold.metadata import tables

if TYPE_CHECKING:
    from tests.databases import Database


def test_a_status_says_all_of_how_a_user_stands(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(suspend_after=6)
    expected = Status(ada, False, False, None, None, 0, None, False, 0, 0)  # noqa: FBT003 -- All of it, in order.
    assert mfa.status(ada) == expected

    mfa.totp.begin(ada, account_name="ada@example.com")
    assert mfa.status(ada) == replace(expected, is_pending=True)
    clock.forward(minutes=10)
    assert mfa.status(ada) == replace(expected, is_pending=True)
    clock.forward(microseconds=1)
    assert mfa.status(ada) == expected

    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    for _ in range(5):
        with pytest.raises(Rejected):
            mfa.totp.confirm(ada, phone.wrong_code())
    # A set-up has tries of its own, and no login waits for them.
    assert mfa.status(ada) == replace(expected, is_pending=True)
    clock.forward(seconds=30)

    codes = mfa.totp.confirm(ada, phone.code()).backup_codes
    made = clock.now
    expected = replace(
        expected, is_enrolled=True, enabled_at=made, last_used_at=made, backup_codes_remaining=10, has_app=True
    )
    epoch = mfa.status(ada).epoch
    assert epoch
    expected = replace(expected, epoch=epoch)
    assert mfa.status(ada) == expected
    clock.forward(hours=1)
    verified = mfa.reverify(ada, codes[0])
    mfa.trusted_devices.trust(verified, request=FIREFOX)
    expected = replace(expected, last_used_at=clock.now, backup_codes_remaining=9, trusted_devices=1)
    assert mfa.status(ada) == expected

    for _ in range(6):
        clock.forward(seconds=40)
        with pytest.raises(Rejected):
            mfa.reverify(ada, phone.wrong_code())
    until = clock.now + timedelta(minutes=1)
    assert mfa.status(ada) == replace(expected, failed_attempts=6, waiting_until=until, is_suspended=True)
    mfa.totp.disable(verified)
    ended = replace(
        expected, is_enrolled=False, has_app=False, enabled_at=None, backup_codes_remaining=0, trusted_devices=0
    )
    assert mfa.status(ada).epoch != epoch
    assert mfa.status(ada) == replace(ended, epoch=mfa.status(ada).epoch)


def test_a_challenge_leaves_lines_for_as_long_again_and_then_none(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    token = challenged(mfa, enrolled.user_id)
    for wait, lines in ((timedelta(minutes=20, microseconds=-1), 1), (timedelta(microseconds=1), 0)):
        clock.now += wait
        before = len(kinds(mfa, enrolled.user_id))
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, enrolled.phone.code())
        assert refused.value.reason is Reason.CHALLENGE_EXPIRED
        assert len(kinds(mfa, enrolled.user_id)) == before + lines


def test_a_row_keeps_the_moments_of_what_happened(
    mfa: MFA, enrolled: Enrolment, clock: Clock, migrated: Database
) -> None:
    secrets = tables(sa.MetaData()).secrets
    columns = ("failed_attempts", "last_failed_at", "locked_until", "created_at", "updated_at", "disabled_at")

    def row() -> tuple[Any, ...]:
        with migrated.engine().connect() as connection:
            return tuple(connection.execute(sa.select(*(secrets.c[name] for name in columns))).one())

    made = clock.now - timedelta(seconds=60)
    assert row() == (0, None, None, made, made, None)
    for failures in range(1, 6):
        clock.forward(seconds=1)
        with pytest.raises(Rejected):
            mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
        until = clock.now + timedelta(seconds=30) if failures == 5 else None
        assert row() == (failures, clock.now, until, made, clock.now, None)
    clock.forward(seconds=30)
    verified = mfa.reverify(enrolled.user_id, enrolled.phone.code())
    assert row() == (0, None, None, made, clock.now, None)
    mfa.totp.disable(verified)
    assert row() == (0, None, None, made, clock.now, clock.now)
    enroll(mfa, enrolled.user_id, clock)
    assert row() == (0, None, None, made, clock.now - timedelta(seconds=60), None)


def test_a_row_holds_one_factor_or_what_is_left_of_it(open_mfa: Open, ada: int, clock: Clock, sql: Sql) -> None:
    columns = "algorithm, digits, period, is_enabled, is_verified, last_challenge, pending_secret, pending_at"
    mfa = open_mfa(algorithm="SHA256", digits=8, period=60)
    app = TOTP(mfa.totp.begin(ada, account_name="ada@example.com").secret, digits=8, digest=hashlib.sha256, interval=60)
    mfa.totp.confirm(ada, app.at(clock.now))
    assert [tuple(row) for row in sql(f"SELECT {columns} FROM user_mfa_secrets")] == [
        ("SHA256", 8, 60, True, True, 1, None, None)
    ]
    (step,) = sql("SELECT last_used_step FROM user_mfa_secrets")[0]
    assert step == clock.now.timestamp() // 60
    clock.forward(minutes=2)
    verified = log_in(open_mfa(), ada, app.at(clock.now))
    enabled_at = sql("SELECT enabled_at FROM user_mfa_secrets")
    mfa.totp.disable(verified)
    assert [tuple(row) for row in sql(f"SELECT {columns} FROM user_mfa_secrets")] == [
        ("SHA1", 6, 30, False, False, 4, None, None)
    ]
    assert sql("SELECT enabled_at FROM user_mfa_secrets") == enabled_at
    assert sql("SELECT secret, last_used_step FROM user_mfa_secrets")[0] == (None, step + 2)


def test_a_waiting_secret_that_expired_is_dropped_when_keys_change(
    open_mfa: Open, ada: int, clock: Clock, keys: str, sql: Sql
) -> None:
    enrolment = enroll(open_mfa(), ada, clock)
    verified = log_in(open_mfa(), ada, enrolment.phone.code())
    open_mfa().totp.begin(ada, account_name="ada@example.com", verified=verified)
    for wait, key, is_kept in ((timedelta(minutes=10), "k2", True), (timedelta(microseconds=1), "k3", False)):
        clock.now += wait
        keys = f"{generate_key(key)},{keys}"
        open_mfa(keys=keys).keys.rotate()
        assert (sql("SELECT pending_secret FROM user_mfa_secrets")[0][0] is not None) == is_kept
    clock.forward(minutes=1)
    assert log_in(open_mfa(keys=keys), ada, enrolment.phone.code())


def test_a_repair_touches_the_row_of_one_user(mfa: MFA, ada: int, grace: int, clock: Clock, sql: Sql) -> None:
    enrolments = [enroll(mfa, user_id, clock) for user_id in (ada, grace)]
    log_in(mfa, ada, enrolments[0].backup_codes[0])
    sql("UPDATE user_mfa_secrets SET event_count = 1 WHERE user_id = :ada", ada=ada)
    before = sql("SELECT * FROM user_mfa_secrets WHERE user_id = :grace", grace=grace)
    mfa.repair(ada, by="grace@example.com", reason="nightly check")
    assert sql("SELECT * FROM user_mfa_secrets WHERE user_id = :grace", grace=grace) == before
    for user_id in (ada, grace):
        assert mfa.events.verify(user_id).is_intact
    assert mfa.status(grace).is_enrolled
    assert not mfa.status(ada).is_enrolled
