"""Retention is no way to lose a line that nobody meant to lose, nor to bring anything back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.crowd import Crowd, call, outcomes
from tests.attacks.intruder import CODES, DEVICES, EVENTS, Intruder, alarms, refusal
from tests.attacks.keeper import Keeper
from tests.databases import ROOT
from tests.length import LENGTH
from tests.people import FIREFOX, Clock, Enrolment, add_user, enroll, kinds, log_in, plain_settings
from tests.upkeep.test_legacy import adopt_all, leave
from twofold import MFA, DatabaseUnavailable, Reason, Rejected, Tampered

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.people import Open

YEAR = timedelta(days=365)
_INSERT = "INSERT INTO mfa_events (user_id, seq, event_type, event_status, event_details, created_at, mac)"


@pytest.fixture
def aged(mfa: MFA, enrolled: Enrolment, clock: Clock) -> Enrolment:
    """Ada, with six events of more than a year ago, and two of today."""
    for _ in range(4):
        mfa.challenge(enrolled.user_id)
    clock.forward(days=400)
    for _ in range(2):
        mfa.challenge(enrolled.user_id)
    return enrolled


@pytest.fixture
def pruned(mfa: MFA, aged: Enrolment, clock: Clock) -> Enrolment:
    """The same, after the old ones went."""
    assert mfa.events.prune(aged.user_id, clock.now - YEAR).events == 6
    assert [event.seq for event in mfa.events.recent(aged.user_id)] == [9, 8, 7]
    return aged


def is_broken(mfa: MFA, user_id: int, first_bad: int | None, sentence: str) -> None:
    """The chain does not fit, and whatever is left of it is kept for whoever looks into it."""
    report = mfa.events.verify(user_id)
    assert (report.is_intact, report.first_bad) == (False, first_bad), report
    assert report.problem is not None
    assert sentence in report.problem
    before = mfa.events.export()
    with pytest.raises(Tampered):
        mfa.events.prune(user_id, mfa.events.recent(user_id, limit=1)[0].at + timedelta(days=1))
    assert mfa.events.export() == before


def later(clock: Clock) -> None:
    """So that a test may prune everything that is there."""
    clock.forward(days=30)


@pytest.mark.requirement("R102", "R106")
def test_a_beginning_that_is_cut_off_by_hand_is_found(
    mfa: MFA, aged: Enrolment, intruder: Intruder, clock: Clock
) -> None:
    intruder.run("DELETE FROM mfa_events WHERE seq <= 3")
    later(clock)
    is_broken(mfa, aged.user_id, 1, "event 1 is missing")


@pytest.mark.requirement("R102", "R106")
def test_more_than_what_was_pruned_cannot_be_cut_off(
    mfa: MFA, pruned: Enrolment, intruder: Intruder, clock: Clock
) -> None:
    later(clock)
    untouched = intruder.copy(EVENTS)
    for cut, first_bad in (("seq = 7", 7), ("seq <= 8", 7), ("seq = 9", 9), ("seq = 8", 8)):
        intruder.run(f"DELETE FROM mfa_events WHERE {cut}")
        report = mfa.events.verify(pruned.user_id)
        assert (report.is_intact, report.first_bad) == (False, 1 if cut == "seq = 9" else first_bad), cut
        intruder.put_back(untouched)
    assert mfa.events.verify(pruned.user_id).is_intact
    intruder.run("DELETE FROM mfa_events WHERE seq = 7")
    is_broken(mfa, pruned.user_id, 7, "event 7 is missing")


@pytest.mark.requirement("R102", "R106")
def test_nobody_without_the_keys_can_say_that_something_was_pruned(
    mfa: MFA, aged: Enrolment, intruder: Intruder, clock: Clock
) -> None:
    later(clock)
    ada, untouched = aged.user_id, intruder.copy(EVENTS)
    macs = {row["seq"]: row["mac"] for row in untouched[EVENTS]}
    said = json.dumps({"through": 3, "mac": macs[3], "events": 3})

    # One of the lines is made to say so, and those before it go.
    intruder.run("DELETE FROM mfa_events WHERE seq <= 3")
    intruder.run("UPDATE mfa_events SET event_type = 'pruned', event_details = :said WHERE seq = 8", said=said)
    is_broken(mfa, ada, 8, "event 8 was altered")
    intruder.put_back(untouched)

    # A line behind the last says so, under the MAC of another line, and with nothing cut off.
    for through, first in ((3, 4), (3, 1), (8, 1), (10**9, 1), (0, 1)):
        told = json.dumps({"through": through, "mac": macs.get(through), "events": 3})
        intruder.run("DELETE FROM mfa_events WHERE seq < :first", first=first)
        intruder.run(f"{_INSERT} SELECT user_id, 9, 'pruned', 'success', :told, created_at, mac FROM mfa_events "
                     "WHERE seq = 8", told=told)  # fmt: skip
        report = mfa.events.verify(ada)
        assert (report.is_intact, report.first_bad) == (False, 9), (through, first)
        with pytest.raises(Tampered):
            mfa.challenge(ada)
        intruder.put_back(untouched)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R102", "R106")
def test_a_line_that_says_what_was_pruned_cannot_be_changed(
    mfa: MFA, pruned: Enrolment, intruder: Intruder, clock: Clock
) -> None:
    later(clock)
    ada, untouched = pruned.user_id, intruder.copy(EVENTS)
    (said,) = (json.loads(row["event_details"]) for row in untouched[EVENTS] if row["seq"] == 9)
    seventh = next(row["mac"] for row in untouched[EVENTS] if row["seq"] == 7)
    for change in ({"unchained": 1}, {"events": 1}, {"before": "2020-01-01T00:00:00+00:00"}):
        intruder.run("UPDATE mfa_events SET event_details = :new WHERE seq = 9", new=json.dumps(said | change))
        # Nor does the next `pruned` line take the word of this one.
        is_broken(mfa, ada, 9, "event 9 was altered")
        intruder.put_back(untouched)
    # Nor where lines of before Twofold are all that is to go.
    intruder.run("UPDATE mfa_events SET event_details = :new WHERE seq = 9", new=json.dumps(said | {"events": 1}))
    intruder.run(f"{_INSERT} VALUES (:ada, NULL, 'login', 'ok', NULL, '2019-01-01 00:00:00', NULL)", ada=ada)
    with pytest.raises(Tampered):
        mfa.events.prune(ada, datetime(2020, 1, 1, tzinfo=UTC))
    intruder.put_back(untouched)
    intruder.run("DELETE FROM mfa_events WHERE seq = 7")
    more = json.dumps(said | {"through": 7, "mac": seventh})
    intruder.run("UPDATE mfa_events SET event_details = :new WHERE seq = 9", new=more)
    is_broken(mfa, ada, 9, "event 9 was altered")
    intruder.put_back(untouched)
    for rubbish in ("x", "[]", "{}", '{"through": "six", "mac": null}', '{"through": {}, "mac": ""}', '{"through": 6}'):
        intruder.run("UPDATE mfa_events SET event_details = :rubbish WHERE seq = 9", rubbish=rubbish)
        assert not mfa.events.verify(ada).is_intact
        with pytest.raises(Tampered):
            mfa.events.prune(ada, clock.now)
        intruder.put_back(untouched)


@pytest.mark.requirement("R102", "R106")
def test_lines_that_were_pruned_cannot_be_put_back(mfa: MFA, aged: Enrolment, intruder: Intruder, clock: Clock) -> None:
    ada, old = aged.user_id, intruder.copy(EVENTS)[EVENTS]
    mfa.events.prune(ada, clock.now - YEAR)
    later(clock)
    after = intruder.copy(EVENTS)
    for put_back in ({1, 2, 3, 4, 5, 6}, {6}, {3, 4}, {5, 6}):
        intruder.put_back({EVENTS: [row for row in old if row["seq"] in put_back] + after[EVENTS]})
        is_broken(mfa, ada, min(put_back), "was put in: the first one has the number 7")
    intruder.put_back({EVENTS: [row for row in old if row["seq"] < 3] + after[EVENTS]})
    is_broken(mfa, ada, 3, "event 3 is missing")
    intruder.put_back(after)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R102", "R106")
def test_what_another_user_pruned_excuses_nobody(
    mfa: MFA, pruned: Enrolment, grace: int, intruder: Intruder, clock: Clock
) -> None:
    enroll(mfa, grace, clock)
    for _ in range(7):
        mfa.challenge(grace)
    later(clock)
    intruder.run("DELETE FROM mfa_events WHERE user_id = :grace AND (seq <= 6 OR seq = 9)", grace=grace)
    intruder.run(
        f"{_INSERT} SELECT :grace, seq, event_type, event_status, event_details, created_at, mac FROM mfa_events "
        "WHERE user_id = :ada AND seq = 9",
        grace=grace,
        ada=pruned.user_id,
    )
    is_broken(mfa, grace, 7, "event 7 was altered")
    assert mfa.events.verify(pruned.user_id).is_intact


@pytest.mark.requirement("R102", "R106")
def test_the_log_of_somebody_who_was_tampered_with_is_kept_and_that_of_others_is_pruned(
    mfa: MFA, aged: Enrolment, grace: int, intruder: Intruder, clock: Clock
) -> None:
    enroll(mfa, grace, clock)
    clock.forward(days=400)
    intruder.run("UPDATE user_mfa_secrets SET failed_attempts = 3 WHERE user_id = :ada", ada=aged.user_id)
    before, evidence = clock.now - YEAR, mfa.events.recent(aged.user_id)
    with pytest.raises(Tampered):
        mfa.events.prune(aged.user_id, before)
    assert mfa.events.prune(grace, before)
    assert mfa.events.recent(aged.user_id) == evidence
    intruder.run("DELETE FROM user_mfa_secrets WHERE user_id = :ada", ada=aged.user_id)
    with pytest.raises(Tampered):
        mfa.events.prune(aged.user_id, before)
    assert mfa.events.recent(aged.user_id) == evidence


@pytest.mark.requirement("R34", "R36", "R106")
@pytest.mark.attack("A8")
def test_a_spent_or_void_code_that_is_put_back_after_its_event_went_opens_nothing(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock
) -> None:
    ada, (first, second, third, *_) = enrolled.user_id, enrolled.backup_codes
    issued = intruder.copy(CODES)
    log_in(mfa, ada, first)
    as_it_was = intruder.copy(CODES)
    for _ in range(2):
        clock.forward(days=1)
        assert mfa.events.prune(ada, clock.now)
        assert "code_accepted" not in kinds(mfa, ada)
        intruder.put_back(issued)
        assert refusal(mfa, ada, first) is Reason.ALTERED
        intruder.put_back(as_it_was)
        assert refusal(mfa, ada, first) is Reason.CODE_ALREADY_USED
        clock.forward(seconds=60)
        assert log_in(mfa, ada, enrolled.phone.code())
    mfa.backup_codes.regenerate(log_in(mfa, ada, second))
    clock.forward(days=1)
    assert mfa.events.prune(ada, clock.now)
    intruder.put_back(issued)
    for code in (first, second, third):
        assert refusal(mfa, ada, code) is Reason.ALTERED


@pytest.mark.requirement("R34", "R36", "R106")
@pytest.mark.attack("A8")
def test_a_spent_code_of_before_twofold_that_is_put_back_after_its_event_went_opens_nothing(
    mfa: MFA, ada: int, intruder: Intruder, clock: Clock, sql: Any
) -> None:
    older = leave(sql, ada, clock)
    adopt_all(mfa)
    issued = intruder.copy(CODES)
    log_in(mfa, ada, older.codes[0])
    as_it_was = intruder.copy(CODES)
    for _ in range(2):
        clock.forward(days=1)
        assert mfa.events.prune(ada, clock.now)
        intruder.put_back(issued)
        assert refusal(mfa, ada, older.codes[0]) is Reason.ALTERED
        intruder.put_back(as_it_was)
        assert refusal(mfa, ada, older.codes[0]) is Reason.CODE_ALREADY_USED
    assert log_in(mfa, ada, older.codes[1])


@pytest.mark.requirement("R78", "R106")
@pytest.mark.attack("A21")
@pytest.mark.parametrize("is_in_time", [False, True])
def test_a_revoked_device_that_is_put_back_after_its_event_went_is_an_alarm(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock, *, is_in_time: bool
) -> None:
    ada = enrolled.user_id

    def revoke_one() -> None:
        mfa.trusted_devices.revoke(ada, mfa.trusted_devices.list(ada)[0].id)

    for revoke in (revoke_one, lambda: mfa.trusted_devices.revoke_all(ada), lambda: mfa.password_changed(ada)):
        clock.forward(minutes=5)
        device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
        clock.forward(minutes=5)
        # The trust is older than what is left, and so is the revocation.
        assert mfa.events.prune(ada, clock.now)
        trusted = intruder.copy(DEVICES)
        revoke()
        clock.forward(minutes=5)
        if is_in_time:
            # The row is back before the line of its revocation goes.
            intruder.put_back(trusted)
        assert mfa.events.prune(ada, clock.now)
        intruder.put_back(trusted)
        assert mfa.challenge(ada, device_token=device.token, request=FIREFOX)
        assert [event.kind for event in mfa.events.recent(ada, limit=2)] == ["challenged", "rows_altered"]


@pytest.mark.requirement("R34", "R78", "R106")
@pytest.mark.attack("A8", "A21")
def test_a_line_in_the_gap_of_those_that_were_pruned_decides_nothing(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock
) -> None:
    """Whoever puts a row back, and a line where nothing is left to contradict it, is neither let in nor unseen."""
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.backup_codes[1]), request=FIREFOX)
    before = intruder.copy(CODES, DEVICES)
    log_in(mfa, ada, enrolled.backup_codes[0])
    mfa.trusted_devices.revoke_all(ada)
    clock.forward(days=1)
    mfa.challenge(ada)
    assert mfa.events.prune(ada, clock.now - timedelta(hours=1)).events > 4
    as_it_was, line = intruder.copy(CODES, DEVICES), before[DEVICES][0]["device_fingerprint"]
    intruder.put_back(before)
    for seq, kind in enumerate(("totp_confirmed", "device_trusted", "backup_codes_regenerated"), start=1):
        intruder.run(
            "INSERT INTO mfa_events (user_id, seq, event_type, event_status, device_fingerprint, created_at)"
            " VALUES (:ada, :seq, :kind, 'success', :line, '2026-11-22 12:00:00')",
            ada=ada,
            seq=seq,
            kind=kind,
            line=line,
        )
    assert refusal(mfa, ada, enrolled.backup_codes[0]) is Reason.ALTERED
    assert mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    # The gap is a gap again, and the rows are as they were: what was tried stays in the chain.
    intruder.run("DELETE FROM mfa_events WHERE seq <= 3")
    intruder.put_back(as_it_was)
    assert mfa.events.verify(ada).is_intact
    assert alarms(mfa, ada) == [CODES, DEVICES]


@pytest.mark.requirement("R78", "R106")
@pytest.mark.attack("A21")
def test_an_adopted_device_stays_trusted_until_it_is_revoked(
    mfa: MFA, ada: int, intruder: Intruder, clock: Clock, sql: Any
) -> None:
    older = leave(sql, ada, clock)
    adopt_all(mfa)
    clock.forward(minutes=5)
    assert mfa.events.prune(ada, clock.now)
    adopted = intruder.copy(DEVICES)
    assert not mfa.challenge(ada, device_token=older.cookie, request=FIREFOX)
    mfa.trusted_devices.revoke(ada, mfa.trusted_devices.list(ada)[0].id)
    intruder.put_back(adopted)
    clock.forward(minutes=5)
    assert mfa.events.prune(ada, clock.now)
    assert mfa.challenge(ada, device_token=older.cookie, request=FIREFOX)
    assert alarms(mfa, ada) == [DEVICES]


@pytest.mark.requirement("R105", "R106")
def test_a_log_that_is_pruned_while_it_is_written_stays_one_chain(
    mfa: MFA, aged: Enrolment, crowd: Crowd, clock: Clock
) -> None:
    ada, before = aged.user_id, clock.now - YEAR
    for code in aged.backup_codes[:LENGTH]:
        calls = [call("reverify", ada, code)] * 8 + [call("events.prune", ada, before)] * 2
        answers = crowd(calls)
        assert outcomes(answers[:8])["success"] == 1
        assert outcomes(answers[:8]).keys() <= {"success", "code_already_used"}
        assert outcomes(answers[8:]) == {"success": 2}
        report = mfa.events.verify(ada)
        assert (report.is_intact, report.pruned) == (True, 6), report


@pytest.mark.requirement("R105", "R106")
def test_whoever_verifies_a_log_that_is_pruned_sees_it_whole(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock
) -> None:
    ada = enrolled.user_id
    for _ in range(20 * LENGTH):
        mfa.challenge(ada)
        clock.forward(days=1)
        calls = [call("events.verify", ada), call("events.prune", ada, clock.now), call("events.verify", ada)]
        answers = crowd(calls)
        assert outcomes(answers) == {"success": 3}
        reports = (answers[0].value, answers[2].value)
        assert [report.problem for report in reports if not report.is_intact] == []


@pytest.mark.requirement("R106")
@pytest.mark.backends("postgresql", "mariadb")
@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_nobody_else_waits_while_a_batch_is_written(
    migrated: Database, keys: str, clock: Clock, isolation: str
) -> None:
    """The neighbours in the index log in while the transaction of a batch is still open."""
    host = migrated.engine()
    mfa = MFA(host, plain_settings(keys=keys), clock=clock)
    first, middle, last = (add_user(migrated, f"user{number}@example.com") for number in range(3))
    enrolments = [enroll(mfa, user_id, clock) for user_id in (first, middle, last)]
    for _ in range(30):
        mfa.challenge(middle)
    clock.forward(days=1)
    with (
        ThreadPoolExecutor() as pool,
        host.connect().execution_options(isolation_level=isolation) as connection,
        connection.begin(),
    ):
        assert mfa.within(connection).events.prune(middle, clock.now).events == 32
        for enrolment in (enrolments[0], enrolments[2]):
            assert pool.submit(log_in, mfa, enrolment.user_id, enrolment.phone.code()).result(timeout=60)
    assert mfa.events.verify(middle).pruned == 32


@pytest.mark.requirement("R105", "R106")
@pytest.mark.backends("postgresql", "mariadb")
def test_whoever_sees_lines_that_have_gone_prunes_nothing(
    migrated: Database, keys: str, ada: int, clock: Clock
) -> None:
    """A transaction of the host that began long ago still shows them."""
    host = migrated.engine()
    mfa = MFA(host, plain_settings(keys=keys), clock=clock)
    enroll(mfa, ada, clock)
    with host.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        assert connection.exec_driver_sql("SELECT count(*) FROM mfa_events").scalar_one() == 2
        assert mfa.events.prune(ada, clock.now)
        with pytest.raises(DatabaseUnavailable):
            mfa.within(connection).events.prune(ada, clock.now)
    assert kinds(mfa, ada) == ["pruned"]
    assert mfa.events.verify(ada).is_intact


@pytest.fixture
def keeper(migrated: Database, tmp_path: Path, keys: str, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.chdir(tmp_path)
    return Keeper.of(migrated, tmp_path, keys)


@pytest.mark.requirement("R103", "R106")
def test_a_checkpoint_tells_what_was_pruned_since_from_what_was_cut_off(
    open_mfa: Open, ada: int, grace: int, keeper: Keeper, intruder: Intruder
) -> None:
    clock = Clock(datetime.now(UTC) - timedelta(days=400))
    mfa = open_mfa()
    mfa = MFA(intruder.engine, plain_settings(keys=keeper.keys), clock=clock)
    enroll(mfa, ada, clock)
    enroll(mfa, grace, clock)
    keeper.checkpoint()
    mfa.challenge(ada)
    clock.now = datetime.now(UTC)
    assert mfa.events.prune(ada, clock.now - YEAR).events == 3
    mfa.challenge(ada)
    answer = keeper.compare("--json")
    assert (answer.code, answer.data["pruned"], answer.data["broken"]) == (0, 1, [])
    assert "The last heads of 1 user went with events that were pruned since" in keeper.compare().out

    # What was cut off by hand is another matter, and so is a row that was set back.
    kept = intruder.copy()
    intruder.run("DELETE FROM mfa_events WHERE user_id = :grace AND seq = 2", grace=grace)
    assert keeper.found() == {grace: (2, "event 2 is missing; there were 2")}
    intruder.put_back({name: kept[name] for name in kept})
    intruder.run("UPDATE user_mfa_secrets SET event_count = 1 WHERE user_id = :ada", ada=ada)
    assert keeper.found() == {ada: (None, "the user's row was set back: it counts 1 events, and there were 2")}
    intruder.put_back({name: kept[name] for name in kept})

    # A checkpoint of after the pruning can be compared again.
    keeper.checkpoint()
    assert keeper.compare("--json").data["pruned"] == 0


@pytest.mark.requirement("R103", "R106")
def test_the_last_event_that_went_is_compared_with_what_is_told_of_it(
    mfa: MFA, ada: int, keeper: Keeper, intruder: Intruder
) -> None:
    clock = Clock(datetime.now(UTC) - timedelta(days=400))
    mfa = MFA(intruder.engine, plain_settings(keys=keeper.keys), clock=clock)
    enroll(mfa, ada, clock)
    keeper.checkpoint()
    clock.now = datetime.now(UTC)
    # Whoever has the keys writes the history anew, as long as it was, and prunes what tells.
    genuine = intruder.copy()
    mfa.events.prune(ada, clock.now - YEAR)
    assert (keeper.found(), keeper.compare("--json").data["pruned"]) == ({}, 0)
    intruder.put_back(genuine)
    clock.now -= timedelta(days=400)
    mfa.erase(ada)
    enroll(mfa, ada, clock)
    clock.now = datetime.now(UTC)
    mfa.events.prune(ada, clock.now - YEAR)
    assert mfa.events.verify(ada).is_intact
    assert keeper.found() == {ada: (2, "event 2 is not the one that was there: it or one before it was rewritten")}


@pytest.mark.requirement("R34", "R36", "R106")
def test_pruning_takes_neither_a_code_nor_a_device_nor_a_proof(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    """No decision rests on a line, so none changes when it goes."""
    ada = enrolled.user_id
    verified = log_in(mfa, ada, enrolled.backup_codes[0])
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    clock.forward(minutes=2)
    assert mfa.events.prune(ada, clock.now)
    assert kinds(mfa, ada) == ["pruned"]
    assert mfa.proof(verified.token)
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert refusal(mfa, ada, enrolled.backup_codes[0]) is Reason.CODE_ALREADY_USED
    assert log_in(mfa, ada, enrolled.backup_codes[1])


@pytest.mark.requirement("R34", "R106")
def test_pruning_seals_nothing_that_was_planted(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock
) -> None:
    clock.forward(days=400)
    good = intruder.copy(CODES)
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    intruder.put_back(good)
    assert mfa.events.prune(enrolled.user_id, clock.now - YEAR)
    log_in(mfa, enrolled.user_id, enrolled.phone.code())
    for code in enrolled.backup_codes[:2]:
        assert refusal(mfa, enrolled.user_id, code) is Reason.ALTERED


@pytest.mark.begun_first
@pytest.mark.requirement("R101", "R106")
@pytest.mark.attack("A8")
def test_a_run_that_is_killed_behind_every_write_leaves_chains_that_are_whole(
    migrated: Database, ada: int, grace: int, keys: str
) -> None:
    clock = Clock(datetime.now(UTC) - timedelta(days=400))
    engine = migrated.engine()
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    enrolments = [enroll(mfa, user_id, clock) for user_id in (ada, grace)]
    log_in(mfa, ada, enrolments[0].backup_codes[0])
    migrated.dispose()
    environment = {"TWOFOLD_DATABASE_URL": migrated.url, "TWOFOLD_KEYS": keys, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacks.dying_pruner"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1].split()[0]) >= 5
    for user_id in (ada, grace):
        assert kinds(mfa, user_id) == ["pruned"]
        assert mfa.events.verify(user_id).is_intact
    with pytest.raises(Rejected):
        log_in(mfa, ada, enrolments[0].backup_codes[0])
    assert log_in(mfa, ada, enrolments[0].backup_codes[1])


@pytest.mark.requirement("R102", "R106")
@pytest.mark.backends("sqlite")
def test_a_moment_that_is_none_is_told_and_stays(mfa: MFA, aged: Enrolment, intruder: Intruder, clock: Clock) -> None:
    intruder.run("UPDATE mfa_events SET created_at = '1'")
    report = mfa.events.verify(aged.user_id)
    assert (report.is_intact, report.problem) == (False, "A line of the log holds no moment of time; look into it.")
    for call_ in (lambda: mfa.events.prunable(clock.now), lambda: mfa.events.prune(aged.user_id, clock.now)):
        with pytest.raises(Tampered, match="no moment"):
            call_()
