"""A key that is lost: an outage that is told and recorded, and never "no second factor"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.people import FIREFOX, challenged, enroll, kinds, log_in
from twofold import MissingKey, Rejected, Stale, WrongKey
from twofold.keyring import Keyring, generate_key
from twofold.tokens import Tombstone, read_tombstone, write_tombstone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.attacks.intruder import Intruder
    from tests.people import Clock, Open, Sql
    from twofold import MFA


@pytest.mark.requirement("R64", "R89")
def test_a_lost_key_is_an_outage_and_never_no_second_factor(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa()
    enrolment = enroll(mfa, ada, clock)
    verified = log_in(mfa, ada, enrolment.phone.code())
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    token, before = challenged(mfa, ada), kinds(mfa, ada)
    stranger = open_mfa(keys=generate_key("k9"))
    operations: list[Callable[[], Any]] = [
        lambda: stranger.challenge(ada),
        lambda: stranger.challenge(ada, device_token=device.token, request=FIREFOX),
        lambda: stranger.reverify(ada, enrolment.backup_codes[0]),
        lambda: stranger.status(ada),
        lambda: stranger.totp.begin(ada, account_name="ada@example.com"),
        lambda: stranger.reset(ada, by="grace@example.com", reason="a test"),
        lambda: stranger.events.verify(ada),
    ]
    for operation in operations:
        with pytest.raises(MissingKey, match="'k1'"):
            operation()
    # Its challenges are signed with the lost key as well, so there is nothing to answer.
    with pytest.raises(Rejected):
        stranger.verify(token, enrolment.backup_codes[0])
    assert kinds(mfa, ada) == before
    assert mfa.verify(token, enrolment.backup_codes[0])


@pytest.mark.requirement("R64", "R89")
def test_a_secret_under_a_lost_key_is_recorded_and_held_against_nobody(
    open_mfa: Open, ada: int, clock: Clock, keys: str, sql: Sql
) -> None:
    enrolment = enroll(open_mfa(), ada, clock)
    new = generate_key("k2")
    both = open_mfa(keys=f"{new},{keys}")
    token = challenged(both, ada)
    ((secret,),) = sql("SELECT secret FROM user_mfa_secrets")
    # The row is proven under the new key while its secret still needs the old one, as after half a rotation.
    assert secret.startswith("v1:k1:")
    new_alone = open_mfa(keys=new)
    with pytest.raises(MissingKey, match="'k1'"):
        new_alone.verify(token, enrolment.phone.code())
    latest = new_alone.events.recent(ada, limit=1)[0]
    assert (latest.kind, latest.status) == ("key_missing", "alarm")
    # Nothing was guessed, so whoever has the password may go on until the key is back, and fills no log with it.
    before = len(kinds(new_alone, ada))
    for _ in range(60):
        with pytest.raises(MissingKey, match="'k1'"):
            new_alone.verify(token, enrolment.phone.code())
    assert len(kinds(new_alone, ada)) - before < 50
    assert new_alone.status(ada).failed_attempts == 0
    assert both.verify(token, enrolment.phone.code())


@pytest.mark.requirement("R64", "R91")
def test_what_staging_wrote_means_nothing_in_production_though_they_share_keys(
    open_mfa: Open, ada: int, grace: int, clock: Clock
) -> None:
    staging, production = (open_mfa(deployment=name) for name in ("staging", "production"))
    adas, graces = enroll(staging, ada, clock), enroll(production, grace, clock)
    operations: list[Callable[[], Any]] = [
        lambda: production.challenge(ada),
        lambda: production.reverify(ada, adas.phone.code()),
        lambda: production.reset(ada, by="grace@example.com", reason="a test"),
        lambda: staging.status(grace),
        lambda: open_mfa().status(ada),
    ]
    for operation in operations:
        with pytest.raises(WrongKey, match="TWOFOLD_DEPLOYMENT"):
            operation()
    # Nor does what a browser brings along from there.
    with pytest.raises(Rejected):
        production.verify(challenged(staging, ada), graces.phone.code())
    for stranger, verified in ((production, adas.verified), (staging, graces.verified)):
        with pytest.raises(Stale):
            stranger.proof(verified.token)
    assert log_in(production, grace, graces.phone.code())
    assert log_in(staging, ada, adas.phone.code())


@pytest.mark.requirement("R64", "R89")
def test_nothing_is_ended_or_mended_under_a_wrong_key(
    open_mfa: Open, ada: int, grace: int, clock: Clock, intruder: Intruder
) -> None:
    mfa = open_mfa()
    adas, graces = enroll(mfa, ada, clock), enroll(mfa, grace, clock)
    clock.forward(days=2)
    verified, before = log_in(mfa, ada, adas.phone.code()), intruder.copy()

    def destructive(stranger: MFA) -> Iterator[Callable[[], Any]]:
        yield lambda: stranger.repair(ada, by="grace@example.com", reason="a hint")
        yield lambda: stranger.reset(ada, by="grace@example.com", reason="a hint")
        yield lambda: stranger.erase(ada)
        yield lambda: stranger.password_changed(ada)
        yield lambda: stranger.trusted_devices.revoke_all(ada)
        yield lambda: stranger.totp.begin(ada, account_name="ada@example.com", verified=verified)
        yield stranger.keys.rotate
        yield stranger.legacy.adopt
        yield lambda: stranger.events.prunable(clock.now)
        yield lambda: stranger.events.prune(ada, clock.now)

    for stranger in (open_mfa(keys=generate_key("k1")), open_mfa(deployment="staging")):
        for operation in destructive(stranger):
            with pytest.raises(WrongKey):
                operation()
            assert intruder.copy() == before
    clock.forward(seconds=60)
    assert log_in(mfa, ada, adas.phone.code())
    assert log_in(mfa, grace, graces.backup_codes[0])


@pytest.mark.requirement("R64", "R89")
def test_a_wrong_key_under_which_others_began_destroys_nothing_of_before(
    open_mfa: Open, ada: int, grace: int, clock: Clock, intruder: Intruder
) -> None:
    """While an application has the wrong key, new users set up under it, and their rows open."""
    mfa, stranger = open_mfa(), open_mfa(keys=generate_key("k1"))
    adas, graces = enroll(mfa, ada, clock), enroll(stranger, grace, clock)
    before = intruder.copy()
    for one, user_id in ((stranger, ada), (mfa, grace)):
        for operation in (
            lambda: one.repair(user_id, by="grace@example.com", reason="a hint"),  # noqa: B023 -- It is called here.
            lambda: one.erase(user_id),  # noqa: B023
        ):
            with pytest.raises(WrongKey, match="row and log of this user were written under another key"):
                operation()
            assert intruder.copy() == before
    assert log_in(mfa, ada, adas.phone.code())
    assert log_in(stranger, grace, graces.phone.code())


@pytest.mark.requirement("R64")
def test_one_row_that_names_another_key_is_erased_and_repaired_among_good_ones(
    open_mfa: Open, ada: int, grace: int, clock: Clock, sql: Sql
) -> None:
    mfa = open_mfa()
    for user_id in (ada, grace):
        enroll(mfa, user_id, clock)
    for operation in (lambda: mfa.repair(ada, by="grace@example.com", reason="altered"), lambda: mfa.erase(ada)):
        sql(
            "UPDATE user_mfa_secrets SET state_mac = :mac WHERE user_id = :id",
            mac=f"v1:k1:00000000:{'0' * 64}",
            id=ada,
        )
        # One line that names the same key as the row does not take the way back in from its owner.
        sql(
            "INSERT INTO mfa_events (user_id, event_type, event_status, created_at, mac) "
            "VALUES (:id, 'challenged', 'success', '2026-01-01 00:00:00', :mac)",
            mac=f"v1:k1:00000000:{'0' * 76}",
            id=ada,
        )
        with pytest.raises(WrongKey, match="or it was altered"):
            mfa.challenge(ada)
        operation()
        assert not mfa.challenge(ada)
    assert mfa.status(grace).is_enrolled


@pytest.mark.requirement("R90", "R102")
def test_a_retired_key_proves_what_was_and_opens_nothing(
    open_mfa: Open, ada: int, grace: int, clock: Clock, keys: str, sql: Sql
) -> None:
    old = open_mfa()
    adas, graces = enroll(old, ada, clock), enroll(old, grace, clock)
    token, proof = challenged(old, ada), log_in(old, grace, graces.phone.code()).token
    ring, new = Keyring.parse(keys), generate_key("k2")
    buried = write_tombstone(ring, Tombstone(7, 9, None, is_intact=True, at=clock.now))
    both, auditing, alone = open_mfa(keys=f"{new},{keys}"), open_mfa(keys=new, audit_keys=keys), open_mfa(keys=new)
    # What still needs the old key does not get it by this way.
    for operation in (lambda: auditing.challenge(ada), lambda: auditing.events.verify(ada)):
        with pytest.raises(MissingKey, match="'k1', which is in TWOFOLD_AUDIT_KEYS alone"):
            operation()
    both.keys.rotate()
    uses = {use.kid: use for use in auditing.keys.status()}
    assert list(uses) == ["k2", "k1"]
    assert (uses["k1"].is_audit, uses["k1"].is_configured, uses["k1"].backup_codes) == (True, False, 20)
    assert uses["k1"].events == len(old.events.export()) - 2

    for user_id in (ada, grace):
        assert auditing.events.verify(user_id).is_intact
        with pytest.raises(MissingKey, match=r"^Event 1 cannot be read\..*'k1'"):
            alone.events.verify(user_id)
    sql("UPDATE mfa_events SET event_status = 'refused' WHERE user_id = :id AND seq = 2", id=ada)
    assert auditing.events.verify(ada).problem == "event 2 was altered, or does not follow the one before"
    assert read_tombstone(Keyring.parse(new, audit=keys), buried) is not None
    assert read_tombstone(Keyring.parse(new), buried) is None
    with pytest.raises(Rejected):
        auditing.verify(token, adas.phone.code())
    with pytest.raises(Stale):
        auditing.proof(proof)
    with pytest.raises(Rejected):
        auditing.reverify(ada, adas.backup_codes[0])
    assert log_in(auditing, ada, adas.phone.code())
    assert kinds(auditing, ada)[-1] == "code_accepted"


@pytest.mark.parametrize("name", ["a b", "a/b", "é", "a\n", "x" * 65])
def test_a_deployment_has_a_plain_name(open_mfa: Open, name: str) -> None:
    with pytest.raises(ValueError, match="deployment"):
        open_mfa(deployment=name)
