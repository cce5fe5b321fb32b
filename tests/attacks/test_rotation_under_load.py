"""Keys that are replaced while everybody logs in: by several hands, and between processes of before and after.

`make rotations` does all of it fifty times on each database, with more processes than the machine has cores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.crowd import Crowd, call, outcomes
from tests.length import LENGTH
from tests.people import Clock, Open, add_user, enroll, log_in
from twofold import Rejected
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from tests.databases import Database

pytestmark = pytest.mark.every_driver

USERS = 6


@pytest.fixture
def keys() -> str:
    """Everything begins under the old key, `k1`, which stands last; `k2` is the one that is rotated to."""
    return f"{generate_key('k2')},{generate_key('k1')}"


@pytest.mark.requirement("R90")
@pytest.mark.parametrize("turn", range(LENGTH))
def test_a_rotation_by_many_hands_disturbs_no_login_and_loses_no_spent_code(
    open_mfa: Open, migrated: Database, crowd: Crowd, clock: Clock, keys: str, turn: int
) -> None:
    new, old = keys.split(",")
    before = open_mfa(keys=f"{old},{new}")
    people = [enroll(before, add_user(migrated, f"user{number}@example.com"), clock) for number in range(USERS)]
    codes = [person.phone.code() for person in people]
    logins = [call("reverify", person.user_id, code) for person, code in zip(people, codes, strict=True)]
    on_paper = [call("reverify", person.user_id, person.backup_codes[0]) for person in people]
    rotations = [call("keys.rotate", after=after, limit=2) for after in range(0, USERS, 2)]
    assert outcomes(crowd([*logins, *rotations, *on_paper, *rotations])) == {"success": 2 * USERS + 2 * len(rotations)}

    mfa = open_mfa()
    while mfa.keys.rotate(limit=3).done:
        pass
    (_, retired) = mfa.keys.status()
    assert (retired.kid, retired.secrets, retired.states) == ("k1", 0, 0)
    alone = open_mfa(keys=new)
    for person, code in zip(people, codes, strict=True):
        with pytest.raises(Rejected):
            alone.reverify(person.user_id, code)
        assert mfa.events.verify(person.user_id).is_intact


@pytest.mark.requirement("R90")
@pytest.mark.parametrize("turn", range(LENGTH))
def test_processes_before_and_after_the_turn_read_each_other(
    open_mfa: Open, ada: int, clock: Clock, keys: str, turn: int
) -> None:
    new, old = keys.split(",")
    early, late = open_mfa(keys=f"{old},{new}"), open_mfa(keys=f"{new},{old}")
    enrolment = enroll(early, ada, clock)
    for mfa in (late, early, late, early):
        assert mfa.proof(log_in(mfa, ada, enrolment.phone.code()).token)
        clock.forward(seconds=60)
        mfa.keys.rotate()
    assert early.events.verify(ada).is_intact
