"""A database that refuses to commit: an operation is tried again, and answers as if nothing had been, or not at all."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from typer.testing import CliRunner

from tests.attacks.act import Act, refusal
from tests.attacks.acts import ACTS
from tests.attacks.crowd import WAYS, call, outcomes
from tests.attacks.host import Host, browser
from tests.attacks.outages import hosted
from tests.attacks.refusing import ALWAYS, DEADLINE, REASONS, Stage, staged
from tests.databases import add_passkeys
from tests.length import LENGTH
from tests.people import Clock, Enrolment, challenged, kinds, plain_settings
from twofold import MFA, DatabaseUnavailable
from twofold.cli.program import app
from twofold.web.fastapi import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from tests.attacks.scenes import Scene
    from tests.databases import Database, Sources

pytestmark = pytest.mark.every_driver

FEW: Final = ("verify", "verify_wrongly", "verify_on_paper", "verify_a_passkey", "challenge_of_a_device", "trust")
# A statement that commits alone is refused, and not a COMMIT.
ALONE: Final = ("postgresql", "another")
# In the short run the faces take turns.
TURNS: Final = [
    (face, name)
    for number, name in enumerate(ACTS)
    for place, face in enumerate(("blocking", "awaited"))
    if LENGTH > 1 or number % 2 == place
]
GUESSES: Final = ("verify", "verify_wrongly", "verify_replayed", "verify_on_paper", "verify_on_false_paper")


class Stages:
    """A stage for each database and face, set when the first test asks for it."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._open = contextlib.ExitStack()
        self._stages: dict[tuple[str, str], Stage] = {}

    def get(self, backend: str, face: str) -> Stage:
        if (backend, face) not in self._stages:
            database = self._open.enter_context(self._sources.database(backend, migrated=True))
            add_passkeys(database)
            self._stages[backend, face] = self._open.enter_context(staged(database, face))
        return self._stages[backend, face]

    def forget(self, backend: str, face: str) -> None:
        """Set it anew for the next test."""
        del self._stages[backend, face]

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="module")
def stages(databases: Sources) -> Iterator[Stages]:
    with contextlib.closing(Stages(databases)) as made:
        yield made


@pytest.fixture
def stage(stages: Stages, backend: str, face: str) -> Iterator[Stage]:
    stage = stages.get(backend, face)
    yield stage
    if not stage.scene.is_idle():
        stages.forget(backend, face)


def ask_and_look(stage: Stage, act: Act, scene: Scene, reason: str, times: int) -> None:
    """The answer is the ordinary one; it has its lines, each once, and is true."""
    before = scene.last_line(act.user_id)
    stage.refusing.arm(reason, times)
    try:
        answer, outcome = None, "success"
        if act.is_refusal:
            outcome = refusal(act.ask)
        else:
            answer = act.ask()
    finally:
        refused = stage.refusing.disarm()
    assert refused == times
    assert scene.is_idle(), "A lock is left behind."
    assert outcome == act.outcome
    assert scene.lines(act.user_id, after=before) == act.lines
    if act.failures:
        assert scene.mfa.status(act.user_id).failed_attempts == act.failures
    assert act.holds(True if act.is_refusal else answer)
    if act.lines:
        assert scene.mfa.events.verify(act.user_id).is_intact


@pytest.mark.requirement("R11", "R64", "R101")
@pytest.mark.parametrize(("face", "name"), TURNS)
def test_a_commit_that_is_refused_changes_no_answer(stage: Stage, backend: str, face: str, name: str) -> None:
    for times in (1, 3) if LENGTH > 1 else (1,) if face == "blocking" else (3,):
        ask_and_look(stage, ACTS[name](stage.scene), stage.scene, REASONS[backend][0], times)


@pytest.mark.requirement("R11", "R64")
@pytest.mark.parametrize("name", FEW)
def test_whatever_the_reason_of_the_refusal_is(stage: Stage, backend: str, name: str) -> None:
    for reason in REASONS[backend]:
        if (backend, reason) != ALONE:
            ask_and_look(stage, ACTS[name](stage.scene), stage.scene, reason, 1)


