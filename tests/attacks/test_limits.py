"""What does not hold, shown as plainly as what does: the limits in docs/security/threat-model.md."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.attacks.intruder import CODES, DEVICES, EVENTS, SECRETS, refusal
from tests.attacks.witness import everything_heard
from tests.canaries import Canaries
from tests.people import FIREFOX, SAFARI, Clock, Enrolment, Open, Sql, challenged, enroll, log_in
from tests.upkeep.test_legacy import adopt_all, leave
from twofold import Challenge, Cleared, MissingKey, NotAdopted, Reason, Rejected, Stale, Tampered, tokens
from twofold.keyring import Keyring, canonical, generate_key
from twofold.totp.algorithm import Parameters, code_at, step_at

if TYPE_CHECKING:
    from tests.attacks.intruder import Intruder
    from twofold import MFA


def test_a_code_that_is_relayed_at_once_is_accepted(mfa: MFA, enrolled: Enrolment) -> None:
    """Whoever stands between Ada and the application has her password and her code, and is let in with both."""
    typed_into_the_wrong_page = enrolled.phone.code()
    token = challenged(mfa, enrolled.user_id, request=SAFARI)
    assert mfa.verify(token, typed_into_the_wrong_page, request=SAFARI).amr == ("pwd", "otp", "mfa")


def test_a_session_that_is_stolen_within_five_minutes_of_a_code_manages_the_factor(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    in_the_session = log_in(mfa, enrolled.user_id, enrolled.phone.code()).token
    clock.forward(minutes=4)
    mfa.totp.disable(mfa.proof(in_the_session))
    assert not mfa.status(enrolled.user_id).is_enrolled


def test_the_cookie_of_a_trusted_browser_works_elsewhere_until_its_owner_comes_back(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    cookie = mfa.trusted_devices.trust(verified, request=FIREFOX).token
    of_the_thief = replace(FIREFOX, ip_address="203.0.113.9")
    cleared = mfa.challenge(enrolled.user_id, device_token=cookie, request=of_the_thief)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    clock.forward(minutes=2)
    # The owner brings the token that the thief has used up. That alone may be an answer that was lost.
    assert mfa.challenge(enrolled.user_id, device_token=cookie, request=FIREFOX)
    assert mfa.trusted_devices.list(enrolled.user_id)[0].is_contested
    assert "device_theft" not in {event.kind for event in mfa.events.recent(enrolled.user_id)}
    # When the thief comes back, two have the cookie: both are asked from now on.
    assert mfa.challenge(enrolled.user_id, device_token=cleared.device.token, request=of_the_thief)
    assert mfa.trusted_devices.list(enrolled.user_id)[0].revoked_at is not None
    assert mfa.events.recent(enrolled.user_id, limit=2)[1].kind == "device_theft"


@pytest.mark.requirement("R20")
def test_whoever_has_the_password_begins_to_guess_anew_after_each_login_of_the_owner(
    mfa: MFA, enrolled: Enrolment, clock: Clock
) -> None:
    """The hundred failures are consecutive ones (NIST SP 800-63B-4 §3.2.2), so a patient guesser is not suspended."""
    guesses = 0
    for _ in range(3):
        clock.forward(days=1)
        end = clock.now + timedelta(days=1)
        while clock.now < end:
            with pytest.raises(Rejected) as refused:
                mfa.reverify(enrolled.user_id, enrolled.phone.wrong_code())
            guesses += 1
            clock.forward(seconds=(refused.value.retry_after or timedelta(0)).total_seconds())
        clock.forward(hours=1)
        log_in(mfa, enrolled.user_id, enrolled.phone.code())
    assert guesses > 100
    assert mfa.status(enrolled.user_id).failed_attempts == 0


def test_whoever_has_keys_and_database_makes_codes(
    mfa: MFA, enrolled: Enrolment, keys: str, clock: Clock, sql: Sql
) -> None:
    ((sealed,),) = sql("SELECT secret FROM user_mfa_secrets")
    place = canonical("user_mfa_secrets", "secret", enrolled.user_id, "SHA1", 6, 30, None)
    secret = Keyring.parse(keys).open(sealed, place)
    assert log_in(mfa, enrolled.user_id, code_at(secret, step_at(clock.now.timestamp(), Parameters()), Parameters()))


def test_whoever_has_the_keys_alone_makes_neither_a_proof_nor_a_challenge(
    mfa: MFA, enrolled: Enrolment, keys: str, clock: Clock
) -> None:
    """Both name the microsecond of the set-up, which only the database knows."""
    ring, guessed = Keyring.parse(keys), clock.now - timedelta(seconds=60, microseconds=1)
    proof = tokens.ProofToken(enrolled.user_id, "totp", clock.now, guessed, 2)
    with pytest.raises(Stale):
        mfa.proof(tokens.write_proof(ring, proof))
    mfa.challenge(enrolled.user_id)
    challenge = tokens.ChallengeToken(enrolled.user_id, 3, clock.now + timedelta(minutes=9), guessed)
    with pytest.raises(Rejected):
        mfa.verify(tokens.write_challenge(ring, challenge), enrolled.phone.code())


def test_a_database_that_is_brought_back_whole_brings_spent_codes_back(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    before = intruder.copy()
    log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    with pytest.raises(Rejected):
        log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])
    intruder.put_back(before)
    assert log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])


def test_all_rows_of_one_user_that_are_returned_to_one_earlier_moment_are_as_they_were_then(
    mfa: MFA, enrolled: Enrolment, grace: int, clock: Clock, intruder: Intruder
) -> None:
    """Every row of all four tables, and none of after it: nothing in the database tells of it."""
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    before = intruder.copy()
    log_in(mfa, ada, enrolled.backup_codes[0])
    mfa.password_changed(ada)
    graces = enroll(mfa, grace, clock)
    now = intruder.copy()
    intruder.put_back({name: before[name] + [row for row in now[name] if row["user_id"] == grace] for name in before})
    assert not mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert log_in(mfa, ada, enrolled.backup_codes[0])
    assert mfa.events.verify(ada).is_intact
    assert log_in(mfa, grace, graces.phone.code())


def test_a_proof_of_what_such_a_return_has_undone_counts_again_for_its_five_minutes(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder
) -> None:
    """It names a number of the row, and the steps that are taken instead use that number again."""
    ada, before = enrolled.user_id, intruder.copy()
    undone = mfa.reverify(ada, enrolled.backup_codes[0])
    intruder.put_back(before)
    with pytest.raises(Stale):
        mfa.proof(undone.token)
    mfa.challenge(ada)
    assert mfa.proof(undone.token).user_id == ada
    clock.forward(minutes=6)
    with pytest.raises(Stale):
        mfa.proof(undone.token)


@pytest.mark.parametrize("left_out", [SECRETS, CODES, DEVICES, EVENTS])
def test_whatever_is_left_out_of_such_a_return_gives_it_away(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, left_out: str
) -> None:
    ada = enrolled.user_id
    mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    before = intruder.copy()
    log_in(mfa, ada, enrolled.backup_codes[0])
    mfa.password_changed(ada)
    intruder.put_back({name: rows for name, rows in before.items() if name != left_out})
    assert not mfa.events.verify(ada).is_intact
    match left_out:
        case "user_mfa_secrets":
            assert set(mfa.status(ada).altered) == {CODES, DEVICES}
            with pytest.raises(Rejected):
                mfa.reverify(ada, enrolled.backup_codes[0])
        case "mfa_events":
            # The row meets its own later lines.
            for code in (enrolled.backup_codes[0], enrolled.phone.code(steps=1)):
                with pytest.raises(Tampered):
                    mfa.reverify(ada, code)
        case _:
            assert mfa.status(ada).altered == (left_out,)


def test_whoever_writes_to_the_database_shuts_a_user_out_and_removes_codes(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    """One row that is changed stops the codes, all rows that are deleted stop them too; the app has to do."""
    intruder.run("DELETE FROM mfa_backup_codes")
    challenge = mfa.challenge(enrolled.user_id)
    assert isinstance(challenge, Challenge)
    assert challenge.factors == ("totp",)
    assert refusal(mfa, enrolled.user_id, enrolled.backup_codes[0]) is Reason.ALTERED
    assert log_in(mfa, enrolled.user_id, enrolled.phone.code())
    intruder.run("UPDATE user_mfa_secrets SET state_mac = 'v1:k1:00'")
    with pytest.raises(Tampered):
        mfa.challenge(enrolled.user_id)


@pytest.mark.parametrize("legacy_rows", [False, True])
def test_rows_that_are_planted_ahead_of_their_adoption_are_taken_for_what_was_there(
    open_mfa: Open, ada: int, clock: Clock, intruder: Intruder, sql: Sql, *, legacy_rows: bool
) -> None:
    """Nothing in a row of before says who wrote it: a writer removes a user whole, and brings in one of his own."""
    enroll(open_mfa(), ada, clock)
    for table in (EVENTS, DEVICES, CODES, SECRETS):
        intruder.run(f"DELETE FROM {table}")
    planted = leave(sql, ada, clock)
    mfa = open_mfa(legacy_rows=legacy_rows)
    if not legacy_rows:
        with pytest.raises(NotAdopted):
            mfa.challenge(ada)
        adopt_all(mfa)
    assert not mfa.challenge(ada, device_token=planted.cookie, request=FIREFOX)
    assert log_in(mfa, ada, planted.phone.code()).amr == ("pwd", "otp", "mfa")
    assert log_in(mfa, ada, planted.codes[0])
    assert mfa.events.verify(ada).is_intact


def test_whoever_deletes_all_rows_of_a_user_deletes_the_factor(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    """Nothing is left to notice it by but a checkpoint, as tests/attacks/test_checkpoints.py shows."""
    for table in ("mfa_events", "mfa_device_trusts", "mfa_backup_codes", "user_mfa_secrets"):
        intruder.run(f"DELETE FROM {table}")
    assert not mfa.challenge(enrolled.user_id)


def test_an_operator_removes_a_factor_under_any_name(mfa: MFA, enrolled: Enrolment) -> None:
    mfa.reset(enrolled.user_id, by="somebody who is not me", reason="none that is true")
    assert not mfa.challenge(enrolled.user_id)


def test_whoever_asks_a_value_for_its_fields_is_given_them(mfa: MFA, ada: int, clock: Clock) -> None:
    """Frameworks turn dataclasses into JSON by their fields: what an application returns, it shows."""
    enrolment = enroll(mfa, ada, clock)
    assert enrolment.verified.token in asdict(enrolment.verified).values()


def test_an_engine_that_echoes_rows_shows_the_plain_secrets_of_before(
    open_mfa: Open, ada: int, clock: Clock, sql: Sql
) -> None:
    """Until they are sealed they stand in the table as they are, and `echo="debug"` shows what stands there."""
    older, canaries = leave(sql, ada, clock), Canaries()
    canaries.hide_secret(older.phone.secret)
    with everything_heard() as heard:
        mfa = open_mfa(legacy_rows=True)
        mfa.challenge(ada)
        assert canaries.seen_in(heard.said.getvalue())
        heard.said.truncate(0)
        mfa.challenge(ada)
        assert canaries.seen_in(heard.said.getvalue()) == []


def test_a_key_that_is_lost_with_its_backup_loses_every_factor(open_mfa: Open, ada: int, clock: Clock) -> None:
    enroll(open_mfa(), ada, clock)
    without = open_mfa(keys=generate_key("k2"))
    with pytest.raises(MissingKey, match="'k1'"):
        without.repair(ada, by="grace@example.com", reason="the keys may be somewhere")
    without.repair(ada, by="grace@example.com", reason="the keys are gone", keys_lost=True)
    assert not without.challenge(ada)


def test_a_database_and_keys_of_different_days_are_an_outage_until_they_fit(
    open_mfa: Open, ada: int, grace: int, clock: Clock, keys: str, intruder: Intruder, caplog: pytest.LogCaptureFixture
) -> None:
    """A backup that comes back with keys of another day opens nothing for anybody, and says which key is not there."""
    newer = generate_key("k2")
    yesterday, today, tomorrow = keys, f"{newer},{keys}", newer
    adas, graces = (enroll(open_mfa(keys=yesterday), user_id, clock) for user_id in (ada, grace))
    old = intruder.copy()
    rotating = open_mfa(keys=today)
    while rotating.keys.rotate().last_id is not None:
        pass
    log_in(rotating, ada, adas.phone.code())
    new = intruder.copy()

    def is_an_outage(mfa: MFA, kid: str) -> None:
        caplog.clear()
        for enrolment in (adas, graces):
            for code in (enrolment.phone.code(), enrolment.backup_codes[0]):
                with pytest.raises(MissingKey, match=f"'{kid}'"):
                    mfa.reverify(enrolment.user_id, code)
            with pytest.raises(MissingKey, match=f"'{kid}'"):
                mfa.challenge(enrolment.user_id)
        assert {record.levelname for record in caplog.records if record.name == "twofold"} == {"CRITICAL"}

    # The keys of yesterday with the database of today, and the other way around.
    is_an_outage(open_mfa(keys=yesterday), "k2")
    intruder.put_back(old)
    is_an_outage(open_mfa(keys=tomorrow), "k1")
    # Another key of the same name is an outage as well.
    is_an_outage(open_mfa(keys=generate_key("k1")), "k1")
    # With both keys each of the two databases goes on where it was, the old one with the codes that were spent since.
    clock.forward(seconds=60)
    assert log_in(open_mfa(keys=today), ada, adas.phone.code())
    intruder.put_back(new)
    assert log_in(open_mfa(keys=today), grace, graces.phone.code())
    # What nobody can hash anew needs the old key for as long as it is there: such codes are then wrong ones.
    assert refusal(open_mfa(keys=tomorrow), grace, graces.backup_codes[0]) is Reason.WRONG_CODE
    assert log_in(open_mfa(keys=today), grace, graces.backup_codes[0])
