"""What leaves no line is written all the same: the row remembers it, under its MAC and its version."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.attacks.cutting import Cut
from tests.attacks.losing import DRIVERS, LosingSQLite, lost_at
from tests.attacks.refusing import ALWAYS, REASONS, staged
from tests.databases import BACKENDS
from tests.people import Clock, Enrolment, challenged, kinds, log_in
from twofold import MFA, DatabaseUnavailable, Reason, Rejected, Tampered
from twofold.log_volume import SINGLE
from twofold.metadata import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attacks.scenes import Scene
    from tests.databases import Database, Sources
    from tests.people import Sql

PAPER_OF_NOBODY = "23456-23456-23456-23456-23456"


def ask_until_it_is_quiet(mfa: MFA, user_id: int) -> None:
    for _ in range(SINGLE + 1):
        mfa.challenge(user_id)


def wait(mfa: MFA, user_id: int, wrong: str) -> None:
    """Guess until codes have to wait, and offer one more, of which the one line tells."""
    while mfa.status(user_id).waiting_until is None:
        with pytest.raises(Rejected):
            mfa.reverify(user_id, wrong)
    with pytest.raises(Rejected):
        mfa.reverify(user_id, wrong)


@dataclass(frozen=True)
class Row:
    """The numbers of a user's row."""

    version: int
    lines: int
    told: str | None

    @classmethod
    def of(cls, sql: Sql | Callable[..., list[Any]], user_id: int) -> Row:
        query = "SELECT version, event_count, told_refusal FROM user_mfa_secrets WHERE user_id = :user"
        return cls(*sql(query, user=user_id)[0])


