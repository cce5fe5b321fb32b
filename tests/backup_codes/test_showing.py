"""New backup codes are shown again to the session that made them, ten minutes at most, until they are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.people import Clock, Enrolment, Open, Phone, Sql, challenged, kinds, log_in
from twofold import MFA, Reason, Rejected, Tampered
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable

LAPTOP = "the session of ada's laptop"
PHONE = "the session of ada's phone"
TEN_MINUTES = timedelta(minutes=10)


class Made(NamedTuple):
    """Ada, with codes that her laptop's session has just made."""

    user_id: int
    phone: Phone
    codes: tuple[str, ...]

    def shown(self, mfa: MFA, session: str = LAPTOP) -> tuple[str, ...] | None:
        shown = mfa.backup_codes.shown(self.user_id, session=session)
        return None if shown is None else shown.codes


@pytest.fixture
def made(mfa: MFA, ada: int, clock: Clock) -> Made:
    enrollment = mfa.totp.begin(ada, account_name="ada@example.com", session=LAPTOP)
    phone = Phone(enrollment.secret, clock)
    return Made(ada, phone, mfa.totp.confirm(ada, phone.code(), session=LAPTOP).backup_codes)


def column(sql: Sql, user_id: int) -> str | None:
    (row,) = sql("SELECT shown_codes FROM user_mfa_secrets WHERE user_id = :user", user=user_id)
    return str(row[0]) if row[0] is not None else None


def test_the_session_that_made_them_sees_them_again_and_no_other(mfa: MFA, made: Made, clock: Clock) -> None:
    shown = mfa.backup_codes.shown(made.user_id, session=LAPTOP)
    assert shown is not None
    assert (shown.codes, shown.made_at, shown.expires_at) == (made.codes, clock.now, clock.now + TEN_MINUTES)
    assert made.codes[0] not in repr(shown)
    assert made.shown(mfa, PHONE) is None
    assert mfa.backup_codes.keep(made.user_id, session=PHONE) is False
    assert not mfa.status(made.user_id).backup_codes_kept


def test_looking_again_writes_nothing(mfa: MFA, made: Made, sql: Sql) -> None:
    def written() -> object:
        return sql("SELECT version, event_count FROM user_mfa_secrets")

    before = written()
    for _ in range(3):
        assert made.shown(mfa) == made.codes
        assert made.shown(mfa, PHONE) is None
    assert written() == before


def test_they_stand_sealed_in_the_row(made: Made, sql: Sql) -> None:
    held = column(sql, made.user_id)
    assert held is not None
    assert held.startswith("v1:k1:")
    assert not any(part in held for code in made.codes for part in code.split("-"))


def test_codes_made_anew_are_shown_in_the_place_of_the_old_ones(mfa: MFA, made: Made, clock: Clock) -> None:
    clock.forward(seconds=60)
    verified = log_in(mfa, made.user_id, made.phone.code())
    codes = mfa.backup_codes.regenerate(verified, session=PHONE)
    assert made.shown(mfa, PHONE) == codes
    assert made.shown(mfa) is None
    clock.forward(seconds=60)
    mfa.backup_codes.regenerate(log_in(mfa, made.user_id, made.phone.code()))
    assert made.shown(mfa, PHONE) is None


def test_a_form_that_comes_twice_makes_codes_once(mfa: MFA, made: Made, clock: Clock) -> None:
    clock.forward(seconds=60)
    verified = log_in(mfa, made.user_id, made.phone.code())
    # The codes of the set-up are none that were asked for anew.
    codes = mfa.backup_codes.regenerate(verified, session=LAPTOP)
    assert codes != made.codes
    clock.forward(seconds=30)
    assert mfa.backup_codes.regenerate(verified, session=LAPTOP) == codes
    assert kinds(mfa, made.user_id).count("backup_codes_regenerated") == 1
    clock.forward(seconds=1)
    later = mfa.backup_codes.regenerate(verified, session=LAPTOP)
    assert later != codes
    # Another session, none, and one that has kept them, ask for others.
    assert mfa.backup_codes.regenerate(verified, session=PHONE) != later
    assert mfa.backup_codes.keep(made.user_id, session=PHONE)
    last = mfa.backup_codes.regenerate(verified, session=PHONE)
    assert mfa.backup_codes.regenerate(verified) != last
    assert kinds(mfa, made.user_id).count("backup_codes_regenerated") == 5


