"""A database that is slow, read-only or full is an outage: it lets nobody in, and counts against nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.outages import OUTAGES, hosted
from tests.people import FIREFOX, Enrolment, challenged, kinds, log_in
from twofold import MFA, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database
    from tests.people import Clock

pytestmark = pytest.mark.every_driver


@pytest.mark.requirement("R64", "R101")
@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_lets_nobody_in_and_counts_against_nobody(
    mfa: MFA, enrolled: Enrolment, migrated: Database, face: str, keys: str, clock: Clock, outage: str
) -> None:
    ada, phone = enrolled.user_id, enrolled.phone
    verified = log_in(mfa, ada, phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    clock.forward(seconds=60)
    token, code, wrong = challenged(mfa, ada), phone.code(), phone.wrong_code()
    before = (mfa.status(ada), kinds(mfa, ada))
    with OUTAGES[outage](migrated) as url, hosted(url, face, keys, clock) as broken:
        operations: list[Callable[[], Any]] = [
            lambda: broken.challenge(ada),
            lambda: broken.challenge(ada, device_token=device.token, request=FIREFOX),
            lambda: broken.verify(token, code),
            lambda: broken.verify(token, wrong),
            lambda: broken.verify(token, enrolled.backup_codes[0]),
            lambda: broken.totp.disable(verified),
            lambda: broken.erase(ada),
        ]
        for operation in operations:
            with pytest.raises(DatabaseUnavailable) as told:
                operation()
            assert code not in str(told.value)
    assert (mfa.status(ada), kinds(mfa, ada)) == before
    assert mfa.verify(token, code)
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert log_in(mfa, ada, enrolled.backup_codes[0])
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R64", "R101")
@pytest.mark.backends("sqlite")
def test_a_full_disk_takes_a_whole_operation_or_nothing_of_it(
    mfa: MFA, enrolled: Enrolment, migrated: Database, face: str, keys: str, clock: Clock
) -> None:
    device = mfa.trusted_devices.trust(enrolled.verified)
    with migrated.engine().connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    token = challenged(mfa, enrolled.user_id)
    with hosted(migrated.url, face, keys, clock, f"max_page_count = {pages}") as full:
        until_it_is_full(mfa, full, enrolled.user_id, device.device_id)
        with pytest.raises(DatabaseUnavailable):
            full.verify(token, enrolled.phone.code())
        with pytest.raises(DatabaseUnavailable):
            full.verify(token, enrolled.phone.wrong_code())
    assert mfa.status(enrolled.user_id).failed_attempts == 0
    assert mfa.verify(token, enrolled.phone.code())
    assert mfa.events.verify(enrolled.user_id).is_intact


def until_it_is_full(mfa: MFA, full: MFA, user_id: int, device_id: int) -> None:
    """Rename a device until there is no room for it; every name before has its line."""
    before = mfa.events.verify(user_id).length
    for number in range(2000):
        try:
            full.trusted_devices.rename(user_id, device_id, f"at home {number}")
        except DatabaseUnavailable:
            report = mfa.events.verify(user_id)
            assert (report.is_intact, report.length) == (True, before + number)
            return
    raise AssertionError("There is always room.")
