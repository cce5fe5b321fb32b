"""The epoch of a user: a host ends sessions where it changes, so it changes exactly where sessions have to end."""

from __future__ import annotations

import pytest

from tests.people import FIREFOX, Clock, Enrolment, Open, Phone, challenged, log_in
from twofold import MFA, EnrollmentExpired, Rejected, Stale
from twofold.keyring import generate_key


def epoch(mfa: MFA, user_id: int) -> str | None:
    return mfa.status(user_id).epoch


def test_it_is_new_wherever_what_was_proven_before_ends(mfa: MFA, ada: int, clock: Clock) -> None:
    seen = [epoch(mfa, ada)]
    assert seen == [None]

    def changes() -> None:
        now = epoch(mfa, ada)
        # An opaque value that nobody guesses, and that never comes again.
        assert now is not None
        assert len(now) >= 20
        assert now not in seen
        seen.append(now)

    def stays() -> None:
        assert epoch(mfa, ada) == seen[-1]

    def set_up(**options: object) -> Phone:
        phone = Phone(mfa.totp.begin(ada, account_name="ada@example.com", **options).secret, clock)  # type: ignore[arg-type]
        stays()
        clock.forward(seconds=30)
        confirmed.append(mfa.totp.confirm(ada, phone.code()))
        clock.forward(seconds=60)
        changes()
        return phone

    confirmed: list[object] = []
    phone = set_up()
    verified = log_in(mfa, ada, phone.code())
    stays()
    mfa.backup_codes.regenerate(verified)
    changes()
    mfa.password_changed(ada)
    changes()
    clock.forward(seconds=30)
    verified = log_in(mfa, ada, phone.code())
    mfa.password_changed(ada, verified=verified)
    changes()
    clock.forward(seconds=30)
    verified = log_in(mfa, ada, phone.code())
    phone = set_up(verified=verified)
    mfa.totp.disable(log_in(mfa, ada, phone.code()))
    changes()
    set_up()
    mfa.reset(ada, by="grace@example.com", reason="lost phone")
    changes()
    set_up()
    mfa.repair(ada, by="grace@example.com", reason="an alarm")
    changes()
    assert len(confirmed) == 4
    assert len(seen) == 11


def test_it_stays_whatever_else_happens(mfa: MFA, open_mfa: Open, enrolled: Enrolment, keys: str, clock: Clock) -> None:
    user_id, phone = enrolled.user_id, enrolled.phone
    before = epoch(mfa, user_id)
    mfa.challenge(user_id)
    verified = log_in(mfa, user_id, phone.code())
    for code in (phone.code(), phone.wrong_code(), "23456-23456-23456-23456-23456", "no code at all"):
        with pytest.raises(Rejected):
            mfa.reverify(user_id, code)
    mfa.reverify(user_id, enrolled.backup_codes[0])
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    assert not mfa.challenge(user_id, device_token=device.token, request=FIREFOX)
    mfa.trusted_devices.revoke(user_id, device.device_id)
    mfa.trusted_devices.trust(verified, request=FIREFOX)
    mfa.trusted_devices.revoke_all(user_id)
    # A set-up that is begun, guessed at, and dropped.
    new = Phone(mfa.totp.begin(user_id, account_name="ada@example.com", verified=verified).secret, clock)
    for _ in range(10):
        with pytest.raises(Rejected):
            mfa.totp.confirm(user_id, new.wrong_code())
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(user_id, new.code())
    clock.forward(minutes=6)
    for refused in (mfa.totp.disable, mfa.backup_codes.regenerate):
        with pytest.raises(Stale):
            refused(verified)
    with pytest.raises(Stale):
        mfa.password_changed(user_id, verified=verified)
    for _ in range(60):
        challenged(mfa, user_id)
    rotating = open_mfa(keys=f"{generate_key('k2')},{keys}")
    rotating.keys.rotate()
    clock.forward(days=1)
    assert rotating.events.prune(user_id, clock.now)
    assert epoch(rotating, user_id) == before


def test_the_epoch_of_one_user_is_not_that_of_another(mfa: MFA, enrolled: Enrolment, grace: int, clock: Clock) -> None:
    before = epoch(mfa, enrolled.user_id)
    phone = Phone(mfa.totp.begin(grace, account_name="grace@example.com").secret, clock)
    mfa.totp.confirm(grace, phone.code())
    assert epoch(mfa, grace) not in {None, before}
    mfa.password_changed(grace)
    assert epoch(mfa, enrolled.user_id) == before


def test_a_user_who_was_never_set_up_has_one_when_the_password_has_changed(mfa: MFA, ada: int) -> None:
    mfa.password_changed(ada)
    assert epoch(mfa, ada) is None  # There is nothing of this user, and no row is made.
    mfa.totp.begin(ada, account_name="ada@example.com")
    mfa.password_changed(ada)
    assert epoch(mfa, ada)


def test_a_password_change_with_a_proof_of_before_the_erasure_is_refused(mfa: MFA, enrolled: Enrolment) -> None:
    mfa.erase(enrolled.user_id)
    with pytest.raises(Stale):
        mfa.password_changed(enrolled.user_id, verified=enrolled.verified)
    assert mfa.password_changed(enrolled.user_id) == 0
