"""`twofold events prune`: what it asks, what it tells, and how it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.people import Clock, add_user, enroll
from twofold.upkeep import retention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Enrolment
    from twofold import MFA
    from twofold.account.attempt import Attempt

pytestmark = pytest.mark.backends("sqlite")


@pytest.fixture
def clock() -> Clock:
    """Ada enrolled long ago."""
    return Clock(datetime.now(UTC) - timedelta(days=500))


def sql(database: Database, text: str) -> None:
    with database.engine().begin() as connection:
        connection.execute(sa.text(text))


@pytest.mark.requirement("R106")
def test_nothing_goes_before_somebody_said_how_old_and_yes(twofold: Shell, enrolled: Enrolment, mfa: MFA) -> None:
    before = mfa.events.export()
    assert twofold("events", "prune").code == 64
    for days in ("0", "-1", "many", "99999"):
        assert twofold("events", "prune", "--older-than", days, "--yes").code == 64
    assert twofold("events", "prune", "--older-than", "365", "--json").code == 64
    asked = twofold("events", "prune", "--older-than", "365", typed="n\n")
    assert asked.code == 1
    assert "Remove 2 events of before " in asked.err
    trial = twofold("events", "prune", "--older-than", "365", "--dry-run")
    assert (trial.code, trial.out.startswith("2 events of before ")) == (0, True)
    trial = twofold("events", "prune", "--older-than", "365", "--dry-run", "--json")
    assert (trial.data["is_dry_run"], trial.data["found"]) == (True, 2)
    assert mfa.events.export() == before


@pytest.mark.requirement("R106")
def test_what_is_old_goes_once(twofold: Shell, enrolled: Enrolment, mfa: MFA) -> None:
    answer = twofold("events", "prune", "--older-than", "365", typed="y\n")
    assert answer.code == 0
    assert "Removed 2 events of 1 user, of before " in answer.out
    verified = twofold("events", "verify")
    assert (verified.code, verified.out) == (0, "1 event of 1 user: intact. 2 older events had been pruned.\n")
    assert twofold("events", "verify", "--json").data["pruned"] == 2
    (line,) = mfa.events.recent(enrolled.user_id)
    # Nothing is asked where there is nothing to do.
    again = twofold("events", "prune", "--older-than", "365", "--json", "--yes")
    expected = {"is_dry_run": False, "removed": 0, "users": 0, "left": [], "is_stopped": False}
    assert (again.code, {name: again.data[name] for name in expected}) == (0, expected)
    assert twofold("events", "prune", "--older-than", "365").code == 0
    assert mfa.events.recent(enrolled.user_id) == (line,)


@pytest.mark.requirement("R102", "R106")
def test_a_log_that_was_altered_is_left_alone_and_named(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock
) -> None:
    grace, mary = (add_user(migrated, f"{name}@example.com") for name in ("grace", "mary"))
    for user_id in (grace, mary):
        enroll(mfa, user_id, clock)
    sql(migrated, f"UPDATE mfa_events SET event_status = 'refused' WHERE user_id = {grace} AND seq = 2")
    sql(migrated, f"UPDATE mfa_events SET mac = 'v1:zz:00000000:00' WHERE user_id = {mary} AND seq = 1")
    answer = twofold("events", "prune", "--older-than", "365", "--yes")
    assert answer.code == 1
    assert "Removed 2 events of 1 user" in answer.out
    assert f"user {grace}: Nothing was pruned: event 2 was altered, or does not follow" in answer.out
    assert f"user {mary}: A stored value names the key 'zz'" in answer.out
    data = twofold("events", "prune", "--older-than", "365", "--yes", "--json").data
    assert [one["user_id"] for one in data["left"]] == [grace, mary]
    assert len(mfa.events.recent(grace)) == len(mfa.events.recent(mary)) == 2


def test_a_run_that_is_stopped_keeps_what_it_did(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    grace = add_user(migrated, "grace@example.com")
    enroll(mfa, grace, clock)
    stops, delete = iter((False, True)), retention._delete

    def delete_or_stop(work: Attempt, ids: Sequence[int]) -> None:
        if next(stops):
            raise KeyboardInterrupt
        delete(work, ids)

    monkeypatch.setattr(retention, "_delete", delete_or_stop)
    answer = twofold("events", "prune", "--older-than", "365", "--yes", "--json")
    assert (answer.code, answer.data["is_stopped"], answer.data["removed"]) == (130, True, 2)
    monkeypatch.setattr(retention, "_delete", delete)
    assert twofold("events", "verify").code == 0
    assert twofold("events", "prune", "--older-than", "365", "--yes", "--json").data["removed"] == 2
