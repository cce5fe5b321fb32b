"""Trusted devices and many requests at once: a token has one successor, and no revocation is outrun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.crowd import Crowd, call, outcomes
from tests.length import LENGTH
from tests.people import FIREFOX, Clock, Enrolment, kinds

if TYPE_CHECKING:
    from twofold import MFA

ROUNDS = 2 * LENGTH


@pytest.fixture
def face() -> str:
    """Both faces send the same statements; tasks send them closer together."""
    return "awaited"


@pytest.mark.requirement("R73")
def test_a_token_that_ten_requests_bring_has_one_successor(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int
) -> None:
    device = mfa.trusted_devices.trust(enrolled.verified, request=FIREFOX)
    for use in range(1, ROUNDS + 1):
        answers = crowd([call("challenge", ada, device_token=device.token, request=FIREFOX)] * 10)
        assert [answer.value.because for answer in answers] == ["trusted_device"] * 10
        (device,) = [answer.value.device for answer in answers if answer.value.device]
        assert mfa.trusted_devices.list(ada)[0].usage_count == use
        clock.forward(hours=1)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R78")
def test_no_device_outlives_a_change_of_password_that_comes_at_once(
    mfa: MFA, enrolled: Enrolment, crowd: Crowd, clock: Clock, ada: int
) -> None:
    for _ in range(ROUNDS):
        clock.forward(seconds=30)
        verified = mfa.reverify(ada, enrolled.phone.code())
        device = mfa.trusted_devices.trust(verified, request=FIREFOX)
        changed, trusted, recognized = crowd(
            [
                call("password_changed", ada),
                call("trusted_devices.trust", verified, request=FIREFOX),
                call("challenge", ada, device_token=device.token, request=FIREFOX),
            ]
        )
        assert (changed.outcome, recognized.outcome) == ("success", "success")
        assert trusted.outcome in {"success", "Stale"}
        assert mfa.status(ada).trusted_devices == 0
        latest = kinds(mfa, ada)
        behind = latest[len(latest) - latest[::-1].index("password_changed") :]
        assert set(behind) <= {"challenged", "management_refused"}
        given = [device, trusted.value, recognized.value.device if not recognized.value else None]
        assert all(mfa.challenge(ada, device_token=one.token, request=FIREFOX) for one in given if one)
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R79")
def test_no_crowd_trusts_more_devices_than_the_limit(mfa: MFA, enrolled: Enrolment, crowd: Crowd, ada: int) -> None:
    for _ in range(LENGTH):
        answers = crowd([call("trusted_devices.trust", enrolled.verified, request=FIREFOX)] * 20)
        assert outcomes(answers) == {"success": 20}
        active = [device.id for device in mfa.trusted_devices.list(ada) if device.is_active]
        assert len(active) == 10
        assert set(active) <= {answer.value.device_id for answer in answers}
    assert mfa.events.verify(ada).is_intact
