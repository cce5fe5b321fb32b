"""What an adversary with SQL has tried before, step by step; `tests.attacks.world` judges every answer besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.adversary import PLANTED_CODE, Move
from tests.attacks.intruder import CODES, DEVICES, EVENTS, SECRETS
from tests.attacks.rows import TABLES
from tests.attacks.worlds import Worlds
from twofold import Cleared, EnrollmentExpired, NotAdopted, Reason, Rejected, Stale, Tampered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.owners import Owners
    from tests.attacks.world import Answer
    from tests.databases import Database

RENAME = "UPDATE mfa_events SET event_type = :new WHERE user_id = :user AND event_type = :old"


@pytest.fixture
def world(migrated: Database) -> Iterator[Owners]:
    """Two users, on one face: what is tried here aims at what both faces share."""
    worlds = Worlds(migrated, "blocking")
    opened = worlds.open()
    yield opened
    for user in opened.users:
        opened.check(user)
        opened.recover(user)
    worlds.close()


@pytest.fixture
def ada(world: Owners) -> int:
    """Ada, with an app, codes on paper and a trusted browser."""
    world.set_up(world.users[0])
    world.log_in_and(world.users[0], "trust")
    return world.users[0]


def paper(world: Owners, user: int) -> str:
    truth = world.truth(user)
    assert truth is not None
    return next(iter(truth.codes))


def answer_with(world: Owners, user: int, code: str) -> Answer:
    return world.verify(user, world.challenge(user).value.token, code)


def is_altered(answer: Answer) -> bool:
    return isinstance(answer.error, Rejected) and answer.error.reason is Reason.ALTERED


def last_cookie(world: Owners) -> str:
    return list(world.held.cookies)[-1]


def is_trusted(answer: Answer) -> bool:
    return isinstance(answer.value, Cleared)


@pytest.mark.requirement("R34")
@pytest.mark.attack("A8")
def test_a_spent_code_is_put_back_and_its_line_renamed_for_a_moment(world: Owners, ada: int) -> None:
    issued, code = world.saved(ada), paper(world, ada)
    world.log_in(ada, "paper")
    world.put_back(ada, issued, CODES)
    world.sql(ada, RENAME, old="code_accepted", new="totp_begun")
    assert is_altered(answer_with(world, ada, code))
    world.sql(ada, RENAME, old="totp_begun", new="code_accepted")
    assert is_altered(answer_with(world, ada, code))
    world.mend(ada)


@pytest.mark.requirement("R34", "R36")
@pytest.mark.attack("A8")
def test_codes_that_new_ones_have_replaced_are_put_back_beside_them(world: Owners, ada: int) -> None:
    issued, code = world.saved(ada), paper(world, ada)
    world.log_in_and(ada, "regenerate")
    for row in issued[CODES]:
        world.tables.put(CODES, row)
    world.look()
    assert is_altered(answer_with(world, ada, code))
    # The new ones stand, and yet nobody can tell them from what was put in.
    assert is_altered(answer_with(world, ada, paper(world, ada)))
    world.mend(ada)


@pytest.mark.requirement("R35")
@pytest.mark.attack("A9")
def test_a_code_of_somebody_else_is_copied(world: Owners, ada: int) -> None:
    grace = world.users[1]
    world.set_up(grace)
    world.sql(
        ada,
        "INSERT INTO mfa_backup_codes (user_id, code_hash, is_used, created_at)"
        " SELECT :user, code_hash, is_used, created_at FROM mfa_backup_codes WHERE user_id = :other",
        other=grace,
    )
    assert is_altered(answer_with(world, ada, paper(world, grace)))
    assert world.log_in(grace, "paper")


@pytest.mark.requirement("R32", "R35")
@pytest.mark.attack("A9")
def test_codes_of_before_are_planted_copied_and_prolonged_once_they_were_adopted(world: Owners) -> None:
    ada, grace = world.users
    for user in world.users:
        world.leave_rows_of_before(user, expired=True)
    assert isinstance(world.challenge(ada).error, NotAdopted)
    world.adopt()
    adopted = world.saved(ada)
    expired = f"JKMN-7{ada:03}"
    world.sql(ada, "UPDATE mfa_backup_codes SET expires_at = NULL, is_used = :no WHERE user_id = :user", no=False)
    assert is_altered(answer_with(world, ada, expired))
    assert is_altered(answer_with(world, ada, f"EFGH-6{ada:03}"))
    world.clock.forward(hours=2)
    world.put_back(ada, adopted, CODES)
    world.sql(ada, "UPDATE mfa_backup_codes SET user_id = :user WHERE user_id = :other", other=grace)
    assert is_altered(answer_with(world, ada, f"ABCD-2{grace:03}"))
    world.put_back(ada, adopted, CODES)
    world.tamper(ada, Move("plant", CODES, 0, 0, 0))
    assert is_altered(answer_with(world, ada, PLANTED_CODE))


@pytest.mark.requirement("R78")
@pytest.mark.attack("A21")
@pytest.mark.parametrize("how", ["revoke", "revoke all", "a new password"])
def test_a_browser_whose_trust_has_ended_is_put_back(world: Owners, ada: int, how: str) -> None:
    trusted, token = world.saved(ada), last_cookie(world)
    ways = {
        "revoke": lambda: world.revoke(ada, next(iter(trusted[DEVICES]))[0]),
        "revoke all": lambda: world.revoke_all(ada),
        "a new password": lambda: world.password_changed(ada),
    }
    ways[how]()
    world.put_back(ada, trusted, DEVICES)
    world.sql(ada, RENAME, old="device_revoked", new="device_trusted")
    world.sql(ada, RENAME, old="password_changed", new="device_trusted")
    assert not is_trusted(world.challenge(ada, token))
    assert isinstance(world.revoke(ada, next(iter(trusted[DEVICES]))[0]).error, Tampered)
    world.mend(ada)


@pytest.mark.requirement("R75", "R78")
@pytest.mark.attack("A21")
def test_the_marks_of_a_browser_bring_no_trust_back(world: Owners, ada: int) -> None:
    first = last_cookie(world)
    held = world.saved(ada)
    for _ in range(2):
        world.come_back(ada)
    standing = world.saved(ada)
    (row,) = held[DEVICES]
    now, later = world.tables.moment("2026-11-22 12:02:00.000000"), world.tables.moment("2099-01-01 00:00:00.000000")
    old = world.tables.get(DEVICES, row, "trust_token")
    for moment in (now, later):
        world.sql(
            ada, "UPDATE mfa_device_trusts SET previous_token = :old, rotated_at = :at WHERE user_id = :user",
            old=old, at=moment,
        )  # fmt: skip
        assert not is_trusted(world.challenge(ada, first))
        world.put_back(ada, standing)
    assert is_trusted(world.challenge(ada, last_cookie(world)))
    world.sql(ada, "UPDATE mfa_device_trusts SET browser = NULL, platform = NULL WHERE user_id = :user")
    assert not is_trusted(world.challenge(ada, last_cookie(world), "safari"))
    world.mend(ada)
    world.clock.forward(days=15)
    world.sql(ada, "UPDATE mfa_device_trusts SET last_used_at = :at WHERE user_id = :user", at=later)
    assert not is_trusted(world.challenge(ada, last_cookie(world)))


@pytest.mark.requirement("R83")
def test_a_proof_does_not_outlive_a_new_password_by_a_line_of_the_log(world: Owners, ada: int) -> None:
    verified = world.log_in(ada)
    assert verified is not None
    world.password_changed(ada)
    world.sql(ada, RENAME, old="password_changed", new="challenged")
    for answer in (world.proof(ada, verified), world.trust(ada, verified), world.regenerate(ada, verified)):
        assert isinstance(answer.error, Stale)


@pytest.mark.requirement("R21")
def test_a_set_up_that_has_ended_is_not_confirmed(world: Owners, ada: int) -> None:
    world.log_in_and(ada, "begin")
    begun, pending = world.saved(ada), list(world.held.apps)[-1]
    world.password_changed(ada)
    assert isinstance(world.confirm(ada, world.app_code(pending)).error, EnrollmentExpired)
    ended = world.saved(ada)
    columns = {
        name: world.tables.get(SECRETS, next(iter(begun[SECRETS])), name) for name in ("pending_secret", "pending_at")
    }
    world.sql(
        ada,
        "UPDATE user_mfa_secrets SET pending_secret = :pending_secret, pending_at = :pending_at WHERE user_id = :user",
        **columns,
    )
    assert isinstance(world.confirm(ada, world.app_code(pending)).error, Tampered)
    world.put_back(ada, ended)
    world.put_back(ada, begun, SECRETS)
    assert isinstance(world.confirm(ada, world.app_code(pending)).error, Tampered)


@pytest.mark.requirement("R64")
@pytest.mark.parametrize("left", TABLES[1:])
def test_whatever_one_table_still_holds_tells_of_a_row_that_was_removed(world: Owners, ada: int, left: str) -> None:
    world.log_in_and(ada, "register")
    for name in {*TABLES} - {left}:
        world.sql(ada, f"DELETE FROM {name} WHERE user_id = :user")
    assert isinstance(world.challenge(ada).error, Tampered)
    assert isinstance(world.begin(ada).error, Tampered)


@pytest.mark.requirement("R21", "R102")
@pytest.mark.attack("A1", "A12")
def test_a_row_that_is_put_back_meets_its_own_later_lines(world: Owners, ada: int) -> None:
    before = world.saved(ada)
    for _ in range(6):
        world.reverify(ada, "000000")
    world.put_back(ada, before, SECRETS)
    number = world.tables.get(SECRETS, next(iter(before[SECRETS])), "event_count") + 1
    # He makes room for the next line alone.
    world.sql(ada, "DELETE FROM mfa_events WHERE user_id = :user AND seq = :seq", seq=number)
    for answer in (world.challenge(ada), world.reverify(ada, "000000"), world.password_changed(ada)):
        assert isinstance(answer.error, Tampered)
    assert not world.verify_log(ada).value.is_intact


@pytest.mark.requirement("R34", "R78")
@pytest.mark.attack("A8", "A21")
def test_a_gap_that_pruning_left_is_filled_with_forged_lines(world: Owners, ada: int) -> None:
    held, token, code = world.saved(ada), last_cookie(world), paper(world, ada)
    world.log_in(ada, "paper")
    world.revoke_all(ada)
    world.prune(ada, hours=0)
    world.put_back(ada, held, CODES, DEVICES)
    line = dict(zip(world.tables.columns[EVENTS], next(iter(held[EVENTS])), strict=True))
    del line["id"]
    (device,) = held[DEVICES]
    fingerprint = world.tables.get(DEVICES, device, "device_fingerprint")
    for seq, kind in ((1, "totp_confirmed"), (2, "device_trusted"), (3, "backup_codes_regenerated")):
        world.tables.add(EVENTS, **line | {"seq": seq, "event_type": kind, "device_fingerprint": fingerprint})
    world.look()
    assert is_altered(answer_with(world, ada, code))
    assert not is_trusted(world.challenge(ada, token))
    assert not world.verify_log(ada).value.is_intact
    world.sql(ada, "DELETE FROM mfa_events WHERE user_id = :user AND seq < 4")
    assert is_altered(answer_with(world, ada, code))
    assert not is_trusted(world.challenge(ada, token))
    assert not world.verify_log(ada).value.is_intact
    world.mend(ada)
    assert world.verify_log(ada).value.is_intact


@pytest.mark.requirement("R43")
def test_an_honest_life_goes_on_through_pruning_and_a_new_key(world: Owners, ada: int) -> None:
    world.use_the_next_key()
    world.rotate()
    world.prune(ada, hours=0)
    for how in ("app", "paper"):
        assert world.log_in(ada, how)
    assert is_trusted(world.challenge(ada, last_cookie(world)))
    world.prune(ada, hours=0)
    assert world.verify_log(ada).value.is_intact
    world.lead_a_life(ada)


@pytest.mark.requirement("R64")
def test_an_exact_return_to_an_earlier_moment_opens_what_was_open_then(world: Owners, ada: int) -> None:
    before, code = world.saved(ada), paper(world, ada)
    world.log_in(ada, "paper")
    world.put_back(ada, before)
    assert answer_with(world, ada, code)
    assert world.verify_log(ada).value.is_intact
