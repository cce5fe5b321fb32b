"""What a review of an earlier design got in by, and does not any more: one row seals all that an answer rests on."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic import command

from tests.attacks.cutter import Cutter
from tests.attacks.intruder import CODES, DEVICES, SECRETS, Intruder, alarms, refusal
from tests.databases import Database, alembic_config
from tests.people import (
    FIREFOX,
    SAFARI,
    Clock,
    Enrolment,
    Phone,
    add_user,
    challenged,
    enroll,
    kinds,
    log_in,
    plain_settings,
)
from tests.servers import postgresql_pair
from tests.upkeep.test_legacy import EARLIER, adopt_all, leave
from twofold import (
    MFA,
    AlreadyEnrolled,
    Challenge,
    Cleared,
    ConfigurationError,
    DatabaseUnavailable,
    EnrollmentExpired,
    MFAError,
    MissingKey,
    NotAdopted,
    Reason,
    Rejected,
    Stale,
    Tampered,
    Verified,
    tokens,
)
from twofold.database import create_engine
from twofold.keyring import Keyring, generate_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.people import Open, Sql
    from tests.upkeep.test_legacy import Older

PLANTED = "PWNED123"


def bare(code: str) -> str:
    """What an application without Twofold kept of a code."""
    return hashlib.sha256(code.replace("-", "").encode()).hexdigest()


def spelled_out(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the operator's log says at its loudest."""
    return [record.getMessage() for record in caplog.records if (record.name, record.levelname) == _ALARM]


_ALARM = ("twofold", "CRITICAL")


# Backup codes of before Twofold.


@pytest.fixture
def older(mfa: MFA, ada: int, clock: Clock, sql: Sql) -> Older:
    """Ada, who came with a secret, two codes and a browser, and was adopted."""
    left = leave(sql, ada, clock)
    adopt_all(mfa)
    return left


@pytest.mark.requirement("R32", "R34")
@pytest.mark.attack("A8")
@pytest.mark.parametrize(
    "plant",
    [
        "INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES (:ada, :hash, '2026-11-01 08:00:00')",
        "UPDATE mfa_backup_codes SET code_hash = :hash WHERE user_id = :ada AND code_hash LIKE 'v1:%' AND id = 1",
    ],
    ids=["a row of its own", "in the place of another"],
)
def test_a_hash_of_before_that_is_planted_after_the_adoption_opens_nothing(
    mfa: MFA, older: Older, intruder: Intruder, clock: Clock, plant: str
) -> None:
    intruder.run(plant, ada=older.user_id, hash=bare(PLANTED))
    for code in (PLANTED, *older.codes, PLANTED):
        assert refusal(mfa, older.user_id, code) is Reason.ALTERED
    assert alarms(mfa, older.user_id) == [CODES]
    report = mfa.events.verify(older.user_id)
    assert report.problem == f"the user's rows in {CODES} are not those that the user's row names"
    # The app goes on, and with it the owner ends what was planted.
    fresh = mfa.backup_codes.regenerate(log_in(mfa, older.user_id, older.phone.code()))
    # None of her codes has that form any more.
    assert refusal(mfa, older.user_id, PLANTED) is Reason.MALFORMED
    clock.forward(seconds=60)
    assert log_in(mfa, older.user_id, fresh[0])
    assert mfa.events.verify(older.user_id).is_intact


