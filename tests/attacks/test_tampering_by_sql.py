"""Rows that are changed by SQL, without the keys: refused by the operation that meets them, until they are repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.intruder import CODES, DEVICES, EVENTS, SECRETS, Intruder
from tests.people import FIREFOX, Clock, Enrolment, challenged, enroll, log_in
from twofold import MFA, Challenge, Cleared, NotEnrolled, Reason, Rejected, Tampered

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGES = [
    "is_enabled = false",
    "is_verified = false",
    "failed_attempts = 0",
    "failed_attempts = 99",
    "locked_until = NULL",
    "locked_until = '2099-01-01 00:00:00'",
    "last_failed_at = NULL",
    "failed_attempts = 0, last_failed_at = NULL, locked_until = NULL",
    "last_used_step = 0",
    "last_used_step = NULL",
    "last_challenge = 0",
    "event_count = 0",
    "event_count = event_count - 1",
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


def every_operation(mfa: MFA, enrolment: Enrolment, token: str) -> list[Callable[[], Any]]:
    """All that looks at the row of a user, as the user, her browser or an administrator would ask for it."""
    user_id, code = enrolment.user_id, enrolment.backup_codes[0]
    return [
        lambda: mfa.challenge(user_id),
        lambda: mfa.challenge(user_id, device_token="line.token", request=FIREFOX),
        lambda: mfa.verify(token, enrolment.phone.code()),
        lambda: mfa.verify(token, code),
        lambda: mfa.reverify(user_id, code),
        lambda: mfa.proof(enrolment.verified.token),
        lambda: mfa.status(user_id),
        lambda: mfa.reset(user_id, by="grace@example.com", reason="a test"),
        lambda: mfa.password_changed(user_id),
        lambda: mfa.totp.begin(user_id, account_name="ada@example.com"),
        lambda: mfa.totp.disable(enrolment.verified),
        lambda: mfa.backup_codes.regenerate(enrolment.verified),
        lambda: mfa.backup_codes.remaining(user_id),
        lambda: mfa.trusted_devices.trust(enrolment.verified),
        lambda: mfa.trusted_devices.list(user_id),
        lambda: mfa.trusted_devices.revoke_all(user_id),
    ]


@pytest.fixture
def locked(mfa: MFA, enrolled: Enrolment) -> Enrolment:
    """Ada, after five wrong codes."""
    for _ in range(5):
        with pytest.raises(Rejected):
            mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
    return enrolled


@pytest.mark.requirement("R64")
@pytest.mark.attack("A30")
def test_a_changed_row_is_refused_whatever_was_changed(mfa: MFA, locked: Enrolment, intruder: Intruder) -> None:
    untouched = intruder.copy(SECRETS)
    for change in CHANGES:
        intruder.run(f"UPDATE user_mfa_secrets SET {change}")
        with pytest.raises(Tampered):
            mfa.challenge(locked.user_id)
        report = mfa.events.verify(locked.user_id)
        assert (report.is_intact, report.problem) == (False, "the user's row was altered or removed")
        intruder.put_back(untouched)
        assert mfa.events.verify(locked.user_id).is_intact, change


@pytest.mark.requirement("R64")
@pytest.mark.parametrize("how", ["UPDATE user_mfa_secrets SET is_enabled = false", "DELETE FROM user_mfa_secrets"])
def test_a_changed_row_is_refused_by_every_operation(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, how: str
) -> None:
    token = challenged(mfa, enrolled.user_id)
    intruder.run(how)
    for operation in every_operation(mfa, enrolled, token):
        with pytest.raises(Tampered):
            operation()
    assert not mfa.events.verify(enrolled.user_id).is_intact


def test_a_row_that_is_given_to_somebody_else_does_not_free_its_owner(
    mfa: MFA, enrolled: Enrolment, grace: int, intruder: Intruder
) -> None:
    intruder.run("UPDATE user_mfa_secrets SET user_id = :grace", grace=grace)
    for hiding in ("UPDATE mfa_events SET seq = NULL", "DELETE FROM mfa_events"):
        intruder.run(hiding)
        with pytest.raises(Tampered):
            mfa.challenge(enrolled.user_id)
    with pytest.raises(Tampered):
        mfa.challenge(grace)


@pytest.mark.requirement("R87")
def test_nothing_of_one_user_is_worth_anything_as_another(
    mfa: MFA, ada: int, grace: int, clock: Clock, intruder: Intruder
) -> None:
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    everything = ("secret", "secret, state_mac", "secret, state_mac, event_count, event_head, last_used_step")
    untouched = intruder.copy(SECRETS)
    for columns in everything:
        (hers,) = (row for row in untouched[SECRETS] if row["user_id"] == ada)
        taken = {name: hers[name] for name in columns.split(", ")}
        intruder.run(
            f"UPDATE user_mfa_secrets SET {', '.join(f'{name} = :{name}' for name in taken)} WHERE user_id = :grace",
            grace=grace,
            **taken,
        )
        with pytest.raises(Tampered):
            log_in(mfa, grace, adas.phone.code())
        intruder.put_back(untouched)
    assert log_in(mfa, ada, adas.phone.code())
    assert log_in(mfa, grace, graces.phone.code())


@pytest.mark.requirement("R35")
@pytest.mark.attack("A9")
def test_a_backup_code_that_is_copied_to_another_user_is_a_wrong_code(
    mfa: MFA, ada: int, grace: int, clock: Clock, intruder: Intruder
) -> None:
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    copied = intruder.copy(CODES)
    hashes = {row["code_hash"] for row in copied[CODES] if row["user_id"] == ada}
    for row, code_hash in zip((row for row in copied[CODES] if row["user_id"] == grace), hashes, strict=True):
        row["code_hash"] = code_hash
    intruder.put_back(copied)
    for code in (adas.backup_codes[0], graces.backup_codes[0]):
        with pytest.raises(Rejected) as refused:
            log_in(mfa, grace, code)
        assert refused.value.reason is Reason.WRONG_CODE
    assert mfa.status(grace).failed_attempts == 2
    assert log_in(mfa, ada, adas.backup_codes[0])


@pytest.mark.requirement("R72")
@pytest.mark.attack("A21")
def test_a_device_that_is_copied_to_another_user_is_not_trusted(
    mfa: MFA, ada: int, grace: int, clock: Clock, intruder: Intruder
) -> None:
    adas = enroll(mfa, ada, clock)
    enroll(mfa, grace, clock)
    device = mfa.trusted_devices.trust(log_in(mfa, ada, adas.phone.code()), request=FIREFOX)
    copied = intruder.copy(DEVICES)
    intruder.run("UPDATE mfa_device_trusts SET user_id = :grace", grace=grace)
    assert mfa.challenge(grace, device_token=device.token, request=FIREFOX)
    assert mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    intruder.put_back(copied)
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)


@pytest.mark.requirement("R75")
@pytest.mark.attack("A21")
def test_trust_is_neither_prolonged_nor_brought_back_by_its_marks(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder
) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    mfa.trusted_devices.revoke(enrolled.user_id, device.device_id)
    intruder.run("UPDATE mfa_device_trusts SET revoked_at = NULL, revoked_reason = NULL")
    assert mfa.challenge(enrolled.user_id, device_token=device.token, request=FIREFOX)
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    clock.forward(days=31)
    intruder.run(
        "UPDATE mfa_device_trusts SET trusted_until = '2099-01-01 00:00:00', last_used_at = '2098-01-01 00:00:00'"
    )
    assert mfa.challenge(enrolled.user_id, device_token=device.token, request=FIREFOX)


@pytest.mark.requirement("R34")
@pytest.mark.attack("A8")
def test_a_spent_code_stays_spent_whatever_its_marks_say(mfa: MFA, enrolled: Enrolment, intruder: Intruder) -> None:
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    intruder.run("UPDATE mfa_backup_codes SET is_used = false, used_at = NULL")
    with pytest.raises(Rejected) as refused:
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    assert refused.value.reason is Reason.CODE_ALREADY_USED
    assert log_in(mfa, enrolled.user_id, enrolled.backup_codes[1])


@pytest.mark.requirement("R34", "R36")
@pytest.mark.attack("A8")
def test_a_code_that_is_put_back_from_a_copy_is_spent_or_void(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    ada, issued = enrolled.user_id, intruder.copy(CODES)
    log_in(mfa, ada, enrolled.backup_codes[0])
    intruder.put_back(issued)
    with pytest.raises(Rejected) as spent:
        log_in(mfa, ada, enrolled.backup_codes[0])
    assert spent.value.reason is Reason.CODE_ALREADY_USED
    verified = log_in(mfa, ada, enrolled.backup_codes[1])
    mfa.backup_codes.regenerate(verified)
    intruder.put_back(issued)
    for code in (enrolled.backup_codes[0], enrolled.backup_codes[2]):
        with pytest.raises(Rejected) as void:
            log_in(mfa, ada, code)
        assert void.value.reason is Reason.WRONG_CODE


@pytest.mark.requirement("R78")
@pytest.mark.attack("A21")
def test_a_device_that_is_put_back_from_a_copy_is_an_alarm_and_no_trust(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    ada = enrolled.user_id
    verified = log_in(mfa, ada, enrolled.phone.code())

    def revoke_one() -> None:
        mfa.trusted_devices.revoke(ada, mfa.trusted_devices.list(ada)[0].id)

    for revoke in (
        revoke_one,
        lambda: mfa.trusted_devices.revoke_all(ada),
        lambda: mfa.password_changed(ada),
    ):
        device = mfa.trusted_devices.trust(verified, request=FIREFOX)
        trusted = intruder.copy(DEVICES)
        revoke()
        intruder.put_back(trusted)
        assert mfa.challenge(ada, device_token=device.token, request=FIREFOX)
        alarm, _ = reversed(mfa.events.recent(ada, limit=2))
        assert (alarm.kind, alarm.status) == ("device_theft", "alarm")
        assert not mfa.trusted_devices.list(ada)[0].is_active


@pytest.mark.requirement("R78")
@pytest.mark.attack("A21")
def test_a_device_that_is_put_back_after_a_theft_is_an_alarm_too(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder
) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    trusted = intruder.copy(DEVICES)
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Cleared)
    clock.forward(hours=1)
    for _ in range(2):
        assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
        assert [event.kind for event in mfa.events.recent(ada, limit=2)] == ["challenged", "device_theft"]
        intruder.put_back(trusted)


@pytest.mark.requirement("R78")
@pytest.mark.attack("A21")
@pytest.mark.parametrize("number", [None, 10**6])
def test_a_line_that_was_never_chained_does_not_bring_a_device_back(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, number: int | None
) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    trusted = intruder.copy(DEVICES)
    mfa.trusted_devices.revoke(ada, device.device_id)
    intruder.put_back(trusted)
    intruder.run(
        "INSERT INTO mfa_events (user_id, seq, event_type, event_status, device_fingerprint, created_at)"
        " VALUES (:user, :seq, 'device_trusted', 'success', :line, '2026-11-22 12:00:00')",
        user=ada,
        seq=number,
        line=trusted[DEVICES][0]["device_fingerprint"],
    )
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    assert not mfa.trusted_devices.list(ada)[0].is_active


@pytest.mark.requirement("R64")
@pytest.mark.parametrize(
    ("left", "form"),
    [
        (CODES, "code_hash = REPLACE(code_hash, 'v1:', 'v0:')"),
        (DEVICES, "device_fingerprint = REPLACE(device_fingerprint, 'v1:', 'v0:')"),
        (EVENTS, "mac = NULL, seq = NULL"),
    ],
)
def test_whatever_is_left_of_a_user_tells_of_a_row_that_was_removed(
    mfa: MFA, enrolled: Enrolment, grace: int, clock: Clock, intruder: Intruder, left: str, form: str
) -> None:
    enroll(mfa, grace, clock)
    mfa.trusted_devices.trust(log_in(mfa, enrolled.user_id, enrolled.phone.code()), request=FIREFOX)
    for name in {SECRETS, CODES, DEVICES, EVENTS} - {left}:
        intruder.run(f"DELETE FROM {name} WHERE user_id = :ada", ada=enrolled.user_id)
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)
    # In the form of before Twofold they tell of nothing.
    intruder.run(f"UPDATE {left} SET {form} WHERE user_id = :ada", ada=enrolled.user_id)
    assert not mfa.challenge(enrolled.user_id)


@pytest.mark.requirement("R21", "R102")
@pytest.mark.attack("A1", "A12")
def test_a_row_that_is_put_back_is_noticed_by_the_next_operation(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    before = intruder.copy(SECRETS)
    code = enrolled.phone.code()
    log_in(mfa, enrolled.user_id, code)
    token = challenged(mfa, enrolled.user_id)
    for _ in range(5):
        with pytest.raises(Rejected):
            mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
    intruder.put_back(before)
    for operation in (
        lambda: mfa.challenge(enrolled.user_id),
        lambda: mfa.verify(token, code),
        lambda: mfa.reverify(enrolled.user_id, code),
        lambda: mfa.password_changed(enrolled.user_id),
    ):
        with pytest.raises(Tampered):
            operation()
    report = mfa.events.verify(enrolled.user_id)
    assert (report.is_intact, report.first_bad) == (False, 3)


@pytest.mark.parametrize("how", ["UPDATE user_mfa_secrets SET is_enabled = false", "DELETE FROM user_mfa_secrets"])
def test_a_named_operator_repairs_and_the_user_starts_anew(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder, how: str
) -> None:
    mfa.challenge(enrolled.user_id)
    intruder.run(how)
    mfa.repair(enrolled.user_id, by="grace@example.com", reason="found in the nightly check")
    assert not mfa.challenge(enrolled.user_id)
    event = next(event for event in mfa.events.recent(enrolled.user_id) if event.kind == "repaired")
    assert event.details["by"] == "grace@example.com"
    enroll(mfa, enrolled.user_id, clock)
    assert isinstance(mfa.challenge(enrolled.user_id), Challenge)
    assert mfa.events.verify(enrolled.user_id).is_intact


def test_there_is_nothing_to_repair_where_there_is_nothing(mfa: MFA, ada: int) -> None:
    with pytest.raises(NotEnrolled):
        mfa.repair(ada, by="grace@example.com", reason="a test")


@pytest.mark.requirement("R34")
@pytest.mark.parametrize("number", [None, 10**6])
def test_a_line_that_was_never_chained_does_not_bring_a_spent_code_back(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, number: int | None
) -> None:
    good = intruder.copy(CODES)
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    mark = mfa.events.recent(enrolled.user_id, limit=1)[0].details["codes"]
    intruder.put_back(good)
    intruder.run(
        "INSERT INTO mfa_events (user_id, seq, event_type, event_status, event_details, created_at)"
        " VALUES (:user, :seq, 'backup_codes_regenerated', 'success', :details, '2026-11-22 12:00:00')",
        user=enrolled.user_id,
        seq=number,
        details=f'{{"backup_codes":1,"codes":"{mark}"}}',
    )
    with pytest.raises(Rejected) as refused:
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    assert refused.value.reason is Reason.CODE_ALREADY_USED


def test_an_alarm_is_in_the_log_of_the_operator(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, caplog: pytest.LogCaptureFixture
) -> None:
    intruder.run("UPDATE user_mfa_secrets SET failed_attempts = 7")
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)
    (record,) = (record for record in caplog.records if record.name == "twofold")
    assert record.levelname == "CRITICAL"
    named = f"The row of user {enrolled.user_id!r} in user_mfa_secrets was changed outside Twofold, or removed."
    assert record.getMessage() == named


@pytest.mark.backends("sqlite")
def test_garbage_in_a_moment_is_an_alarm_too(mfa: MFA, enrolled: Enrolment, intruder: Intruder) -> None:
    intruder.run("UPDATE user_mfa_secrets SET locked_until = 'never'")
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)
