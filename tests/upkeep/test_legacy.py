"""Rows of before Twofold keep working, without anyone enrolling again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from pyotp import random_base32

from tests.people import FIREFOX, SAFARI, Clock, Open, Phone, Sql, add_user, challenged, enroll, kinds, log_in
from twofold import MFA, Cleared, NotAdopted, Reason, Rejected, Tampered
from twofold.metadata import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database
    from twofold.upkeep.legacy import Rowless

FERNET = Fernet.generate_key().decode()
EARLIER = "2026-11-01 08:00:00"


@dataclass
class Older:
    """A user as an application without Twofold left her: a secret, codes, a browser with a cookie."""

    user_id: int
    phone: Phone
    codes: tuple[str, ...] = ("ABCD-2345", "EFGH-6789")
    cookie: str = "raw-cookie-of-the-old-application"


def bare(code: str) -> str:
    """What a row held for a code of before Twofold, the same for everybody."""
    return hashlib.sha256(code.replace("-", "").encode()).hexdigest()


def leave(sql: Sql, user_id: int, clock: Clock, *, sealed: bool = False, secret: str | None = None) -> Older:
    older = Older(user_id, Phone(random_base32(), clock), cookie=f"raw-cookie-{user_id}")
    stored = Fernet(FERNET).encrypt(older.phone.secret.encode()).decode() if sealed else secret or older.phone.secret
    sql(
        "INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, is_verified, created_at, updated_at)"
        " VALUES (:user, :secret, true, true, :at, :at)",
        user=user_id,
        secret=stored,
        at=EARLIER,
    )
    for code in older.codes:
        sql(
            "INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES (:user, :hash, :at)",
            user=user_id,
            hash=bare(code),
            at=EARLIER,
        )
    sql(
        "INSERT INTO mfa_device_trusts (user_id, device_fingerprint, device_name, browser, platform, trust_token,"
        " trusted_until, last_used_at, created_at) VALUES (:user, 'f00', 'My laptop', 'Firefox 139.0', 'linux x86',"
        " :token, '2026-12-10 08:00:00', :seen, :at)",
        user=user_id,
        token=older.cookie,
        seen="2026-11-20 08:00:00",
        at=EARLIER,
    )
    sql(
        "INSERT INTO mfa_events (user_id, event_type, event_status, created_at) VALUES (:user, 'login', 'ok', :at)",
        user=user_id,
        at=EARLIER,
    )
    return older


@pytest.fixture
def older(sql: Sql, ada: int, clock: Clock) -> Older:
    return leave(sql, ada, clock)


def adopt_all(mfa: MFA, **options: Any) -> tuple[int, list[str]]:
    done, left = 0, list[str]()
    after: int | Rowless = 0
    while True:
        batch = mfa.legacy.adopt(after=after, limit=2, **options)
        done, left = done + batch.done, left + list(batch.left)
        if batch.last_id is None:
            return done, left
        after = batch.last_id


@pytest.mark.parametrize("has_row", [True, False])
def test_before_adoption_every_operation_says_that_the_user_is_of_before(
    mfa: MFA, older: Older, sql: Sql, caplog: pytest.LogCaptureFixture, *, has_row: bool
) -> None:
    user_id = older.user_id
    if not has_row:
        sql("DELETE FROM user_mfa_secrets")
    operations: list[Callable[[], object]] = [
        lambda: mfa.challenge(user_id),
        lambda: mfa.challenge(user_id, device_token=older.cookie),
        lambda: mfa.reverify(user_id, older.phone.code()),
        lambda: mfa.reverify(user_id, older.codes[0]),
        lambda: mfa.status(user_id),
        lambda: mfa.totp.begin(user_id, account_name="ada@example.com"),
        lambda: mfa.totp.pending(user_id, account_name="ada@example.com"),
        lambda: mfa.totp.confirm(user_id, older.phone.code()),
        lambda: mfa.backup_codes.remaining(user_id),
        lambda: mfa.trusted_devices.list(user_id),
        lambda: mfa.trusted_devices.rename(user_id, 1, "laptop"),
        lambda: mfa.trusted_devices.revoke(user_id, 1),
        lambda: mfa.trusted_devices.revoke_all(user_id),
        lambda: mfa.password_changed(user_id),
        lambda: mfa.reset(user_id, by="grace@example.com", reason="lost phone"),
    ]
    before = [sql(f"SELECT * FROM {name}") for name in NAMES]
    for operation in operations:
        with pytest.raises(NotAdopted, match="import-legacy"):
            operation()
    assert [sql(f"SELECT * FROM {name}") for name in NAMES] == before
    # Nobody has altered anything, so nobody is called.
    assert not caplog.records


def test_whoever_has_other_rows_of_before_and_no_factor_is_adopted_too(
    mfa: MFA, older: Older, grace: int, clock: Clock, sql: Sql
) -> None:
    leave(sql, grace, clock)
    sql("DELETE FROM user_mfa_secrets WHERE user_id = :ada", ada=older.user_id)
    assert mfa.legacy.survey().rows == 2
    assert adopt_all(mfa) == (2, [])
    assert mfa.legacy.survey().rows == 0
    assert not mfa.status(older.user_id).is_enrolled
    assert not mfa.challenge(older.user_id)
    assert kinds(mfa, older.user_id) == ["adopted", "cleared"]
    details = mfa.events.recent(older.user_id, limit=2)[1].details
    assert details == {"devices": 1, "backup_codes": 2, "had_secret": False}
    assert mfa.events.verify(older.user_id).is_intact
    # What was found without a factor is not in the way of the first one.
    assert enroll(mfa, older.user_id, clock).backup_codes
    assert mfa.status(grace).is_enrolled


def test_after_adoption_everything_the_user_has_still_works(mfa: MFA, older: Older, sql: Sql, clock: Clock) -> None:
    assert adopt_all(mfa) == (1, [])
    assert adopt_all(mfa) == (0, [])
    cleared = mfa.challenge(older.user_id, device_token=older.cookie, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    clock.forward(hours=1)
    assert not mfa.challenge(older.user_id, device_token=cleared.device.token, request=FIREFOX)
    assert mfa.challenge(older.user_id, device_token=cleared.device.token, request=SAFARI)

    assert log_in(mfa, older.user_id, older.phone.code()).factor == "totp"
    verified = log_in(mfa, older.user_id, "abcd 2345")
    assert verified.factor == "backup_codes"
    with pytest.raises(Rejected) as again:
        log_in(mfa, older.user_id, older.codes[0])
    assert again.value.reason is Reason.CODE_ALREADY_USED
    fresh = mfa.backup_codes.regenerate(verified)
    with pytest.raises(Rejected):
        log_in(mfa, older.user_id, older.codes[1])
    assert log_in(mfa, older.user_id, fresh[0])

    assert kinds(mfa, older.user_id)[0] == "adopted"
    assert mfa.events.verify(older.user_id).is_intact
    assert sql("SELECT count(*) FROM mfa_events WHERE seq IS NULL")[0][0] == 1
    ((secret, token),) = sql(
        "SELECT s.secret, d.trust_token FROM user_mfa_secrets s JOIN mfa_device_trusts d ON d.user_id = s.user_id"
    )
    assert secret.startswith("v1:k1:")
    assert token.startswith("v1:k1:")


def test_the_old_cookie_that_comes_back_later_asks_for_a_code_and_beside_the_new_one_is_a_copy(
    mfa: MFA, older: Older, clock: Clock
) -> None:
    adopt_all(mfa)
    cleared = mfa.challenge(older.user_id, device_token=older.cookie, request=FIREFOX)
    assert isinstance(cleared, Cleared)
    assert cleared.device is not None
    clock.forward(hours=1)
    assert mfa.challenge(older.user_id, device_token=older.cookie, request=FIREFOX)
    assert "device_theft" not in kinds(mfa, older.user_id)
    assert mfa.challenge(older.user_id, device_token=cleared.device.token, request=FIREFOX)
    assert "device_theft" in kinds(mfa, older.user_id)


def test_a_short_code_counts_and_waits(mfa: MFA, older: Older, clock: Clock) -> None:
    adopt_all(mfa)
    for _ in range(5):
        with pytest.raises(Rejected):
            log_in(mfa, older.user_id, "ZZZZ-9999")
    with pytest.raises(Rejected) as waiting:
        log_in(mfa, older.user_id, older.codes[0])
    assert waiting.value.reason is Reason.WAITING
    clock.forward(seconds=30)
    assert log_in(mfa, older.user_id, older.codes[0])


def test_a_short_code_leaves_the_line_of_a_backup_code(mfa: MFA, older: Older, clock: Clock) -> None:
    adopt_all(mfa)
    with pytest.raises(Rejected):
        mfa.reverify(older.user_id, "ZZZZ-9999", request=FIREFOX)
    refused = mfa.events.recent(older.user_id, limit=1)[0]
    assert refused.details == {"factor": "backup_codes", "occasion": "step_up", "reason": "wrong_code", "failures": 1}
    clock.forward(minutes=1)
    mfa.reverify(older.user_id, older.codes[0], request=FIREFOX)
    accepted = mfa.events.recent(older.user_id, limit=1)[0]
    assert accepted.details == {"factor": "backup_codes", "occasion": "step_up"}
    assert refused.ip_address == accepted.ip_address == FIREFOX.ip_address
    assert mfa.status(older.user_id).last_used_at == clock.now
    with pytest.raises(Rejected):
        mfa.reverify(older.user_id, older.codes[0])
    assert mfa.events.recent(older.user_id, limit=1)[0].details["reason"] == "code_already_used"


def test_every_browser_of_a_user_stays_trusted(mfa: MFA, older: Older, sql: Sql) -> None:
    cookies = [older.cookie, "another-cookie", "a third cookie"]
    for cookie in cookies[1:]:
        sql(
            "INSERT INTO mfa_device_trusts (user_id, device_fingerprint, trust_token, trusted_until, created_at)"
            " VALUES (:user, 'f00', :token, '2026-12-10 08:00:00', '2026-11-20 08:00:00')",
            user=older.user_id,
            token=cookie,
        )
    assert adopt_all(mfa) == (1, [])
    for cookie in cookies:
        assert not mfa.challenge(older.user_id, device_token=cookie, request=FIREFOX)
    assert "device_theft" not in kinds(mfa, older.user_id)
    adopted = mfa.events.recent(older.user_id, limit=20)[-1]
    assert adopted.details == {"devices": 3, "backup_codes": 2, "had_secret": True}


def test_a_short_code_works_for_its_owner_alone(mfa: MFA, older: Older, grace: int, clock: Clock, sql: Sql) -> None:
    graces = leave(sql, grace, clock)
    sql("DELETE FROM mfa_backup_codes WHERE user_id = :ada", ada=older.user_id)
    adopt_all(mfa)
    with pytest.raises(Rejected) as refused:
        log_in(mfa, older.user_id, graces.codes[0])
    assert refused.value.reason is Reason.MALFORMED
    assert log_in(mfa, grace, graces.codes[0])


def test_a_short_code_that_was_spent_before_it_was_adopted_stays_spent(mfa: MFA, older: Older, sql: Sql) -> None:
    sql("UPDATE mfa_backup_codes SET is_used = true WHERE code_hash = :hash", hash=bare(older.codes[0]))
    adopt_all(mfa)
    assert mfa.backup_codes.remaining(older.user_id) == 1
    with pytest.raises(Rejected) as refused:
        log_in(mfa, older.user_id, older.codes[0])
    assert refused.value.reason is Reason.CODE_ALREADY_USED
    assert log_in(mfa, older.user_id, older.codes[1])


def test_a_spent_short_code_that_is_put_back_stops_all_of_them_with_one_alarm(mfa: MFA, older: Older, sql: Sql) -> None:
    adopt_all(mfa)
    log_in(mfa, older.user_id, older.codes[0])
    sql("UPDATE mfa_backup_codes SET is_used = false")
    for code in older.codes:
        with pytest.raises(Rejected) as refused:
            log_in(mfa, older.user_id, code)
        assert refused.value.reason is Reason.ALTERED
    assert kinds(mfa, older.user_id).count("rows_altered") == 1
    assert mfa.status(older.user_id).failed_attempts == 0


def test_no_bare_hash_is_left_and_none_opens_anything(mfa: MFA, older: Older, sql: Sql) -> None:
    adopt_all(mfa)
    hashes = [row.code_hash for row in sql("SELECT code_hash FROM mfa_backup_codes")]
    assert all(hash_.startswith("v1:k1:") for hash_ in hashes)
    assert not [code for code in older.codes if any(bare(code) in hash_ for hash_ in hashes)]
    sql("UPDATE mfa_backup_codes SET code_hash = :hash WHERE code_hash = :held", hash=bare("MINE23"), held=hashes[0])
    with pytest.raises(Rejected) as refused:
        log_in(mfa, older.user_id, "MINE23")
    assert refused.value.reason is Reason.ALTERED


def test_fernet_secrets_open_with_their_key_and_wait_without(
    open_mfa: Open, ada: int, grace: int, clock: Clock, sql: Sql
) -> None:
    sealed, plain = leave(sql, ada, clock, sealed=True), leave(sql, grace, clock)
    mfa = open_mfa()
    before = sql("SELECT * FROM user_mfa_secrets WHERE user_id = :ada", ada=ada)
    assert adopt_all(mfa) == (1, [str(ada)])
    assert sql("SELECT * FROM user_mfa_secrets WHERE user_id = :ada", ada=ada) == before
    assert log_in(mfa, grace, plain.phone.code())
    retired = Fernet.generate_key().decode()
    mfa = open_mfa(legacy_fernet_key=f"{retired},{FERNET}")
    assert adopt_all(mfa) == (1, [])
    assert log_in(mfa, ada, sealed.phone.code())


def test_a_secret_that_cannot_be_opened_is_listed_and_left(mfa: MFA, ada: int, clock: Clock, sql: Sql) -> None:
    leave(sql, ada, clock)
    for secret in (" ", "not base32!", "12345678", "JBSWY3DP", "gAAAAbroken", "v1:k1:AAAA"):
        sql("UPDATE user_mfa_secrets SET secret = :secret", secret=secret)
        before = sql("SELECT * FROM user_mfa_secrets")
        assert adopt_all(mfa) == (0, [str(ada)])
        assert sql("SELECT * FROM user_mfa_secrets") == before


@pytest.mark.parametrize("spelled", ["sha1", "SHA-1", "Sha1"])
def test_the_algorithm_of_an_app_may_be_spelled_in_any_way(
    mfa: MFA, older: Older, sql: Sql, clock: Clock, spelled: str
) -> None:
    sql("UPDATE user_mfa_secrets SET algorithm = :spelled", spelled=spelled)
    assert adopt_all(mfa) == (1, [])
    clock.forward(seconds=30)
    assert log_in(mfa, older.user_id, older.phone.code()).factor == "totp"


def test_a_secret_of_an_algorithm_that_no_app_knows_is_listed_and_left(mfa: MFA, older: Older, sql: Sql) -> None:
    sql("UPDATE user_mfa_secrets SET algorithm = 'MD5'")
    done, left = adopt_all(mfa)
    assert (done, left) == (0, [str(older.user_id)])


def test_a_trial_writes_nothing(mfa: MFA, older: Older, sql: Sql) -> None:
    before = sql("SELECT * FROM user_mfa_secrets")
    assert adopt_all(mfa, trial=True) == (1, [])
    assert sql("SELECT * FROM user_mfa_secrets") == before
    found = mfa.legacy.survey()
    assert (found.rows, found.devices, found.backup_codes) == (1, 1, 2)
    adopt_all(mfa)
    left = mfa.legacy.survey()
    assert (left.rows, left.devices, left.backup_codes) == (0, 0, 0)


def test_a_row_that_is_found_later_is_adopted_at_its_login_where_that_is_allowed(open_mfa: Open, older: Older) -> None:
    with pytest.raises(NotAdopted):
        open_mfa().challenge(older.user_id)
    assert log_in(open_mfa(legacy_rows=True), older.user_id, older.phone.code())
    assert open_mfa().status(older.user_id).is_enrolled


def test_a_row_of_ours_cannot_be_made_to_look_legacy(open_mfa: Open, ada: int, clock: Clock, sql: Sql) -> None:
    mfa = open_mfa(legacy_rows=True)
    enroll(mfa, ada, clock)
    sql("UPDATE user_mfa_secrets SET state_mac = NULL, event_count = 0, secret = 'JBSWY3DPEHPK3PXPJBSWY3DP'")
    with pytest.raises(Tampered):
        mfa.challenge(ada)
    assert adopt_all(mfa)[0] == 0


def test_many_users_are_adopted_while_one_logs_in(open_mfa: Open, migrated: Database, clock: Clock, sql: Sql) -> None:
    users = [leave(sql, add_user(migrated, f"user{number}@example.com"), clock) for number in range(7)]
    mfa = open_mfa(legacy_rows=True)
    first = mfa.legacy.adopt(limit=3)
    assert log_in(mfa, users[5].user_id, users[5].phone.code())
    assert challenged(mfa, users[0].user_id)
    rest = mfa.legacy.adopt(after=first.last_id or 0, limit=100)
    assert first.done + rest.done == 6
    assert mfa.legacy.survey().rows == 0