def test_a_hash_of_before_that_is_planted_at_somebody_who_never_had_one_opens_nothing(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    intruder.run(
        "INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES (:ada, :hash, '2026-11-01 08:00:00')",
        ada=enrolled.user_id,
        hash=bare(PLANTED),
    )
    # None of her codes has that form, and beside what was planted none of them is accepted.
    assert refusal(mfa, enrolled.user_id, PLANTED) is Reason.MALFORMED
    assert refusal(mfa, enrolled.user_id, enrolled.backup_codes[0]) is Reason.ALTERED
    assert refusal(mfa, enrolled.user_id, PLANTED) is Reason.MALFORMED
    assert alarms(mfa, enrolled.user_id) == [CODES]


@pytest.mark.requirement("R32", "R87")
@pytest.mark.attack("A9")
@pytest.mark.parametrize("of_before", [False, True])
def test_an_adopted_code_of_one_user_is_worth_nothing_at_another(
    mfa: MFA, older: Older, grace: int, clock: Clock, intruder: Intruder, sql: Sql, *, of_before: bool
) -> None:
    """Neither the hash that stands there now, nor the one that an old backup shows."""
    eve, was = leave(sql, grace, clock), bare("EVES-2345")
    change = "UPDATE mfa_backup_codes SET code_hash = :was WHERE user_id = :eve AND code_hash = :old"
    sql(change, was=was, eve=grace, old=bare(eve.codes[0]))
    adopt_all(mfa)
    assert refusal(mfa, older.user_id, "EVES-2345") is Reason.WRONG_CODE
    now = min(row["code_hash"] for row in intruder.copy(CODES)[CODES] if row["user_id"] == grace)
    for taken in (was,) if of_before else (now, was):
        intruder.run(
            "INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES (:ada, :hash, '2026-11-01 08:00:00')",
            ada=older.user_id,
            hash=taken,
        )
    assert refusal(mfa, older.user_id, "EVES-2345") is Reason.ALTERED
    assert log_in(mfa, grace, "EVES-2345")


@pytest.mark.requirement("R34", "R38")
@pytest.mark.attack("A8")
def test_a_code_that_was_spent_or_expired_before_the_adoption_stays_so(
    mfa: MFA, ada: int, clock: Clock, sql: Sql, intruder: Intruder
) -> None:
    older = leave(sql, ada, clock)
    sql(
        "UPDATE mfa_backup_codes SET is_used = true, used_at = :at WHERE code_hash = :hash",
        at=EARLIER,
        hash=bare(older.codes[0]),
    )
    sql(
        "UPDATE mfa_backup_codes SET expires_at = :at WHERE code_hash = :hash",
        at="2026-11-02 08:00:00",
        hash=bare(older.codes[1]),
    )
    adopt_all(mfa)
    assert refusal(mfa, ada, older.codes[0]) is Reason.CODE_ALREADY_USED
    assert refusal(mfa, ada, older.codes[1]) is Reason.WRONG_CODE
    assert mfa.backup_codes.remaining(ada) == 0
    for change in ("is_used = false, used_at = NULL", "expires_at = NULL", "expires_at = '2099-01-01 00:00:00'"):
        untouched = intruder.copy(CODES)
        intruder.run(f"UPDATE mfa_backup_codes SET {change}")
        for code in older.codes:
            assert refusal(mfa, ada, code) is Reason.ALTERED
        intruder.put_back(untouched)
    assert len(alarms(mfa, ada)) == 3
    assert log_in(mfa, ada, older.phone.code())


@pytest.mark.requirement("R32")
def test_a_code_of_before_that_expires_later_works_until_then(mfa: MFA, ada: int, clock: Clock, sql: Sql) -> None:
    older = leave(sql, ada, clock)
    sql("UPDATE mfa_backup_codes SET expires_at = :at", at="2026-11-23 08:00:00")
    adopt_all(mfa)
    assert log_in(mfa, ada, older.codes[0])
    clock.forward(days=1)
    assert refusal(mfa, ada, older.codes[1]) is Reason.WRONG_CODE
    assert mfa.backup_codes.remaining(ada) == 0


@pytest.mark.requirement("R32")
def test_no_bare_hash_is_left_of_a_code_once_it_is_adopted(mfa: MFA, older: Older, intruder: Intruder) -> None:
    """Spent ones included: nobody can try eight letters against what stands there, nor find one code at two users."""
    everything = str(intruder.copy())
    assert all(bare(code) not in everything for code in older.codes)
    assert {row["code_hash"].partition(":")[0] for row in intruder.copy(CODES)[CODES]} == {"v1"}


# Lines of the log.


@pytest.mark.requirement("R34", "R36", "R78", "R102")
@pytest.mark.attack("A8", "A21")
def test_no_line_of_the_log_brings_anything_back_whatever_it_is_renamed_to(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock
) -> None:
    """And whoever puts everything right after trying has not been in, and leaves alarms in an intact chain."""
    ada = enrolled.user_id
    verified = log_in(mfa, ada, enrolled.backup_codes[1])
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    before = intruder.copy(CODES, DEVICES)
    log_in(mfa, ada, enrolled.backup_codes[0])
    mfa.password_changed(ada)
    rows = intruder.copy(CODES, DEVICES)
    intruder.put_back(before)
    lines = {event.seq: event.kind for event in mfa.events.recent(ada)}
    renaming = "UPDATE mfa_events SET event_type = :kind WHERE seq = :seq"
    for seq, was in lines.items():
        for kind in ("totp_begun", "totp_confirmed", "device_trusted") if seq > 6 else ("backup_codes_regenerated",):
            intruder.run(renaming, kind=kind, seq=seq)
            assert refusal(mfa, ada, enrolled.backup_codes[0]) is Reason.ALTERED
            assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
            with pytest.raises(Stale):
                mfa.proof(verified.token)
            intruder.run(renaming, kind=was, seq=seq)
    intruder.put_back(rows)
    assert mfa.events.verify(ada).is_intact
    assert alarms(mfa, ada) == [CODES, DEVICES]
    clock.forward(seconds=60)
    assert log_in(mfa, ada, enrolled.phone.code())


@pytest.mark.requirement("R36", "R78")
def test_an_emptied_log_brings_nothing_back_either(mfa: MFA, enrolled: Enrolment, intruder: Intruder) -> None:
    ada = enrolled.user_id
    verified = log_in(mfa, ada, enrolled.backup_codes[1])
    device = mfa.trusted_devices.trust(verified, request=FIREFOX)
    before = intruder.copy(CODES, DEVICES)
    log_in(mfa, ada, enrolled.backup_codes[0])
    mfa.password_changed(ada)
    intruder.put_back(before)
    intruder.run("DELETE FROM mfa_events")
    assert refusal(mfa, ada, enrolled.backup_codes[0]) is Reason.ALTERED
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    with pytest.raises(Stale):
        mfa.proof(verified.token)


# Marks of a device's row.


@pytest.mark.requirement("R75", "R78")
@pytest.mark.attack("A21")
def test_a_device_that_was_idle_for_too_long_is_not_brought_back_by_its_last_use(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder
) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    clock.forward(days=20)
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    intruder.run(
        "UPDATE mfa_device_trusts SET last_used_at = '2026-12-12 11:00:00', created_at = '2026-12-12 11:00:00'"
    )
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    assert alarms(mfa, ada) == [DEVICES]


@pytest.mark.requirement("R75", "R78")
@pytest.mark.attack("A21")
def test_an_old_token_is_not_made_good_by_the_marks_of_a_rotation(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder
) -> None:
    """Nor is the theft that it tells of silenced: whoever writes the marks ends the trust."""
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    old = intruder.copy(DEVICES)[DEVICES][0]["trust_token"]
    clock.forward(hours=5)
    cleared = mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    clock.forward(hours=1)
    for moment in ("2099-01-01 00:00:00", "2026-11-22 18:01:05"):
        intruder.run("UPDATE mfa_device_trusts SET previous_token = :old, rotated_at = :moment", old=old, moment=moment)
        for token in (device.token, cleared.device.token):
            assert isinstance(mfa.challenge(ada, device_token=token, request=FIREFOX), Challenge)
    assert alarms(mfa, ada) == [DEVICES, DEVICES]


@pytest.mark.requirement("R75")
@pytest.mark.attack("A21")
def test_a_cookie_that_was_copied_opens_no_other_browser_whose_name_is_wiped_out(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder
) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=SAFARI), Challenge)
    intruder.run("UPDATE mfa_device_trusts SET browser = NULL, platform = NULL")
    for request in (SAFARI, FIREFOX):
        assert isinstance(mfa.challenge(ada, device_token=device.token, request=request), Challenge)
    assert alarms(mfa, ada) == [DEVICES]


