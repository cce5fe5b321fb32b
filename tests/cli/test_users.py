"""`twofold users`: how a user stands, and the way back in."""

from __future__ import annotations

import getpass
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.people import Phone, enroll
from twofold import MFA, Rejected, Settings

if TYPE_CHECKING:
    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Clock, Enrolment, Open

pytestmark = pytest.mark.backends("sqlite")


@pytest.mark.attack("A26")
def test_the_status_of_a_user_is_shown(twofold: Shell, enrolled: Enrolment) -> None:
    answer = twofold("users", "status", str(enrolled.user_id))
    assert answer.code == 0
    assert "enabled since" in answer.out
    data = twofold("users", "status", str(enrolled.user_id), "--json").data
    assert (data["user_id"], data["is_enrolled"], data["backup_codes_remaining"]) == (enrolled.user_id, True, 10)


@pytest.mark.requirement("R19", "R20")
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"suspend_after": 5}, "suspended until the app is set up anew, for which a backup code lets the owner in"),
        ({"failure_limit": 20, "first_wait": 1, "longest_wait": 1}, "too many of before, codes of the app are refused"),
        ({}, "; codes of the app are refused until"),
    ],
    ids=["suspended", "exhausted", "waiting"],
)
def test_how_a_guess_budget_that_is_spent_ends_is_told(
    twofold: Shell, open_mfa: Open, ada: int, clock: Clock, settings: dict[str, Any], told: str
) -> None:
    # The command reads the clock of the machine.
    clock.now = datetime.now(UTC)
    mfa = open_mfa(**settings)
    enrolment = enroll(mfa, ada, clock)
    for _ in range(settings.get("failure_limit", 5)):
        with pytest.raises(Rejected):
            mfa.reverify(ada, enrolment.phone.wrong_code())
        if settings:
            clock.forward(seconds=2)
    variables = {name: str(value) for name, value in settings.items()}
    answer = twofold("users", "status", str(ada), **variables)
    assert told in " ".join(answer.out.split())
    data = twofold("users", "status", str(ada), "--json", **variables).data
    assert data["is_suspended"] is ("suspend_after" in settings)
    assert (data["exhausted_until"] is None) is ("failure_limit" not in settings)
    assert data["epoch"]


def test_a_user_without_a_factor_has_a_status_and_nothing_to_reset(twofold: Shell, ada: int) -> None:
    assert twofold("users", "status", str(ada), "--json").data["is_enrolled"] is False
    refused = twofold("users", "reset", str(ada), "--reason", "lost", "--yes")
    assert (refused.code, "nothing to reset" in refused.err) == (1, True)


@pytest.mark.requirement("R53")
def test_a_reset_asks_and_is_recorded_with_its_operator(twofold: Shell, enrolled: Enrolment, mfa: MFA) -> None:
    user = str(enrolled.user_id)
    refused = twofold("users", "reset", user, "--reason", "lost the phone", typed="\n")
    assert refused.code == 1
    assert "10 backup codes" in refused.err
    assert mfa.status(enrolled.user_id).is_enrolled

    done = twofold("users", "reset", user, "--reason", "lost the phone", "--by", "grace", typed="y\n")
    assert done.code == 0
    assert not mfa.status(enrolled.user_id).is_enrolled
    (event, *_) = mfa.events.recent(enrolled.user_id)
    assert (event.kind, event.details["by"], event.details["reason"]) == ("reset", "grace", "lost the phone")


def test_the_operator_is_whoever_is_logged_in(twofold: Shell, enrolled: Enrolment) -> None:
    answer = twofold("users", "reset", str(enrolled.user_id), "--reason", "lost", "--yes", "--json")
    assert answer.data == {
        "user_id": enrolled.user_id,
        "action": "reset",
        "by": getpass.getuser(),
        "reason": "lost",
    }


@pytest.mark.requirement("R53")
def test_a_nameless_operator_and_a_missing_reason_are_refused(twofold: Shell, enrolled: Enrolment) -> None:
    assert twofold("users", "reset", str(enrolled.user_id), "--yes").code == 64
    assert twofold("users", "reset", str(enrolled.user_id), "--yes", "--reason", "x", "--by", " ").code == 64


