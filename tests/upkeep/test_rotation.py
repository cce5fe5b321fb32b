"""Keys are rotated while logins go on."""

from __future__ import annotations

import pytest

from tests.people import FIREFOX, Clock, Open, Sql, enroll, log_in
from twofold.keyring import generate_key


@pytest.mark.requirement("R90")
def test_a_rotation_moves_every_row_and_shows_what_still_needs_the_old_key(
    open_mfa: Open, ada: int, grace: int, clock: Clock, keys: str
) -> None:
    mfa = open_mfa()
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    new = generate_key("k2")
    both = open_mfa(keys=f"{new},{keys}")
    (k2, k1) = both.keys.status()
    assert (k2.is_active, k2.secrets, k1.secrets, k1.states, k1.backup_codes) == (True, 0, 2, 2, 20)

    first = both.keys.rotate(limit=1)
    assert (first.done, first.skipped) == (1, ())
    assert log_in(both, ada, adas.phone.code())
    second = both.keys.rotate(after=first.last_id or 0, limit=1)
    assert second.done == 1
    assert both.keys.rotate(after=second.last_id or 0).last_id is None

    (k2, k1) = both.keys.status()
    assert (k1.secrets, k1.states, k2.secrets, k2.states) == (0, 0, 2, 2)
    assert k1.is_needed
    for user, enrolment in ((ada, adas), (grace, graces)):
        verified = log_in(both, user, enrolment.backup_codes[0])
        both.backup_codes.regenerate(verified)
        assert both.events.verify(user).is_intact
    (_, k1) = both.keys.status()
    assert not k1.is_needed

    new_alone = open_mfa(keys=new)
    clock.forward(seconds=60)
    assert log_in(new_alone, grace, graces.phone.code())


@pytest.mark.requirement("R90")
def test_a_waiting_enrolment_and_a_trusted_device_survive(open_mfa: Open, ada: int, clock: Clock, keys: str) -> None:
    mfa = open_mfa()
    enrolment = enroll(mfa, ada, clock)
    verified = log_in(mfa, ada, enrolment.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    begun = mfa.totp.begin(ada, account_name="ada@example.com", verified=verified)
    new = generate_key("k2")
    both = open_mfa(keys=f"{new},{keys}")
    assert both.keys.rotate().done == 1
    cleared = both.challenge(ada, device_token=device.token, request=FIREFOX)
    assert not cleared
    assert both.totp.pending(ada, account_name="ada@example.com") == begun
    enrolment.phone.secret = begun.secret
    assert both.totp.confirm(ada, enrolment.phone.code())
    assert open_mfa(keys=new).status(ada).is_enrolled


@pytest.mark.requirement("R90")
def test_a_key_id_is_read_as_it_is_written(open_mfa: Open, ada: int, clock: Clock) -> None:
    """An underscore stands for itself, and not for any character."""
    old = generate_key("kx1")
    enroll(open_mfa(keys=old), ada, clock)
    both = open_mfa(keys=f"{generate_key('k_1')},{old}")
    assert both.keys.rotate().done == 1
    assert both.keys.rotate().done == 0


@pytest.mark.requirement("R90")
def test_a_row_that_does_not_open_is_named_and_left(
    open_mfa: Open, ada: int, clock: Clock, keys: str, sql: Sql
) -> None:
    enroll(open_mfa(), ada, clock)
    sql("UPDATE user_mfa_secrets SET failed_attempts = 3")
    before = sql("SELECT * FROM user_mfa_secrets")
    rotated = open_mfa(keys=f"{generate_key('k2')},{keys}").keys.rotate()
    assert (rotated.done, rotated.skipped) == (0, (str(ada),))
    assert sql("SELECT * FROM user_mfa_secrets") == before