@pytest.mark.requirement("R97", "R102")
def test_every_write_raises_the_version_and_the_chain_stays_whole(
    mfa: MFA, enrolled: Enrolment, clock: Clock, sql: Sql
) -> None:
    user_id = enrolled.user_id
    ask_until_it_is_quiet(mfa, user_id)
    before, length = Row.of(sql, user_id), len(kinds(mfa, user_id))
    tokens = [challenged(mfa, user_id) for _ in range(5)]
    for _ in range(3):
        with pytest.raises(Rejected) as refused:
            mfa.reverify(user_id, PAPER_OF_NOBODY)
        assert refused.value.reason is Reason.WRONG_CODE
    after = Row.of(sql, user_id)
    assert (after.version, after.lines) == (before.version + 8, before.lines)
    report = mfa.events.verify(user_id)
    assert (report.is_intact, report.length, len(kinds(mfa, user_id))) == (True, length, length)
    # A challenge is one, whether it has a line or not.
    assert mfa.verify(tokens[2], enrolled.phone.code())
    for token in tokens[:3]:
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, enrolled.backup_codes[0])
        assert refused.value.reason is Reason.CHALLENGE_EXPIRED
    assert mfa.verify(tokens[3], enrolled.backup_codes[0])
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R97")
def test_a_day_has_fifty_lines_and_then_one_an_hour_with_the_number_of_the_day(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    user_id = enrolled.user_id
    clock.now = clock.now.replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    known = len(kinds(mfa, user_id))

    def lines() -> list[dict[str, Any]]:
        return [dict(line.details) for line in reversed(mfa.events.recent(user_id, limit=1000))][known:]

    for _ in range(SINGLE):
        mfa.challenge(user_id)
    assert lines() == [{}] * SINGLE
    for _ in range(9):
        mfa.challenge(user_id)
    clock.forward(minutes=59, seconds=59)
    mfa.challenge(user_id)
    assert len(lines()) == SINGLE
    clock.forward(seconds=1)
    mfa.challenge(user_id)
    assert lines()[SINGLE:] == [{"gathered": 61}]
    # Whatever costs nothing goes into the same number; what counts does not, and has its line.
    with pytest.raises(Rejected):
        mfa.reverify(user_id, enrolled.phone.wrong_code())
    with pytest.raises(Rejected):
        mfa.reverify(user_id, PAPER_OF_NOBODY)
    assert [line.get("reason") for line in lines()[SINGLE + 1 :]] == ["wrong_code"]
    clock.forward(hours=1)
    mfa.challenge(user_id)
    assert lines()[-1] == {"gathered": 63}
    # At midnight in UTC another day begins.
    clock.now = clock.now.replace(hour=23, minute=59, second=59)
    mfa.challenge(user_id)
    assert lines()[-1] == {"gathered": 64}
    clock.forward(seconds=1)
    mfa.challenge(user_id)
    assert lines()[-1] == {}
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R97")
def test_a_clock_that_went_back_begins_the_day_anew_and_silences_nothing(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    ask_until_it_is_quiet(mfa, enrolled.user_id)
    clock.forward(hours=-3)
    length = len(kinds(mfa, enrolled.user_id))
    mfa.challenge(enrolled.user_id)
    assert len(kinds(mfa, enrolled.user_id)) == length + 1


@pytest.mark.requirement("R97")
def test_a_wait_has_one_line_and_the_next_wait_another(mfa: MFA, enrolled: Enrolment, clock: Clock, sql: Sql) -> None:
    user_id = enrolled.user_id
    for failures in (5, 6):
        wait(mfa, user_id, enrolled.phone.wrong_code())
        before, length = Row.of(sql, user_id), len(kinds(mfa, user_id))
        assert before.told is not None
        assert before.told.startswith("waiting ")
        for _ in range(4):
            with pytest.raises(Rejected) as refused:
                mfa.reverify(user_id, enrolled.phone.code())
            assert (refused.value.reason, bool(refused.value.retry_after)) == (Reason.WAITING, True)
        assert Row.of(sql, user_id) == Row(before.version + 4, before.lines, before.told)
        assert mfa.status(user_id).failed_attempts == failures
        assert len(kinds(mfa, user_id)) == length
        clock.forward(minutes=2)
    assert mfa.reverify(user_id, enrolled.phone.code())
    assert Row.of(sql, user_id).told is None
    waits = [line for line in mfa.events.recent(user_id) if line.details.get("reason") == "waiting"]
    assert [line.details["failures"] for line in waits] == [6, 5]
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R102")
def test_what_a_quiet_write_remembers_is_under_the_mac(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    user_id = enrolled.user_id
    wait(mfa, user_id, enrolled.phone.wrong_code())
    ask_until_it_is_quiet(mfa, user_id)
    columns = ("version", "lines_today", "lines_day", "told_refusal", "setup_tries", "failure_level")
    (kept,) = sql(f"SELECT {', '.join(columns)} FROM user_mfa_secrets")
    for column, held in zip(columns, kept, strict=True):
        other = "told_refusal = 'x'" if column == "told_refusal" else f"{column} = NULL"
        if column not in {"lines_day", "told_refusal"}:
            other = f"{column} = {column} + 1"
        sql(f"UPDATE user_mfa_secrets SET {other}")
        with pytest.raises(Tampered):
            mfa.challenge(user_id)
        sql(f"UPDATE user_mfa_secrets SET {column} = :held", held=held)
    assert mfa.challenge(user_id)


@pytest.mark.requirement("R102")
def test_a_row_that_is_put_back_over_quiet_writes_takes_no_challenge_of_after(
    mfa: MFA, enrolled: Enrolment, migrated: Database
) -> None:
    user_id, secrets = enrolled.user_id, tables(sa.MetaData()).secrets
    ask_until_it_is_quiet(mfa, user_id)
    with migrated.engine().begin() as connection:
        kept = dict(connection.execute(sa.select(secrets)).mappings().one())
    later = challenged(mfa, user_id)
    with migrated.engine().begin() as connection:
        connection.execute(sa.update(secrets).values(kept))
    with pytest.raises(Rejected) as refused:
        mfa.verify(later, enrolled.phone.code())
    assert refused.value.reason is Reason.CHALLENGE_EXPIRED
    # No line is lost by it, so nothing else has to stop.
    assert log_in(mfa, user_id, enrolled.phone.code())
    assert mfa.events.verify(user_id).is_intact


@pytest.mark.requirement("R11")
def test_of_many_at_once_each_has_its_version(mfa: MFA, enrolled: Enrolment, face: str, sql: Sql) -> None:
    if face == "awaited":
        # One loop runs one call at a time here.
        return
    user_id = enrolled.user_id
    ask_until_it_is_quiet(mfa, user_id)
    before = Row.of(sql, user_id)
    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(lambda _: challenged(mfa, user_id), range(12)))
    assert Row.of(sql, user_id) == Row(before.version + 12, before.lines, before.told)
    assert len(set(tokens)) == 12


def quiet_acts(scene: Scene) -> dict[str, tuple[Enrolment, Callable[[Enrolment], object]]]:
    """Who is prepared so that the next call writes no line, and the call."""

    def ask(somebody: Enrolment) -> str:
        return challenged(scene.mfa, somebody.user_id)

    def offer(somebody: Enrolment) -> Reason:
        with pytest.raises(Rejected) as refused:
            scene.mfa.reverify(somebody.user_id, somebody.phone.code())
        return refused.value.reason

    asked, waiting = scene.enrolled(), scene.enrolled()
    ask_until_it_is_quiet(scene.mfa, asked.user_id)
    wait(scene.mfa, waiting.user_id, waiting.phone.wrong_code())
    return {"challenge": (asked, ask), "wait": (waiting, offer)}


def look(scene: Scene, somebody: Enrolment, answer: object) -> None:
    """The answer is the ordinary one, and what it says is true."""
    if answer is Reason.WAITING:
        scene.clock.forward(minutes=1)
        assert scene.mfa.reverify(somebody.user_id, somebody.phone.code())
    else:
        assert isinstance(answer, str)
        assert scene.mfa.verify(answer, somebody.phone.code())
    assert scene.mfa.events.verify(somebody.user_id).is_intact


@pytest.mark.requirement("R11", "R64", "R101")
@pytest.mark.parametrize("driver", [driver for driver, backend in DRIVERS.items() if backend in BACKENDS])
def test_a_quiet_commit_that_is_cut_off_is_settled(databases: Sources, driver: str) -> None:
    with (
        databases.database(DRIVERS[driver], migrated=True) as database,
        lost_at(database, driver) as losers,
    ):
        scene = losers.scene
        for cut in (Cut.BEFORE, Cut.AFTER):
            for somebody, act in quiet_acts(scene).values():
                before = Row.of(scene.sql, somebody.user_id)
                losers.losing.arm(cut)
                try:
                    answer = act(somebody)
                finally:
                    losers.losing.disarm()
                assert losers.losing.done == 1
                # Once, and not a second time after it was found.
                assert Row.of(scene.sql, somebody.user_id) == Row(before.version + 1, before.lines, before.told)
                look(scene, somebody, answer)


@pytest.mark.requirement("R11", "R64")
@pytest.mark.backends("sqlite")
def test_a_quiet_commit_of_which_nobody_knows_after_another_write_is_made_again(
    databases: Sources, backend: str
) -> None:
    with databases.database(backend, migrated=True) as database, lost_at(database, "pysqlite") as losers:
        scene, losing = losers.scene, losers.losing
        assert isinstance(losing, LosingSQLite)
        somebody, act = quiet_acts(scene)["challenge"]
        before = Row.of(scene.sql, somebody.user_id)
        others: list[str] = []
        losing.meanwhile = lambda: others.append(challenged(losers.hurried.mfa, somebody.user_id))
        losing.arm(Cut.AFTER)
        token = act(somebody)
        losing.disarm()
        # The one that was lost, that of the other request, and the one that was made again.
        assert Row.of(scene.sql, somebody.user_id) == Row(before.version + 3, before.lines, before.told)
        assert others not in ([], [token])
        look(scene, somebody, token)


def _hurried(mfa: MFA, name: str) -> Callable[[Enrolment], object]:
    """The same call where nobody waits long for the database."""
    if name == "challenge":
        return lambda somebody: mfa.challenge(somebody.user_id)
    return lambda somebody: mfa.reverify(somebody.user_id, somebody.phone.code())


@pytest.mark.requirement("R11", "R64")
@pytest.mark.parametrize("named_face", ["blocking", "awaited"])
def test_a_quiet_commit_that_is_refused_is_made_again_or_leaves_nothing(
    databases: Sources, backend: str, named_face: str
) -> None:
    with contextlib.ExitStack() as open_:
        database = open_.enter_context(databases.database(backend, migrated=True))
        stage = open_.enter_context(staged(database, named_face))
        reason = REASONS[backend][0]
        for name, (somebody, act) in quiet_acts(stage.scene).items():
            hurried = _hurried(stage.hurried.mfa, name)
            before, rows = Row.of(stage.scene.sql, somebody.user_id), stage.scene.rows(somebody.user_id)
            stage.refusing.arm(reason, ALWAYS)
            try:
                with pytest.raises(DatabaseUnavailable):
                    hurried(somebody)
            finally:
                assert stage.refusing.disarm() > 0
            assert stage.scene.is_idle()
            assert stage.scene.rows(somebody.user_id) == rows
            stage.refusing.arm(reason, 2)
            try:
                answer = act(somebody)
            finally:
                assert stage.refusing.disarm() == 2
            assert Row.of(stage.scene.sql, somebody.user_id) == Row(before.version + 1, before.lines, before.told)
            look(stage.scene, somebody, answer)
