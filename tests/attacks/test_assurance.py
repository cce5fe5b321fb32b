"""Whoever claims more than was proven: what a login may say of itself, and for how long."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from tests.people import FIREFOX, Clock, Enrolment, challenged, log_in
from twofold import MFA, Cleared, Rejected, Stale

# The registry of RFC 8176.
REGISTERED = frozenset(
    "face fpt geo hwk iris kba mca mfa otp pin pwd rba retina sc sms swk tel user vbm wia".split()  # noqa: SIM905
)
PRIVATE = frozenset({"backup_code"})


@pytest.fixture
def face() -> str:
    """These attacks aim at what both faces share."""
    return "blocking"


@pytest.mark.requirement("R80", "R81")
def test_each_way_in_says_what_was_proven_and_no_more(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    ways = {
        "set-up": enrolled.verified,
        "login with the app": log_in(mfa, enrolled.user_id, enrolled.phone.code()),
        "login with a backup code": log_in(mfa, enrolled.user_id, enrolled.backup_codes[0]),
        "step-up with a backup code": mfa.reverify(enrolled.user_id, enrolled.backup_codes[1]),
    }
    clock.forward(seconds=30)
    ways["step-up with the app"] = mfa.reverify(enrolled.user_id, enrolled.phone.code())
    app, paper = {"pwd", "otp", "mfa"}, {"pwd", "backup_code", "mfa"}
    assert {way: set(verified.amr) for way, verified in ways.items()} == {
        "set-up": app,
        "login with the app": app,
        "login with a backup code": paper,
        "step-up with a backup code": paper,
        "step-up with the app": app,
    }
    for verified in ways.values():
        assert len(set(verified.amr)) == len(verified.amr)
        assert set(verified.amr) - REGISTERED <= PRIVATE
        # Something known and one thing held: two codes after each other are never said to be two factors.
        assert len(set(verified.amr) & {"otp", "backup_code"}) == 1
        assert "pwd" in verified.amr
        assert mfa.proof(verified.token) == verified


@pytest.mark.requirement("R76", "R80", "R81")
def test_a_login_without_a_code_has_no_word_for_a_second_factor(mfa: MFA, enrolled: Enrolment, grace: int) -> None:
    token = mfa.trusted_devices.trust(log_in(mfa, enrolled.user_id, enrolled.phone.code()), request=FIREFOX).token
    for cleared in (mfa.challenge(grace), mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)):
        assert isinstance(cleared, Cleared)
        assert "mfa" not in repr(cleared)
    assert {field.name for field in fields(Cleared)} == {"user_id", "because", "device"}


@pytest.mark.requirement("R82")
def test_only_a_code_moves_the_moment_of_the_proof(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    token = mfa.trusted_devices.trust(verified, request=FIREFOX).token
    proven_at = clock.now
    for _ in range(3):
        clock.forward(minutes=1)
        assert mfa.proof(verified.token).at == proven_at
    assert not mfa.challenge(enrolled.user_id, device_token=token, request=FIREFOX)
    with pytest.raises(Rejected):
        mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
    assert mfa.proof(verified.token).at == verified.at == proven_at
    assert mfa.reverify(enrolled.user_id, enrolled.phone.code()).at == clock.now


@pytest.mark.requirement("R83")
def test_a_proof_that_is_a_second_too_old_asks_for_a_step_up(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    age = timedelta(minutes=2)
    token = log_in(mfa, enrolled.user_id, enrolled.phone.code()).token
    clock.forward(minutes=2)
    assert mfa.proof(token, max_age=age)
    clock.forward(seconds=1)
    with pytest.raises(Stale, match="reverify"):
        mfa.proof(token, max_age=age)
    assert mfa.proof(mfa.reverify(enrolled.user_id, enrolled.phone.code()).token, max_age=age)


CLAIMS: list[Any] = [
    None,
    "",
    "mfa",
    "aal2",
    "urn:example:acr:two-factors",
    "eyJhbGciOiJub25lIn0.eyJhbXIiOlsibWZhIl19.",
    "v1~k1~e30~" + "0" * 64,
    "\0",
    "é",
    5,
    True,
    b"v1~k1~e30~",
    ["mfa"],
    {"amr": ["pwd", "otp", "mfa"]},
]


@pytest.mark.requirement("R84")
@pytest.mark.backends("sqlite")
def test_a_claim_that_is_no_proof_counts_as_none(mfa: MFA, enrolled: Enrolment) -> None:
    for claim in (*CLAIMS, challenged(mfa, enrolled.user_id)):
        with pytest.raises(Stale):
            mfa.proof(claim)


@pytest.mark.requirement("R84")
@pytest.mark.backends("sqlite")
def test_a_proof_with_one_changed_letter_counts_as_none(mfa: MFA, enrolled: Enrolment) -> None:
    token = enrolled.verified.token
    for position in range(len(token)):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        with pytest.raises(Stale):
            mfa.proof(changed)
    assert mfa.proof(token)
