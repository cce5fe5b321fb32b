"""A COMMIT whose acknowledgement is lost: it is found out what became of it before anything is said."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from typer.testing import CliRunner

from tests.attacks import outages
from tests.attacks.act import Act, refusal
from tests.attacks.acts import ACTS
from tests.attacks.crowd import WAYS, call, outcomes
from tests.attacks.cutting import Cut, Refuse, cutting
from tests.attacks.host import Host, browser
from tests.attacks.losing import AWAITED, DEADLINE, DRIVERS, Losers, LosingSQLite, lost_at
from tests.databases import BACKENDS, add_passkeys
from tests.length import LENGTH
from tests.people import FIREFOX, challenged, enroll, kinds, log_in, plain_settings
from twofold import Challenge, Cleared, DatabaseUnavailable, MFAError
from twofold.cli.program import app
from twofold.web.fastapi import SignedIn, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.attacks.cutting import Deed
    from tests.attacks.scenes import Scene
    from tests.databases import Database, Sources
    from tests.people import Clock
    from twofold import MFA

pytestmark = pytest.mark.every_driver

UNKNOWN: Final = "it is not known whether the code was used"
DRIVERS_HERE: Final = [driver for driver, backend in DRIVERS.items() if backend in BACKENDS]
# SQLite has no wire.
WIRED: Final = [driver for driver in DRIVERS_HERE if DRIVERS[driver] != "sqlite"]
OF_MARIADB: Final = [driver for driver in DRIVERS_HERE if DRIVERS[driver] == "mariadb"]
BLOCKING: Final = [driver for driver in WIRED if driver not in AWAITED]
CUTS: Final = [
    (driver, cut)
    for driver in DRIVERS_HERE
    for cut in (Cut.BEFORE, Cut.MIDDLE, Cut.LATE, Cut.AFTER)
    if driver in WIRED or cut in {Cut.BEFORE, Cut.AFTER}
]
CHIEF: Final = (
    "confirm",
    "challenge_of_a_device",
    "challenge_of_a_stolen_device",
    "verify",
    "verify_wrongly",
    "verify_on_paper",
    "verify_a_passkey",
    "confirm_passkey",
    "trust",
)


_BEGUN: Final = (("totp_begun",), ("passkey_begun",))


class Sets:
    """A set for each driver, built when the first test asks for it."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._open = contextlib.ExitStack()
        self._losers: dict[str, Losers] = {}

    def get(self, driver: str) -> Losers:
        if driver not in self._losers:
            database = self._open.enter_context(self._sources.database(DRIVERS[driver], migrated=True))
            add_passkeys(database)
            self._losers[driver] = self._open.enter_context(lost_at(database, driver))
        return self._losers[driver]

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="module")
def sets(databases: Sources) -> Iterator[Sets]:
    with contextlib.closing(Sets(databases)) as made:
        yield made


@pytest.fixture(params=DRIVERS_HERE)
def losers(sets: Sets, request: pytest.FixtureRequest) -> Losers:
    return sets.get(str(request.param))


def judged(losers: Losers, scene: Scene, act: Act, deed: Deed, *, later: float = 0.25) -> tuple[bool, str]:
    """Whether it was answered, and what is wrong with that; nothing where nothing is."""
    before = scene.last_line(act.user_id)
    losers.losing.arm(deed, later=later)
    answer, outcome, said = None, "success", ""
    try:
        if act.is_refusal:
            outcome = refusal(act.ask)
        else:
            answer = act.ask()
    except DatabaseUnavailable as error:
        said = str(error)
    except MFAError as error:
        outcome = repr(error)
    finally:
        losers.losing.disarm()
    if losers.losing.done != 1:
        return False, "nothing was cut"
    lines = scene.lines(act.user_id, after=before)
    if said:
        if lines and UNKNOWN not in said:
            return False, f"it has written {lines} and says: {said}"
        return False, "" if lines in {(), act.lines} else f"it has written {lines}"
    if outcome != act.outcome:
        return True, f"it is answered {outcome}, with {lines}"
    # Of a user without a row there is nothing to lock: a COMMIT that arrives after it was looked for is begun over.
    if lines not in {act.lines, *((act.lines * 2,) if act.lines in _BEGUN and deed is Cut.LATE else ())}:
        return True, f"it is answered rightly and has written {lines}"
    try:
        holds = bool(act.holds(True if act.is_refusal else answer))
    except (AssertionError, MFAError) as error:
        return True, f"the answer is not true: {error!r}"
    return True, "" if holds else "the answer is not true"


