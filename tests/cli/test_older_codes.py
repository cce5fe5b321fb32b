"""What short backup codes of before Twofold leave to somebody who guesses."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.people import log_in
from tests.upkeep.test_legacy import EARLIER, bare, leave
from twofold import MFA, Reason, Rejected
from twofold.backup_codes.codec import older_spellings

if TYPE_CHECKING:
    from tests.cli.conftest import Shell
    from tests.people import Clock, Sql
    from tests.upkeep.test_legacy import Older

TEN = tuple(f"{number:06}" for number in range(314159, 999999, 71117))


@pytest.fixture
def adopted(mfa: MFA, sql: Sql, ada: int, clock: Clock) -> Older:
    """Ada, with ten codes of six digits."""
    older = leave(sql, ada, clock)
    sql("DELETE FROM mfa_backup_codes")
    for code in TEN:
        sql(
            "INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES (:user, :hash, :at)",
            user=ada,
            hash=bare(code),
            at=EARLIER,
        )
    mfa.legacy.adopt()
    return older


def printed(twofold: Shell) -> list[float]:
    """The chances that the doctor tells of such codes: ever, and in a year."""
    (message,) = [
        check["message"] for check in twofold("doctor", "--json").data["checks"] if check["about"] == "older codes"
    ]
    return [float(percent) / 100 for percent in re.findall(r"at most ([0-9.]+) %", message)]


@pytest.mark.requirement("R20", "R39")
def test_a_thief_at_ten_codes_of_six_digits_stays_under_the_odds_that_are_printed(
    twofold: Shell, mfa: MFA, adopted: Older, clock: Clock
) -> None:
    ever, in_a_year = printed(twofold)
    assert (ever, in_a_year) == pytest.approx((0.0013, 0.018))
    guesses = (adopted.phone.wrong_code, lambda: "WXYZ-9876", lambda: "000-001", lambda: "wxyz98")
    looked_at, tries, begun = 0, 0, clock.now
    while clock.now - begun < timedelta(days=5):
        with pytest.raises(Rejected) as refused:
            mfa.reverify(adopted.user_id, guesses[tries % len(guesses)]())
        looked_at, tries = looked_at + (refused.value.reason is Reason.WRONG_CODE), tries + 1
        if refused.value.reason is Reason.SUSPENDED:
            break
        clock.now += refused.value.retry_after or timedelta(minutes=1)
    # Each look is at three codes of the app and at ten on paper, of a million each.
    assert looked_at * (3 + len(TEN)) / 10**6 <= ever + 1e-12
    assert looked_at == 100
    # Nothing shorter is looked at.
    assert older_spellings("12345") == ()


@pytest.mark.requirement("R20")
def test_such_codes_stand_in_the_odds_for_as_long_as_they_are_live(
    twofold: Shell, mfa: MFA, adopted: Older, clock: Clock
) -> None:
    for code in TEN[:5]:
        clock.forward(minutes=1)
        log_in(mfa, adopted.user_id, code)
    ever, _ = printed(twofold)
    assert ever == pytest.approx(0.0008)
    assert "1 user with backup codes of before Twofold, at most 5 each" in " ".join(twofold("doctor").out.split())
    clock.forward(minutes=1)
    mfa.backup_codes.regenerate(log_in(mfa, adopted.user_id, adopted.phone.code()))
    assert "older codes" not in twofold("doctor").out


@pytest.mark.requirement("R20")
def test_those_that_are_not_adopted_yet_stand_there_too(twofold: Shell, sql: Sql, ada: int, clock: Clock) -> None:
    leave(sql, ada, clock)
    ever, _ = printed(twofold)
    assert ever == pytest.approx(0.0005)