def test_without_a_session_nothing_is_kept_for_anybody(mfa: MFA, enrolled: Enrolment, sql: Sql) -> None:
    assert column(sql, enrolled.user_id) is None
    assert mfa.backup_codes.shown(enrolled.user_id, session=LAPTOP) is None
    assert mfa.backup_codes.keep(enrolled.user_id, session=LAPTOP) is False


def test_who_has_no_row_sees_nothing(mfa: MFA, grace: int) -> None:
    assert mfa.backup_codes.shown(grace, session=LAPTOP) is None
    assert mfa.backup_codes.keep(grace, session=LAPTOP) is False


def test_a_session_without_an_id_is_none(mfa: MFA, made: Made) -> None:
    with pytest.raises(TypeError, match="session"):
        mfa.backup_codes.shown(made.user_id, session="")


def test_one_that_is_kept_is_never_shown_again(mfa: MFA, made: Made, sql: Sql) -> None:
    assert mfa.backup_codes.keep(made.user_id, session=LAPTOP) is True
    assert made.shown(mfa) is None
    assert mfa.status(made.user_id).backup_codes_kept
    assert column(sql, made.user_id) == "kept"
    assert kinds(mfa, made.user_id)[-1] == "backup_codes_kept"
    # Pressed twice, it was said once.
    assert mfa.backup_codes.keep(made.user_id, session=LAPTOP) is True
    assert kinds(mfa, made.user_id).count("backup_codes_kept") == 1


def test_kept_is_said_of_these_codes_and_not_of_the_next(mfa: MFA, made: Made, clock: Clock) -> None:
    mfa.backup_codes.keep(made.user_id, session=LAPTOP)
    clock.forward(seconds=60)
    verified = log_in(mfa, made.user_id, made.phone.code())
    mfa.password_changed(made.user_id)
    # The codes are the same after a password change, and still kept.
    assert mfa.status(made.user_id).backup_codes_kept
    clock.forward(seconds=60)
    verified = log_in(mfa, made.user_id, made.phone.code())
    mfa.backup_codes.regenerate(verified, session=LAPTOP)
    assert not mfa.status(made.user_id).backup_codes_kept


def test_ten_minutes_later_they_are_not_shown_and_the_next_write_clears_them(
    mfa: MFA, made: Made, clock: Clock, sql: Sql
) -> None:
    clock.forward(minutes=10)
    assert made.shown(mfa) == made.codes
    clock.forward(seconds=1)
    assert made.shown(mfa) is None
    assert column(sql, made.user_id) is not None
    mfa.challenge(made.user_id)
    assert column(sql, made.user_id) is None
    assert mfa.backup_codes.keep(made.user_id, session=LAPTOP) is False


def test_a_write_within_the_ten_minutes_leaves_them(mfa: MFA, made: Made, clock: Clock) -> None:
    clock.forward(minutes=1)
    log_in(mfa, made.user_id, made.phone.code())
    with pytest.raises(Rejected):
        mfa.verify(challenged(mfa, made.user_id), made.phone.wrong_code())
    assert made.shown(mfa) == made.codes


def test_whoever_says_late_that_they_are_kept_is_heard(mfa: MFA, made: Made, clock: Clock) -> None:
    clock.forward(minutes=30)
    assert mfa.backup_codes.keep(made.user_id, session=LAPTOP) is True
    assert mfa.status(made.user_id).backup_codes_kept


def test_a_clock_that_goes_back_does_not_show_them_longer(mfa: MFA, made: Made, clock: Clock, sql: Sql) -> None:
    clock.forward(seconds=-30)
    assert made.shown(mfa) == made.codes
    clock.forward(minutes=-5)
    assert made.shown(mfa) is None
    mfa.challenge(made.user_id)
    assert column(sql, made.user_id) is None


def test_a_code_that_was_spent_since_is_not_among_them(mfa: MFA, made: Made) -> None:
    log_in(mfa, made.user_id, made.codes[3])
    assert made.shown(mfa) == made.codes[:3] + made.codes[4:]