@pytest.mark.requirement("R75")
def test_a_rotation_that_is_still_to_come_gives_no_grace(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    """A clock that went back does not keep an old token good: it is then a copy like any other."""
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    clock.forward(hours=1)
    cleared = mfa.challenge(ada, device_token=device.token, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    clock.forward(minutes=-30)
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
    assert kinds(mfa, ada)[-2:] == ["device_contested", "challenged"]
    assert isinstance(mfa.challenge(ada, device_token=cleared.device.token, request=FIREFOX), Challenge)
    assert kinds(mfa, ada)[-2:] == ["device_theft", "challenged"]


# A password that was changed.


@pytest.mark.requirement("R45", "R46")
@pytest.mark.attack("A14")
@pytest.mark.parametrize("session", [None, "a thief's"])
def test_a_set_up_that_was_begun_before_the_password_was_changed_cannot_be_confirmed_after_it(
    mfa: MFA, enrolled: Enrolment, clock: Clock, sql: Sql, session: str | None
) -> None:
    ada = enrolled.user_id
    verified = mfa.reverify(ada, enrolled.phone.code())
    begun = mfa.totp.begin(ada, account_name="ada@example.com", verified=verified, session=session)
    thiefs = Phone(begun.secret, clock)
    mfa.password_changed(ada)
    clock.forward(minutes=1)
    with pytest.raises(EnrollmentExpired):
        mfa.totp.pending(ada, account_name="ada@example.com", session=session)
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(ada, thiefs.code(), session=session)
    assert not mfa.status(ada).is_pending
    assert sql("SELECT pending_secret, pending_at FROM user_mfa_secrets") == [(None, None)]
    assert log_in(mfa, ada, enrolled.phone.code())


@pytest.mark.requirement("R45")
def test_a_first_set_up_ends_with_the_password_as_well(mfa: MFA, ada: int, clock: Clock) -> None:
    begun = mfa.totp.begin(ada, account_name="ada@example.com")
    mfa.password_changed(ada)
    with pytest.raises(EnrollmentExpired):
        mfa.totp.confirm(ada, Phone(begun.secret, clock).code())
    assert not mfa.challenge(ada)


# Users of before, who were not adopted yet.


@dataclass
class NotYet:
    """Ada, whom nobody adopted, and tokens in her name that only the holder of the keys could have made."""

    older: Older
    challenge: str
    verified: Verified

    @classmethod
    def of(cls, older: Older, keys: str, clock: Clock) -> NotYet:
        # Of an enrolment that there never was: a new one begins with the adoption.
        ring, ada, enabled_at = Keyring.parse(keys), older.user_id, clock.now - timedelta(days=1)
        waiting = tokens.ChallengeToken(ada, 1, clock.now + timedelta(minutes=9), enabled_at)
        proven = tokens.write_proof(ring, tokens.ProofToken(ada, "totp", clock.now, enabled_at, 1))
        return cls(older, tokens.write_challenge(ring, waiting), Verified(ada, "totp", clock.now, (), proven))


OPERATIONS: dict[str, Callable[[MFA, NotYet], Any]] = {
    "challenge": lambda mfa, it: mfa.challenge(it.older.user_id),
    "challenge with a cookie": lambda mfa, it: mfa.challenge(it.older.user_id, device_token=it.older.cookie),
    "verify": lambda mfa, it: mfa.verify(it.challenge, it.older.phone.code()),
    "verify on paper": lambda mfa, it: mfa.verify(it.challenge, it.older.codes[0]),
    "reverify": lambda mfa, it: mfa.reverify(it.older.user_id, it.older.phone.code()),
    "proof": lambda mfa, it: mfa.proof(it.verified.token),
    "status": lambda mfa, it: mfa.status(it.older.user_id),
    "reset": lambda mfa, it: mfa.reset(it.older.user_id, by="grace@example.com", reason="lost phone"),
    "password_changed": lambda mfa, it: mfa.password_changed(it.older.user_id),
    "begin": lambda mfa, it: mfa.totp.begin(it.older.user_id, account_name="ada@example.com"),
    "pending": lambda mfa, it: mfa.totp.pending(it.older.user_id, account_name="ada@example.com"),
    "confirm": lambda mfa, it: mfa.totp.confirm(it.older.user_id, it.older.phone.code()),
    "disable": lambda mfa, it: mfa.totp.disable(it.verified),
    "regenerate": lambda mfa, it: mfa.backup_codes.regenerate(it.verified),
    "remaining": lambda mfa, it: mfa.backup_codes.remaining(it.older.user_id),
    "trust": lambda mfa, it: mfa.trusted_devices.trust(it.verified),
    "list": lambda mfa, it: mfa.trusted_devices.list(it.older.user_id),
    "rename": lambda mfa, it: mfa.trusted_devices.rename(it.older.user_id, 1, "laptop"),
    "revoke": lambda mfa, it: mfa.trusted_devices.revoke(it.older.user_id, 1),
    "revoke_all": lambda mfa, it: mfa.trusted_devices.revoke_all(it.older.user_id),
}
BY_PROOF = {"proof", "disable", "regenerate", "trust"}
EXPECTED: dict[str, type[MFAError]] = {
    "begin": AlreadyEnrolled,
    "pending": EnrollmentExpired,
    "confirm": EnrollmentExpired,
    "verify": Rejected,
    "verify on paper": Rejected,
}
"""What an operation answers to her once she is adopted, who has neither a proof nor a challenge nor a set-up."""


@pytest.mark.requirement("R64")
@pytest.mark.parametrize("has_row", [True, False])
def test_every_operation_for_a_user_who_is_not_adopted_yet_says_so_and_gives_no_alarm(
    mfa: MFA,
    ada: int,
    clock: Clock,
    keys: str,
    sql: Sql,
    intruder: Intruder,
    caplog: pytest.LogCaptureFixture,
    *,
    has_row: bool,
) -> None:
    not_yet = NotYet.of(leave(sql, ada, clock), keys, clock)
    if not has_row:
        sql("DELETE FROM user_mfa_secrets")
    before = intruder.copy()
    for name, operation in OPERATIONS.items():
        with pytest.raises(NotAdopted, match="import-legacy"):
            operation(mfa, not_yet)
        assert intruder.copy() == before, name
    assert spelled_out(caplog) == []


@pytest.mark.requirement("R64")
def test_every_operation_adopts_on_the_way_where_that_is_allowed(
    open_mfa: Open,
    ada: int,
    clock: Clock,
    keys: str,
    sql: Sql,
    intruder: Intruder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mfa, not_yet = open_mfa(legacy_rows=True), NotYet.of(leave(sql, ada, clock), keys, clock)
    expected = EXPECTED | dict.fromkeys(BY_PROOF, Stale)
    strict, left = open_mfa(), intruder.copy()
    for name, operation in OPERATIONS.items():
        with pytest.raises(expected[name]) if name in expected else contextlib.nullcontext():
            operation(mfa, not_yet)
        assert kinds(strict, ada)[0] == "adopted"
        assert strict.status(ada).is_enrolled is (name != "reset")
        assert strict.events.verify(ada).is_intact
        assert spelled_out(caplog) == []
        intruder.put_back(left)


def test_a_rotation_passes_over_users_who_are_not_adopted_yet_and_gives_no_alarm(
    open_mfa: Open, ada: int, grace: int, clock: Clock, keys: str, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    enroll(open_mfa(), ada, clock)
    leave(sql, grace, clock)
    mfa = open_mfa(keys=f"{generate_key('k2')},{keys}")
    done, skipped, after = 0, tuple[str, ...](), 0
    while True:
        batch = mfa.keys.rotate(after=after, limit=2)
        done, skipped = done + batch.done, skipped + batch.skipped
        if batch.last_id is None:
            break
        after = batch.last_id
    assert (done, skipped) == (1, ())
    assert spelled_out(caplog) == []
    with pytest.raises(NotAdopted):
        mfa.challenge(grace)


@pytest.mark.requirement("R64")
@pytest.mark.parametrize("legacy_rows", [False, True])
def test_whoever_verifies_repairs_or_erases_does_not_adopt_on_the_way(
    open_mfa: Open, ada: int, grace: int, clock: Clock, sql: Sql, keys: str, *, legacy_rows: bool
) -> None:
    mfa = open_mfa(legacy_rows=legacy_rows)
    for user_id in (ada, grace):
        leave(sql, user_id, clock)
    report = mfa.events.verify(ada)
    assert (report.is_intact, report.length) == (True, 0)
    assert kinds(open_mfa(), ada) == []
    mfa.repair(ada, by="grace@example.com", reason="nobody knows this app")
    assert kinds(mfa, ada) == ["repaired"]
    assert not mfa.status(ada).is_enrolled
    erased = mfa.erase(grace)
    tombstone = tokens.read_tombstone(Keyring.parse(keys), erased.tombstone)
    assert tombstone is not None
    assert (erased.events, tombstone.count) == (0, 0)
    assert sql("SELECT count(*) FROM user_mfa_secrets") == [(1,)]


@pytest.mark.requirement("R78")
def test_a_changed_password_ends_the_cookie_of_a_user_who_was_not_adopted_yet(
    open_mfa: Open, ada: int, clock: Clock, sql: Sql
) -> None:
    mfa, older = open_mfa(legacy_rows=True), leave(sql, ada, clock)
    assert mfa.password_changed(ada) == 1
    assert isinstance(mfa.challenge(ada, device_token=older.cookie, request=FIREFOX), Challenge)
    assert log_in(mfa, ada, older.phone.code())


# Guesses that would not count.


def test_a_set_up_cannot_be_guessed_in_the_transaction_of_a_caller_who_rolls_back(
    mfa: MFA, ada: int, clock: Clock, migrated: Database, keys: str
) -> None:
    begun = mfa.totp.begin(ada, account_name="ada@example.com")
    phone, engine = Phone(begun.secret, clock), migrated.engine()
    host = MFA(engine, plain_settings(keys=keys), clock=clock)
    for code in (phone.wrong_code(), phone.code()):
        with engine.connect() as connection:
            with pytest.raises(ConfigurationError, match="may_guess"):
                host.within(connection).totp.confirm(ada, code)
            connection.rollback()
    assert kinds(mfa, ada) == ["totp_begun"]
    with engine.connect() as connection:
        host.within(connection, may_guess=True).totp.confirm(ada, phone.code())
        connection.rollback()
    assert mfa.totp.confirm(ada, phone.code())


# Challenges of long ago.


@pytest.mark.requirement("R44")
@pytest.mark.parametrize("what", ["nothing", "the factor was turned off", "the account was erased", "the row is odd"])
def test_a_challenge_of_long_ago_writes_nothing_whatever_became_of_its_user(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder, what: str
) -> None:
    token = challenged(mfa, enrolled.user_id)
    if what == "the factor was turned off":
        mfa.totp.disable(enrolled.verified)
    if what == "the account was erased":
        mfa.erase(enrolled.user_id)
    if what == "the row is odd":
        intruder.run("UPDATE user_mfa_secrets SET failed_attempts = 3")
    before = intruder.copy()
    for further in ({"minutes": 20}, {"days": 1}, {"days": 5 * 365}):
        clock.forward(**further)
        for code in (enrolled.phone.code(), enrolled.backup_codes[0], enrolled.phone.wrong_code()):
            with pytest.raises(Rejected) as refused:
                mfa.verify(token, code)
            assert refused.value.reason is Reason.CHALLENGE_EXPIRED
    assert intruder.copy() == before


# Answers that were lost.


@pytest.mark.requirement("R101")
@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_lost_answer_of_the_database_is_never_told_as_nothing_was_spent(
    migrated: Database, ada: int, clock: Clock, keys: str, *, comes_back: bool
) -> None:
    """The write arrived, its answer did not: it is looked for, and where that cannot be, nobody says that it failed."""
    straight = MFA(migrated.engine(), plain_settings(keys=keys), clock=clock)
    enrolment = enroll(straight, ada, clock)
    url = sa.make_url(migrated.url)
    with Cutter.before(url.host or "", url.port or 0) as cutter:
        engine = create_engine(url.set(port=cutter.port).render_as_string(hide_password=False))
        mfa = MFA(engine, plain_settings(keys=keys, deadline="60" if comes_back else "0.5"), clock=clock)
        for code in (enrolment.backup_codes[0], enrolment.phone.code()):
            token = challenged(mfa, ada)
            cutter.cut_after(b"INSERT INTO mfa_events", opens_again=comes_back)
            if comes_back:
                assert mfa.verify(token, code)
            else:
                with pytest.raises(DatabaseUnavailable, match="it is not known whether the code was used"):
                    mfa.verify(token, code)
            assert cutter.has_cut
            cutter.open()
            assert kinds(straight, ada)[-1] == "code_accepted"
            assert refusal(straight, ada, code) is Reason.CODE_ALREADY_USED
        assert mfa.events.verify(ada).is_intact
        engine.dispose()


# A key that nobody has.


@pytest.mark.requirement("R64")
def test_a_row_that_names_a_key_which_nobody_has_is_an_alarm_and_not_only_an_outage(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, caplog: pytest.LogCaptureFixture
) -> None:
    """Its text may be the intruder's: nobody is sent to look for a key that never was."""
    intruder.run("UPDATE user_mfa_secrets SET state_mac = 'v1:k9:00000000:00'")
    for operation in (
        lambda: mfa.challenge(enrolled.user_id),
        lambda: mfa.status(enrolled.user_id),
        lambda: mfa.password_changed(enrolled.user_id),
        lambda: mfa.reverify(enrolled.user_id, enrolled.phone.code()),
    ):
        caplog.clear()
        with pytest.raises(MissingKey, match=r"'k9', which is not configured.*or the row was altered"):
            operation()
        (told,) = spelled_out(caplog)
        assert f"The row of user {enrolled.user_id!r} in user_mfa_secrets" in told
        assert "'k9', which is not configured" in told
    mfa.repair(enrolled.user_id, by="grace@example.com", reason="there never was a key k9")
    assert not mfa.challenge(enrolled.user_id)


# What a standby does not know yet.


@pytest.mark.requirement("R64", "R101")
@pytest.mark.backends("mariadb")
def test_a_read_only_server_that_knows_nothing_of_a_user_lets_nobody_in(
    mfa: MFA, enrolled: Enrolment, grace: int, migrated: Database
) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    assert not mfa.challenge(grace)
    with migrated.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as operator:
        operator.exec_driver_sql("SET GLOBAL read_only = 1")
        try:
            with pytest.raises(DatabaseUnavailable, match="standby"):
                mfa.challenge(grace)
            with pytest.raises(DatabaseUnavailable, match="standby"):
                mfa.proof(verified.token)
        finally:
            operator.exec_driver_sql("SET GLOBAL read_only = 0")
    assert not mfa.challenge(grace)
    assert mfa.proof(verified.token)


@pytest.mark.requirement("R64", "R101")
def test_a_standby_that_is_behind_lets_nobody_in_whose_factor_or_password_it_has_not_heard_of(
    keys: str, clock: Clock
) -> None:
    with postgresql_pair() as (primary, behind):
        here, there = create_engine(primary), create_engine(behind)
        with here.connect() as connection:
            command.upgrade(alembic_config(connection), "head")
        source = Database(primary, "postgresql")
        ada, grace = add_user(source, "ada@example.com"), add_user(source, "grace@example.com")
        mfa, stale = (MFA(engine, plain_settings(keys=keys), clock=clock) for engine in (here, there))
        verified = log_in(mfa, ada, enroll(mfa, ada, clock).phone.code())
        _wait_for(there, "SELECT count(*) FROM mfa_events", 4)
        with there.connect() as connection:
            connection.exec_driver_sql("SELECT pg_wal_replay_pause()")
        _wait_for(there, "SELECT CASE pg_get_wal_replay_pause_state() WHEN 'paused' THEN 1 ELSE 0 END", 1)
        enroll(mfa, grace, clock)
        mfa.password_changed(ada)
        with pytest.raises(Stale):
            mfa.proof(verified.token)
        with pytest.raises(DatabaseUnavailable, match="standby"):
            stale.challenge(grace)
        with pytest.raises(DatabaseUnavailable, match="standby"):
            stale.proof(verified.token)
        # What has to be written is refused by the standby itself.
        with pytest.raises(DatabaseUnavailable):
            stale.challenge(ada)
        for engine in (here, there):
            engine.dispose()
        source.dispose()


def _wait_for(engine: sa.Engine, question: str, answer: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.exec_driver_sql(question).scalar_one() == answer:
                return
        time.sleep(0.05)
    raise AssertionError(question)


# Moments that are none.

MOMENTS = {
    SECRETS: (
        "pending_at",
        "last_used_at",
        "last_failed_at",
        "locked_until",
        "failure_level_at",
        "lines_day",
        "changes_suspended_at",
        "enabled_at",
        "disabled_at",
    ),
    CODES: ("expires_at",),
    DEVICES: ("rotated_at", "trusted_until", "last_used_at", "created_at"),
}
BEYOND = {"sqlite": ("never", "0000-00-00 00:00:00"), "mariadb": ("0000-00-00 00:00:00",), "postgresql": ("infinity",)}
"""What a column of a moment takes that is none: any text, a day zero, and what comes after the year 9999."""


@pytest.mark.requirement("R64")
@pytest.mark.attack("A30")
def test_a_moment_of_the_row_that_is_none_is_an_alarm_and_is_repaired(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock, migrated: Database
) -> None:
    ada, enrolment = enrolled.user_id, enrolled
    for column, value in itertools.product(MOMENTS[SECRETS], BEYOND[migrated.backend]):
        device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolment.phone.code()), request=FIREFOX)
        token = challenged(mfa, ada)
        intruder.run(f"UPDATE user_mfa_secrets SET {column} = :value", value=value)
        operations: list[Callable[[], Any]] = [
            functools.partial(mfa.challenge, ada),
            functools.partial(mfa.challenge, ada, device_token=device.token, request=FIREFOX),
            functools.partial(mfa.verify, token, enrolment.phone.code()),
            functools.partial(mfa.verify, token, enrolment.backup_codes[0]),
            functools.partial(mfa.status, ada),
            functools.partial(mfa.password_changed, ada),
        ]
        for operation in operations:
            with pytest.raises(Tampered):
                operation()
        assert not mfa.events.verify(ada).is_intact
        mfa.repair(ada, by="grace@example.com", reason="a moment that is none")
        assert not mfa.challenge(ada)
        enrolment = enroll(mfa, ada, clock)


@pytest.mark.requirement("R34")
@pytest.mark.attack("A30")
def test_a_moment_of_a_code_that_is_none_stops_the_codes_alone_and_is_repaired(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock, migrated: Database
) -> None:
    ada = enrolled.user_id
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolled.phone.code()), request=FIREFOX)
    for number, value in enumerate(BEYOND[migrated.backend], start=1):
        intruder.run("UPDATE mfa_backup_codes SET expires_at = :value", value=value)
        for code in enrolled.backup_codes[:2]:
            assert refusal(mfa, ada, code) is Reason.ALTERED
        assert len(alarms(mfa, ada)) == number
        assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Cleared)
        clock.forward(seconds=60)
        assert log_in(mfa, ada, enrolled.phone.code())
        assert mfa.status(ada).altered == (CODES,)
        assert not mfa.events.verify(ada).is_intact
        fresh = mfa.backup_codes.regenerate(mfa.reverify(ada, _next_code(enrolled, clock)))
        assert log_in(mfa, ada, fresh[0])
        enrolled.backup_codes = fresh
        device = mfa.trusted_devices.trust(log_in(mfa, ada, _next_code(enrolled, clock)), request=FIREFOX)
    value = BEYOND[migrated.backend][-1]
    intruder.run("UPDATE mfa_backup_codes SET expires_at = :value", value=value)
    mfa.repair(ada, by="grace@example.com", reason="a moment that is none")
    enrolment = enroll(mfa, ada, clock)
    assert log_in(mfa, ada, enrolment.backup_codes[0])
    assert mfa.events.verify(ada).is_intact


