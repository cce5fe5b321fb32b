"""Trusted devices skip the challenge for a while, prove nothing, and notice theft."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.people import FIREFOX, SAFARI, Clock, Enrolment, Open, Sql, enroll, kinds, log_in, plain_settings
from tests.test_browsers import SAME
from twofold import MFA, Challenge, Cleared, ConfigurationError, DeviceToken, Request, Stale, Tampered
from twofold.keyring import generate_key
from twofold.metadata import tables

if TYPE_CHECKING:
    from tests.databases import Database


@pytest.fixture
def firefox(mfa: MFA, enrolled: Enrolment) -> DeviceToken:
    """Ada's browser, trusted after a login."""
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    return mfa.trusted_devices.trust(verified, request=FIREFOX)


def come_back(mfa: MFA, user_id: int, token: str) -> DeviceToken:
    cleared = mfa.challenge(user_id, device_token=token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.because == "trusted_device"
    assert cleared.device is not None
    return cleared.device


def is_altered(mfa: MFA, user_id: int, device: DeviceToken) -> bool:
    """Whether a browser has to answer because devices were changed by hand, of which one alarm tells."""
    answer = mfa.challenge(user_id, device_token=device.token, request=FIREFOX)
    (alarm,) = (line for line in mfa.events.recent(user_id) if line.kind == "rows_altered")
    assert (alarm.status, alarm.details) == ("alarm", {"table": "mfa_device_trusts"})
    return isinstance(answer, Challenge) and mfa.status(user_id).altered == ("mfa_device_trusts",)


def test_a_trusted_device_is_not_asked_and_its_token_changes(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    token = firefox.token
    assert [len(part) for part in token.split(".")] == [22, 43]  # 128 and 256 bits
    assert firefox.max_age == timedelta(days=30).total_seconds()
    for day in range(5):
        clock.forward(days=1)
        device = come_back(mfa, enrolled.user_id, token)
        assert device.token != token
        assert (device.expires_at, device.max_age) == (firefox.expires_at, firefox.max_age - (day + 1) * 24 * 60 * 60)
        token = device.token
        assert mfa.trusted_devices.list(enrolled.user_id)[0].usage_count == day + 1
    assert kinds(mfa, enrolled.user_id)[-1] == "device_recognized"


def test_requests_that_were_under_way_keep_the_token_for_a_minute(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    come_back(mfa, enrolled.user_id, firefox.token)
    clock.forward(seconds=60)
    graced = mfa.challenge(enrolled.user_id, device_token=firefox.token, request=FIREFOX)
    assert graced == Cleared(enrolled.user_id, "trusted_device", None)


def test_an_old_token_that_comes_back_revokes_the_device(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    current = come_back(mfa, enrolled.user_id, firefox.token)
    clock.forward(seconds=61)
    assert mfa.challenge(enrolled.user_id, device_token=firefox.token, request=SAFARI)
    assert mfa.challenge(enrolled.user_id, device_token=current.token, request=FIREFOX)
    (device,) = mfa.trusted_devices.list(enrolled.user_id)
    assert not device.is_active
    theft = next(event for event in mfa.events.recent(enrolled.user_id) if event.kind == "device_theft")
    assert theft.status == "alarm"


def test_a_cookie_in_another_kind_of_browser_is_asked_for_a_code(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken
) -> None:
    assert mfa.challenge(enrolled.user_id, device_token=firefox.token, request=SAFARI)
    why = mfa.events.recent(enrolled.user_id, limit=1)[0].details
    assert why == {"untrusted": "another browser", "device": "Firefox on Linux"}
    assert come_back(mfa, enrolled.user_id, firefox.token)
    updated = replace(FIREFOX, user_agent=(FIREFOX.user_agent or "").replace("140", "141"))
    current = come_back(
        mfa,
        enrolled.user_id,
        mfa.trusted_devices.trust(log_in(mfa, enrolled.user_id, enrolled.backup_codes[0]), request=FIREFOX).token,
    )
    assert not mfa.challenge(enrolled.user_id, device_token=current.token, request=updated)


def test_a_browser_that_asks_for_the_desktop_site_stays_trusted(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    for one, other in SAME:
        verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
        token = mfa.trusted_devices.trust(verified, request=Request(user_agent=one)).token
        for agent in (other, one, other):
            clock.forward(hours=1)
            cleared = mfa.challenge(enrolled.user_id, device_token=token, request=Request(user_agent=agent))
            assert isinstance(cleared, Cleared)
            assert cleared.device is not None
            token = cleared.device.token


@pytest.mark.requirement("R98")
def test_the_log_says_why_a_token_was_not_enough(mfa: MFA, enrolled: Enrolment, firefox: DeviceToken) -> None:
    def why(token: str) -> object:
        assert mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)
        return mfa.events.recent(enrolled.user_id, limit=1)[0].details

    assert why("somebody.else") == {"untrusted": "not trusted any more"}
    series = firefox.token.partition(".")[0]
    assert why(f"{series}.{'A' * 43}") == {"untrusted": "an old token", "device": "Firefox on Linux"}
    assert why(firefox.token) == {"untrusted": "two have its token", "device": "Firefox on Linux"}
    assert why(firefox.token) == {"untrusted": "not trusted any more"}


@pytest.mark.requirement("R75")
def test_trust_ends_after_its_lifetime_however_often_it_is_used(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    token = firefox.token
    for _ in range(29):
        clock.forward(days=1)
        token = come_back(mfa, enrolled.user_id, token).token
    clock.forward(days=1)
    assert mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)


@pytest.mark.requirement("R75")
def test_trust_ends_when_it_is_not_used(mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock) -> None:
    clock.forward(days=14, seconds=-1)
    current = come_back(mfa, enrolled.user_id, firefox.token)
    clock.forward(days=14)
    assert mfa.challenge(enrolled.user_id, device_token=current.token, request=FIREFOX)


@pytest.mark.requirement("R72")
def test_a_device_belongs_to_one_user(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, grace: int, clock: Clock, sql: Sql
) -> None:
    enroll(mfa, grace, clock)
    assert mfa.challenge(grace, device_token=firefox.token, request=FIREFOX)
    sql("UPDATE mfa_device_trusts SET user_id = :grace", grace=grace)
    assert is_altered(mfa, grace, firefox)
    assert is_altered(mfa, enrolled.user_id, firefox)


@pytest.mark.requirement("R73")
@pytest.mark.attack("A21")
def test_a_made_up_token_is_nothing(mfa: MFA, enrolled: Enrolment) -> None:
    for token in ("", "x", "é" * 43, "A" * 43, "x" * 100_000, "eyJhbGciOiJub25lIn0.e30.", "\0"):
        assert mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)


@pytest.mark.requirement("R49", "R79")
def test_the_owner_sees_and_revokes_devices(mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, grace: int) -> None:
    (device,) = mfa.trusted_devices.list(enrolled.user_id)
    assert (device.name, device.browser, device.platform) == ("Firefox on Linux", "Firefox", "Linux")
    assert not mfa.trusted_devices.revoke(grace, device.id)
    assert not mfa.trusted_devices.revoke(enrolled.user_id, 2**70)
    assert mfa.trusted_devices.revoke(enrolled.user_id, device.id)
    assert not mfa.trusted_devices.revoke(enrolled.user_id, device.id)
    assert mfa.challenge(enrolled.user_id, device_token=firefox.token, request=FIREFOX)


@pytest.mark.requirement("R78", "R79")
def test_all_devices_are_revoked_at_once(mfa: MFA, enrolled: Enrolment, firefox: DeviceToken) -> None:
    assert mfa.trusted_devices.revoke_all(enrolled.user_id) == 1
    assert mfa.trusted_devices.revoke_all(enrolled.user_id) == 0
    assert mfa.challenge(enrolled.user_id, device_token=firefox.token, request=FIREFOX)


def test_past_the_limit_the_one_unused_for_longest_goes(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(device_limit=3)
    enrolment = enroll(mfa, ada, clock)
    tokens = []
    for code in enrolment.backup_codes[:4]:
        clock.forward(seconds=1)
        tokens.append(mfa.trusted_devices.trust(log_in(mfa, ada, code), request=FIREFOX).token)
    assert mfa.status(ada).trusted_devices == 3
    assert mfa.challenge(ada, device_token=tokens[0], request=FIREFOX)
    assert not mfa.challenge(ada, device_token=tokens[1], request=FIREFOX)


@pytest.mark.requirement("R76", "R77")
def test_trust_needs_a_fresh_proof_and_can_be_turned_off(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa()
    enrolment = enroll(mfa, ada, clock)
    clock.forward(minutes=5)
    with pytest.raises(Stale):
        mfa.trusted_devices.trust(enrolment.verified, request=FIREFOX)
    verified = log_in(mfa, ada, enrolment.phone.code())
    with pytest.raises(ConfigurationError):
        open_mfa(device_limit=0).trusted_devices.trust(verified, request=FIREFOX)


def test_a_thief_who_is_faster_twice_is_still_seen(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    stolen = firefox.token
    for _ in range(3):
        clock.forward(hours=1)
        stolen = come_back(mfa, enrolled.user_id, stolen).token
    clock.forward(hours=1)
    assert mfa.challenge(enrolled.user_id, device_token=firefox.token, request=FIREFOX)
    assert kinds(mfa, enrolled.user_id)[-2:] == ["device_contested", "challenged"]
    assert mfa.challenge(enrolled.user_id, device_token=stolen, request=FIREFOX)
    assert kinds(mfa, enrolled.user_id)[-2:] == ["device_theft", "challenged"]


@pytest.mark.parametrize(
    "change",
    [
        "revoked_at = NULL, revoked_reason = NULL",
        "revoked_at = NULL, trusted_until = '2030-01-01 00:00:00'",
    ],
)
def test_no_change_by_hand_brings_trust_back(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, sql: Sql, change: str
) -> None:
    mfa.password_changed(enrolled.user_id)
    sql(f"UPDATE mfa_device_trusts SET {change}")
    assert is_altered(mfa, enrolled.user_id, firefox)


ROW = "id = (SELECT low FROM (SELECT min(id) AS low FROM mfa_device_trusts) AS first)"


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE mfa_device_trusts SET revoked_at = '2026-11-22 00:00:00' WHERE {ROW}",
        f"UPDATE mfa_device_trusts SET last_used_at = '2026-11-22 12:30:00' WHERE {ROW}",
        f"UPDATE mfa_device_trusts SET browser = 'Safari' WHERE {ROW}",
        f"UPDATE mfa_device_trusts SET id = id + 1000 WHERE {ROW}",
        f"DELETE FROM mfa_device_trusts WHERE {ROW}",
        f"""INSERT INTO mfa_device_trusts (user_id, device_fingerprint, trust_token, trusted_until, created_at)
            SELECT user_id, 'v1:k1:00', 'v1:k1:01', trusted_until, created_at
            FROM (SELECT * FROM mfa_device_trusts WHERE {ROW}) AS copied""",
    ],
)
def test_devices_that_were_changed_by_hand_are_not_trusted_until_their_owner_ends_them(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, sql: Sql, change: str
) -> None:
    user_id = enrolled.user_id
    other = mfa.trusted_devices.trust(log_in(mfa, user_id, enrolled.backup_codes[0]), request=FIREFOX)
    sql(change)
    assert is_altered(mfa, user_id, firefox)
    assert is_altered(mfa, user_id, other)
    assert not any(device.is_active for device in mfa.trusted_devices.list(user_id))
    report = mfa.events.verify(user_id)
    assert not report.is_intact
    assert report.problem is not None
    assert "mfa_device_trusts" in report.problem
    with pytest.raises(Tampered, match="revoke_all"):
        mfa.trusted_devices.revoke(user_id, other.device_id)
    # Her app and her codes go on, and she can begin anew: what was there ends before a browser is trusted again.
    fresh = mfa.trusted_devices.trust(log_in(mfa, user_id, enrolled.backup_codes[1]), request=FIREFOX)
    assert come_back(mfa, user_id, fresh.token)
    assert mfa.challenge(user_id, device_token=other.token, request=FIREFOX)
    status = mfa.status(user_id)
    assert (status.trusted_devices, status.altered) == (1, ())
    assert mfa.events.verify(user_id).is_intact
    assert kinds(mfa, user_id).count("rows_altered") == 1


def test_the_owner_ends_devices_that_were_planted(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, sql: Sql
) -> None:
    sql("UPDATE mfa_device_trusts SET trusted_until = '2030-01-01 00:00:00'")
    assert mfa.trusted_devices.revoke_all(enrolled.user_id, reason="a stranger") == 0
    (device,) = mfa.trusted_devices.list(enrolled.user_id)
    assert (device.revoked_reason, mfa.status(enrolled.user_id).altered) == ("a stranger", ())
    assert kinds(mfa, enrolled.user_id)[-2:] == ["rows_altered", "device_revoked"]
    assert mfa.challenge(enrolled.user_id, device_token=firefox.token, request=FIREFOX)


def test_trust_cannot_be_prolonged_by_hand(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock, sql: Sql
) -> None:
    sql("UPDATE mfa_device_trusts SET trusted_until = '2030-01-01 00:00:00', last_used_at = '2029-12-31 00:00:00'")
    clock.forward(days=40)
    assert is_altered(mfa, enrolled.user_id, firefox)


def test_a_device_of_the_factor_before_is_not_trusted_by_the_next(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock, sql: Sql
) -> None:
    row = dict(sql("SELECT * FROM mfa_device_trusts")[0]._mapping)
    mfa.reset(enrolled.user_id, by="grace", reason="lost phone")
    enroll(mfa, enrolled.user_id, clock)
    sql("UPDATE mfa_device_trusts SET revoked_at = NULL, trust_token = :token", token=row["trust_token"])
    assert is_altered(mfa, enrolled.user_id, firefox)


def test_a_device_is_known_under_every_key(
    open_mfa: Open, enrolled: Enrolment, firefox: DeviceToken, keys: str, clock: Clock, sql: Sql
) -> None:
    token = firefox.token
    for kid in ("k2", "k3"):
        keys = f"{generate_key(kid)},{keys}"
        for _ in range(2):
            clock.forward(hours=1)
            token = come_back(open_mfa(keys=keys), enrolled.user_id, token).token
    # Under the last of three keys; the row keeps the line of its beginning.
    ((fingerprint, used),) = sql("SELECT device_fingerprint, usage_count FROM mfa_device_trusts")
    assert (fingerprint.split(":")[1], used) == ("k1", 4)
    assert open_mfa(keys=keys).challenge(enrolled.user_id, device_token=f"x{token}", request=FIREFOX)
    assert come_back(open_mfa(keys=keys), enrolled.user_id, token)
    sql("UPDATE mfa_device_trusts SET device_name = NULL")
    assert open_mfa(keys=keys).trusted_devices.list(enrolled.user_id)[0].name == "A browser"


def test_a_device_is_known_in_the_transaction_of_the_caller(
    enrolled: Enrolment, firefox: DeviceToken, clock: Clock, keys: str, migrated: Database
) -> None:
    mfa = MFA(migrated.engine(), plain_settings(keys=keys), clock=clock)
    with migrated.engine().begin() as connection:
        device = come_back(mfa.within(connection), enrolled.user_id, firefox.token)
    assert come_back(mfa, enrolled.user_id, device.token)


@pytest.mark.requirement("R72")
def test_one_device_is_revoked_and_by_its_owner_alone(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, grace: int, clock: Clock
) -> None:
    assert mfa.trusted_devices.revoke_all(grace) == 0
    enroll(mfa, grace, clock)
    user_id, code = enrolled.user_id, enrolled.backup_codes[0]
    other = mfa.trusted_devices.trust(log_in(mfa, user_id, code), request=FIREFOX)
    assert not mfa.trusted_devices.revoke(grace, other.device_id)
    assert mfa.trusted_devices.revoke_all(grace) == 0
    for nobody in (2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 0):
        assert not mfa.trusted_devices.revoke(user_id, nobody)
    assert mfa.trusted_devices.revoke(user_id, other.device_id)
    assert [(device.id, device.is_active) for device in mfa.trusted_devices.list(user_id)] == [
        (other.device_id, False),
        (firefox.device_id, True),
    ]
    assert come_back(mfa, user_id, firefox.token)


def test_past_the_limit_a_device_that_is_used_stays(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(device_limit=2)
    codes = enroll(mfa, ada, clock).backup_codes
    older, newer = (mfa.trusted_devices.trust(log_in(mfa, ada, code), request=FIREFOX) for code in codes[:2])
    clock.forward(hours=1)
    older = come_back(mfa, ada, older.token)
    mfa.trusted_devices.trust(log_in(mfa, ada, codes[2]), request=FIREFOX)
    assert come_back(mfa, ada, older.token)
    assert mfa.challenge(ada, device_token=newer.token, request=FIREFOX)


def test_what_another_user_does_changes_nothing(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, grace: int, clock: Clock, sql: Sql
) -> None:
    graces = enroll(mfa, grace, clock)
    for code in graces.backup_codes[:3]:
        mfa.trusted_devices.trust(log_in(mfa, grace, code), request=FIREFOX)
    assert mfa.trusted_devices.revoke_all(grace) == 3
    mfa.password_changed(grace)
    assert mfa.status(enrolled.user_id).trusted_devices == 1
    token = firefox.token
    # Until her log is longer than the other one.
    for _ in range(16):
        token = come_back(mfa, enrolled.user_id, token).token
    sql("DELETE FROM mfa_backup_codes WHERE user_id = :ada", ada=enrolled.user_id)
    challenge = mfa.challenge(enrolled.user_id)
    assert challenge
    assert challenge.factors == ("totp",)
    assert mfa.trusted_devices.revoke_all(enrolled.user_id) == 1
    assert mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)
    assert mfa.backup_codes.remaining(grace) == 7


def trust_one_by_one(mfa: MFA, enrolment: Enrolment, clock: Clock, number: int) -> list[DeviceToken]:
    devices: list[DeviceToken] = []
    for code in enrolment.backup_codes[:number]:
        clock.forward(minutes=1)
        verified = log_in(mfa, enrolment.user_id, code)
        devices.append(mfa.trusted_devices.trust(verified, request=FIREFOX))
    return devices


def trusted_ids(mfa: MFA, user_id: int) -> list[int]:
    listed = [device.id for device in mfa.trusted_devices.list(user_id) if device.is_active]
    assert mfa.status(user_id).trusted_devices == len(listed)
    return sorted(listed)


@pytest.mark.requirement("R76", "R77")
def test_a_lower_limit_holds_at_once_and_keeps_the_newest(
    mfa: MFA, open_mfa: Open, enrolled: Enrolment, clock: Clock
) -> None:
    user_id = enrolled.user_id
    devices = trust_one_by_one(mfa, enrolled, clock, 5)
    # The one that was made first is used last, and is old all the same.
    clock.forward(hours=1)
    first = come_back(mfa, user_id, devices[0].token)
    lower = open_mfa(device_limit=2)
    assert trusted_ids(lower, user_id) == [device.device_id for device in devices[3:]]
    for device in (first, *devices[1:3]):
        assert isinstance(lower.challenge(user_id, device_token=device.token, request=FIREFOX), Challenge)
    kept = devices[3:]
    # What the limit ended makes room before anything that is trusted does.
    clock.forward(hours=1)
    verified = log_in(lower, user_id, enrolled.backup_codes[5])
    sixth = lower.trusted_devices.trust(verified, request=FIREFOX)
    assert trusted_ids(lower, user_id) == [kept[1].device_id, sixth.device_id]
    assert trusted_ids(mfa, user_id) == [kept[1].device_id, sixth.device_id]
    assert [line.kind for line in lower.events.recent(user_id, limit=5)] == ["device_trusted"] + 4 * ["device_revoked"]
    assert come_back(lower, user_id, kept[1].token)


@pytest.mark.requirement("R76")
def test_a_limit_of_none_is_off_at_once(mfa: MFA, open_mfa: Open, enrolled: Enrolment, clock: Clock) -> None:
    user_id = enrolled.user_id
    (device,) = trust_one_by_one(mfa, enrolled, clock, 1)
    off = open_mfa(device_limit=0)
    assert isinstance(off.challenge(user_id, device_token=device.token, request=FIREFOX), Challenge)
    assert trusted_ids(off, user_id) == []
    assert kinds(off, user_id)[-1] == "challenged"
    with pytest.raises(ConfigurationError):
        off.trusted_devices.trust(log_in(off, user_id, enrolled.backup_codes[1]), request=FIREFOX)
    # Its owner can still end it: nobody has to turn trust on again for that.
    assert off.trusted_devices.revoke(user_id, device.device_id)
    assert isinstance(mfa.challenge(user_id, device_token=device.token, request=FIREFOX), Challenge)


@pytest.mark.requirement("R76")
@pytest.mark.parametrize("setting", ["device_lifetime", "device_idle"])
def test_a_shorter_life_holds_for_devices_that_are_there(
    mfa: MFA, open_mfa: Open, enrolled: Enrolment, clock: Clock, setting: str
) -> None:
    user_id = enrolled.user_id
    (device,) = trust_one_by_one(mfa, enrolled, clock, 1)
    shorter = open_mfa(**{setting: "P2D"})
    clock.forward(days=2, microseconds=-1)
    assert trusted_ids(shorter, user_id) == [device.device_id]
    clock.forward(microseconds=1)
    assert trusted_ids(shorter, user_id) == []
    assert trusted_ids(mfa, user_id) == [device.device_id]
    assert isinstance(shorter.challenge(user_id, device_token=device.token, request=FIREFOX), Challenge)
    # A longer one gives nothing that was not given: what the row says of the end is sealed, and holds.
    longer = open_mfa(device_lifetime="P300D", device_idle="P300D")
    clock.forward(days=28)
    assert trusted_ids(longer, user_id) == []
    # Another one takes its place in the table, and it is told why.
    fresh = shorter.trusted_devices.trust(log_in(shorter, user_id, enrolled.backup_codes[1]), request=FIREFOX)
    assert shorter.events.recent(user_id, limit=2)[1].details == {"devices": 1, "reason": "expired"}
    assert trusted_ids(shorter, user_id) == [fresh.device_id]


@pytest.mark.requirement("R78", "R80")
def test_an_answer_that_was_lost_asks_for_a_code_and_revokes_nothing(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    user_id = enrolled.user_id
    come_back(mfa, user_id, firefox.token)  # The new token never arrives.
    clock.forward(days=1)
    for _ in range(3):
        assert isinstance(mfa.challenge(user_id, device_token=firefox.token, request=FIREFOX), Challenge)
    assert kinds(mfa, user_id)[-4:] == ["device_contested", "challenged", "challenged", "challenged"]
    line = mfa.events.recent(user_id, limit=4)[3]
    assert (line.status, line.details["device"]) == ("refused", "Firefox on Linux")
    # A code heals it: the browser is trusted anew, and goes on as ever.
    token = mfa.trusted_devices.trust(log_in(mfa, user_id, enrolled.backup_codes[0]), request=FIREFOX).token
    for _ in range(3):
        clock.forward(days=1)
        token = come_back(mfa, user_id, token).token
    assert "device_theft" not in kinds(mfa, user_id)
    assert "alarm" not in {line.status for line in mfa.events.recent(user_id, limit=100)}
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R78", "R80")
def test_a_browser_brought_back_from_a_copy_asks_for_a_code(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    user_id, token = enrolled.user_id, firefox.token
    for _ in range(5):
        clock.forward(days=1)
        token = come_back(mfa, user_id, token).token
    assert isinstance(mfa.challenge(user_id, device_token=firefox.token, request=FIREFOX), Challenge)
    assert kinds(mfa, user_id)[-2:] == ["device_contested", "challenged"]
    assert mfa.trusted_devices.list(user_id)[0].revoked_at is None


@pytest.mark.requirement("R78", "R80")
def test_a_database_that_forgot_its_last_second_asks_for_a_code(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock, migrated: Database
) -> None:
    user_id = enrolled.user_id
    clock.forward(days=1)
    remembered = tables(sa.MetaData())
    with migrated.engine().begin() as connection:
        kept = [(table, connection.execute(sa.select(table)).mappings().all()) for table in remembered]
    newest = come_back(mfa, user_id, firefox.token)
    # A standby takes over that has not heard of it.
    with migrated.engine().begin() as connection:
        for table, _ in reversed(kept):
            connection.execute(sa.delete(table))
        for table, rows in kept:
            connection.execute(sa.insert(table), [dict(row) for row in rows])
    assert isinstance(mfa.challenge(user_id, device_token=newest.token, request=FIREFOX), Challenge)
    assert kinds(mfa, user_id)[-2:] == ["device_contested", "challenged"]
    token = mfa.trusted_devices.trust(log_in(mfa, user_id, enrolled.backup_codes[0]), request=FIREFOX).token
    clock.forward(days=1)
    assert come_back(mfa, user_id, token)
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R78", "R80")
def test_the_grace_of_a_token_ends_when_an_older_one_has_come(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    user_id = enrolled.user_id
    second = come_back(mfa, user_id, firefox.token)
    clock.forward(hours=1)
    third = come_back(mfa, user_id, second.token)
    assert not mfa.challenge(user_id, device_token=second.token, request=FIREFOX)
    assert isinstance(mfa.challenge(user_id, device_token=firefox.token, request=SAFARI), Challenge)
    assert isinstance(mfa.challenge(user_id, device_token=second.token, request=FIREFOX), Challenge)
    assert kinds(mfa, user_id)[-3:] == ["device_contested", "challenged", "challenged"]
    assert mfa.trusted_devices.list(user_id)[0].is_contested
    # The newest beside it: two have the cookie, and neither is trusted, whichever of them the owner is.
    assert isinstance(mfa.challenge(user_id, device_token=third.token, request=FIREFOX), Challenge)
    assert kinds(mfa, user_id)[-2:] == ["device_theft", "challenged"]
    assert mfa.events.recent(user_id, limit=2)[1].status == "alarm"
    for token in (firefox.token, second.token, third.token):
        assert isinstance(mfa.challenge(user_id, device_token=token, request=FIREFOX), Challenge)
    assert kinds(mfa, user_id).count("device_theft") == 1
    assert mfa.trusted_devices.list(user_id)[0].revoked_reason == "two browsers have a token of this device"


@pytest.mark.requirement("R78", "R80")
def test_a_token_of_another_series_contests_nothing(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    user_id = enrolled.user_id
    series, secret = firefox.token.split(".")
    clock.forward(hours=1)
    for token in (f"{series[::-1]}.{secret}", secret, series[:-1] + "." + secret):
        assert isinstance(mfa.challenge(user_id, device_token=token, request=FIREFOX), Challenge)
    assert "device_contested" not in kinds(mfa, user_id)
    assert come_back(mfa, user_id, firefox.token)


def test_a_browser_that_is_trusted_again_keeps_its_row_and_none_of_its_tokens(
    open_mfa: Open, enrolled: Enrolment, clock: Clock, sql: Sql
) -> None:
    mfa, user_id = open_mfa(device_limit=2), enrolled.user_id
    ours, other = (
        mfa.trusted_devices.trust(log_in(mfa, user_id, enrolled.backup_codes[n]), request=FIREFOX) for n in (0, 1)
    )
    tokens, used = [ours.token], list[DeviceToken]()
    for code, wait in zip(
        enrolled.backup_codes[2:7], ({"seconds": 1}, {"hours": 1}, {"days": 1}, {"days": 2}, {"days": 3}), strict=True
    ):
        clock.forward(**wait)
        # The oldest token of the device names it as well as the newest one.
        given = mfa.trusted_devices.trust(log_in(mfa, user_id, code), replaces=ours.token, request=FIREFOX)
        assert (given.device_id, given.expires_at) == (ours.device_id, clock.now + timedelta(days=30))
        ours = given
        tokens.append(ours.token)
        used.append(come_back(mfa, user_id, ours.token))
        assert mfa.trusted_devices.list(user_id)[0].id == ours.device_id
        assert mfa.trusted_devices.list(user_id)[0].usage_count == 1
    assert trusted_ids(mfa, user_id) == [ours.device_id, other.device_id]
    assert sql("SELECT count(*) FROM mfa_device_trusts")[0][0] == 2
    seen = len(kinds(mfa, user_id))
    for token in tokens[:-1]:
        assert isinstance(mfa.challenge(user_id, device_token=token, request=FIREFOX), Challenge)
    assert kinds(mfa, user_id)[seen:] == ["challenged"] * 5
    assert come_back(mfa, user_id, used[-1].token)
    assert come_back(mfa, user_id, other.token)
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R72")
def test_only_a_token_of_the_same_user_names_what_is_replaced(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, grace: int, clock: Clock
) -> None:
    graces = enroll(mfa, grace, clock)
    codes = iter(graces.backup_codes)
    theirs = mfa.trusted_devices.trust(log_in(mfa, grace, next(codes)), request=FIREFOX)
    made_up = "A" * 22 + "." + "A" * 43
    for token in (firefox.token, made_up, "", "\0", "é", "x" * 100_000, 7, theirs.token.partition(".")[2]):
        given = mfa.trusted_devices.trust(log_in(mfa, grace, next(codes)), replaces=token, request=FIREFOX)  # type: ignore[arg-type]
        assert given.device_id not in {firefox.device_id, theirs.device_id}
    assert come_back(mfa, enrolled.user_id, firefox.token)
    assert come_back(mfa, grace, theirs.token)


def test_what_was_revoked_is_not_begun_anew(mfa: MFA, enrolled: Enrolment, firefox: DeviceToken) -> None:
    mfa.trusted_devices.revoke(enrolled.user_id, firefox.device_id)
    verified = log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    given = mfa.trusted_devices.trust(verified, replaces=firefox.token, request=FIREFOX)
    assert given.device_id != firefox.device_id
    assert trusted_ids(mfa, enrolled.user_id) == [given.device_id]


def test_a_browser_begins_anew_after_its_trust_has_ended(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    user_id = enrolled.user_id
    other = mfa.trusted_devices.trust(log_in(mfa, user_id, enrolled.backup_codes[0]), request=FIREFOX)
    clock.forward(days=40)
    verified = log_in(mfa, user_id, enrolled.backup_codes[1])
    given = mfa.trusted_devices.trust(verified, replaces=firefox.token, request=FIREFOX)
    assert trusted_ids(mfa, user_id) == [given.device_id] == [firefox.device_id]
    # The other one had expired, and is ended on the way as before.
    assert kinds(mfa, user_id)[-2:] == ["device_revoked", "device_trusted"]
    (ended,) = (device for device in mfa.trusted_devices.list(user_id) if device.id == other.device_id)
    assert ended.revoked_reason == "expired"
    assert mfa.events.verify(user_id).is_intact


def test_a_browser_keeps_the_name_that_its_owner_gave_it(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    user_id, codes = enrolled.user_id, iter(enrolled.backup_codes)

    def trust(**options: object) -> str:
        device = mfa.trusted_devices.trust(log_in(mfa, user_id, next(codes)), **options)  # type: ignore[arg-type]
        tokens.append(device.token)
        return mfa.trusted_devices.list(user_id)[0].name

    tokens: list[str] = []
    assert trust(name="Ada's laptop", request=FIREFOX) == "Ada's laptop"
    assert trust(replaces=tokens[-1], request=FIREFOX) == "Ada's laptop"
    assert trust(replaces=tokens[-1], name="the old laptop", request=FIREFOX) == "the old laptop"
    assert trust(replaces=tokens[-1], request=SAFARI) == "Safari on iPhone"


def test_a_lower_limit_keeps_what_began_anew_last(mfa: MFA, open_mfa: Open, enrolled: Enrolment, clock: Clock) -> None:
    user_id = enrolled.user_id
    devices = trust_one_by_one(mfa, enrolled, clock, 3)
    clock.forward(minutes=1)
    verified = log_in(mfa, user_id, enrolled.backup_codes[3])
    anew = mfa.trusted_devices.trust(verified, replaces=devices[0].token, request=FIREFOX)
    lower = open_mfa(device_limit=2)
    assert trusted_ids(lower, user_id) == [devices[0].device_id, devices[2].device_id]
    assert come_back(lower, user_id, anew.token)
    assert isinstance(lower.challenge(user_id, device_token=devices[1].token, request=FIREFOX), Challenge)


def test_a_contested_device_is_listed_as_what_it_is_until_its_browser_is_trusted_again(
    mfa: MFA, enrolled: Enrolment, firefox: DeviceToken, clock: Clock
) -> None:
    user_id = enrolled.user_id

    def listed() -> list[tuple[bool, bool]]:
        return [(device.is_active, device.is_contested) for device in mfa.trusted_devices.list(user_id)]

    assert listed() == [(True, False)]
    come_back(mfa, user_id, firefox.token)
    clock.forward(seconds=61)
    assert isinstance(mfa.challenge(user_id, device_token=firefox.token, request=FIREFOX), Challenge)
    assert listed() == [(False, True)]
    assert mfa.status(user_id).trusted_devices == 0
    assert mfa.status(user_id).altered == ()
    verified = log_in(mfa, user_id, enrolled.backup_codes[0])
    anew = mfa.trusted_devices.trust(verified, replaces=firefox.token, request=FIREFOX)
    assert listed() == [(True, False)]
    come_back(mfa, user_id, anew.token)
    clock.forward(seconds=61)
    mfa.challenge(user_id, device_token=anew.token, request=FIREFOX)
    assert listed() == [(False, True)]
    clock.forward(days=14)
    assert listed() == [(False, False)]


@pytest.mark.requirement("R76")
def test_a_contested_device_takes_no_place_of_a_trusted_one(open_mfa: Open, enrolled: Enrolment, clock: Clock) -> None:
    mfa, user_id, codes = open_mfa(device_limit=2), enrolled.user_id, iter(enrolled.backup_codes)

    def trust() -> DeviceToken:
        return mfa.trusted_devices.trust(log_in(mfa, user_id, next(codes)), request=FIREFOX)

    kept, lost = trust(), trust()
    come_back(mfa, user_id, lost.token)
    clock.forward(hours=1)
    assert isinstance(mfa.challenge(user_id, device_token=lost.token, request=FIREFOX), Challenge)
    kept = come_back(mfa, user_id, kept.token)
    newest = trust()
    # The contested one was used last but one, and goes first all the same.
    assert trusted_ids(mfa, user_id) == [kept.device_id, newest.device_id]
    revoked = [device.id for device in mfa.trusted_devices.list(user_id) if device.revoked_at]
    assert revoked == [lost.device_id]