ENDINGS: dict[str, Callable[[MFA, Made], object]] = {
    "disable": lambda mfa, made: mfa.totp.disable(log_in(mfa, made.user_id, made.phone.code())),
    "reset": lambda mfa, made: mfa.reset(made.user_id, by="grace@example.com", reason="a test"),
    "repair": lambda mfa, made: mfa.repair(made.user_id, by="grace@example.com", reason="a test"),
    "password_changed": lambda mfa, made: mfa.password_changed(made.user_id),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_the_factor_or_the_password_ends_them_at_once(
    mfa: MFA, made: Made, clock: Clock, sql: Sql, ending: str
) -> None:
    clock.forward(seconds=60)
    ENDINGS[ending](mfa, made)
    assert column(sql, made.user_id) is None
    assert made.shown(mfa) is None


def test_who_is_erased_leaves_none(mfa: MFA, made: Made) -> None:
    mfa.erase(made.user_id)
    assert made.shown(mfa) is None


def test_sealed_codes_that_are_put_back_stop_the_row(mfa: MFA, made: Made, clock: Clock, sql: Sql) -> None:
    old = column(sql, made.user_id)
    clock.forward(seconds=60)
    mfa.backup_codes.regenerate(log_in(mfa, made.user_id, made.phone.code()), session=LAPTOP)
    sql("UPDATE user_mfa_secrets SET shown_codes = :old WHERE user_id = :user", old=old, user=made.user_id)
    with pytest.raises(Tampered):
        made.shown(mfa)


def test_a_whole_row_that_is_put_back_shows_no_older_codes(mfa: MFA, made: Made, clock: Clock, sql: Sql) -> None:
    columns = "version, event_count, event_head, shown_codes, codes_digest, epoch, last_used_step, last_used_at, "
    columns += "last_challenge, last_answer, lines_today, lines_day, state_mac"
    (old,) = sql(f"SELECT {columns} FROM user_mfa_secrets")
    clock.forward(seconds=60)
    fresh = mfa.backup_codes.regenerate(log_in(mfa, made.user_id, made.phone.code()), session=LAPTOP)
    assert made.shown(mfa) == fresh
    names = columns.split(", ")
    assignments = ", ".join(f"{name} = :{name}" for name in names)
    sql(f"UPDATE user_mfa_secrets SET {assignments}", **dict(zip(names, old, strict=True)))
    # The row reads as it was written; the codes beside it are not those that it names.
    assert "mfa_backup_codes" in mfa.status(made.user_id).altered
    assert made.shown(mfa) is None


def test_a_rotation_leaves_live_ones_under_their_key_and_clears_them_afterwards(
    open_mfa: Open, mfa: MFA, made: Made, clock: Clock, keys: str, sql: Sql
) -> None:
    rotated = open_mfa(keys=f"{generate_key('k2')},{keys}")
    assert rotated.keys.rotate().done == 1
    assert made.shown(rotated) == made.codes
    uses = {use.kid: use for use in rotated.keys.status()}
    assert (uses["k2"].secrets, uses["k1"].secrets) == (1, 1)
    clock.forward(minutes=10, seconds=1)
    assert rotated.keys.rotate().done == 1
    assert column(sql, made.user_id) is None
    assert rotated.keys.rotate().done == 0
    assert {use.kid: use.secrets for use in rotated.keys.status()} == {"k2": 1, "k1": 0}
    assert mfa is not rotated


def test_upkeep_clears_those_of_a_user_who_never_comes_back(mfa: MFA, made: Made, clock: Clock, sql: Sql) -> None:
    assert mfa.keys.rotate().done == 0
    clock.forward(days=1)
    assert mfa.keys.rotate().done == 1
    assert column(sql, made.user_id) is None
    assert mfa.keys.rotate().done == 0


def test_what_is_kept_names_no_key_and_outlives_a_rotation(
    open_mfa: Open, mfa: MFA, made: Made, clock: Clock, keys: str
) -> None:
    mfa.backup_codes.keep(made.user_id, session=LAPTOP)
    rotated = open_mfa(keys=f"{generate_key('k2')},{keys}")
    assert rotated.keys.rotate().done == 1
    assert rotated.keys.rotate().done == 0
    assert rotated.status(made.user_id).backup_codes_kept
    clock.forward(days=1)
    assert rotated.keys.rotate().done == 0
    assert [use.kid for use in rotated.keys.status()] == ["k2", "k1"]


def test_a_wrong_first_code_makes_none(mfa: MFA, ada: int, clock: Clock) -> None:
    enrollment = mfa.totp.begin(ada, account_name="ada@example.com", session=LAPTOP)
    with pytest.raises(Rejected) as refused:
        mfa.totp.confirm(ada, Phone(enrollment.secret, clock).wrong_code(), session=LAPTOP)
    assert refused.value.reason is Reason.WRONG_CODE
    assert mfa.backup_codes.shown(ada, session=LAPTOP) is None