@pytest.mark.requirement("R78")
@pytest.mark.attack("A30")
@pytest.mark.parametrize("column", MOMENTS[DEVICES])
def test_a_moment_of_a_device_that_is_none_stops_the_devices_alone_and_is_repaired(
    mfa: MFA, enrolled: Enrolment, intruder: Intruder, clock: Clock, migrated: Database, column: str
) -> None:
    ada = enrolled.user_id
    for value in BEYOND[migrated.backend]:
        device = mfa.trusted_devices.trust(log_in(mfa, ada, _next_code(enrolled, clock)), request=FIREFOX)
        before = len(alarms(mfa, ada))
        intruder.run(f"UPDATE mfa_device_trusts SET {column} = :value WHERE revoked_at IS NULL", value=value)
        for _ in range(2):
            assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Challenge)
        assert alarms(mfa, ada)[before:] == [DEVICES]
        assert log_in(mfa, ada, _next_code(enrolled, clock))
        assert mfa.status(ada).altered == (DEVICES,)
        assert not mfa.events.verify(ada).is_intact
        mfa.trusted_devices.revoke_all(ada)
        assert mfa.status(ada).altered == ()
        assert mfa.events.verify(ada).is_intact
    mfa.trusted_devices.trust(log_in(mfa, ada, _next_code(enrolled, clock)), request=FIREFOX)
    value = BEYOND[migrated.backend][-1]
    intruder.run(f"UPDATE mfa_device_trusts SET {column} = :value WHERE revoked_at IS NULL", value=value)
    mfa.repair(ada, by="grace@example.com", reason="a moment that is none")
    enrolment = enroll(mfa, ada, clock)
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolment.phone.code()), request=FIREFOX)
    assert isinstance(mfa.challenge(ada, device_token=device.token, request=FIREFOX), Cleared)
    # A device that cannot be shown is not shown; it keeps nobody from seeing the others.
    newest = mfa.trusted_devices.list(ada)[0]
    assert (newest.id, newest.is_active) == (device.device_id, True)


