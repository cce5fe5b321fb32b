"""The host's engine has an isolation level of its own: no level makes a race that the others do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.crowd import Crowd, call, outcomes
from tests.length import LENGTH

if TYPE_CHECKING:
    from tests.people import Clock, Enrolment
    from twofold import MFA

REFUSALS = {"code_already_used", "waiting"}


@pytest.fixture
def face() -> str:
    """Both faces send the same statements; tasks send them closer together."""
    return "awaited"


@pytest.mark.requirement("R7", "R11", "R22", "R34")
@pytest.mark.attack("A6", "A7", "A16")
@pytest.mark.backends("postgresql", "mariadb")
@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_no_isolation_level_of_the_host_lets_more_pass(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int, backend: str, isolation: str
) -> None:
    # Every read locks at MariaDB's SERIALIZABLE; who loses ten deadlocks in a row is told to try again.
    busy = {"DatabaseUnavailable"} if (backend, isolation) == ("mariadb", "SERIALIZABLE") else set[str]()
    for code in [enrolled.phone.code(), *enrolled.backup_codes[:LENGTH]]:
        results = outcomes(crowd([call("reverify", ada, code)] * 16))
        assert (results.pop("success"), results.total()) == (1, 15)
        assert results.keys() <= REFUSALS | busy
    clock.forward(hours=2)
    mfa.reverify(ada, enrolled.phone.code())
    results = outcomes(crowd([call("reverify", ada, enrolled.phone.wrong_code())] * 16))
    assert (results.pop("wrong_code"), results.total()) == (5, 11)
    assert results.keys() <= {"waiting"} | busy
    assert mfa.events.verify(ada).is_intact
