"""What no chain can show is shown by a signed checkpoint, even of an intruder who has TWOFOLD_KEYS."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.attacks.intruder import EVENTS, SECRETS, Intruder
from tests.attacks.keeper import Keeper
from tests.databases import ROOT
from tests.people import Clock, enroll, log_in
from twofold.keyring import Keyring, generate_key
from twofold.tokens import Tombstone, write_tombstone

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.people import Enrolment, Open
    from twofold import MFA


@pytest.fixture
def face() -> str:
    """The commands have one face."""
    return "blocking"


@pytest.fixture
def clock() -> Clock:
    """Checkpoints live in the real time."""
    return Clock(datetime.now(UTC))


@pytest.fixture
def keeper(migrated: Database, tmp_path: Path, keys: str, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.chdir(tmp_path)
    return Keeper.of(migrated, tmp_path, keys)


@pytest.fixture
def logged(mfa: MFA, ada: int, grace: int, clock: Clock) -> Enrolment:
    """Ada with five events, grace with two."""
    enrolment = enroll(mfa, ada, clock)
    enroll(mfa, grace, clock)
    for _ in range(3):
        mfa.challenge(ada)
    return enrolment


@pytest.mark.requirement("R103")
def test_an_intact_log_is_proven_with_the_public_key_alone(
    mfa: MFA, logged: Enrolment, grace: int, keeper: Keeper
) -> None:
    first = keeper.checkpoint("--batch", "1")
    mfa.challenge(grace)
    second = keeper.checkpoint()
    log_in(mfa, logged.user_id, logged.phone.code())
    assert (first["users"], second["users"]) == (2, 2)
    assert first["line"] != second["line"]
    answer = keeper.compare("--json")
    assert answer.code == 0
    assert answer.data == {
        "is_intact": True,
        "checkpoints": 2,
        "last_at": second["at"],
        "users": 2,
        "erased": 0,
        "unfinished": 0,
        "pruned": 0,
        "broken": [],
    }
    assert keeper.compare().out.endswith("with 2 users: intact.\n")


@pytest.mark.requirement("R103")
def test_whoever_has_the_keys_cannot_take_back_what_was_checkpointed(
    mfa: MFA, logged: Enrolment, keeper: Keeper, intruder: Intruder
) -> None:
    ada, early = logged.user_id, intruder.copy(SECRETS, EVENTS)
    mfa.challenge(ada)
    mfa.challenge(ada)
    keeper.checkpoint("--batch", "1")
    mfa.challenge(ada)

    # An old database is brought back: row and events agree, and no chain can tell.
    intruder.put_back(early)
    assert mfa.events.verify(ada).is_intact
    assert keeper.found() == {ada: (6, "event 6 is missing; there were 7")}

    # The same events are written anew under the real keys, as many as there were and more.
    for _ in range(3):
        mfa.password_changed(ada)
        assert mfa.events.verify(ada).is_intact
        assert ada in keeper.found()
    assert keeper.found() == {ada: (7, "event 7 is not the one that was there: it or one before it was rewritten")}
    # A later checkpoint has seen the forgery, and the earlier one still says what was there.
    keeper.checkpoint()
    assert set(keeper.found()) == {ada}


@pytest.mark.requirement("R103")
def test_a_row_or_a_user_that_is_gone_or_set_back_is_named(
    mfa: MFA, logged: Enrolment, grace: int, clock: Clock, keeper: Keeper, intruder: Intruder
) -> None:
    ada, early = logged.user_id, intruder.copy(SECRETS)
    mfa.challenge(ada)
    late = intruder.copy(SECRETS)
    keeper.checkpoint("--batch", "1")

    intruder.put_back(early)
    assert keeper.found() == {ada: (None, "the user's row was set back: it counts 5 events, and there were 6")}
    intruder.put_back(late)
    intruder.run("UPDATE user_mfa_secrets SET event_head = :other WHERE user_id = :ada", ada=ada, other="v1:k1:00")
    assert set(keeper.found()) == {ada}

    intruder.put_back(late)
    intruder.run("DELETE FROM user_mfa_secrets WHERE user_id = :grace", grace=grace)
    assert keeper.found() == {grace: (None, "the user's row is gone")}
    intruder.run("DELETE FROM mfa_events WHERE user_id = :grace", grace=grace)
    intruder.run("DELETE FROM mfa_backup_codes WHERE user_id = :grace", grace=grace)
    assert keeper.found() == {grace: (1, "is gone with 2 events, and no tombstone says why")}

    # Nothing is left that could tell, so a new chain begins, and is intact by itself.
    enroll(mfa, grace, clock)
    assert mfa.events.verify(grace).is_intact
    assert keeper.found() == {grace: (2, "event 2 is not the one that was there: it or one before it was rewritten")}


@pytest.mark.requirement("R103", "R108")
def test_an_erased_user_is_told_from_one_who_was_deleted(
    mfa: MFA, logged: Enrolment, grace: int, clock: Clock, keeper: Keeper, intruder: Intruder
) -> None:
    ada = logged.user_id
    keeper.checkpoint()
    erased = mfa.erase(grace)
    assert (erased.user_id, erased.events, erased.at) == (grace, 2, clock.now)
    gone = (1, "is gone with 2 events, and no tombstone says why")
    assert keeper.found() == {grace: gone}

    assert keeper.bury(erased.tombstone).data["added"] == 1
    assert keeper.bury(erased.tombstone, "", erased.tombstone).data == {
        "file": str(keeper.file),
        "added": 0,
        "known": 2,
    }
    answer = keeper.compare("--json")
    assert (answer.code, answer.data["erased"], answer.data["broken"]) == (0, 1, [])

    assert keeper.checkpoint()["users"] == 1
    assert keeper.found() == {}
    intruder.run("DELETE FROM users WHERE id = :ada", ada=ada)
    assert keeper.found() == {ada: (1, "is gone with 5 events, and no tombstone says why")}


@pytest.mark.requirement("R108")
def test_whoever_was_erased_may_come_back(
    mfa: MFA, logged: Enrolment, clock: Clock, keeper: Keeper, intruder: Intruder
) -> None:
    ada = logged.user_id
    keeper.checkpoint()
    clock.now = datetime.now(UTC)
    assert keeper.bury(mfa.erase(ada).tombstone).code == 0
    enroll(mfa, ada, clock)
    keeper.checkpoint()
    assert keeper.found() == {}
    assert mfa.events.verify(ada).is_intact

    # The tombstone is for the first life alone.
    intruder.run("DELETE FROM users WHERE id = :ada", ada=ada)
    assert keeper.found() == {ada: (1, "is gone with 2 events, and no tombstone says why")}


@pytest.mark.requirement("R103", "R108")
def test_an_erasure_hides_nothing_that_was_done_before(
    mfa: MFA, logged: Enrolment, grace: int, clock: Clock, keeper: Keeper, intruder: Intruder
) -> None:
    early = intruder.copy(SECRETS, EVENTS)
    ada = logged.user_id
    mfa.challenge(ada)
    keeper.checkpoint()
    intruder.put_back(early)
    intruder.run("UPDATE mfa_events SET seq = 9 WHERE user_id = :grace AND seq = 2", grace=grace)
    assert keeper.bury(mfa.erase(ada).tombstone, mfa.erase(grace).tombstone).data["added"] == 2
    assert keeper.found() == {
        ada: (None, "was erased with 5 events, and there had been 6"),
        grace: (None, "was erased when row and events did not agree any more"),
    }


@pytest.mark.requirement("R108")
def test_a_tombstone_is_not_forged_and_says_no_more_than_it_must(
    mfa: MFA, open_mfa: Open, logged: Enrolment, grace: int, clock: Clock, keeper: Keeper
) -> None:
    keeper.checkpoint()
    signed = keeper.file.read_bytes()
    real = mfa.erase(grace).tombstone
    *named_by, body, mac = real.split("~")
    named = "~".join(named_by)
    ring = Keyring.parse(generate_key("k1"))
    stranger = write_tombstone(ring, Tombstone(logged.user_id, 9, None, is_intact=True, at=clock.now))
    verified = logged.verified.token
    for forged in (stranger, verified, f"{named}~{body}~{mac[::-1]}", f"{named}~{body[4:]}~{mac}", "x"):
        refused = keeper.bury(real, forged)
        assert (refused.code, refused.data["error"]) == (1, "Unfounded")
        assert "Line 2 is no tombstone" in refused.data["message"]
        assert forged not in refused.out or forged == "x"
    assert keeper.file.read_bytes() == signed
    assert keeper.bury(real).code == 0
    clock.forward(hours=3)
    to_come = keeper.bury(mfa.erase(logged.user_id).tombstone)
    assert (to_come.code, "which is to come" in to_come.data["message"]) == (1, True)
    line = keeper.file.read_text().splitlines()[-1]
    assert "ada@example.com" not in line
    assert "grace@example.com" not in line


@pytest.mark.requirement("R103", "R109")
def test_a_run_that_is_killed_proves_nothing_and_is_begun_anew(
    mfa: MFA, logged: Enrolment, migrated: Database, keeper: Keeper
) -> None:
    keeper.checkpoint()
    whole = keeper.file.read_bytes()
    environment = os.environ | {
        "TWOFOLD_DATABASE_URL": migrated.url,
        "TWOFOLD_CHECKPOINT_KEY_FILE": str(keeper.folder / "checkpoint.key"),
    }
    command = [sys.executable, "-m", "tests.attacks.dying_keeper", str(keeper.file)]
    killed = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    # In the line of ada, in that of grace, and in the checkpoint that closes both.
    assert (killed.returncode, killed.stdout.splitlines()[-1]) == (0, "3 died"), killed.stdout + killed.stderr
    assert keeper.file.read_bytes().startswith(whole)
    assert keeper.found() == {}
    assert keeper.compare("--json").data["checkpoints"] == 2

    whole = keeper.file.read_bytes()
    keeper.file.write_bytes(whole + whole.splitlines(keepends=True)[0][:-20])
    mfa.challenge(logged.user_id)
    assert (keeper.found(), keeper.compare("--json").data["unfinished"]) == ({}, 1)
    assert "a run goes on, or was stopped" in keeper.compare().out
    keeper.checkpoint()
    assert keeper.file.read_bytes().startswith(whole)
    assert keeper.compare("--json").data["checkpoints"] == 3
