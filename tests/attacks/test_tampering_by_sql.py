"""Rows that are changed by SQL, without the keys: refused by the operation that meets them, until they are repaired."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.intruder import CODES, DEVICES, EVENTS, SECRETS, Intruder, alarms, refusal
from tests.people import FIREFOX, SAFARI, Clock, Enrolment, challenged, enroll, kinds, log_in
from twofold import MFA, Challenge, Cleared, NotAdopted, NotEnrolled, Reason, Rejected, Tampered, Verified
from twofold.account.row import Account

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
    "version = version - 1",
    "version = version + 1",
    "codes_digest = NULL",
    "devices_digest = :other",
    "passkeys_digest = :other",
    "cases_digest = :other",
    "proofs_after = 0",
    "failure_level = 9",
    "failure_level_at = '2026-11-22 12:00:00'",
    "setup_tries = 9",
    "lines_today = 9",
    "lines_day = '2026-11-22 12:00:00'",
    "told_refusal = 'waiting'",
    "epoch = 'another'",
    "shown_codes = 'others'",
    "last_answer = 'another'",
    "changes_suspended_at = '2026-11-22 12:00:00'",
    "pending_secret = secret",
    "pending_at = '2026-11-22 12:00:00'",
    "last_used_at = NULL",
    "disabled_at = '2026-11-22 12:00:00'",
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
        lambda: mfa.repeat(token, code),
        lambda: mfa.reverify(user_id, code),
        lambda: mfa.proof(enrolment.verified.token),
        lambda: mfa.status(user_id),
        lambda: mfa.reset(user_id, by="grace@example.com", reason="a test"),
        lambda: mfa.password_changed(user_id),
        lambda: mfa.totp.begin(user_id, account_name="ada@example.com"),
        lambda: mfa.totp.pending(user_id, account_name="ada@example.com"),
        lambda: mfa.totp.confirm(user_id, code),
        lambda: mfa.totp.disable(enrolment.verified),
        lambda: mfa.backup_codes.regenerate(enrolment.verified),
        lambda: mfa.backup_codes.remaining(user_id),
        lambda: mfa.trusted_devices.trust(enrolment.verified),
        lambda: mfa.trusted_devices.list(user_id),
        lambda: mfa.trusted_devices.rename(user_id, 1, "laptop"),
        lambda: mfa.trusted_devices.revoke(user_id, 1),
        lambda: mfa.trusted_devices.revoke_all(user_id),
        lambda: mfa.events.prune(user_id, enrolment.phone.clock.now),
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
        intruder.run(f"UPDATE user_mfa_secrets SET {change}", **({"other": "0" * 64} if ":other" in change else {}))
        with pytest.raises(Tampered):
            mfa.challenge(locked.user_id)
        report = mfa.events.verify(locked.user_id)
        assert (report.is_intact, report.problem) == (False, "the user's row was altered or removed")
        intruder.put_back(untouched)
        assert mfa.events.verify(locked.user_id).is_intact, change


def test_every_column_of_a_row_is_among_those_that_are_changed() -> None:
    changed = {name for change in CHANGES for name in re.findall(r"(\w+) = ", change)}
    assert changed == {*Account._fields, "state_mac"} - {"user_id"}


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
def test_backup_codes_that_are_copied_to_another_user_open_nothing_there(
    mfa: MFA, ada: int, grace: int, clock: Clock, intruder: Intruder
) -> None:
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    issued = intruder.copy(CODES)
    copied = deepcopy(issued)
    hashes = {row["code_hash"] for row in copied[CODES] if row["user_id"] == ada}
    for row, code_hash in zip((row for row in copied[CODES] if row["user_id"] == grace), hashes, strict=True):
        row["code_hash"] = code_hash
    intruder.put_back(copied)
    for code in (adas.backup_codes[0], graces.backup_codes[0]):
        assert refusal(mfa, grace, code) is Reason.ALTERED
    # Nothing was looked at, so nothing counts; the app goes on, and so does everybody else.
    assert mfa.status(grace).failed_attempts == 0
    assert alarms(mfa, grace) == [CODES]
    assert log_in(mfa, grace, graces.phone.code())
    assert log_in(mfa, ada, adas.backup_codes[0])
    assert alarms(mfa, ada) == []


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


@pytest.mark.requirement("R75", "R78")
@pytest.mark.attack("A21")
def test_a_device_that_is_no_longer_revoked_is_an_alarm_and_no_trust(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    mfa.trusted_devices.revoke(ada, device.device_id)
    intruder.run("UPDATE mfa_device_trusts SET revoked_at = NULL, revoked_reason = NULL")
    for _ in range(2):
        assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    assert alarms(mfa, ada) == [DEVICES]
    assert not any(device.is_active for device in mfa.trusted_devices.list(ada))
    assert (mfa.status(ada).trusted_devices, mfa.status(ada).altered) == (0, (DEVICES,))


MARKS_OF_A_DEVICE = [
    "trusted_until = '2099-01-01 00:00:00'",
    "last_used_at = '2026-12-05 11:00:00'",
    "last_used_at = NULL",
    "created_at = '2026-12-05 11:00:00'",
    "rotated_at = '2099-01-01 00:00:00'",
    "rotated_at = NULL",
    "previous_token = trust_token",
    "previous_token = NULL",
    "browser = NULL",
    "browser = 'Safari'",
    "platform = NULL",
    "trust_token = 'v1:k1:00'",
    "device_fingerprint = 'v1:k1:00'",
    "id = id + 1000",
    "revoked_at = '2026-11-22 12:00:00'",
]


@pytest.mark.requirement("R72", "R75", "R78")
@pytest.mark.attack("A21")
def test_no_mark_of_a_device_can_be_changed_and_the_device_go_on(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder
) -> None:
    """Neither to prolong the trust, nor to let an older token in again, nor to let another browser in."""
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    clock.forward(hours=1)
    cleared = mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    untouched = intruder.copy()
    for change in MARKS_OF_A_DEVICE:
        intruder.run(f"UPDATE mfa_device_trusts SET {change}")
        for request in (FIREFOX, SAFARI):
            for token in (device.token, cleared.device.token):
                assert isinstance(mfa.challenge(ada, device_token=token, request=request), Challenge)
        # An alarm of what was done to the row, once, and none of a theft that was none.
        assert alarms(mfa, ada) == [DEVICES]
        assert "device_theft" not in kinds(mfa, ada)
        assert not any(device.is_active for device in mfa.trusted_devices.list(ada))
        intruder.put_back(untouched)


@pytest.mark.requirement("R78")
@pytest.mark.attack("A21")
def test_what_is_only_shown_of_a_device_decides_nothing(mfa: MFA, enrolled: Enrolment, intruder: Intruder) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    untouched = intruder.copy()
    for change in ("device_name = 'Mine'", "usage_count = 7", "ip_address = NULL", "location = 'X'"):
        intruder.run(f"UPDATE mfa_device_trusts SET {change}")
        assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Cleared)
        intruder.put_back(untouched)


MARKS_OF_A_CODE = [
    "is_used = false, used_at = NULL WHERE is_used = true",
    "is_used = true WHERE is_used = false",
    "expires_at = '2099-01-01 00:00:00' WHERE is_used = false",
    "code_hash = 'v1:k1:00' WHERE id = :last",
    "id = id + 1000 WHERE id = :last",
]


@pytest.mark.requirement("R34")
@pytest.mark.attack("A8")
def test_no_mark_of_a_backup_code_can_be_changed_and_the_codes_go_on(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    """A code that was spent does not come back, and whoever tries ends all of them, with one alarm."""
    ada = enrolled.user_id
    log_in(mfa, ada, enrolled.backup_codes[0])
    last = max(row["id"] for row in intruder.copy(CODES)[CODES])
    untouched = intruder.copy()
    for change in MARKS_OF_A_CODE:
        intruder.run(f"UPDATE mfa_backup_codes SET {change}", **({"last": last} if ":last" in change else {}))
        for code in (enrolled.backup_codes[0], enrolled.backup_codes[1], enrolled.backup_codes[0]):
            assert refusal(mfa, ada, code) is Reason.ALTERED
        assert alarms(mfa, ada) == [CODES]
        status = mfa.status(ada)
        assert (status.altered, status.backup_codes_remaining, status.failed_attempts) == ((CODES,), 0, 0)
        assert log_in(mfa, ada, enrolled.phone.code())
        intruder.put_back(untouched)


@pytest.mark.requirement("R34", "R36")
@pytest.mark.attack("A8")
def test_codes_that_are_put_back_from_a_copy_are_refused_as_a_whole(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    ada, issued = enrolled.user_id, intruder.copy(CODES)
    log_in(mfa, ada, enrolled.backup_codes[0])
    as_it_was = intruder.copy(CODES)
    intruder.put_back(issued)
    assert [refusal(mfa, ada, code) for code in enrolled.backup_codes[:2]] == [Reason.ALTERED] * 2
    # What is put right again goes on.
    intruder.put_back(as_it_was)
    assert refusal(mfa, ada, enrolled.backup_codes[0]) is Reason.CODE_ALREADY_USED
    fresh = mfa.backup_codes.regenerate(log_in(mfa, ada, enrolled.backup_codes[1]))
    intruder.put_back(issued)
    for code in (*enrolled.backup_codes[:3], fresh[0]):
        assert refusal(mfa, ada, code) is Reason.ALTERED


@pytest.mark.requirement("R34")
@pytest.mark.attack("A8")
def test_each_altered_state_has_one_alarm_and_not_more(mfa: MFA, enrolled: Enrolment, intruder: Intruder) -> None:
    ada, issued = enrolled.user_id, intruder.copy(CODES)
    intruder.run("DELETE FROM mfa_backup_codes WHERE id = :last", last=issued[CODES][-1]["id"])
    for _ in range(3):
        assert refusal(mfa, ada, enrolled.backup_codes[0]) is Reason.ALTERED
        assert isinstance(mfa.challenge(ada), Challenge)
        assert mfa.status(ada).altered == (CODES,)
    assert alarms(mfa, ada) == [CODES]
    intruder.run("DELETE FROM mfa_backup_codes")
    for _ in range(3):
        assert refusal(mfa, ada, enrolled.backup_codes[0]) is Reason.ALTERED
    assert alarms(mfa, ada) == [CODES, CODES]
    assert mfa.events.verify(ada).problem == f"the user's rows in {CODES} are not those that the user's row names"
    # Put right, they go on, and what is altered after that is told anew.
    intruder.put_back(issued)
    assert log_in(mfa, ada, enrolled.backup_codes[0])
    assert mfa.events.verify(ada).is_intact
    intruder.run("DELETE FROM mfa_backup_codes")
    assert refusal(mfa, ada, enrolled.backup_codes[1]) is Reason.ALTERED
    assert alarms(mfa, ada) == [CODES, CODES, CODES]


def replace_the_app(mfa: MFA, enrolment: Enrolment, verified: Verified) -> None:
    begun = mfa.totp.begin(enrolment.user_id, account_name="ada@example.com", verified=verified)
    enrolment.phone.secret = begun.secret
    mfa.totp.confirm(enrolment.user_id, enrolment.phone.code())


ENDINGS: dict[str, tuple[set[str], Callable[[MFA, Enrolment, Verified], Any]]] = {
    "codes are made anew": ({CODES}, lambda mfa, _, verified: mfa.backup_codes.regenerate(verified)),
    "all devices are revoked": ({DEVICES}, lambda mfa, it, _: mfa.trusted_devices.revoke_all(it.user_id)),
    "another device is trusted": ({DEVICES}, lambda mfa, _, verified: mfa.trusted_devices.trust(verified)),
    "the password was changed": ({DEVICES}, lambda mfa, it, _: mfa.password_changed(it.user_id)),
    "another app is set up": ({CODES, DEVICES}, replace_the_app),
    "the factor is turned off": ({CODES, DEVICES}, lambda mfa, _, verified: mfa.totp.disable(verified)),
    "an operator resets it": ({CODES, DEVICES}, lambda mfa, it, _: mfa.reset(it.user_id, by="grace", reason="lost")),
}


@pytest.mark.requirement("R36", "R78")
@pytest.mark.parametrize("was_met", [False, True])
def test_the_owner_ends_what_was_planted_and_is_told_of_it_once(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock, *, was_met: bool
) -> None:
    """What leaves nothing of a table in force goes on after the alarm; nothing that was planted is ever sealed."""
    ada = enrolled.user_id
    verified = log_in(mfa, ada, enrolled.phone.code())
    clock.forward(seconds=60)
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    spent = log_in(mfa, ada, enrolled.backup_codes[0])
    intruder.run("UPDATE mfa_backup_codes SET is_used = false")
    intruder.run("UPDATE mfa_device_trusts SET trusted_until = '2099-01-01 00:00:00'")
    if was_met:
        assert refusal(mfa, ada, enrolled.backup_codes[0]) is Reason.ALTERED
        assert mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    planted, secret = intruder.copy(), enrolled.phone.secret
    for ended, end in ENDINGS.values():
        end(mfa, enrolled, spent)
        assert set(mfa.status(ada).altered) == {CODES, DEVICES} - ended
        told = alarms(mfa, ada)
        assert len(told) == len(set(told))
        assert set(told) >= ended
        assert mfa.events.verify(ada).is_intact is (ended == {CODES, DEVICES})
        if mfa.status(ada).is_enrolled:
            assert mfa.challenge(ada, device_token=device.token, request=FIREFOX)
            reason = refusal(mfa, ada, enrolled.backup_codes[0])
            assert reason is (Reason.WRONG_CODE if CODES in ended else Reason.ALTERED)
        intruder.put_back(planted)
        enrolled.phone.secret = secret


def test_one_device_is_not_revoked_among_devices_that_were_altered(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    """Taking one away would seal the others."""
    ada = enrolled.user_id
    verified = log_in(mfa, ada, enrolled.phone.code())
    first, second = (mfa.trusted_devices.trust(verified, request=FIREFOX) for _ in range(2))
    intruder.run("UPDATE mfa_device_trusts SET browser = NULL WHERE id = :id", id=second.device_id)
    for _ in range(2):
        with pytest.raises(Tampered, match="revoke_all"):
            mfa.trusted_devices.revoke(ada, first.device_id)
        with pytest.raises(Tampered, match="revoke_all"):
            mfa.trusted_devices.rename(ada, first.device_id, "laptop")
    assert alarms(mfa, ada) == [DEVICES]
    assert mfa.trusted_devices.revoke_all(ada) == 0
    assert all(device.revoked_at for device in mfa.trusted_devices.list(ada))
    assert mfa.status(ada).altered == ()


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
        trusted, before = intruder.copy(DEVICES), len(alarms(mfa, ada))
        revoke()
        intruder.put_back(trusted)
        for _ in range(2):
            assert mfa.challenge(ada, device_token=device.token, request=FIREFOX)
        assert alarms(mfa, ada)[before:] == [DEVICES]
        assert not mfa.trusted_devices.list(ada)[0].is_active


@pytest.mark.requirement("R78")
@pytest.mark.attack("A21")
def test_a_device_that_is_put_back_after_a_theft_is_an_alarm_too(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder
) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    trusted = intruder.copy(DEVICES)
    cleared = mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    clock.forward(hours=1)
    for token in (device.token, cleared.device.token):
        assert isinstance(mfa.challenge(ada, device_token=token, request=FIREFOX), Challenge)
    assert [event.kind for event in mfa.events.recent(ada, limit=2)] == ["challenged", "device_theft"]
    intruder.put_back(trusted)
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    assert [event.kind for event in mfa.events.recent(ada, limit=2)] == ["challenged", "rows_altered"]


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
    # In the form of before Twofold they are rows of somebody who was never adopted, who is not let in either.
    intruder.run(f"UPDATE {left} SET {form} WHERE user_id = :ada", ada=enrolled.user_id)
    with pytest.raises(NotAdopted):
        mfa.challenge(enrolled.user_id)


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