@pytest.mark.requirement("R64", "R101")
@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("name", FEW)
def test_a_statement_that_is_refused_for_another_reason_is_answered_or_leaves_nothing(
    stage: Stage, backend: str, name: str
) -> None:
    scene = stage.scene
    act = ACTS[name](scene)
    before = scene.rows(act.user_id)
    try:
        ask_and_look(stage, act, scene, ALONE[1], 1)
    except DatabaseUnavailable:
        # Nobody can tell there that it was the COMMIT which was refused.
        assert scene.rows(act.user_id) == before
        ask_and_look(stage, act, scene, ALONE[1], 0)


@pytest.mark.requirement("R64", "R101")
@pytest.mark.parametrize(("face", "name"), TURNS)
def test_a_commit_that_is_always_refused_leaves_nothing(stage: Stage, backend: str, face: str, name: str) -> None:
    scene = stage.hurried
    act = ACTS[name](scene)
    before = scene.rows(act.user_id)
    stage.refusing.arm(REASONS[backend][0], ALWAYS)
    began = time.monotonic()
    try:
        with pytest.raises(DatabaseUnavailable):
            act.ask()
    finally:
        refused = stage.refusing.disarm()
    assert time.monotonic() - began < DEADLINE + 30
    assert refused > 0
    assert scene.is_idle(), "A lock is left behind."
    assert scene.rows(act.user_id) == before
    # Nothing was spent: what was refused is answered now.
    ask_and_look(stage, act, stage.scene, REASONS[backend][0], 0)


@pytest.mark.requirement("R22", "R64")
def test_a_guesser_learns_nothing_where_every_commit_is_refused(stage: Stage, backend: str) -> None:
    scene = stage.hurried
    for reason in REASONS[backend] if LENGTH > 1 else REASONS[backend][:2]:
        told: dict[str, tuple[str, ...]] = {}
        for name in GUESSES:
            act = ACTS[name](scene)
            before = scene.rows(act.user_id)
            stage.refusing.arm(reason, ALWAYS)
            try:
                with pytest.raises(DatabaseUnavailable) as raised:
                    act.ask()
            finally:
                stage.refusing.disarm()
            told[name] = (type(raised.value).__name__, str(raised.value), type(raised.value.__cause__).__name__)
            assert scene.rows(act.user_id) == before
        assert len(set(told.values())) == 1, told


# A host that waits for no lock.
IMPATIENT: Final = {
    "sqlite": "",
    "postgresql": "?options=-c%20lock_timeout%3D10",
    "mariadb": "?init_command=SET%20innodb_lock_wait_timeout%3D0",
}
HELD: Final = 0.3


@pytest.mark.requirement("R64")
def test_a_row_that_somebody_holds_for_a_moment_is_waited_for(
    mfa: MFA, enrolled: Enrolment, migrated: Database, face: str, keys: str, clock: Clock
) -> None:
    user, codes = enrolled.user_id, (enrolled.phone.wrong_code(), enrolled.phone.code(), enrolled.backup_codes[0])
    before = len(kinds(mfa, user))
    taking = "BEGIN IMMEDIATE" if migrated.backend == "sqlite" else "SELECT id FROM user_mfa_secrets FOR UPDATE"
    with hosted(migrated.url + IMPATIENT[migrated.backend], face, keys, clock, deadline=60) as host:
        host.status(user)
        for code, outcome in zip(codes, ("wrong_code", "success", "success"), strict=True):
            with migrated.engine().connect() as other:
                other.exec_driver_sql(taking)
                letting_go = threading.Timer(HELD, other.rollback)
                letting_go.start()
                assert refusal(functools.partial(host.reverify, user, code)) == outcome
                letting_go.join()
    assert kinds(mfa, user)[before:] == ["code_refused", "code_accepted", "code_accepted"]
    assert mfa.events.verify(user).is_intact


@dataclass
class SlowClock(Clock):
    """Whoever asks for the moment has no time left."""

    def __call__(self) -> datetime:
        time.sleep(2 * DEADLINE)
        return super().__call__()


