"""Attacks that second factors elsewhere have suffered, tried here; tests/web/test_attacks.py tries those on pages."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, challenged, enroll, log_in
from twofold import MFA, Reason, Rejected, Stale, Verified


@pytest.fixture
def face() -> str:
    """These attacks aim at what both faces share."""
    return "blocking"


def digits_from(code: str, zero: int) -> str:
    """The same number in the digits of another script."""
    return "".join(chr(zero + int(digit)) for digit in code)


@pytest.mark.requirement("R12")
@pytest.mark.attack("A4")
def test_a_used_code_is_replayed_in_another_spelling(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(free_failures=10)
    enrolment = enroll(mfa, ada, clock)
    code, backup = enrolment.phone.code(), enrolment.backup_codes[0]
    log_in(mfa, ada, code)
    spelled = [code, f"{code} ", f" {code}", f"{code}\n", f"{code}\0", f"{code[:3]} {code[3:]}"]
    for spelling in (*spelled, digits_from(code, 0xFF10), digits_from(code, 0x0660)):
        with pytest.raises(Rejected) as refused:
            mfa.reverify(ada, spelling)
        assert refused.value.reason is Reason.CODE_ALREADY_USED
    for spelling in (f"0{code}", f"+{code}", f"{code}.0", f"0x{code}", code[:5]):
        with pytest.raises(Rejected) as refused:
            mfa.reverify(ada, spelling)
        assert refused.value.reason is Reason.MALFORMED
    log_in(mfa, ada, backup)
    for spelling in (backup, backup.lower(), backup.replace("-", " "), f" {backup}\n", backup.replace("0", "O")):
        with pytest.raises(Rejected) as refused:
            mfa.reverify(ada, spelling)
        assert refused.value.reason is Reason.CODE_ALREADY_USED


@pytest.mark.requirement("R34", "R54")
@pytest.mark.attack("A8")
def test_a_backup_code_that_one_process_spent_is_tried_in_the_next(open_mfa: Open, ada: int, clock: Clock) -> None:
    enrolment = enroll(open_mfa(), ada, clock)
    log_in(open_mfa(), ada, enrolment.backup_codes[0])
    with pytest.raises(Rejected) as refused:
        log_in(open_mfa(), ada, enrolment.backup_codes[0])
    assert refused.value.reason is Reason.CODE_ALREADY_USED


@pytest.mark.requirement("R38")
@pytest.mark.attack("A10")
def test_backup_codes_are_wanted_before_there_is_a_factor(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    graces = enroll(mfa, grace, clock)
    token = log_in(mfa, grace, graces.phone.code()).token

    def mint() -> None:
        for pretended in ("", token):
            with pytest.raises(Stale):
                mfa.backup_codes.regenerate(Verified(ada, "totp", clock.now, ("pwd", "otp", "mfa"), pretended))
        assert mfa.backup_codes.remaining(ada) == 0

    mint()
    phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com").secret, clock)
    mint()
    enrolled = mfa.totp.confirm(ada, phone.code())
    mfa.totp.disable(enrolled.verified)
    mint()
    clock.forward(seconds=60)
    enroll(mfa, ada, clock)
    with pytest.raises(Rejected):
        log_in(mfa, ada, enrolled.backup_codes[0])


@pytest.mark.requirement("R21", "R61")
@pytest.mark.attack("A12", "A13")
def test_a_challenge_that_was_put_aside_brings_no_attempts_back(mfa: MFA, enrolled: Enrolment) -> None:
    put_aside = challenged(mfa, enrolled.user_id)
    for _ in range(4):
        with pytest.raises(Rejected):
            log_in(mfa, enrolled.user_id, enrolled.phone.wrong_code())
    with pytest.raises(Rejected) as refused:
        mfa.verify(put_aside, enrolled.phone.wrong_code())
    assert refused.value.retry_after is not None
    for token in (put_aside, challenged(mfa, enrolled.user_id)):
        with pytest.raises(Rejected) as refused:
            mfa.verify(token, enrolled.phone.code())
        assert refused.value.reason is Reason.WAITING


@pytest.mark.requirement("R93")
@pytest.mark.attack("A26", "A37")
def test_what_can_be_read_of_a_user_holds_nothing_to_sign_in_with(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    user_id, verified = enrolled.user_id, log_in(mfa, enrolled.user_id, enrolled.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    new = mfa.totp.begin(user_id, account_name="ada@example.com", verified=verified)
    clock.forward(seconds=30)
    read = [
        asdict(mfa.status(user_id)),
        *map(asdict, mfa.trusted_devices.list(user_id)),
        *map(asdict, mfa.events.recent(user_id, limit=1000)),
        *map(asdict, mfa.events.export()),
        asdict(mfa.events.verify(user_id)),
        *map(asdict, mfa.keys.status()),
    ]
    assert len(read) > 10
    upcoming = [Phone(secret, clock).code() for secret in (enrolled.phone.secret, new.secret)]
    spent = [verified.token, device.token, *device.token.split(".")]
    for hidden in (enrolled.phone.secret, new.secret, *enrolled.backup_codes, *spent, *map(repr, upcoming)):
        assert hidden not in repr(read)
