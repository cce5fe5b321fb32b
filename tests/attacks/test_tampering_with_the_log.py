"""Events that are changed by SQL, without the keys: the first line that does not fit is named by its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.intruder import EVENTS, SECRETS, Intruder
from tests.people import FIREFOX, Enrolment, challenged, enroll
from twofold import MFA, Tampered

if TYPE_CHECKING:
    from tests.people import Clock

_INSERT = "INSERT INTO mfa_events (user_id, seq, event_type, event_status, created_at, mac) SELECT"

EDITS = {
    "a field is changed": "UPDATE mfa_events SET ip_address = '203.0.113.9' WHERE seq = 3",
    "a browser is forgotten": "UPDATE mfa_events SET user_agent = NULL WHERE seq = 3",
    "a refusal is whitewashed": "UPDATE mfa_events SET event_type = 'code_accepted' WHERE seq = 3",
    "an alarm is silenced": "UPDATE mfa_events SET event_status = 'refused' WHERE seq = 3",
    "details are changed": "UPDATE mfa_events SET event_details = '{}' WHERE seq = 3",
    "a device is named": "UPDATE mfa_events SET device_fingerprint = 'v1:k1:00' WHERE seq = 3",
    "a moment is moved": "UPDATE mfa_events SET created_at = '2020-01-01 00:00:00' WHERE seq = 3",
    "a line is removed": "DELETE FROM mfa_events WHERE seq = 3",
    "a line loses its number": "UPDATE mfa_events SET seq = NULL WHERE seq = 3",
    "a mac is removed": "UPDATE mfa_events SET mac = NULL WHERE seq = 3",
    "a mac is garbled": "UPDATE mfa_events SET mac = 'v1' WHERE seq = 3",
    "a mac is taken from another line": "UPDATE mfa_events SET mac = :second WHERE seq = 3",
    "the tail is cut off": "DELETE FROM mfa_events WHERE seq >= 3",
    "the tail is moved away": "UPDATE mfa_events SET seq = seq + 1000 WHERE seq >= 3",
}
INSERTS = {
    "a line is put in behind the last": (f"{_INSERT} user_id, 6, 'cleared', 'success', created_at, NULL", 6),
    "an old line is repeated behind the last": (f"{_INSERT} user_id, 6, event_type, event_status, created_at, mac", 6),
    "a line is put in before the first": (f"{_INSERT} user_id, 0, event_type, event_status, created_at, mac", 0),
    "a line is put in far before the first": (f"{_INSERT} user_id, -9, 'cleared', 'success', created_at, NULL", -9),
}


@pytest.fixture
def logged(mfa: MFA, enrolled: Enrolment) -> Enrolment:
    """Ada, with five events."""
    for _ in range(3):
        mfa.challenge(enrolled.user_id, request=FIREFOX)
    assert mfa.events.verify(enrolled.user_id).length == 5
    return enrolled


@pytest.mark.requirement("R102")
def test_the_first_line_that_was_edited_or_removed_is_named(mfa: MFA, logged: Enrolment, intruder: Intruder) -> None:
    untouched = intruder.copy(EVENTS)
    second = next(row["mac"] for row in untouched[EVENTS] if row["seq"] == 2)
    for what, edit in EDITS.items():
        intruder.run(edit, **({"second": second} if ":second" in edit else {}))
        report = mfa.events.verify(logged.user_id)
        assert (report.is_intact, report.first_bad) == (False, 3), what
        assert report.problem
        intruder.put_back(untouched)
        assert mfa.events.verify(logged.user_id).is_intact, what


@pytest.mark.requirement("R102")
def test_a_line_that_was_put_in_is_named(mfa: MFA, logged: Enrolment, intruder: Intruder) -> None:
    untouched = intruder.copy(EVENTS)
    for what, (insert, number) in INSERTS.items():
        intruder.run(f"{insert} FROM mfa_events WHERE seq = 3")
        report = mfa.events.verify(logged.user_id)
        assert (report.is_intact, report.first_bad) == (False, number), what
        intruder.put_back(untouched)


@pytest.mark.requirement("R102")
def test_two_lines_that_change_places_are_named_by_the_first(mfa: MFA, logged: Enrolment, intruder: Intruder) -> None:
    for old, new in ((3, 999), (4, 3), (999, 4)):
        intruder.run("UPDATE mfa_events SET seq = :new WHERE seq = :old", old=old, new=new)
    assert mfa.events.verify(logged.user_id).first_bad == 3


@pytest.mark.requirement("R102")
def test_a_line_that_is_copied_to_another_user_is_named(
    mfa: MFA, logged: Enrolment, grace: int, clock: Clock, intruder: Intruder
) -> None:
    enroll(mfa, grace, clock)
    intruder.run("DELETE FROM mfa_events WHERE user_id = :grace AND seq = 1", grace=grace)
    intruder.run("UPDATE mfa_events SET user_id = :grace WHERE user_id <> :grace AND seq = 1", grace=grace)
    for user_id in (grace, logged.user_id):
        assert mfa.events.verify(user_id).first_bad == 1


@pytest.mark.requirement("R102")
def test_all_events_at_once_cannot_be_removed(mfa: MFA, logged: Enrolment, intruder: Intruder) -> None:
    intruder.run("DELETE FROM mfa_events")
    report = mfa.events.verify(logged.user_id)
    assert (report.is_intact, report.first_bad) == (False, 1)


@pytest.mark.requirement("R102")
def test_a_forged_line_stops_the_next_operation(mfa: MFA, logged: Enrolment, intruder: Intruder) -> None:
    token = challenged(mfa, logged.user_id)
    intruder.run(f"{_INSERT} user_id, 7, 'code_accepted', 'success', created_at, mac FROM mfa_events WHERE seq = 3")
    for operation in (
        lambda: mfa.challenge(logged.user_id),
        lambda: mfa.verify(token, logged.phone.code()),
        lambda: mfa.reverify(logged.user_id, logged.backup_codes[0]),
        lambda: mfa.password_changed(logged.user_id),
    ):
        with pytest.raises(Tampered):
            operation()


@pytest.mark.requirement("R102", "R103")
def test_a_tail_that_is_cut_off_with_the_count_of_the_row_is_noticed_at_once(
    mfa: MFA, logged: Enrolment, intruder: Intruder
) -> None:
    third = next(row["mac"] for row in intruder.copy(EVENTS)[EVENTS] if row["seq"] == 3)
    intruder.run("DELETE FROM mfa_events WHERE seq > 3")
    intruder.run("UPDATE user_mfa_secrets SET event_count = 3, event_head = :third", third=third)
    with pytest.raises(Tampered):
        mfa.challenge(logged.user_id)
    assert not mfa.events.verify(logged.user_id).is_intact


@pytest.mark.requirement("R103")
def test_a_whole_user_set_back_to_an_earlier_state_shows_only_against_a_checkpoint(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    before = intruder.copy(SECRETS, EVENTS)
    mfa.challenge(enrolled.user_id)
    intruder.put_back(before)
    # This is the limit of a chain; test_checkpoints.py shows who finds it.
    assert mfa.events.verify(enrolled.user_id).is_intact