@pytest.mark.requirement("R11")
def test_whoever_was_slow_and_meets_a_rival_decides_once_more(
    mfa: MFA, enrolled: Enrolment, migrated: Database, face: str, keys: str, clock: Clock
) -> None:
    settings, before = plain_settings(keys=keys, deadline=DEADLINE), len(kinds(mfa, enrolled.user_id))
    with WAYS[face](migrated.url, settings, SlowClock(clock.now)) as crowd:
        assert outcomes(crowd([call("challenge", enrolled.user_id)] * 4)) == {"success": 4}
    assert kinds(mfa, enrolled.user_id)[before:] == ["challenged"] * 4


class Visit:
    """A user who has given the password to the pages, and is asked for a code."""

    def __init__(self, scene: Scene) -> None:
        self.enrolled = scene.enrolled()
        self.host = Host(held=Waiting("first", challenged(scene.mfa, self.enrolled.user_id), "ada@example.com"))
        self.visitor = browser(scene.mfa, self.host)
        self.visitor.get("/mfa/challenge")


@pytest.fixture
def blocking_stage(stages: Stages, backend: str) -> Stage:
    """What the pages and the command line run on."""
    return stages.get(backend, "blocking")


@pytest.mark.requirement("R64", "R101")
def test_the_pages_answer_as_if_no_commit_had_been_refused(blocking_stage: Stage, backend: str) -> None:
    scene, refusing = blocking_stage.scene, blocking_stage.refusing
    visit = Visit(scene)
    user, phone, before = visit.enrolled.user_id, visit.enrolled.phone, scene.last_line(visit.enrolled.user_id)
    for times, given, status in ((1, phone.wrong_code(), 400), (3, phone.code(), 303)):
        refusing.arm(REASONS[backend][0], times)
        try:
            answer = visit.visitor.post("/mfa/challenge", code=given, trust_device="on")
        finally:
            refused = refusing.disarm()
        assert (answer.status_code, refused) == (status, times)
    assert isinstance(visit.host.held, SignedIn)
    assert visit.host.asked.count("log_in") == 1
    assert scene.lines(user, after=before) == ("code_refused", "code_accepted", "device_trusted")


@pytest.mark.requirement("R64")
def test_the_pages_say_the_same_of_a_right_and_a_wrong_code_that_cannot_be_written(
    blocking_stage: Stage, backend: str
) -> None:
    scene, refusing = blocking_stage.hurried, blocking_stage.refusing
    visit = Visit(scene)
    phone, before, told = visit.enrolled.phone, scene.rows(visit.enrolled.user_id), set[tuple[int, str]]()
    for given in (phone.wrong_code(), phone.code()):
        visit.visitor.get("/mfa/challenge")
        refusing.arm(REASONS[backend][0], ALWAYS)
        try:
            answer = visit.visitor.post("/mfa/challenge", code=given)
        finally:
            refusing.disarm()
        told.add((answer.status_code, answer.text.replace(visit.visitor.csrf, "")))
    ((status, _),) = told
    assert status == 503
    assert visit.host.asked == []
    assert scene.rows(visit.enrolled.user_id) == before


@pytest.mark.requirement("R101")
@pytest.mark.backends("postgresql", "mariadb")
@pytest.mark.parametrize("times", [1, 3, ALWAYS])
def test_a_command_is_carried_out_once_or_not_at_all(
    blocking_stage: Stage, backend: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scene, refusing = blocking_stage.scene, blocking_stage.refusing
    user = scene.enrolled().user_id
    before, rows = scene.last_line(user), scene.rows(user)
    environment = {
        "TWOFOLD_KEYS": blocking_stage.keys,
        "TWOFOLD_DATABASE_URL": blocking_stage.url,
        "TWOFOLD_DEADLINE": str(DEADLINE) if times == ALWAYS else "5",
    }
    refusing.arm(REASONS[backend][0], times)
    try:
        done = CliRunner().invoke(
            app, ["users", "reset", str(user), "--reason", "lost", "--by", "grace", "--yes"], env=environment
        )
    finally:
        refused = refusing.disarm()
    if times == ALWAYS:
        assert (done.exit_code, scene.rows(user)) == (69, rows)
        assert "Traceback" not in done.output
    else:
        assert (done.exit_code, refused) == (0, times)
        assert scene.lines(user, after=before) == ("reset",)