@pytest.mark.requirement("R64")
def test_backup_codes_altered_by_hand_are_shown_as_such_and_count_as_none(
    twofold: Shell, enrolled: Enrolment, migrated: Database
) -> None:
    user = str(enrolled.user_id)
    with migrated.engine().begin() as connection:
        connection.execute(sa.text("UPDATE mfa_backup_codes SET is_used = true WHERE id = 1"))
    answer = twofold("users", "status", user)
    assert answer.code == 0
    assert "mfa_backup_codes: none of its rows counts" in answer.out
    data = twofold("users", "status", user, "--json").data
    assert (data["altered"], data["backup_codes_remaining"]) == (["mfa_backup_codes"], 0)
    verified = twofold("events", "verify", user)
    assert verified.code == 1
    assert "the user's rows in mfa_backup_codes are not those that the user's row names" in verified.out
    # An operator who resets the factor is not stopped by them.
    assert twofold("users", "reset", user, "--reason", "lost the phone", "--yes").code == 0
    assert twofold("users", "status", user, "--json").data["altered"] == []
    assert twofold("events", "verify", user).code == 0


@pytest.mark.requirement("R64")
def test_a_user_who_is_not_adopted_yet_is_told_from_one_whose_row_was_altered(
    twofold: Shell, ada: int, migrated: Database
) -> None:
    with migrated.engine().begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, created_at, updated_at)"
                " VALUES (:ada, 'JBSWY3DPEHPK3PXPJBSWY3DP', true, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
            ),
            {"ada": ada},
        )
    for command in (["status", str(ada)], ["reset", str(ada), "--reason", "x", "--yes"]):
        answer = twofold("users", *command)
        assert (answer.code, answer.out) == (1, "")
        assert "import-legacy" in answer.err
        assert "repair" not in answer.err


def test_a_row_altered_by_hand_is_refused_until_it_is_repaired(
    twofold: Shell, enrolled: Enrolment, migrated: Database
) -> None:
    user = str(enrolled.user_id)
    with migrated.engine().begin() as connection:
        connection.execute(sa.text("UPDATE user_mfa_secrets SET is_enabled = false"))
    for command in (["status", user], ["reset", user, "--reason", "x", "--yes"]):
        answer = twofold("users", *command)
        assert (answer.code, answer.out) == (1, "")
        assert "twofold users repair" in answer.err
    repaired = twofold("users", "repair", user, "--reason", "restored a backup", "--by", "grace", "--yes")
    assert repaired.code == 0
    assert twofold("users", "status", user, "--json").data["is_enrolled"] is False


@pytest.mark.parametrize("typed", ["0", "99999999999999999999999", "ada", "1.0", "1e0", "", "²", "1 OR 1=1", "0x1"])
def test_an_id_that_no_user_has_is_refused(twofold: Shell, ada: int, typed: str) -> None:
    for command in ("status", "reset", "repair"):
        given = [] if command == "status" else ["--reason", "x", "--yes"]
        answer = twofold("users", command, typed, *given)
        assert (answer.code, answer.out) == (1, "")
        assert "error: There is no such user" in answer.err


@pytest.mark.backends("sqlite", "postgresql", "mariadb")
@pytest.mark.parametrize(
    ("type_", "known"), [("uuid", "0b9e6a52-6d0c-4a4e-9c0b-0d8f6f5a3c11"), ("text", "ada@example.com")]
)
def test_ids_are_read_as_the_users_table_holds_them(
    database: Database, shell: Shell, keys: str, clock: Clock, type_: str, known: str
) -> None:
    shell.environment["database_url"] = database.url
    column: sa.types.TypeEngine[Any] = sa.Uuid() if type_ == "uuid" else sa.String(64)
    users = sa.Table("users", sa.MetaData(), sa.Column("id", column, primary_key=True))
    stored = uuid.UUID(known) if type_ == "uuid" else known
    with database.engine().begin() as connection:
        users.create(connection)
        connection.execute(sa.insert(users).values(id=stored))
    assert shell("db", "upgrade").code == 0
    made: dict[str, Any] = {"keys": keys, "_env_file": None}
    mfa = MFA(database.engine(), Settings(**made), clock=clock)
    begun = mfa.totp.begin(stored, account_name="ada@example.com")
    mfa.totp.confirm(stored, Phone(begun.secret, clock).code())
    shell.secrets.append(begun.secret)

    assert shell("users", "status", known, "--json").data["is_enrolled"] is True
    assert shell("events", "verify", "--json").data == {
        "is_intact": True,
        "users": 1,
        "events": 2,
        "pruned": 0,
        "broken_users": 0,
        "broken": [],
        "unreadable_users": 0,
        "unreadable": [],
    }
    assert type_ == "text" or shell("users", "status", known.replace("-", "").upper()).code == 0
    assert shell("users", "status", "nobody").code == 1
    assert shell("users", "reset", known, "--reason", "lost", "--yes").code == 0
