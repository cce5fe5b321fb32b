"""`twofold events`: read, prove, export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.people import FIREFOX, add_user, enroll
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Clock, Enrolment
    from twofold import MFA

pytestmark = pytest.mark.backends("sqlite")


def sql(database: Database, text: str) -> None:
    with database.engine().begin() as connection:
        connection.execute(sa.text(text))


def test_the_latest_events_come_first_and_the_next_page_is_named(twofold: Shell, enrolled: Enrolment, mfa: MFA) -> None:
    mfa.challenge(enrolled.user_id, request=FIREFOX)
    user = str(enrolled.user_id)
    answer = twofold("events", "list", user, "--limit", "2")
    assert answer.code == 0
    assert answer.out.index("challenged") < answer.out.index("totp_confirmed")
    assert "Older ones: --before 2" in answer.out
    data = twofold("events", "list", user, "--before", "2", "--json").data
    assert [event["kind"] for event in data["events"]] == ["totp_begun"]
    assert twofold("events", "list", user, "--limit", "0").code == 64


@pytest.mark.requirement("R100")
def test_a_forged_line_cannot_write_on_the_screen(twofold: Shell, enrolled: Enrolment, migrated: Database) -> None:
    sql(migrated, "UPDATE mfa_events SET user_agent = char(27) || '[2J[red]x', event_type = char(27) || 'c'")
    answer = twofold("events", "list", str(enrolled.user_id))
    assert answer.code == 0
    assert "\x1b" not in answer.out
    assert "[red]x" in answer.out
    assert "\x1b" not in twofold("events", "export").out


@pytest.mark.requirement("R102")
def test_chains_are_intact_until_a_line_is_altered(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock
) -> None:
    grace = add_user(migrated, "grace@example.com")
    enroll(mfa, grace, clock)
    intact = twofold("events", "verify")
    assert (intact.code, intact.out.strip()) == (0, "4 events of 2 users: intact.")
    assert twofold("events", "verify", str(grace), "--json").data["events"] == 2

    sql(migrated, f"UPDATE mfa_events SET event_status = 'refused' WHERE user_id = {grace} AND seq = 2")
    broken = twofold("events", "verify")
    assert broken.code == 1
    assert f"user {grace}: event 2 was altered" in broken.out
    assert twofold("events", "verify", str(enrolled.user_id)).code == 0
    (report,) = twofold("events", "verify", "--json").data["broken"]
    assert (report["user_id"], report["first_bad"]) == (grace, 2)


def test_a_line_under_a_made_up_key_hides_nothing(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock
) -> None:
    grace = add_user(migrated, "grace@example.com")
    enroll(mfa, grace, clock)
    sql(migrated, f"UPDATE mfa_events SET mac = 'v1:zz:00000000:00' WHERE user_id = {enrolled.user_id} AND seq = 1")
    sql(migrated, f"DELETE FROM mfa_events WHERE user_id = {grace} AND seq = 1")
    answer = twofold("events", "verify")
    assert answer.code == 1
    # The line behind it covers its MAC, and tells that it was changed.
    assert f"user {enrolled.user_id}: event 2 was altered, or does not follow the one before" in answer.out
    assert f"user {grace}: event 1 is missing" in answer.out


@pytest.mark.requirement("R102")
def test_intact_and_altered_and_unreadable_are_told_apart(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock, keys: str
) -> None:
    grace = add_user(migrated, "grace@example.com")
    enroll(mfa, grace, clock)
    new = {"keys": f"{generate_key('k2')},{keys}"}
    assert twofold("keys", "rotate", **new).code == 0
    assert twofold("events", "verify", **new).out == "6 events of 2 users: intact.\n"
    alone = {"keys": new["keys"].partition(",")[0]}
    unread = twofold("events", "verify", **alone)
    assert unread.code == 2
    assert "Without the key 'k1', not all of 2 users can be read: `twofold keys status`." in unread.out
    assert unread.out.endswith("0 events of 2 users: 2 cannot be read without a key.\n")
    data = twofold("events", "verify", "--json", **alone).data
    assert (data["is_intact"], data["broken"], data["unreadable_users"]) == (False, [], 2)
    assert [(one["user_id"], one["key"], one["is_wrong_key"]) for one in data["unreadable"]] == [
        (enrolled.user_id, "k1", False),
        (grace, "k1", False),
    ]
    # What can be read is proven behind what cannot.
    sql(migrated, f"UPDATE mfa_events SET event_status = 'refused' WHERE user_id = {grace} AND seq = 3")
    altered = twofold("events", "verify", **alone)
    assert altered.code == 1
    assert f"user {grace}: event 3 was altered" in altered.out
    assert altered.out.endswith("2 events of 2 users: 1 altered, 1 cannot be read without a key.\n")
    assert twofold("events", "verify", str(grace), **alone).code == 1
    assert twofold("events", "verify", str(enrolled.user_id), **alone).code == 2


@pytest.mark.requirement("R102")
def test_a_wrong_key_is_no_alteration_and_one_foreign_line_is(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock
) -> None:
    grace = add_user(migrated, "grace@example.com")
    enroll(mfa, grace, clock)
    for world in ({"keys": generate_key("k1")}, {"deployment": "staging"}):
        wrong = twofold("events", "verify", **world)
        assert wrong.code == 2
        assert "Without the key 'k1' that wrote it, and not the one of that name, not all of 2 users" in wrong.out
        assert "altered." not in wrong.out
        data = twofold("events", "verify", "--json", **world).data
        assert (data["broken_users"], {one["is_wrong_key"] for one in data["unreadable"]}) == (0, {True})

    (check,) = {prefix.split(":")[2] for prefix in mfa._runtime.keyring.prefixes.values()}
    sql(
        migrated, f"UPDATE mfa_events SET mac = REPLACE(mac, '{check}', '00000000') WHERE user_id = {grace} AND seq = 2"
    )
    sql(
        migrated,
        f"UPDATE user_mfa_secrets SET state_mac = REPLACE(state_mac, '{check}', '00000000') "
        f"WHERE user_id = {enrolled.user_id}",
    )
    altered = twofold("events", "verify")
    assert altered.code == 1
    assert f"user {grace}: event 2 was altered: it does not name the key of the others" in altered.out
    assert f"user {enrolled.user_id}: the user's row was altered: it does not name the key of the others" in altered.out


@pytest.mark.requirement("R102")
def test_a_long_list_is_cut_and_counted(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock
) -> None:
    for number in range(24):
        enroll(mfa, add_user(migrated, f"user{number}@example.com"), clock)
    unread = twofold("events", "verify", keys=generate_key("k9"))
    assert (unread.code, unread.out.count("\nuser ") + 1, "… and 5 more" in unread.out) == (2, 20, True)
    sql(migrated, "UPDATE mfa_events SET event_status = 'refused' WHERE seq = 2")
    altered = twofold("events", "verify")
    assert (altered.code, altered.out.count("event 2 was altered"), "… and 5 more" in altered.out) == (1, 20, True)
    data = twofold("events", "verify", "--json").data
    assert (data["broken_users"], len(data["broken"]), data["unreadable_users"]) == (25, 20, 0)


@pytest.mark.requirement("R109")
def test_an_export_is_one_object_a_line_and_goes_on_after_an_id(twofold: Shell, enrolled: Enrolment) -> None:
    first, second = twofold("events", "export").lines
    assert (first["kind"], second["kind"], first["user_id"]) == ("totp_begun", "totp_confirmed", enrolled.user_id)
    assert twofold("events", "export", "--after", str(first["id"])).lines == [second]
    assert twofold("events", "export", "--after", str(second["id"]), "--json").out == ""
