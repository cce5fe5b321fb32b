"""A passkey from its registration to its end, and beside the other factors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.people import FIREFOX, ORIGIN, Clock, Enrolment, Open, Sql, challenged, enroll, kinds
from twofold import AlreadyEnrolled, Challenge, Cleared, EnrollmentExpired, Reason, Rejected, Stale
from twofold.errors import ConfigurationError, LastFactor, NotEnrolled, TooManyPasskeys
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from twofold import MFA, Registered, Verified

pytestmark = pytest.mark.passkeys


def registered(mfa: MFA, user_id: int, passkey: VirtualPasskey, **given: Any) -> Registered:
    """Register a passkey; a user with a factor gives the proof of it."""
    verified = given.pop("verified", None)
    asked = mfa.passkeys.begin(user_id, account_name="ada@example.com", verified=verified)
    return mfa.passkeys.confirm(user_id, passkey.register(asked), **given)


def asked(mfa: MFA, user_id: int) -> Challenge:
    challenge = mfa.challenge(user_id)
    assert isinstance(challenge, Challenge)
    return challenge


def signed_in(mfa: MFA, user_id: int, passkey: VirtualPasskey) -> Verified:
    challenge = asked(mfa, user_id)
    assert challenge.passkey_options is not None
    return mfa.verify(challenge.token, passkey.sign(challenge.passkey_options))


def refused(call: Any) -> Reason:
    with pytest.raises(Rejected) as error:
        call()
    return error.value.reason


def test_a_passkey_is_a_second_factor_from_its_registration_to_its_end(
    mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock
) -> None:
    first = registered(mfa, ada, passkey, request=FIREFOX)
    assert (first.passkey.name, len(first.backup_codes), first.verified.factor) == ("Firefox on Linux", 10, "passkeys")
    assert first.verified.amr == ("pwd", "hwk", "user", "mfa")
    challenge = asked(mfa, ada)
    assert challenge.factors == ("passkeys", "backup_codes")
    json.dumps(challenge.passkey_options)
    assert signed_in(mfa, ada, passkey).factor == "passkeys"
    assert mfa.reverify(ada, passkey.sign(mfa.passkeys.ask(ada))).user_id == ada

    other = VirtualPasskey(ORIGIN, can_sync=True, is_synced=True, counter=None, is_verified=False)
    verified = signed_in(mfa, ada, passkey)
    second = registered(mfa, ada, other, verified=verified, name="My phone")
    assert (second.passkey.name, second.passkey.is_synced, second.backup_codes) == ("My phone", True, ())
    for _ in range(3):
        assert signed_in(mfa, ada, other).amr == ("pwd", "swk", "mfa")
    assert mfa.passkeys.rename(ada, second.passkey.id, "A phone of mine")
    assert [one.name for one in mfa.passkeys.list(ada)] == ["A phone of mine", "Firefox on Linux"]
    clock.forward(seconds=1)
    epoch = mfa.status(ada).epoch
    assert mfa.passkeys.revoke(verified, first.passkey.id)
    assert not mfa.passkeys.revoke(verified, first.passkey.id)
    assert mfa.status(ada).epoch != epoch
    assert refused(lambda: signed_in(mfa, ada, passkey)) is Reason.PASSKEY_REFUSED
    with pytest.raises(LastFactor):
        mfa.passkeys.revoke(verified, second.passkey.id)
    assert mfa.verify(challenged(mfa, ada), first.backup_codes[0]).factor == "backup_codes"

    mfa.disable(verified)
    assert isinstance(mfa.challenge(ada), Cleared)
    assert not any(one.is_active for one in mfa.passkeys.list(ada))
    assert mfa.events.verify(ada).is_intact
    assert kinds(mfa, ada)[:3] == ["passkey_begun", "passkey_registered", "challenged"]
    for kind in ("passkey_renamed", "passkey_revoked", "disabled"):
        assert kind in kinds(mfa, ada)


def test_an_assertion_is_accepted_once(mfa: MFA, ada: int, passkey: VirtualPasskey) -> None:
    registered(mfa, ada, passkey)
    challenge = asked(mfa, ada)
    assert challenge.passkey_options is not None
    answer = passkey.sign(challenge.passkey_options)
    verified = mfa.verify(challenge.token, answer)
    assert refused(lambda: mfa.verify(challenge.token, answer)) is Reason.CHALLENGE_EXPIRED
    assert refused(lambda: mfa.verify(challenged(mfa, ada), answer)) is Reason.PASSKEY_REFUSED
    assert refused(lambda: mfa.reverify(ada, answer)) is Reason.PASSKEY_REFUSED
    # Only who sends the very same again, whose answer was lost, is told the same again.
    challenge = asked(mfa, ada)
    assert challenge.passkey_options is not None
    answer = passkey.sign(challenge.passkey_options)
    verified = mfa.verify(challenge.token, answer)
    again = mfa.repeat(challenge.token, answer)
    assert (again.at, again.amr) == (verified.at, verified.amr)
    ceremony = mfa.passkeys.ask(ada)
    step_up = passkey.sign(ceremony)
    assert mfa.reverify(ada, step_up)
    assert refused(lambda: mfa.reverify(ada, step_up)) is Reason.CODE_ALREADY_USED
    assert refused(lambda: mfa.verify(challenged(mfa, ada), passkey.sign(ceremony))) is Reason.PASSKEY_REFUSED


def test_what_a_login_waits_for_is_told_once_more(
    mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey, clock: Clock
) -> None:
    enrolled = enroll(mfa, grace, clock)
    assert mfa.passkeys.asked(challenged(mfa, grace)) is None
    registered(mfa, ada, passkey)
    challenge = asked(mfa, ada)
    assert mfa.passkeys.asked(challenge.token) == challenge.passkey_options
    assert mfa.passkeys.asked("no challenge") is None
    assert challenge.passkey_options is not None
    mfa.verify(challenge.token, passkey.sign(challenge.passkey_options))
    assert mfa.passkeys.asked(challenge.token) is None
    late = challenged(mfa, ada)
    clock.forward(minutes=11)
    assert mfa.passkeys.asked(late) is None
    assert mfa.passkeys.asked(challenged(mfa, enrolled.user_id)) is None


def test_passkeys_are_offered_where_there_is_all_they_need(mfa: MFA, open_mfa: Open, sql: Sql) -> None:
    assert mfa.passkeys.offered()
    assert not open_mfa().passkeys.offered()
    sql("DROP TABLE mfa_passkeys")
    assert not open_mfa(public_url=ORIGIN).passkeys.offered()


def test_a_copied_passkey_is_suspended_and_its_owner_told(mfa: MFA, ada: int, passkey: VirtualPasskey) -> None:
    codes = registered(mfa, ada, passkey).backup_codes
    thief = passkey.copied()
    signed_in(mfa, ada, passkey)
    signed_in(mfa, ada, passkey)
    assert refused(lambda: signed_in(mfa, ada, thief)) is Reason.PASSKEY_CLONED
    alarm = next(event for event in mfa.events.recent(ada) if event.kind == "passkey_cloned")
    assert (alarm.status, dict(alarm.details)) == (
        "alarm",
        {"passkey": "A browser on an unknown system", "counter": 1, "before": 2},
    )
    assert asked(mfa, ada).factors == ("backup_codes",)
    (suspended,) = mfa.passkeys.list(ada)
    assert suspended.suspended_at is not None
    assert not suspended.is_active
    verified = mfa.verify(challenged(mfa, ada), codes[0])
    registered(mfa, ada, VirtualPasskey(ORIGIN), verified=verified)
    assert mfa.passkeys.revoke(verified, suspended.id)


def test_a_counter_without_a_signature_alarms_nobody(mfa: MFA, ada: int, passkey: VirtualPasskey) -> None:
    registered(mfa, ada, passkey)
    signed_in(mfa, ada, passkey)
    forged = VirtualPasskey(ORIGIN, credential_id=passkey.credential_id, handle=passkey.handle)
    assert refused(lambda: signed_in(mfa, ada, forged)) is Reason.PASSKEY_REFUSED
    assert "passkey_cloned" not in kinds(mfa, ada)
    assert signed_in(mfa, ada, passkey)


def test_wrong_codes_and_passkeys_do_not_wait_for_each_other(
    mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock
) -> None:
    enrolled = enroll(mfa, ada, clock)
    registered(mfa, ada, passkey, verified=enrolled.verified)
    assert asked(mfa, ada).factors == ("passkeys", "totp", "backup_codes")
    for _ in range(6):
        refused(lambda: mfa.verify(challenged(mfa, ada), enrolled.phone.wrong_code()))
    failed = mfa.status(ada).failed_attempts
    stranger = VirtualPasskey(ORIGIN)
    assert refused(lambda: signed_in(mfa, ada, stranger)) is Reason.PASSKEY_REFUSED
    assert signed_in(mfa, ada, passkey)
    assert mfa.status(ada).failed_attempts == failed
    assert refused(lambda: mfa.verify(challenged(mfa, ada), enrolled.phone.code())) is Reason.WAITING


def test_app_and_passkeys_end_apart(mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock) -> None:
    enrolled = enroll(mfa, ada, clock)
    first = registered(mfa, ada, passkey, verified=enrolled.verified)
    assert first.backup_codes == ()
    mfa.totp.disable(enrolled.verified)
    status = mfa.status(ada)
    assert (status.is_enrolled, status.has_app, status.passkeys) == (True, False, 1)
    assert asked(mfa, ada).factors == ("passkeys", "backup_codes")
    assert refused(lambda: mfa.verify(challenged(mfa, ada), "123456")) is Reason.MALFORMED
    verified = signed_in(mfa, ada, passkey)
    with pytest.raises(AlreadyEnrolled):
        mfa.totp.begin(ada, account_name="ada@example.com")
    enrollment = mfa.totp.begin(ada, account_name="ada@example.com", verified=verified)
    assert enrollment.label == "ada@example.com"
    clock.forward(seconds=60)
    phone = type(enrolled.phone)(enrollment.secret, clock)
    proven = mfa.totp.confirm(ada, phone.code()).verified
    assert mfa.passkeys.revoke_all(proven) == 1
    assert asked(mfa, ada).factors == ("totp", "backup_codes")


@pytest.mark.parametrize("said", [{}, {"public_url": "https://example.org"}], ids=["no domain", "another domain"])
def test_a_process_without_the_domain_ends_no_passkey_with_the_app(
    mfa: MFA, open_mfa: Open, ada: int, passkey: VirtualPasskey, clock: Clock, said: dict[str, str]
) -> None:
    job, enrolled = open_mfa(**said), enroll(mfa, ada, clock)
    registered(mfa, ada, passkey, verified=enrolled.verified)
    before = kinds(mfa, ada)
    with pytest.raises(
        LastFactor, match=r"passkeys of example\.com, and no login asks for them here: set TWOFOLD_RP_ID"
    ):
        job.totp.disable(enrolled.verified)
    assert kinds(mfa, ada) == before
    assert signed_in(mfa, ada, passkey)
    # Whoever has none, or asks for the end of everything, is refused nothing.
    assert mfa.passkeys.revoke_all(enrolled.verified) == 1
    job.totp.disable(enrolled.verified)
    assert not mfa.status(ada).is_enrolled


@pytest.mark.requirement("R78")
def test_what_is_removed_takes_the_trust_of_browsers_along(mfa: MFA, ada: int, clock: Clock) -> None:
    enrolled, stolen, kept = enroll(mfa, ada, clock), VirtualPasskey(ORIGIN), VirtualPasskey(ORIGIN)
    first = registered(mfa, ada, stolen, verified=enrolled.verified).passkey
    registered(mfa, ada, kept, verified=enrolled.verified)

    def again() -> None:
        registered(mfa, ada, kept := VirtualPasskey(ORIGIN), verified=enrolled.verified)
        mfa.totp.disable(signed_in(mfa, ada, kept))

    # The thief of the key has a browser trusted, and then its owner ends one factor after the other.
    ends: list[tuple[Any, str]] = [
        (lambda: mfa.passkeys.revoke(signed_in(mfa, ada, kept), first.id), "a passkey was revoked"),
        (lambda: mfa.passkeys.revoke_all(signed_in(mfa, ada, kept)), "the passkeys were revoked"),
        (again, "the authenticator app was removed"),
    ]
    for end, why in ends:
        token = mfa.trusted_devices.trust(enrolled.verified, request=FIREFOX).token
        assert isinstance(mfa.challenge(ada, device_token=token, request=FIREFOX), Cleared)
        end()
        assert isinstance(mfa.challenge(ada, device_token=token, request=FIREFOX), Challenge), why
        (device,) = (line for line in mfa.events.recent(ada)[:3] if line.kind == "device_revoked")
        assert device.details == {"devices": 1, "reason": why}
    assert mfa.events.verify(ada).is_intact


def test_a_lost_answer_to_a_registration_is_given_again(
    mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey, clock: Clock
) -> None:
    ceremony = mfa.passkeys.begin(ada, account_name="ada@example.com", session="one")
    credential = passkey.register(ceremony)
    for session in (None, "two"):
        with pytest.raises(EnrollmentExpired):
            mfa.passkeys.confirm(ada, credential, session=session)
    first = mfa.passkeys.confirm(ada, credential, session="one")
    again = mfa.passkeys.confirm(ada, credential, session="one")
    assert (again.passkey, again.backup_codes, again.verified.amr) == (first.passkey, (), first.verified.amr)
    shown = mfa.backup_codes.shown(ada, session="one")
    assert shown is not None
    assert shown.codes == first.backup_codes
    another = VirtualPasskey(ORIGIN)
    ceremony = mfa.passkeys.begin(ada, account_name="ada@example.com", verified=first.verified)
    credential = another.register(ceremony)
    second = mfa.passkeys.confirm(ada, credential)
    assert mfa.passkeys.confirm(ada, credential).passkey == second.passkey
    assert len(mfa.passkeys.list(ada)) == 2
    clock.forward(seconds=31)
    with pytest.raises(EnrollmentExpired):
        mfa.passkeys.confirm(ada, credential)
    # Somebody else's credential is nobody else's.
    begun = mfa.passkeys.begin(grace, account_name="grace@example.com")
    assert refused(lambda: mfa.passkeys.confirm(grace, another.register(begun))) is Reason.PASSKEY_REFUSED
    clock.forward(minutes=11)
    with pytest.raises(EnrollmentExpired):
        mfa.passkeys.confirm(grace, VirtualPasskey(ORIGIN).register(begun))


def test_reset_erasure_and_a_new_password(mfa: MFA, ada: int, passkey: VirtualPasskey, sql: Sql) -> None:
    registered(mfa, ada, passkey)
    challenge = asked(mfa, ada)
    assert challenge.passkey_options is not None
    answer = passkey.sign(challenge.passkey_options)
    ceremony = mfa.passkeys.ask(ada)
    mfa.password_changed(ada)
    assert refused(lambda: mfa.verify(challenge.token, answer)) is Reason.CHALLENGE_EXPIRED
    assert refused(lambda: mfa.reverify(ada, passkey.sign(ceremony))) is Reason.CODE_ALREADY_USED
    assert signed_in(mfa, ada, passkey)
    mfa.reset(ada, by="an operator", reason="lost it")
    assert isinstance(mfa.challenge(ada), Cleared)
    with pytest.raises(NotEnrolled):
        mfa.passkeys.ask(ada)
    registered(mfa, ada, VirtualPasskey(ORIGIN))
    assert refused(lambda: signed_in(mfa, ada, passkey)) is Reason.PASSKEY_REFUSED
    mfa.erase(ada)
    assert sql("SELECT id FROM mfa_passkeys") == []


def test_what_is_altered_stops_passkeys_and_nothing_else(
    mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock, sql: Sql
) -> None:
    enrolled = enroll(mfa, ada, clock)
    registered(mfa, ada, passkey, verified=enrolled.verified)
    sql("UPDATE mfa_passkeys SET sign_count = 0, backup_eligible = true")
    assert asked(mfa, ada).factors == ("totp", "backup_codes")
    assert kinds(mfa, ada).count("rows_altered") == 1
    assert mfa.status(ada).altered == ("mfa_passkeys",)
    challenge = challenged(mfa, ada)
    assert mfa.passkeys.asked(challenge) is None
    answer = passkey.sign({"challenge": "", "rpId": "example.com"})
    assert refused(lambda: mfa.verify(challenge, answer)) is Reason.ALTERED
    verified = mfa.verify(challenged(mfa, ada), enrolled.phone.code())
    assert mfa.passkeys.revoke_all(verified) == 0
    assert mfa.status(ada).altered == ()
    assert registered(mfa, ada, VirtualPasskey(ORIGIN), verified=verified)
    assert kinds(mfa, ada).count("rows_altered") == 1


def test_a_rotation_reseals_passkeys(open_mfa: Open, ada: int, passkey: VirtualPasskey, keys: str, sql: Sql) -> None:
    mfa = open_mfa(public_url=ORIGIN)
    registered(mfa, ada, passkey)
    assert next(use.passkeys for use in mfa.keys.status() if use.kid == "k1") == 3
    rotated = open_mfa(public_url=ORIGIN, keys=f"{_second_key()},{keys}")
    assert signed_in(rotated, ada, passkey)
    done = rotated.keys.rotate()
    assert (done.done, done.skipped) == (1, ())
    assert next(use.passkeys for use in rotated.keys.status() if use.kid == "k1") == 0
    assert signed_in(rotated, ada, passkey)
    assert rotated.keys.rotate().done == 0


def _second_key() -> str:
    from twofold.keyring import generate_key

    return generate_key("k2")


def test_what_a_host_has_to_set_up_is_said(open_mfa: Open, ada: int) -> None:
    with pytest.raises(ConfigurationError, match="TWOFOLD_RP_ID"):
        open_mfa().passkeys.begin(ada, account_name="ada@example.com")
    for wrong in ({"rp_id": "Example.com"}, {"origins": "https://example.com/"}, {"origins": "http://example.com"}):
        with pytest.raises(Exception, match=r"rp_id|origins"):
            open_mfa(**wrong)
    with pytest.raises(Exception, match="origins"):
        open_mfa(rp_id="example.com", origins="https://example.org")
    mfa = open_mfa(rp_id="example.com", origins=f"https://login.example.com,android:apk-key-hash:{'A' * 43}")
    passkey = VirtualPasskey("https://login.example.com")
    assert registered(mfa, ada, passkey)
    passkey.origin = f"android:apk-key-hash:{'A' * 43}"
    assert signed_in(mfa, ada, passkey)
    passkey.origin = "https://example.com"
    assert refused(lambda: signed_in(mfa, ada, passkey)) is Reason.PASSKEY_REFUSED


def test_there_is_a_limit(open_mfa: Open, ada: int) -> None:
    mfa = open_mfa(public_url=ORIGIN, passkey_limit=2)
    verified = registered(mfa, ada, VirtualPasskey(ORIGIN)).verified
    registered(mfa, ada, VirtualPasskey(ORIGIN), verified=verified)
    with pytest.raises(TooManyPasskeys):
        mfa.passkeys.begin(ada, account_name="ada@example.com", verified=verified)


def test_managing_needs_a_fresh_proof(mfa: MFA, ada: int, passkey: VirtualPasskey, clock: Clock) -> None:
    first = registered(mfa, ada, passkey)
    with pytest.raises(AlreadyEnrolled):
        mfa.passkeys.begin(ada, account_name="ada@example.com")
    clock.forward(minutes=6)
    with pytest.raises(Stale):
        mfa.passkeys.begin(ada, account_name="ada@example.com", verified=first.verified)
    with pytest.raises(Stale):
        mfa.passkeys.revoke(first.verified, first.passkey.id)
    with pytest.raises(Stale):
        mfa.disable(first.verified)


@pytest.mark.parametrize("algorithm", [-7, -8, -257])
def test_every_algorithm_that_is_asked_for(mfa: MFA, ada: int, algorithm: Any) -> None:
    passkey = VirtualPasskey(ORIGIN, algorithm=algorithm)
    registered(mfa, ada, passkey)
    assert signed_in(mfa, ada, passkey)


def test_an_app_is_set_up_before_and_after(mfa: MFA, enrolled: Enrolment, passkey: VirtualPasskey) -> None:
    challenge = mfa.challenge(enrolled.user_id)
    assert isinstance(challenge, Challenge)
    assert (challenge.factors, challenge.passkey_options) == (("totp", "backup_codes"), None)
    with pytest.raises(NotEnrolled):
        mfa.passkeys.ask(enrolled.user_id)
    assert mfa.passkeys.list(enrolled.user_id) == ()
    assert mfa.passkeys.revoke_all(enrolled.verified) == 0
    assert registered(mfa, enrolled.user_id, passkey, verified=enrolled.verified)