@pytest.mark.requirement("R11", "R64", "R101")
@pytest.mark.parametrize(("driver", "cut"), CUTS)
def test_a_commit_that_is_cut_off_is_settled(sets: Sets, driver: str, cut: Cut) -> None:
    losers = sets.get(driver)
    names = ACTS if LENGTH > 1 else CHIEF
    results = {name: judged(losers, losers.scene, ACTS[name](losers.scene), cut) for name in names}
    assert {name: wrong for name, (_, wrong) in results.items() if wrong} == {}
    answered = sum(is_answered for is_answered, _ in results.values())
    assert answered >= math.ceil(0.9 * len(results)), {
        name for name, (is_answered, _) in results.items() if not is_answered
    }


@pytest.mark.requirement("R11", "R21")
@pytest.mark.parametrize("driver", WIRED)
def test_what_arrives_while_it_is_looked_for_counts_once(sets: Sets, driver: str) -> None:
    losers, wrong = sets.get(driver), list[tuple[str, float, str]]()
    for milliseconds in range(0, 20, 1 if LENGTH > 1 else 3):
        for name in ("verify", "verify_wrongly"):
            later = milliseconds / 1000
            _, what = judged(losers, losers.scene, ACTS[name](losers.scene), Cut.LATE, later=later)
            wrong += [(name, later, what)] if what else []
    assert wrong == []


@pytest.mark.requirement("R64")
@pytest.mark.parametrize("name", ["verify", "trust"] if LENGTH > 1 else ["trust"])
@pytest.mark.parametrize("driver", WIRED)
def test_a_commit_that_arrives_after_the_deadline_is_not_waited_for(sets: Sets, driver: str, name: str) -> None:
    losers = sets.get(driver)
    scene = losers.hurried
    act = ACTS[name](scene)
    before, began = scene.last_line(act.user_id), time.monotonic()
    # It arrives when the answer is there, or when somebody has waited for it in vain.
    losers.losing.arm(Cut.LATE, later=50)
    said = ""
    try:
        act.ask()
    except DatabaseUnavailable as unavailable:
        said = str(unavailable)
    took = time.monotonic() - began
    losers.losing.disarm()
    assert took < DEADLINE + 30
    assert scene.lines(act.user_id, after=before) == act.lines
    # A statement that stands alone and has not arrived comes too late for good: another one has taken its place.
    assert not said or UNKNOWN in said


@pytest.mark.requirement("R64", "R101")
@pytest.mark.parametrize("cut", [Cut.AFTER, Cut.BEFORE])
def test_a_database_that_is_back_within_the_deadline_has_answered(losers: Losers, cut: Cut) -> None:
    scene = losers.scene
    for name in ("verify", "verify_wrongly") if LENGTH > 1 else ("verify",):
        act = ACTS[name](scene)
        before = scene.last_line(act.user_id)
        losers.losing.arm(cut, then_away=True)
        coming_back = threading.Timer(0.4, losers.losing.disarm)
        coming_back.start()
        outcome = refusal(act.ask)
        coming_back.join()
        assert (outcome, losers.losing.done) == (act.outcome, 1)
        assert scene.lines(act.user_id, after=before) == act.lines


