"""A session that was stolen, or found, tries to change the factor with a proof that allows it no more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.people import FIREFOX, Clock, Enrolment, kinds, log_in
from twofold import MFA, Stale, Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.people import Sql

CHANGES: dict[str, Callable[[MFA, Verified], Any]] = {
    "totp.begin": lambda mfa, proven: mfa.totp.begin(
        proven.user_id, account_name="ada@example.com", verified=proven, request=FIREFOX
    ),
    "totp.disable": lambda mfa, proven: mfa.totp.disable(proven, request=FIREFOX),
    "backup_codes.regenerate": lambda mfa, proven: mfa.backup_codes.regenerate(proven, request=FIREFOX),
    "trusted_devices.trust": lambda mfa, proven: mfa.trusted_devices.trust(proven, request=FIREFOX),
    "password_changed": lambda mfa, proven: mfa.password_changed(proven.user_id, verified=proven, request=FIREFOX),
}


def told(mfa: MFA, user_id: int) -> list[tuple[str, Mapping[str, Any], str | None]]:
    """What the log has of such refusals, the oldest first."""
    lines = mfa.events.recent(user_id, limit=1000)[::-1]
    return [(line.status, line.details, line.ip_address) for line in lines if line.kind == "management_refused"]


def tries_all(mfa: MFA, proven: Verified) -> None:
    for change in CHANGES.values():
        with pytest.raises(Stale):
            change(mfa, proven)


def test_a_proof_of_a_user_who_was_deleted_is_stale(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    proven = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    assert mfa.proof(proven.token) == proven
    sql("DELETE FROM users WHERE id = :user", user=enrolled.user_id)
    with pytest.raises(Stale):
        mfa.proof(proven.token)
    for name in ("totp.disable", "backup_codes.regenerate", "trusted_devices.trust"):
        with pytest.raises(Stale):
            CHANGES[name](mfa, proven)


@pytest.mark.requirement("R97")
def test_each_change_that_a_stale_proof_asks_for_leaves_its_line(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    user_id = enrolled.user_id
    old = log_in(mfa, user_id, enrolled.phone.code())
    clock.forward(seconds=301)
    before = mfa.status(user_id)
    tries_all(mfa, old)
    ended = log_in(mfa, user_id, enrolled.phone.code())
    mfa.password_changed(user_id)
    tries_all(mfa, ended)
    expected = [
        ("refused", {"operation": operation, "reason": reason}, FIREFOX.ip_address)
        for reason in ("out_of_time", "ended")
        for operation in CHANGES
    ]
    assert told(mfa, user_id) == expected
    after = mfa.status(user_id)
    assert (after.is_enrolled, after.is_pending, after.backup_codes_remaining) == (
        before.is_enrolled,
        before.is_pending,
        before.backup_codes_remaining,
    )
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R97")
def test_a_proof_that_nobody_signed_leaves_no_line(mfa: MFA, enrolled: Enrolment, grace: int, clock: Clock) -> None:
    genuine = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    before = kinds(mfa, enrolled.user_id)
    clock.forward(seconds=301)
    body, _, signature = genuine.token.rpartition("~")
    for token in ("", "x", f"{body}~{signature[::-1]}", f"{body[:-1]}~{signature}"):
        tries_all(mfa, Verified(enrolled.user_id, "totp", clock.now, ("pwd", "otp", "mfa"), token))
    # Nor does what is somebody else's, in the name of this user.
    for change in ("totp.disable", "backup_codes.regenerate", "trusted_devices.trust"):
        with pytest.raises(Stale):
            CHANGES[change](mfa, Verified(grace, "totp", genuine.at, genuine.amr, genuine.token))
    assert kinds(mfa, enrolled.user_id) == before


@pytest.mark.requirement("R97", "R105")
def test_a_stolen_session_writes_at_most_two_hundred_lines_a_day(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    clock.now = clock.now.replace(hour=0, minute=0) + timedelta(days=1)
    proven = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    before = len(kinds(mfa, enrolled.user_id))
    for _ in range(71):
        clock.forward(minutes=20)
        tries_all(mfa, proven)
    lines = told(mfa, enrolled.user_id)
    assert 50 < len(lines) <= len(kinds(mfa, enrolled.user_id)) - before <= 200
    # The last line tells of all that day had until then.
    assert lines[-1][1]["gathered"] > 300
