"""The audit log: every operation leaves its line, and whoever may read it reads all of it."""

from __future__ import annotations

import json

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Sql, enroll, kinds, log_in
from twofold import MFA, Event, MissingKey, Rejected, Request, UnknownUser
from twofold.keyring import generate_key
from twofold.kinds import Kind, Status


@pytest.mark.requirement("R57", "R97")
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


@pytest.mark.requirement("R57", "R98", "R100")
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


@pytest.mark.requirement("R109")
def test_the_export_goes_through_all_users_in_order(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    enroll(mfa, ada, clock)
    enroll(mfa, grace, clock)
    exported: list[Event] = []
    after = 0
    while page := mfa.events.export(after=after, limit=3):
        exported += page
        after = page[-1].id
    assert [(event.user_id, event.seq) for event in exported] == [(ada, 1), (ada, 2), (grace, 1), (grace, 2)]


def test_a_line_under_a_missing_key_is_an_outage(open_mfa: Open, enrolled: Enrolment) -> None:
    stranger = open_mfa(keys=generate_key("other"))
    with pytest.raises(MissingKey, match="'k1'"):
        stranger.events.verify(enrolled.user_id)


def test_the_log_of_nobody_is_an_error(mfa: MFA) -> None:
    with pytest.raises(UnknownUser):
        mfa.events.verify(404)


@pytest.mark.requirement("R37", "R99")
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