@pytest.mark.requirement("R64", "R101")
@pytest.mark.parametrize("name", ["verify", "trust"])
def test_what_cannot_be_found_out_is_said_to_be_unknown(losers: Losers, name: str) -> None:
    scene = losers.hurried
    act = ACTS[name](scene)
    before = scene.last_line(act.user_id)
    losers.losing.arm(Cut.AFTER, then_away=True)
    try:
        with pytest.raises(DatabaseUnavailable, match=UNKNOWN) as told:
            act.ask()
    finally:
        losers.losing.disarm()
    assert "nothing was" not in str(told.value)
    assert scene.lines(act.user_id, after=before) == act.lines
    assert scene.mfa.events.verify(act.user_id).is_intact


@pytest.mark.requirement("R64")
def test_a_database_that_was_away_before_anything_was_asked_has_used_nothing(losers: Losers) -> None:
    scene = losers.hurried
    other, act = ACTS["reverify"](scene), ACTS["verify"](scene)
    losers.losing.arm(Cut.BEFORE, then_away=True)
    try:
        with pytest.raises(DatabaseUnavailable):
            other.ask()
        with pytest.raises(DatabaseUnavailable) as told:
            act.ask()
    finally:
        losers.losing.disarm()
    assert UNKNOWN not in str(told.value)
    assert act.holds(act.ask())


