"""The table of passkeys is made, taken away and made again while processes run, and may be somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.attacks.passkey_acts import registered, signs_in
from tests.databases import add_passkeys
from tests.people import ORIGIN, Clock, Open, Sql, challenged, enroll, kinds
from twofold import Challenge
from twofold.errors import NotEnrolled, SchemaDrift
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from tests.databases import Database
    from twofold import MFA
    from twofold.testing import VirtualPasskey

pytestmark = [pytest.mark.every_driver, pytest.mark.passkeys]


def test_nobody_is_kept_out_when_the_table_is_dropped(
    mfa: MFA, ada: int, grace: int, passkey: VirtualPasskey, migrated: Database, sql: Sql, clock: Clock
) -> None:
    codes = registered(mfa, ada, passkey).backup_codes
    graces = enroll(mfa, grace, clock)
    assert signs_in(mfa, ada, passkey)
    sql("DROP TABLE mfa_passkeys")
    assert mfa.verify(challenged(mfa, grace), graces.phone.code()).factor == "totp"
    challenge = mfa.challenge(ada)
    assert isinstance(challenge, Challenge)
    assert challenge.factors == ("backup_codes",)
    verified = mfa.verify(challenge.token, codes[0])
    assert kinds(mfa, ada).count("rows_altered") == 1
    assert mfa.status(ada).altered == ("mfa_passkeys",)
    assert mfa.passkeys.list(ada) == ()
    assert not mfa.passkeys.offered()
    with pytest.raises(NotEnrolled):
        mfa.passkeys.ask(ada)
    with pytest.raises(SchemaDrift, match="twofold db upgrade --passkeys"):
        mfa.passkeys.begin(ada, account_name="ada", verified=verified)
    # It is made again, and the same process goes on.
    add_passkeys(migrated)
    assert mfa.passkeys.offered()
    registered(mfa, ada, passkey, verified)
    assert signs_in(mfa, ada, passkey)
    assert mfa.status(ada).altered == ()
    sql("DROP TABLE mfa_passkeys")
    mfa.disable(mfa.verify(challenged(mfa, ada), codes[1]))
    assert not mfa.status(ada).is_enrolled


@pytest.mark.parametrize("end", ["reset", "repair", "erase"])
def test_an_operator_ends_what_the_table_held(mfa: MFA, ada: int, passkey: VirtualPasskey, sql: Sql, end: str) -> None:
    registered(mfa, ada, passkey)
    sql("DROP TABLE mfa_passkeys")
    match end:
        case "reset":
            mfa.reset(ada, by="grace", reason="the table is gone")
        case "repair":
            mfa.repair(ada, by="grace", reason="the table is gone")
        case _:
            mfa.erase(ada)
    assert not mfa.status(ada).is_enrolled


def test_who_began_before_the_table_was_made_finds_it(
    open_mfa: Open, ada: int, migrated: Database, sql: Sql, passkey: VirtualPasskey
) -> None:
    sql("DROP TABLE mfa_passkeys")
    before = open_mfa(public_url=ORIGIN)
    assert not before.challenge(ada)
    add_passkeys(migrated)
    registered(open_mfa(public_url=ORIGIN), ada, passkey)
    assert signs_in(before, ada, passkey)
    assert "rows_altered" not in kinds(before, ada)


def test_who_began_before_the_table_was_made_rotates_its_keys(
    open_mfa: Open, ada: int, keys: str, migrated: Database, sql: Sql, passkey: VirtualPasskey
) -> None:
    sql("DROP TABLE mfa_passkeys")
    both = {"public_url": ORIGIN, "keys": f"{generate_key('k2')},{keys}"}
    before, rotating = open_mfa(**both), open_mfa(**both)
    for face in (before, rotating):
        assert [use.passkeys for use in face.keys.status()] == [0, 0]
    add_passkeys(migrated)
    registered(open_mfa(public_url=ORIGIN), ada, passkey)
    # Her row is written under the new key, and her passkey is not.
    assert signs_in(open_mfa(**both), ada, passkey)
    assert [(use.kid, use.passkeys) for use in before.keys.status()] == [("k2", 0), ("k1", 3)]
    assert rotating.keys.rotate().done == 1
    assert [(use.kid, use.passkeys) for use in before.keys.status()] == [("k2", 3), ("k1", 0)]


@pytest.mark.parametrize("face", ["blocking"])
def test_the_hosts_own_transaction_goes_on_without_the_table(
    mfa: MFA, ada: int, passkey: VirtualPasskey, migrated: Database, sql: Sql
) -> None:
    codes = registered(mfa, ada, passkey).backup_codes
    sql("DROP TABLE mfa_passkeys")
    with migrated.engine().begin() as connection:
        within = mfa.within(connection, may_guess=True)
        assert within.verify(challenged(within, ada), codes[0]).factor == "backup_codes"
    assert mfa.backup_codes.remaining(ada) == 9


def test_a_table_of_the_applications_own_stands_in_nobodys_way(mfa: MFA, ada: int, sql: Sql, clock: Clock) -> None:
    sql("DROP TABLE mfa_passkeys")
    sql("CREATE TABLE mfa_passkeys (id INTEGER PRIMARY KEY, user_id INTEGER, credential VARCHAR(255))")
    enrolled = enroll(mfa, ada, clock)
    assert mfa.verify(challenged(mfa, ada), enrolled.phone.code()).factor == "totp"
    assert not mfa.passkeys.offered()
    mfa.erase(ada)
