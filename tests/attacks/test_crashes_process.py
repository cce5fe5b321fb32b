"""A process that is killed, under load and at every single statement, takes back nothing and leaves nothing half."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.attacks.load import load
from tests.attacks.reckoning import reckon
from tests.length import LENGTH
from tests.people import Clock, enroll

if TYPE_CHECKING:
    from tests.databases import Database
    from twofold import MFA

KILLS = 2 * LENGTH
ANSWERS = 60


@pytest.fixture
def face() -> str:
    """The processes use one face each; whoever looks at the end needs only one."""
    return "blocking"


@pytest.mark.requirement("R7", "R34", "R101", "R105")
@pytest.mark.attack("A8")
def test_what_was_answered_before_a_kill_is_spent_and_in_the_log(
    mfa: MFA, migrated: Database, keys: str, clock: Clock, ada: int, grace: int
) -> None:
    enrolments = [enroll(mfa, user_id, clock) for user_id in (ada, grace)]
    for _ in range(KILLS):
        clock.forward(days=1)
        with load(migrated.url, keys, enrolments, clock.now) as working:
            working.hear(ANSWERS)
            time.sleep(random.uniform(0, 0.02))
            working.kill()
        for number, enrolment in enumerate(enrolments):
            reckon(mfa, clock, enrolment, working.said)
            clock.forward(hours=2)
            verified = mfa.reverify(enrolment.user_id, enrolment.phone.code())
            enrolments[number] = replace(enrolment, backup_codes=mfa.backup_codes.regenerate(verified))