def test_a_browser_whose_answer_was_lost_is_no_thief(losers: Losers) -> None:
    scene = losers.hurried
    enrolled = scene.proven()
    ada, device = enrolled.user_id, scene.mfa.trusted_devices.trust(enrolled.verified, request=FIREFOX)
    losers.losing.arm(Cut.AFTER, then_away=True)
    try:
        with pytest.raises(DatabaseUnavailable):
            scene.mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    finally:
        losers.losing.disarm()
    before = scene.last_line(ada)
    for _ in range(2):
        scene.clock.forward(minutes=2)
        # It is asked for a code, and nothing more is made of it, however often it comes.
        assert isinstance(scene.mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    assert scene.lines(ada, after=before) == ("device_contested", "challenged", "challenged")
    (held,) = scene.mfa.trusted_devices.list(ada)
    assert (held.is_contested, held.revoked_at) == (True, None)
    assert not {event.kind for event in scene.mfa.events.recent(ada, limit=1000) if event.status == "alarm"}
    verified = log_in(scene.mfa, ada, enrolled.phone.code())
    again = scene.mfa.trusted_devices.trust(verified, request=FIREFOX)
    cleared = scene.mfa.challenge(ada, device_token=again.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.because == "trusted_device"


@pytest.mark.requirement("R101")
@pytest.mark.parametrize("driver", OF_MARIADB)
def test_a_server_that_says_no_after_it_has_committed_is_not_believed(sets: Sets, driver: str) -> None:
    losers = sets.get(driver)
    # What a node of a Galera cluster says that loses its cluster during a COMMIT.
    deed = Refuse(1180, server="COMMIT")
    results = {name: judged(losers, losers.scene, ACTS[name](losers.scene), deed) for name in CHIEF}
    assert {name: wrong for name, (_, wrong) in results.items() if wrong} == {}


@pytest.mark.requirement("R11", "R34")
def test_the_line_of_another_request_is_not_taken_for_the_one_that_was_lost(sets: Sets) -> None:
    losers = sets.get("pysqlite")
    assert isinstance(losers.losing, LosingSQLite)
    scene = losers.scene
    enrolled = scene.enrolled()
    ada, told = enrolled.user_id, list[str]()
    for code in (enrolled.phone.code(), enrolled.backup_codes[0]):
        # Both come at the same moment and write the same words.
        request = functools.partial(scene.mfa.reverify, ada, code)
        before = scene.last_line(ada)
        losers.losing.meanwhile = functools.partial(_tell, told, request)
        losers.losing.arm(Cut.BEFORE)
        _tell(told, request)
        losers.losing.meanwhile = bool
        assert scene.lines(ada, after=before) == ("code_accepted", "code_refused")
    assert told == ["success", "code_already_used"] * 2


def _tell(told: list[str], request: Callable[[], object]) -> None:
    told.append(refusal(request))


@pytest.mark.requirement("R11", "R34")
@pytest.mark.backends("postgresql", "mariadb")
@pytest.mark.parametrize("cut", [Cut.AFTER, Cut.MIDDLE, Cut.BEFORE])
def test_a_code_is_spent_once_by_many_hands_whose_commits_are_cut_off(
    mfa: MFA, migrated: Database, face: str, keys: str, clock: Clock, ada: int, cut: Cut
) -> None:
    enrolled, before = enroll(mfa, ada, clock), len(kinds(mfa, ada))
    calls = [call("reverify", ada, code) for code in enrolled.backup_codes for _ in range(2)]
    with cutting(migrated.url) as wire, WAYS[face](wire.url, plain_settings(keys=keys, deadline=60), clock) as crowd:
        wire.arm(cut, 8)
        answers = outcomes(crowd(calls, hands=8))
        wire.disarm()
    written = Counter(kinds(mfa, ada)[before:])
    assert answers == {"success": 10, "code_already_used": 10}
    assert written == {"code_accepted": 10, "code_refused": 10}
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R64", "R101")
@pytest.mark.parametrize("driver", BLOCKING)
def test_the_pages_let_in_whom_the_database_has_let_in(sets: Sets, driver: str) -> None:
    losers = sets.get(driver)
    scene = losers.scene
    enrolled = scene.enrolled()
    ada, before = enrolled.user_id, scene.last_line(enrolled.user_id)
    host = Host(held=Waiting("first", challenged(scene.mfa, ada), "ada@example.com"))
    visitor = browser(scene.mfa, host)
    visitor.get("/mfa/challenge")
    for given, status in ((enrolled.phone.wrong_code(), 400), (enrolled.phone.code(), 303)):
        losers.losing.arm(Cut.AFTER)
        try:
            answer = visitor.post("/mfa/challenge", code=given)
        finally:
            losers.losing.disarm()
        assert answer.status_code == status
    assert isinstance(host.held, SignedIn)
    assert scene.lines(ada, after=before) == ("challenged", "code_refused", "code_accepted")


@pytest.mark.requirement("R101")
@pytest.mark.parametrize("driver", BLOCKING)
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_command_whose_commit_is_cut_off_is_carried_out_once(
    sets: Sets, driver: str, cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    losers = sets.get(driver)
    scene = losers.scene
    user = scene.enrolled().user_id
    before = scene.last_line(user)
    environment = {"TWOFOLD_KEYS": losers.keys, "TWOFOLD_DATABASE_URL": losers.url}
    losers.losing.arm(cut)
    try:
        done = CliRunner().invoke(
            app, ["users", "reset", str(user), "--reason", "lost", "--by", "grace", "--yes"], env=environment
        )
    finally:
        losers.losing.disarm()
    assert (done.exit_code, losers.losing.done) == (0, 1)
    assert scene.lines(user, after=before) == ("reset",)


@pytest.mark.requirement("R64")
@pytest.mark.backends("postgresql", "mariadb")
def test_a_server_that_falls_silent_at_the_commit_is_given_up_and_asked_again(
    migrated: Database, face: str, keys: str, clock: Clock, ada: int
) -> None:
    with (
        cutting(migrated.url) as wire,
        outages.hosted(f"{wire.url}?read_timeout=1", face, keys, clock, deadline=60) as mfa,
    ):
        enrolled, before = enroll(mfa, ada, clock), len(kinds(mfa, ada))
        for code, outcome in ((enrolled.phone.wrong_code(), "wrong_code"), (enrolled.phone.code(), "success")):
            wire.arm(Cut.SILENT)
            assert refusal(functools.partial(mfa.reverify, ada, code)) == outcome
            wire.disarm()
            assert wire.done == 1
        assert kinds(mfa, ada)[before:] == ["code_refused", "code_accepted"]
        assert mfa.events.verify(ada).is_intact
