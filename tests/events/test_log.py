"""The audit log: every operation leaves its line, and no line can be altered unseen."""

from __future__ import annotations

import json

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Sql, enroll, kinds, log_in
from twofold import MFA, Event, MissingKey, Rejected, Request, Tampered, UnknownUser
from twofold.events.kinds import Kind, Status
from twofold.keyring import generate_key


def test_each_operation_leaves_one_line(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolment = enroll(mfa, ada, clock)
    mfa.challenge(ada)
    with pytest.raises(Rejected):
        mfa.reverify(ada, enrolment.phone.wrong_code())
    verified = mfa.reverify(ada, enrolment.phone.code())
    mfa.trusted_devices.trust(verified, request=FIREFOX)
    mfa.trusted_devices.revoke_all(ada)
    mfa.backup_codes.regenerate(verified)
    mfa.totp.disable(verified)
    mfa.password_changed(ada)
    mfa.challenge(ada)
    expected = [
        Kind.TOTP_BEGUN,
        Kind.TOTP_CONFIRMED,
        Kind.CHALLENGED,
        Kind.CODE_REFUSED,
        Kind.CODE_ACCEPTED,
        Kind.DEVICE_TRUSTED,
        Kind.DEVICE_REVOKED,
        Kind.BACKUP_CODES_REGENERATED,
        Kind.TOTP_DISABLED,
        Kind.PASSWORD_CHANGED,
        Kind.CLEARED,
    ]
    assert kinds(mfa, ada) == expected
    assert mfa.events.verify(ada).is_intact
    assert mfa.events.verify(ada).length == len(expected)


def test_reading_writes_nothing(mfa: MFA, enrolled: Enrolment) -> None:
    before = kinds(mfa, enrolled.user_id)
    mfa.status(enrolled.user_id)
    mfa.backup_codes.remaining(enrolled.user_id)
    mfa.trusted_devices.list(enrolled.user_id)
    mfa.events.verify(enrolled.user_id)
    mfa.events.export()
    mfa.proof(enrolled.verified.token)
    assert kinds(mfa, enrolled.user_id) == before


def test_a_line_says_when_in_utc_and_from_where(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    hostile = Request("192.0.2.1", "Evil\r\n\x1b[31m\u202e\0" + "x" * 100_000)
    mfa.challenge(enrolled.user_id, request=hostile)
    (event,) = mfa.events.recent(enrolled.user_id, limit=1)
    assert event.at == clock.now
    assert event.at.utcoffset() is not None
    assert event.user_agent is not None
    assert event.user_agent.isprintable()
    assert len(event.user_agent) == 512
    assert mfa.events.verify(enrolled.user_id).is_intact


def test_pages_follow_each_other_without_gap(mfa: MFA, enrolled: Enrolment) -> None:
    for _ in range(8):
        mfa.challenge(enrolled.user_id)
    seen: list[int] = []
    before = None
    while page := mfa.events.recent(enrolled.user_id, limit=3, before=before):
        seen += [event.seq for event in page]
        before = page[-1].seq
    assert seen == list(range(10, 0, -1))


def test_the_export_goes_through_all_users_in_order(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    enroll(mfa, ada, clock)
    enroll(mfa, grace, clock)
    exported: list[Event] = []
    after = 0
    while page := mfa.events.export(after=after, limit=3):
        exported += page
        after = page[-1].id
    assert [(event.user_id, event.seq) for event in exported] == [(ada, 1), (ada, 2), (grace, 1), (grace, 2)]


TAMPERING = {
    "a field is changed": "UPDATE mfa_events SET ip_address = '203.0.113.9' WHERE seq = 3",
    "a refusal is whitewashed": "UPDATE mfa_events SET event_type = 'code_accepted' WHERE seq = 3",
    "details are changed": "UPDATE mfa_events SET event_details = '{}' WHERE seq = 3",
    "a moment is moved": "UPDATE mfa_events SET created_at = '2020-01-01 00:00:00' WHERE seq = 3",
    "a line is removed": "DELETE FROM mfa_events WHERE seq = 3",
    "a mac is removed": "UPDATE mfa_events SET mac = NULL WHERE seq = 3",
    "a mac is garbled": "UPDATE mfa_events SET mac = 'v1' WHERE seq = 3",
}


@pytest.mark.parametrize("what", TAMPERING)
def test_the_first_altered_line_is_named(mfa: MFA, enrolled: Enrolment, sql: Sql, what: str) -> None:
    for _ in range(3):
        mfa.challenge(enrolled.user_id, request=FIREFOX)
    assert mfa.events.verify(enrolled.user_id).is_intact
    sql(TAMPERING[what])
    report = mfa.events.verify(enrolled.user_id)
    assert not report.is_intact
    assert report.first_bad == 3
    assert report.problem


def test_swapped_lines_are_seen(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    for _ in range(3):
        mfa.challenge(enrolled.user_id)
    for old, new in ((3, 999), (4, 3), (999, 4)):
        sql("UPDATE mfa_events SET seq = :new WHERE seq = :old", old=old, new=new)
    assert mfa.events.verify(enrolled.user_id).first_bad == 3


def test_the_end_cannot_be_cut_off(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    mfa.challenge(enrolled.user_id)
    sql("DELETE FROM mfa_events WHERE seq = 3")
    report = mfa.events.verify(enrolled.user_id)
    assert (report.is_intact, report.first_bad) == (False, 3)


def test_a_line_that_is_put_in_is_seen_and_stops_the_next_operation(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    sql(
        "INSERT INTO mfa_events (user_id, seq, event_type, event_status, created_at)"
        " VALUES (:user, 3, 'code_accepted', 'success', '2026-01-01 00:00:00')",
        user=enrolled.user_id,
    )
    assert mfa.events.verify(enrolled.user_id).first_bad == 3
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)


def test_a_row_that_is_set_back_is_noticed(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    columns = "last_used_step, event_count, event_head, state_mac, failed_attempts"
    ((step, count, head, mac, failed),) = sql(f"SELECT {columns} FROM user_mfa_secrets")
    code = enrolled.phone.code()
    log_in(mfa, enrolled.user_id, code)
    sql(
        "UPDATE user_mfa_secrets SET last_used_step = :step, event_count = :count, event_head = :head,"
        " state_mac = :mac, failed_attempts = :failed, last_used_at = NULL, last_challenge = 1",
        step=step,
        count=count,
        head=head,
        mac=mac,
        failed=failed,
    )
    with pytest.raises(Tampered):
        log_in(mfa, enrolled.user_id, code)


def test_a_line_under_a_missing_key_is_an_outage(open_mfa: Open, enrolled: Enrolment) -> None:
    stranger = open_mfa(keys=generate_key("other"))
    with pytest.raises(MissingKey, match="'k1'"):
        stranger.events.verify(enrolled.user_id)


def test_the_log_of_nobody_is_an_error(mfa: MFA) -> None:
    with pytest.raises(UnknownUser):
        mfa.events.verify(404)


def test_no_event_holds_a_code_a_secret_or_a_token(mfa: MFA, ada: int, clock: Clock, sql: Sql) -> None:
    enrolment = enroll(mfa, ada, clock)
    challenge = mfa.challenge(ada)
    assert challenge
    wrong, right = enrolment.phone.wrong_code(), enrolment.phone.code()
    with pytest.raises(Rejected):
        mfa.verify(challenge.token, wrong)
    verified = mfa.verify(challenge.token, right)
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    log_in(mfa, ada, enrolment.backup_codes[0])
    lines = sql("SELECT event_details, ip_address, user_agent, device_fingerprint FROM mfa_events")
    text = json.dumps([list(line) for line in lines])
    for secret in (enrolment.phone.secret, challenge.token, device.token, verified.token, *enrolment.backup_codes):
        assert secret not in text
    for code in (wrong, right):
        assert f'"{code}"' not in text


def test_every_kind_and_status_fits_its_column() -> None:
    assert max(len(kind) for kind in Kind) <= 64
    assert max(len(status) for status in Status) <= 16
