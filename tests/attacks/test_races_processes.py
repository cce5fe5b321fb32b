"""The same races between processes, as between the workers of a server: nothing that counts is in the memory of one."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.attacks.crowd import WAYS, Call, call, outcomes
from tests.attacks.processes import PATIENCE, started
from tests.length import LENGTH
from tests.people import Clock, Enrolment, challenged, plain_settings

if TYPE_CHECKING:
    from datetime import datetime
    from multiprocessing.connection import Connection

    from tests.databases import Database
    from twofold import MFA

# What one deployment runs: both faces, each in a process of its own.
FACES = ("blocking", "awaited", "blocking")


@pytest.fixture
def face() -> str:
    """The processes have their faces; whoever sets up and looks at the end needs only one."""
    return "blocking"


def perform(pipe: Connection, face: str, url: str, keys: str, now: datetime, calls: list[Call]) -> None:
    """Be one of the processes: say when ready, wait for the word, and tell the outcomes."""
    with WAYS[face](url, plain_settings(keys=keys, deadline=60), Clock(now)) as crowd:
        crowd([call("events.export", limit=1)])
        pipe.send("ready")
        if pipe.poll(PATIENCE) and pipe.recv() == "go":
            pipe.send(outcomes(crowd(calls, hands=min(20, len(calls)))))


def shared_out(calls: list[Call], database: Database, keys: str, clock: Clock) -> Counter[str]:
    """Each process performs its part of the calls, all of them at once."""
    with contextlib.ExitStack() as running:
        children = [
            running.enter_context(started(perform, face, database.url, keys, clock.now, calls[first :: len(FACES)]))
            for first, face in enumerate(FACES)
        ]
        assert [child.hear() for child in children] == ["ready"] * len(FACES)
        for child in children:
            child.pipe.send("go")
        told: list[Counter[str]] = [child.hear() for child in children]
        assert [child.end() for child in children] == [0] * len(FACES)
    return sum(told, Counter())


@pytest.mark.requirement("R7", "R11")
@pytest.mark.attack("A6", "A8")
def test_one_totp_code_has_one_winner_among_processes(
    mfa: MFA, enrolled: Enrolment, migrated: Database, keys: str, clock: Clock, ada: int
) -> None:
    for _ in range(LENGTH):
        clock.forward(hours=2)
        code, tokens = enrolled.phone.code(), [challenged(mfa, ada) for _ in range(15)]
        calls = [call("verify", token, code) for token in tokens] + [call("reverify", ada, code)] * 15
        results = shared_out(calls, migrated, keys, clock)
        assert (results.pop("success"), results.total()) == (1, 29)
        assert results.keys() <= {"code_already_used", "waiting", "challenge_expired"}
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R34")
@pytest.mark.attack("A7", "A8")
def test_one_backup_code_has_one_winner_among_processes(
    mfa: MFA, enrolled: Enrolment, migrated: Database, keys: str, clock: Clock, ada: int
) -> None:
    for spent, code in enumerate(enrolled.backup_codes[:LENGTH], start=1):
        results = shared_out([call("reverify", ada, code)] * 30, migrated, keys, clock)
        assert results == {"success": 1, "code_already_used": 29}
        assert mfa.backup_codes.remaining(ada) == 10 - spent
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R21", "R22")
@pytest.mark.attack("A14", "A16")
def test_processes_share_one_budget(
    mfa: MFA, enrolled: Enrolment, migrated: Database, keys: str, clock: Clock, ada: int
) -> None:
    calls = [call("reverify", ada, enrolled.phone.wrong_code())] * 30
    assert shared_out(calls, migrated, keys, clock) == {"wrong_code": 5, "waiting": 25}
    for _ in range(LENGTH):
        # Other processes, started later, know of the failures all the same.
        clock.forward(hours=1)
        assert shared_out(calls, migrated, keys, clock) == {"wrong_code": 1, "waiting": 29}
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R105")
def test_processes_write_one_log(
    mfa: MFA, enrolled: Enrolment, migrated: Database, keys: str, clock: Clock, ada: int
) -> None:
    before = mfa.events.verify(ada).length
    lines = 60 * LENGTH
    assert shared_out([call("password_changed", ada)] * lines, migrated, keys, clock) == {"success": lines}
    report = mfa.events.verify(ada)
    assert (report.is_intact, report.length) == (True, before + lines)