@pytest.mark.requirement("R64")
@pytest.mark.attack("A30")
def test_a_moment_of_the_row_that_is_none_stops_no_rotation(
    open_mfa: Open, ada: int, grace: int, clock: Clock, keys: str, intruder: Intruder, migrated: Database
) -> None:
    for user_id in (ada, grace):
        enroll(open_mfa(), user_id, clock)
    intruder.run(
        "UPDATE user_mfa_secrets SET last_used_at = :value WHERE user_id = :ada",
        value=BEYOND[migrated.backend][0],
        ada=ada,
    )
    rotated = open_mfa(keys=f"{generate_key('k2')},{keys}").keys.rotate()
    assert (rotated.done, rotated.skipped) == (1, (str(ada),))


@pytest.mark.requirement("R102")
def test_a_moment_of_a_line_that_is_none_is_told_and_stops_nobody(
    mfa: MFA, enrolled: Enrolment, clock: Clock, intruder: Intruder, migrated: Database
) -> None:
    ada = enrolled.user_id
    intruder.run("UPDATE mfa_events SET created_at = :value WHERE seq = 1", value=BEYOND[migrated.backend][0])
    report = mfa.events.verify(ada)
    assert (report.is_intact, report.problem) == (False, "A line of the log holds no moment of time; look into it.")
    for operation in (
        lambda: mfa.events.recent(ada),
        mfa.events.export,
        lambda: mfa.events.prune(ada, clock.now),
    ):
        with pytest.raises(Tampered, match="no moment"):
            operation()
    assert log_in(mfa, ada, enrolled.phone.code())
    assert log_in(mfa, ada, enrolled.backup_codes[0])


def _next_code(enrolment: Enrolment, clock: Clock) -> str:
    clock.forward(seconds=60)
    return enrolment.phone.code()
