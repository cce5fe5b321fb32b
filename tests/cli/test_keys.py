"""`twofold keys`: the life of a key, from its file to the sentence that it may be removed."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.cli.conftest import Shell, secret_part
from tests.people import Clock, add_user, enroll, log_in, plain_settings
from twofold import MFA, Settings
from twofold.keyring import Keyring, generate_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.people import Enrolment

pytestmark = pytest.mark.backends("sqlite")


def test_a_key_is_printed_alone_so_that_a_shell_can_take_it(shell: Shell) -> None:
    answer = shell("keys", "generate", "--kid", "spring")
    assert answer.code == 0
    assert Keyring.parse(answer.out).kids == ("spring",)
    data = shell("keys", "generate", "--json").data
    assert Keyring.parse(data["key"]).active == data["kid"]


def test_the_first_key_comes_with_a_name_for_the_deployment() -> None:
    shell = Shell({})
    answers = [shell("keys", "generate", *more) for more in ([], ["--file", "keys"])]
    names = {re.findall(r"set TWOFOLD_DEPLOYMENT=([0-9a-f]{16}) too", answer.err)[0] for answer in answers}
    names |= {shell("keys", "generate", "--json", *more).data["deployment"] for more in ([], ["--file", "others"])}
    assert len(names) == 4
    assert all(plain_settings(deployment=name).deployment == name for name in names)


def test_the_next_key_asks_for_no_other_deployment(shell: Shell) -> None:
    """Whoever set another one at a rotation would open not a single row any more."""
    for environment in ({}, {"deployment": "production"}):
        answer = shell("keys", "generate", **environment)
        assert "TWOFOLD_DEPLOYMENT=" not in answer.err
        assert "TWOFOLD_DEPLOYMENT stays as it is" in answer.err
    assert shell("keys", "generate", "--json").data["deployment"] is None


def test_a_key_file_is_for_its_owner_alone_and_never_replaced(shell: Shell, folder: Path) -> None:
    before = os.umask(0)
    try:
        answer = shell("keys", "generate", "--kid", "a", "--file", "keys")
    finally:
        os.umask(before)
    assert answer.code == 0
    written = (folder / "keys").read_text()
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o600
    assert Keyring.parse(written).active == "a"
    assert secret_part(written.strip()) not in answer.out + answer.err

    again = shell("keys", "generate", "--file", "keys")
    assert again.code == 78
    assert "exists and is left as it is" in again.err
    assert (folder / "keys").read_text() == written
    assert shell("keys", "generate", "--file", "nowhere/keys").code == 78


def test_a_dangling_link_is_not_followed(shell: Shell, folder: Path) -> None:
    (folder / "link").symlink_to(folder / "elsewhere")
    assert shell("keys", "generate", "--file", "link").code == 78
    assert not (folder / "elsewhere").exists()


def test_a_key_needs_no_settings_to_be_made(shell: Shell) -> None:
    assert shell("keys", "generate", digits="many").code == 0


def test_a_key_id_with_a_colon_is_refused(shell: Shell) -> None:
    answer = shell("keys", "generate", "--kid", "a:b")
    assert (answer.code, answer.out) == (78, "")


def test_a_rotation_says_what_still_needs_the_old_key(
    twofold: Shell, enrolled: Enrolment, keys: str, clock: Clock, mfa: MFA, migrated: Database
) -> None:
    new = generate_key("k2")
    twofold.secrets.append(secret_part(new))
    both = {"keys": f"{new},{keys}"}
    before = twofold("keys", "status", **both)
    assert before.code == 0
    assert "k2 is the active key" in before.out
    assert "k1 is still needed by 1 secret, 1 user's row, 10 unused backup codes." in before.out

    rotated = twofold("keys", "rotate", **both)
    assert rotated.code == 0
    assert "Re-sealed 1 row." in rotated.out
    assert "k1 is still needed by 10 unused backup codes." in rotated.out
    assert twofold("keys", "rotate", "--json", **both).data["done"] == 0

    made: dict[str, Any] = {"_env_file": None, **both}
    library = MFA(migrated.engine(), Settings(**made), clock=clock)
    library.backup_codes.regenerate(log_in(library, enrolled.user_id, enrolled.phone.code()))
    after = twofold("keys", "status", **both)
    assert "k1 may be removed: no login needs it. Put it into TWOFOLD_AUDIT_KEYS, since the 2 events" in after.out
    (_, old) = twofold("keys", "status", "--json", **both).data["keys"]
    assert (old["kid"], old["is_needed"], old["may_be_removed"]) == ("k1", False, True)

    apart = {"keys": new, "audit_keys": keys}
    told = twofold("keys", "status", **apart)
    assert told.code == 0
    assert (
        "k1 is for audits alone: it verifies the 2 events written under it, and tombstones that it signed." in told.out
    )
    (_, old) = twofold("keys", "status", "--json", **apart).data["keys"]
    assert (old["is_audit"], old["is_configured"], old["is_missing"], old["may_be_removed"]) == (
        True,
        False,
        False,
        False,
    )
    assert twofold("doctor", **apart).code == twofold("events", "verify", **apart).code == 0
    without = twofold("keys", "status", keys=new)
    assert (without.code, "the 2 events written under it cannot be verified." in without.out) == (0, True)


def test_a_key_that_nothing_needs_may_be_removed(twofold: Shell, keys: str) -> None:
    answer = twofold("keys", "status", keys=f"{generate_key('k2')},{keys}")
    assert answer.code == 0
    assert "k1 may be removed." in answer.out


def test_a_missing_key_is_named_and_fails(twofold: Shell, enrolled: Enrolment) -> None:
    answer = twofold("keys", "status", keys=generate_key("k9"))
    assert answer.code == 1
    assert "k1 is missing: 1 secret, 1 user's row, 10 unused backup codes cannot be read without it." in answer.out


def test_a_row_that_does_not_open_is_reported_and_left_alone(
    twofold: Shell, enrolled: Enrolment, keys: str, migrated: Database
) -> None:
    with migrated.engine().begin() as connection:
        connection.execute(sa.text("UPDATE user_mfa_secrets SET is_enabled = false"))
    answer = twofold("keys", "rotate", keys=f"{generate_key('k2')},{keys}")
    assert answer.code == 1
    assert f"twofold users status {enrolled.user_id}" in answer.out


@pytest.mark.requirement("R90")
def test_an_interrupted_rotation_keeps_what_is_done_and_goes_on(
    twofold: Shell, mfa: MFA, keys: str, clock: Clock, migrated: Database
) -> None:
    for number in range(3):
        enroll(mfa, add_user(migrated, f"user{number}@example.com"), clock)
    both = {"keys": f"{generate_key('k2')},{keys}"}
    swaps = 0

    def interrupt(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal swaps
        swaps += "UPDATE user_mfa_secrets SET" in statement
        if swaps == 2:
            swaps += 1
            raise KeyboardInterrupt

    event.listen(sa.Engine, "before_cursor_execute", interrupt)
    try:
        stopped = twofold("keys", "rotate", "--batch", "1", "--json", **both)
    finally:
        event.remove(sa.Engine, "before_cursor_execute", interrupt)
    assert (stopped.code, stopped.data["done"], stopped.data["is_stopped"]) == (130, 1, True)
    went_on = twofold("keys", "rotate", "--batch", "1", "--json", **both)
    assert (went_on.code, went_on.data["done"], went_on.data["is_stopped"]) == (0, 2, False)
