"""A row that is changed by hand is refused, whatever was changed, until a named operator repairs it."""

from __future__ import annotations

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Sql, challenged, enroll, kinds, log_in
from twofold import MFA, MissingKey, NotEnrolled, Reason, Rejected, Tampered
from twofold.keyring import generate_key

CHANGES = [
    "is_enabled = false",
    "is_verified = false",
    "failed_attempts = 1",
    "last_used_step = 0",
    "last_used_step = NULL",
    "last_challenge = 0",
    "event_count = 0",
    "event_count = event_count + 1",
    "event_head = NULL",
    "digits = 8",
    "period = 60",
    "algorithm = 'SHA256'",
    "enabled_at = '2020-01-01 00:00:00'",
    "state_mac = NULL",
    "state_mac = 'v1:k1:00'",
    "state_mac = ''",
    "secret = pending_secret",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_row_is_refused(mfa: MFA, enrolled: Enrolment, sql: Sql, change: str) -> None:
    token = challenged(mfa, enrolled.user_id)
    sql(f"UPDATE user_mfa_secrets SET {change}")
    for operation in (
        lambda: mfa.challenge(enrolled.user_id),
        lambda: mfa.verify(token, enrolled.phone.code()),
        lambda: mfa.verify(token, enrolled.backup_codes[0]),
        lambda: mfa.status(enrolled.user_id),
        lambda: mfa.reset(enrolled.user_id, by="grace", reason="test"),
        lambda: mfa.totp.begin(enrolled.user_id, account_name="ada@example.com"),
        lambda: mfa.backup_codes.regenerate(enrolled.verified),
    ):
        with pytest.raises(Tampered):
            operation()


def test_a_row_that_is_removed_does_not_remove_the_second_factor(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    sql("DELETE FROM user_mfa_secrets")
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)
    assert not mfa.events.verify(enrolled.user_id).is_intact


def test_a_secret_that_is_copied_to_another_user_does_not_open(
    mfa: MFA, ada: int, grace: int, clock: Clock, sql: Sql
) -> None:
    adas = enroll(mfa, ada, clock)
    enroll(mfa, grace, clock)
    ((secret,),) = sql("SELECT secret FROM user_mfa_secrets WHERE user_id = :ada", ada=ada)
    sql("UPDATE user_mfa_secrets SET secret = :secret WHERE user_id = :grace", secret=secret, grace=grace)
    with pytest.raises(Tampered):
        log_in(mfa, grace, adas.phone.code())


@pytest.mark.parametrize("how", ["UPDATE user_mfa_secrets SET is_enabled = false", "DELETE FROM user_mfa_secrets"])
def test_a_named_operator_repairs_and_the_user_starts_anew(
    mfa: MFA, enrolled: Enrolment, clock: Clock, sql: Sql, how: str
) -> None:
    mfa.challenge(enrolled.user_id)
    sql(how)
    mfa.repair(enrolled.user_id, by="grace@example.com", reason="found in the nightly check")
    assert not mfa.challenge(enrolled.user_id)
    event = next(event for event in mfa.events.recent(enrolled.user_id) if event.kind == "repaired")
    assert event.details["by"] == "grace@example.com"
    enroll(mfa, enrolled.user_id, clock)
    assert mfa.challenge(enrolled.user_id)
    assert mfa.events.verify(enrolled.user_id).is_intact


def test_there_is_nothing_to_repair_where_there_is_nothing(mfa: MFA, ada: int) -> None:
    with pytest.raises(NotEnrolled):
        mfa.repair(ada, by="grace", reason="test")


def test_a_lost_key_is_an_outage_and_never_no_second_factor(open_mfa: Open, ada: int, clock: Clock) -> None:
    enrolment = enroll(open_mfa(), ada, clock)
    stranger = open_mfa(keys=generate_key("k9"))
    for operation in (lambda: stranger.challenge(ada), lambda: stranger.status(ada)):
        with pytest.raises(MissingKey, match="'k1'"):
            operation()
    mfa = open_mfa()
    assert log_in(mfa, ada, enrolment.phone.code())


def test_a_secret_under_a_lost_key_is_recorded(open_mfa: Open, ada: int, clock: Clock, keys: str, sql: Sql) -> None:
    enrolment = enroll(open_mfa(), ada, clock)
    new = generate_key("k2")
    both = open_mfa(keys=f"{new},{keys}")
    token = challenged(both, ada)
    ((secret,),) = sql("SELECT secret FROM user_mfa_secrets")
    # The row is proven under the new key while its secret still needs the old one, as after half a rotation.
    assert secret.startswith("v1:k1:")
    new_alone = open_mfa(keys=new)
    with pytest.raises(MissingKey, match="'k1'"):
        new_alone.verify(token, enrolment.phone.code())
    assert kinds(new_alone, ada)[-1] == "key_missing"
    assert new_alone.status(ada).failed_attempts == 0
    assert both.verify(token, enrolment.phone.code())


def test_a_trusted_browser_is_asked_while_the_row_is_refused(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    device = mfa.trusted_devices.trust(log_in(mfa, enrolled.user_id, enrolled.phone.code()), request=FIREFOX)
    sql("UPDATE user_mfa_secrets SET failed_attempts = 7")
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id, device_token=device.token, request=FIREFOX)


def test_a_spent_code_stays_spent_whatever_its_row_says(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    sql("UPDATE mfa_backup_codes SET is_used = false, used_at = NULL")
    with pytest.raises(Rejected) as refused:
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    assert refused.value.reason is Reason.CODE_ALREADY_USED
    assert log_in(mfa, enrolled.user_id, enrolled.backup_codes[1])


def test_a_row_that_is_given_to_somebody_else_does_not_free_its_owner(
    mfa: MFA, enrolled: Enrolment, grace: int, sql: Sql
) -> None:
    sql("UPDATE user_mfa_secrets SET user_id = :grace", grace=grace)
    for hiding in ("UPDATE mfa_events SET seq = NULL", "DELETE FROM mfa_events"):
        sql(hiding)
        with pytest.raises(Tampered):
            mfa.challenge(enrolled.user_id)
    with pytest.raises(Tampered):
        mfa.challenge(grace)


def test_an_alarm_is_in_the_log_of_the_operator(
    mfa: MFA, enrolled: Enrolment, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    sql("UPDATE user_mfa_secrets SET failed_attempts = 7")
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)
    assert [record.levelname for record in caplog.records if record.name == "twofold"] == ["CRITICAL"]


@pytest.mark.backends("sqlite")
def test_garbage_in_a_moment_is_an_alarm_too(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    sql("UPDATE user_mfa_secrets SET locked_until = 'never'")
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)
