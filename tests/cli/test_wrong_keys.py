"""Another key of the right name: it is told from an altered row, and no command destroys anything under it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.intruder import Intruder
from tests.cli.conftest import secret_part
from tests.people import FIREFOX, Clock, add_user, enroll, log_in
from tests.upkeep.test_legacy import leave
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from tests.cli.conftest import Answer, Shell
    from tests.databases import Database
    from tests.people import Enrolment, Sql
    from twofold import MFA


@pytest.fixture
def clock() -> Clock:
    """What is old enough to be pruned was made two days ago."""
    return Clock(datetime.now(UTC) - timedelta(days=2))


@pytest.fixture
def wrong(twofold: Shell) -> str:
    key = generate_key("k1")
    twofold.secrets.append(secret_part(key))
    return key


def verdicts(answer: Answer) -> dict[str, tuple[str, str]]:
    return {check["about"]: (check["state"], check["message"]) for check in answer.data["checks"]}


@pytest.mark.requirement("R64", "R89")
def test_no_command_destroys_anything_under_a_wrong_key(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock, sql: Sql, wrong: str
) -> None:
    """Nor under another deployment; with the right keys everything is as it was."""
    ada, grace, mary = (enrolled.user_id, *(add_user(migrated, f"{name}@example.com") for name in ("grace", "mary")))
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    graces, older = enroll(mfa, grace, clock), leave(sql, mary, clock)
    new, intruder = generate_key("k2"), Intruder(migrated.engine())
    before = intruder.copy()
    to_repair = ("users", "repair", str(ada), "--reason", "a hint", "--by", "grace@example.com")
    commands: list[tuple[str, ...]] = [
        to_repair,
        (*to_repair, "--yes"),
        ("users", "reset", str(grace), "--reason", "a hint", "--by", "grace@example.com", "--yes"),
        ("users", "status", str(ada)),
        ("keys", "rotate"),
        ("secrets", "import-legacy"),
        ("db", "adopt", "--apply", "--yes"),
        ("events", "prune", "--older-than", "1", "--yes"),
    ]
    worlds: dict[str, dict[str, str]] = {
        "another key": {"keys": wrong},
        "another key behind a new one": {"keys": f"{new},{wrong}"},
        "another deployment": {"deployment": "staging"},
    }
    for name, world in worlds.items():
        for arguments in commands:
            answer = twofold(*arguments, "--json", **world)
            assert (answer.code, answer.data["error"]) == (78, "WrongKey"), (name, arguments, answer.out)
            assert "TWOFOLD_DEPLOYMENT" in answer.data["message"]
            assert intruder.copy() == before, (name, arguments)
        doctor = twofold("doctor", "--json", **world)
        state, message = verdicts(doctor)["needed keys"]
        assert (doctor.code, state) == (1, "wrong")
        assert message.startswith("k1 is another key than the one that wrote 2 secrets, 2 users' rows"), message
        status = twofold("keys", "status", **world)
        assert status.code == 1
        assert "k1 is another key than the one that wrote" in status.out
        assert intruder.copy() == before

    lost = twofold(*to_repair, "--yes", "--json", keys=new)
    assert (lost.code, lost.data["error"], "'k1'" in lost.data["message"]) == (78, "MissingKey", True)
    assert intruder.copy() == before
    assert twofold("events", "verify").code == 0
    assert verdicts(twofold("doctor", "--json"))["needed keys"][0] == "ok"
    clock.now = datetime.now(UTC)
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert log_in(mfa, ada, enrolled.phone.code())
    assert log_in(mfa, grace, graces.backup_codes[0])
    assert twofold("db", "adopt", "--apply", "--yes", "--json").data["rows"] == {"adopted": 1, "left": []}
    assert log_in(mfa, mary, older.phone.code())
    # Where the keys are lost for good, somebody has to say so, once.
    assert twofold(*to_repair, "--yes", "--keys-lost", keys=new).code == 0
    assert twofold("users", "repair", str(grace), "--reason", "no keys", "--yes", keys=new).code == 0


@pytest.mark.requirement("R64", "R89")
@pytest.mark.backends("sqlite")
def test_one_row_whose_check_value_differs_was_altered_and_is_repaired(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock, sql: Sql
) -> None:
    grace = add_user(migrated, "grace@example.com")
    graces = enroll(mfa, grace, clock)
    ((state_mac,),) = sql("SELECT state_mac FROM user_mfa_secrets WHERE user_id = :id", id=grace)
    kid, check = state_mac.split(":")[1:3]
    altered = state_mac.replace(check, "00000000")
    sql("UPDATE user_mfa_secrets SET state_mac = :mac WHERE user_id = :id", mac=altered, id=grace)
    answer = twofold("users", "status", str(grace), "--json")
    assert (answer.code, answer.data["error"]) == (1, "Tampered")
    assert f"the others that name '{kid}'" in answer.data["message"]
    assert twofold("users", "reset", str(grace), "--reason", "a test", "--yes", "--json").data["error"] == "Tampered"
    status = twofold("keys", "status", "--json")
    (use,) = status.data["keys"]
    assert (status.code, use["foreign"], use["is_wrong"], use["states"]) == (0, 1, False, 2)
    assert "1 value that names it did not come from it: altered" in twofold("keys", "status").out
    doctor = twofold("doctor", "--json")
    assert (doctor.code, verdicts(doctor)["altered rows"][0]) == (0, "note")

    assert twofold("users", "repair", str(grace), "--reason", "altered", "--yes").code == 0
    assert not mfa.challenge(grace)
    assert graces.backup_codes
    assert log_in(mfa, enrolled.user_id, enrolled.phone.code())


@pytest.mark.requirement("R90")
@pytest.mark.backends("sqlite")
def test_a_wrong_key_among_right_ones_is_told_and_its_rows_are_kept(
    twofold: Shell, enrolled: Enrolment, mfa: MFA, migrated: Database, clock: Clock, keys: str, sql: Sql, wrong: str
) -> None:
    """After half a rotation the new key is right, and what still needs the old one must not be repaired."""
    mary, grace = add_user(migrated, "mary@example.com"), add_user(migrated, "grace@example.com")
    for user_id in (mary, grace):
        enroll(mfa, user_id, clock)
    new = generate_key("k2")
    assert twofold("keys", "status", keys=f"{new},{keys}").code == 0
    both: dict[str, Any] = {"keys": f"{new},{keys}"}
    intruder = Intruder(migrated.engine())
    old = intruder.copy("user_mfa_secrets")
    assert twofold("keys", "rotate", "--json", **both).data["done"] == 3
    sql("DELETE FROM user_mfa_secrets WHERE user_id IN (:mary, :grace)", mary=mary, grace=grace)
    for row in old["user_mfa_secrets"]:
        if row["user_id"] in {mary, grace}:
            columns = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            sql(f"INSERT INTO user_mfa_secrets ({columns}) VALUES ({values})", **row)
    before = intruder.copy()
    half = {"keys": f"{new},{wrong}"}
    for user_id in (mary, grace):
        repaired = twofold("users", "repair", str(user_id), "--reason", "a hint", "--yes", "--json", **half)
        assert (repaired.code, repaired.data["error"]) == (78, "WrongKey")
    assert twofold("keys", "rotate", "--json", **half).data["skipped"] == [str(mary), str(grace)]
    assert intruder.copy() == before
